"""Twelve failures that people meet, provoked: one clear line each, with whose it is and what to do, and no secret."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bifrost import (
    BifrostError,
    Cancelled,
    Context,
    Hub,
    Internal,
    InvalidInput,
    NotFound,
    ReauthRequired,
    Simulators,
    StoreFull,
    StoreLocked,
    Tenant,
    Throttled,
    TimedOut,
    Unavailable,
    _native,
    workflow,
)
from bifrost.testing import Clock

CANARY = "canary-Zoë-4711"
WITHIN = 30.0


@workflow(retry=False)
def counts_users(ctx: Context, note: str = CANARY) -> int:
    return len(list(ctx.graph.users.list()))


@workflow(retry=False)
def assigns_licence(ctx: Context, note: str = CANARY) -> None:
    user = next(iter(ctx.graph.users.list()))
    ctx.graph.licenses.assign_by_name(user.id, "SPE_E3")


@workflow(timeout=60, retry=False)
def takes_long(ctx: Context, note: str = CANARY) -> None:
    ctx.sleep(3600)


@workflow
def takes_a_number(ctx: Context, number: int) -> int:
    return number


entered = threading.Event()


@workflow
def waits_for_ever(ctx: Context, note: str = CANARY) -> None:
    entered.set()
    while not ctx.cancelled:
        threading.Event().wait(0.005)
    ctx.step("never", lambda: None)


ALL = [counts_users, assigns_licence, takes_long, takes_a_number, waits_for_ever]
pytestmark = pytest.mark.bifrost(workflows=ALL)

Check = Callable[..., None]


def _failure(kind: type[BifrostError], call: Callable[[], Any]) -> BifrostError:
    with pytest.raises(kind) as raised:
        call()
    return raised.value


@pytest.mark.parametrize("where", ["workflow", "connection"])
def test_401(tenant: Tenant, check: Check, where: str) -> None:
    options = {"entra_tenant": "contoso.com", "client_id": "b1f05700-0000-4000-8000-00000000d3e0"}
    tenant.connections.update("graph", client_secret=CANARY, **options)
    call = (lambda: tenant.connections.test("graph")) if where == "connection" else _run(tenant, counts_users)
    check(f"401-{where}", _failure(ReauthRequired, call))


def _run(tenant: Tenant, function: Callable[..., Any], **params: Any) -> Callable[[], Any]:
    return lambda: tenant.run(function, **params).result(WITHIN)


def test_consent_missing(tenant: Tenant, simulators: Simulators, check: Check) -> None:
    simulators.withdraw_consent("contoso")
    check("consent-missing", _failure(ReauthRequired, _run(tenant, counts_users)))


def test_licence_short(tenant: Tenant, simulators: Simulators, check: Check) -> None:
    simulators.set_licenses("contoso", "SPE_E3", 0)
    check("licence-short", _failure(BifrostError, _run(tenant, assigns_licence)))


@pytest.mark.parametrize(("fault", "kind"), [("throttled", Throttled), ("unavailable", Unavailable)])
def test_429_and_5xx(
    fault: Any, kind: type[BifrostError], tenant: Tenant, simulators: Simulators, clock: Clock, check: Check
) -> None:
    simulators.fault(fault, provider="graph", retry_after=1)
    execution = tenant.run(counts_users)
    clock.run_until(execution)
    error = _failure(kind, execution.result)
    assert error.is_retryable
    check(fault, error)


def test_schema(tenant: Tenant, check: Check) -> None:
    error = _failure(InvalidInput, lambda: tenant.start(takes_a_number, {"number": CANARY}))
    assert error.context["path"] == "/number"
    check("schema", error)


def test_timeout(tenant: Tenant, clock: Clock, check: Check) -> None:
    execution = tenant.run(takes_long)
    clock.run_until(execution)
    check("timeout", _failure(TimedOut, execution.result))


def test_lock_held_by_another_process(start: Callable[..., Any], check: Check, tmp_path: Path) -> None:
    program = start("""
        import sys
        from bifrost import Hub
        with Hub.open("data", workflows=[]):
            print("open")
            sys.stdin.read(1)
            __import__("threading").Event().wait(60)
    """)
    program.lines_until("open")
    error = _failure(StoreLocked, Hub.open(tmp_path / "data", workflows=[]).__enter__)
    assert error.context["pid"] == str(program.process.pid)
    check("store-locked", error, tenant=None)


def test_unknown_workflow(tenant: Tenant, check: Check) -> None:
    check("unknown-workflow", _failure(NotFound, lambda: tenant.run("count_user")))


def test_cancelled(tenant: Tenant, check: Check) -> None:
    entered.clear()
    execution = tenant.run(waits_for_ever)
    assert entered.wait(WITHIN)
    execution.cancel(f"a reason with {CANARY}")
    check("cancelled", _failure(Cancelled, lambda: execution.result(WITHIN)))


@pytest.mark.parametrize("in_background", [False, True])
def test_rust_panic(
    tenant: Tenant, hub: Hub, check: Check, capfd: pytest.CaptureFixture[str], in_background: bool
) -> None:
    from bifrost._calls import wait

    error = _failure(Internal, lambda: wait(hub.core.native.provoke_panic(in_background)))
    check("rust-panic", error, tenant=None)
    assert "provoked by a test" in capfd.readouterr().err
    assert tenant.run(takes_a_number, number=7).result(WITHIN) == 7, "the hub goes on"


def test_store_full(check: Check) -> None:
    store = _native.Store()
    with Hub.open(store=store, workflows=[takes_a_number]) as hub:
        tenant = hub.create_tenant("contoso")
        store.set_full(True)
        with pytest.raises(StoreFull) as caught:
            tenant.run(takes_a_number, number=1)
        check("store-full", caught.value)
        assert tenant.config.get("nothing") is None, "reads go on"
        store.set_full(False)
        assert tenant.run(takes_a_number, number=2).result(timeout=WITHIN) == 2
