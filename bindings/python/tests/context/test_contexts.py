"""What else a workflow is given: children, configuration, secrets, events, cancellation, deadlines, retries, time."""

from __future__ import annotations

import asyncio
import contextvars
import datetime
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from bifrost import (
    AsyncContext,
    BifrostError,
    Cancelled,
    Conflict,
    Context,
    Hub,
    InvalidInput,
    NotFound,
    Option,
    PermissionDenied,
    Retry,
    Tenant,
    TimedOut,
    WorkflowFailed,
    current_context,
    data_provider,
    workflow,
)
from bifrost.testing import Clock, Stage

WITHIN = 30.0


def only(*functions: Callable[..., Any], **options: Any) -> Any:
    return pytest.mark.bifrost(workflows=list(functions), **options)


# Children


@workflow
def child_doubles(ctx: Context, number: int) -> int:
    if number < 0:
        raise ValueError("negative")
    return ctx.step("double", lambda: number * 2)


@workflow
async def parent_async(ctx: AsyncContext, number: int) -> list[int]:
    return list(await asyncio.gather(*(ctx.run(child_doubles, number=number + n) for n in range(3))))


@workflow
def parent_sync(ctx: Context, number: int) -> Any:
    return ctx.run("child_doubles", number=number)


@only(child_doubles, parent_async, parent_sync)
def test_children_are_executions_of_their_own(tenant: Tenant) -> None:
    parent = tenant.run(parent_async, number=1)
    assert parent.result(WITHIN) == [2, 4, 6]
    children = [record for record in tenant.executions() if record["workflow"] == "child_doubles"]
    assert [record["parent"] for record in children] == [parent.id] * 3
    assert tenant.run(parent_sync, number=5).result(WITHIN) == 10


@only(child_doubles, parent_sync)
def test_a_childs_failure_is_its_parents(tenant: Tenant) -> None:
    with pytest.raises(BifrostError, match="negative"):
        tenant.run(parent_sync, number=-1).result(WITHIN)


@pytest.mark.parametrize("parent", [parent_sync, parent_async])
def test_a_child_is_found_again_and_never_started_twice(parent: Callable[..., Any]) -> None:
    with Stage(workflows=[child_doubles, parent]) as stage:
        stage.crash.at("double", "during")
        execution = stage.tenant().run(parent, number=1)
        tenant = stage.crash.reopen().tenant("contoso")
        assert tenant.execution(execution.id).result(WITHIN) in (2, [2, 4, 6])
        started = [record["id"] for record in tenant.executions() if record["workflow"] == "child_doubles"]
        assert len(started) == (1 if parent is parent_sync else 3)


# Configuration and secrets


@workflow
def reads_config(ctx: Context) -> list[Any]:
    with pytest.raises(NotFound):
        ctx.config["missing"]
    assert "missing" not in ctx.config
    assert "sku" in ctx.config
    return [ctx.config["sku"], ctx.config.get("usage_location", "CH"), ctx.config.get("inherited")]


@only(reads_config)
def test_configuration_is_the_tenants_own_else_inherited(hub: Hub) -> None:
    msp = hub.create_tenant("msp", provider=True)
    tenant = hub.create_tenant("contoso")
    msp.config.set("inherited", {"deep": [1, None]})
    msp.config.set("sku", "E3")
    tenant.config.set("sku", "E5")
    assert tenant.run(reads_config).result(WITHIN) == ["E5", "CH", {"deep": [1, None]}]


CANARY = "canary-Zoë-4711"


@workflow(retry=False)
def reveals(ctx: Context) -> str:
    secret = ctx.secret("token")
    assert CANARY not in f"{secret} {secret!r}"
    return "revealed" if secret.reveal() == CANARY else "another"


@only(reveals)
def test_a_secret_is_a_handle_unless_policy_says_otherwise(tenant: Tenant) -> None:
    tenant.secrets.set("token", CANARY)
    with pytest.raises(PermissionDenied, match="contoso") as refused:
        tenant.run(reveals).result(WITHIN)
    assert CANARY not in str(refused.value)
    assert "secret" in str(tenant.audit()), "the denial is audited"


@only(reveals, reveal_secrets=True)
def test_a_secret_is_revealed_where_policy_says_so(tenant: Tenant) -> None:
    tenant.secrets.set("token", CANARY)
    assert tenant.run(reveals).result(WITHIN) == "revealed"
    assert CANARY not in str(tenant.audit())


# Events


@workflow
async def tells(ctx: AsyncContext) -> str:
    ctx.progress(1, 3, "first")
    ctx.log("info message", sku="E3")
    ctx.log.warning("warning message")
    await ctx.step("one", lambda: 1)
    ctx.problem(ValueError("lived with"))
    ctx.problem("in words")
    return "told"


@only(tells)
def test_events_are_numbered_and_complete(tenant: Tenant) -> None:
    execution = tenant.run(tells)
    outcome = execution.outcome(WITHIN)
    assert outcome.state == "completed_with_errors"
    assert outcome.succeeded
    assert [problem["message"] for problem in outcome.problems] == ["ValueError: lived with", "RuntimeError: in words"]
    events = list(execution.events())
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    progress = next(event for event in events if event.kind == "progress")
    assert (progress.data["done"], progress.data["total"], progress.data["message"]) == (1, 3, "first")
    logs = [event.data for event in events if event.kind == "log"]
    assert [(log["level"], log["message"]) for log in logs] == [("info", "info message"), ("warn", "warning message")]
    assert logs[0]["fields"] == {"sku": "E3"}
    assert [event.seq for event in execution.events(from_seq=3)] == [event.seq for event in events[2:]]
    assert events[-1].data["state"] == "completed_with_errors"


# Cancelling and deadlines


def _cancellable(log: list[str], entered: threading.Event) -> list[Callable[..., Any]]:
    @workflow
    async def cancelled_async(ctx: AsyncContext) -> None:
        entered.set()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            log.append("cleaned up")

    @workflow
    def cancelled_sync(ctx: Context) -> None:
        entered.set()
        try:
            while not ctx.cancelled:
                threading.Event().wait(0.005)
            ctx.step("never", log.append, "ran on")
        finally:
            log.append("cleaned up")

    return [cancelled_async, cancelled_sync]


@pytest.mark.parametrize("index", [0, 1], ids=["async", "sync"])
def test_cancelling_lets_code_clean_up(index: int) -> None:
    log: list[str] = []
    entered = threading.Event()
    functions = _cancellable(log, entered)
    with Stage(workflows=functions) as stage:
        execution = stage.tenant().run(functions[index])
        assert entered.wait(WITHIN)
        execution.cancel("no longer wanted")
        with pytest.raises(Cancelled, match="contoso"):
            execution.result(WITHIN)
        assert execution.outcome().state == "cancelled"
    assert log == ["cleaned up"]


@workflow(timeout=60)
async def waits_too_long(ctx: AsyncContext) -> None:
    await ctx.sleep(3600)


@workflow(step_timeout=0.1, retry=False)
async def step_takes_too_long(ctx: AsyncContext) -> None:
    await ctx.step("slow", asyncio.sleep, 60)


@only(waits_too_long)
def test_a_run_past_its_deadline_is_ended(tenant: Tenant, clock: Clock) -> None:
    execution = tenant.run(waits_too_long)
    assert clock.run_until(execution).state == "timed_out"
    with pytest.raises(TimedOut, match="run deadline"):
        execution.result()
    with pytest.raises(TimeoutError):
        execution.result()


@only(step_takes_too_long)
def test_a_step_past_its_deadline_is_ended(tenant: Tenant) -> None:
    with pytest.raises(TimedOut, match=r"slow.*limit=0.1s"):
        tenant.run(step_takes_too_long).result(WITHIN)


@only(waits_too_long)
def test_waiting_has_a_deadline_of_its_own(tenant: Tenant) -> None:
    execution = tenant.run(waits_too_long)
    with pytest.raises(TimeoutError, match="no answer within"):
        execution.result(0.05)
    assert execution.record()["state"] in ("pending", "running"), "and the execution goes on"


# Retries


@pytest.mark.parametrize(
    ("error", "only_kinds", "attempts"),
    [
        (ConnectionError("reset"), None, 3),
        (TimeoutError("slow"), None, 3),
        (ValueError("wrong"), None, 1),
        (BifrostError.retryable("busy"), None, 3),
        (BifrostError.terminal("too large", next_action="split it"), None, 1),
        (BifrostError.retryable("busy"), ("throttled",), 1),
        (ValueError("wrong"), ("workflow_failed",), 3),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_what_is_worth_another_attempt(error: Exception, only_kinds: Any, attempts: int) -> None:
    seen: list[int] = []

    @workflow(retry=Retry(attempts=3, delay=60, only=only_kinds))
    def fails(ctx: Context) -> None:
        seen.append(ctx.attempt)
        raise error

    with Stage(workflows=[fails], clock=Clock()) as stage:
        assert stage.clock is not None
        execution = stage.tenant().run(fails)
        assert stage.clock.run_until(execution).state == "failed"
        assert seen == list(range(1, attempts + 1))
        with pytest.raises(WorkflowFailed) as failed:
            execution.result()
    assert failed.value.tenant == "contoso"
    assert failed.value.next_action == getattr(error, "next_action", None)


def test_a_named_wait_is_kept() -> None:
    at: list[datetime.datetime] = []

    @workflow(retry=Retry(attempts=2, delay=1))
    def asks_for_a_wait(ctx: Context) -> None:
        at.append(ctx.now())
        raise BifrostError.retryable("come back later", after=600)

    with Stage(workflows=[asks_for_a_wait], clock=Clock()) as stage:
        assert stage.clock is not None
        stage.clock.run_until(stage.tenant().run(asks_for_a_wait))
    assert at[1] - at[0] >= datetime.timedelta(seconds=600)


# Starting


@workflow
def starts_at(ctx: Context, tag: str = "x") -> str:
    return ctx.now().isoformat()


@only(starts_at)
def test_an_idempotency_key_finds_what_is_there(tenant: Tenant) -> None:
    first = tenant.start(starts_at, {"tag": "a"}, idempotency_key="k")
    assert tenant.start(starts_at, {"tag": "a"}, idempotency_key="k").id == first.id
    with pytest.raises(Conflict, match="contoso"):
        tenant.start(starts_at, {"tag": "b"}, idempotency_key="k")
    assert len(tenant.executions()) == 1


@only(starts_at)
def test_a_start_can_be_put_off(tenant: Tenant, clock: Clock) -> None:
    at = clock.now() + datetime.timedelta(hours=6)
    execution = tenant.start(starts_at, at=at)
    assert execution.record()["state"] == "scheduled"
    assert datetime.datetime.fromisoformat(clock.run_until(execution).output) >= at


# Typed parameters and results


@dataclass
class Person:
    first: str
    born: datetime.date
    tags: tuple[str, ...] = ()


@workflow
async def typed(ctx: AsyncContext, person: Person, when: datetime.datetime) -> list[Person]:
    assert isinstance(person, Person)
    assert when.tzinfo is not None
    same = await ctx.step("same", _same, person)
    assert same == person
    return [person, same]


def _same(person: Person) -> Person:
    return person


@only(typed)
def test_dataclasses_go_in_and_come_out(tenant: Tenant) -> None:
    person = Person("Zoë", datetime.date(2001, 2, 3), ("a", "b"))
    when = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
    assert tenant.run(typed, person=person, when=when).result(WITHIN) == [person, person]
    with pytest.raises(InvalidInput) as refused:
        tenant.run(typed, person={"first": 7, "born": "2001-02-03"}, when=when)
    assert refused.value.context["path"] == "/person/first"


def test_pydantic_models_go_in_and_come_out() -> None:
    pydantic = pytest.importorskip("pydantic")

    class Seat(pydantic.BaseModel):  # type: ignore[name-defined,misc]
        sku: str
        count: int = pydantic.Field(ge=1)

    @workflow
    def takes_model(ctx: Context, seat: Seat) -> Seat:
        return seat.model_copy(update={"count": seat.count + 1})

    with Stage(workflows=[takes_model]) as stage:
        tenant = stage.tenant()
        assert tenant.run(takes_model, seat=Seat(sku="E3", count=1)).result(WITHIN) == Seat(sku="E3", count=2)
        with pytest.raises(InvalidInput):
            tenant.run(takes_model, seat={"sku": "E3", "count": 0})


# Data providers


def test_options_are_kept_and_shared(eventually: Callable[..., None]) -> None:
    asked: list[str] = []

    @data_provider(cache_ttl=3600)
    def kept_options(ctx: Context, prefix: str = "") -> list[Option]:
        asked.append(f"{ctx.tenant}{prefix}")
        return [Option(f"{prefix}E3", "Office"), Option("E5")]

    with Stage(workflows=[kept_options], clock=Clock()) as stage:
        tenant, other = stage.tenant(), stage.tenant("fabrikam")
        wanted = [{"value": "E3", "label": "Office"}, {"value": "E5", "label": "E5"}]
        assert [tenant.options(kept_options), tenant.options("kept_options")] == [wanted, wanted]
        assert other.options(kept_options) == wanted
        assert tenant.options(kept_options, prefix="x")[0]["value"] == "xE3"
        assert asked == ["contoso", "fabrikam", "contosox"], "kept by tenant and parameters"
        assert stage.clock is not None
        stage.clock.advance(3601)
        assert tenant.options(kept_options) == wanted
        assert len(asked) == 4, "asked again when the time is over, by the hub's clock"


# Whose context it is

own: contextvars.ContextVar[int] = contextvars.ContextVar("own")


def deep_inside() -> str:
    return current_context().execution


@workflow
async def knows_itself_async(ctx: AsyncContext, number: int) -> list[str]:
    own.set(number)
    chance = random.Random(number)
    seen = []
    for _ in range(3):
        await asyncio.sleep(chance.uniform(0, 0.01))
        seen.append(await ctx.step("look", deep_inside))
        assert own.get() == number
        assert current_context() is ctx
    return seen


@workflow
def knows_itself_sync(ctx: Context, number: int) -> list[str]:
    assert own.get(None) is None, "nothing is left of whoever ran on this thread before"
    own.set(number)
    return [ctx.step("look", deep_inside) for _ in range(3)]


@only(knows_itself_async, knows_itself_sync)
def test_a_hundred_interleaved_executions_keep_their_contexts_apart(tenant: Tenant) -> None:
    functions = (knows_itself_async, knows_itself_sync)
    executions = [tenant.run(functions[n % 2], number=n) for n in range(100)]
    for execution in executions:
        assert execution.result(WITHIN) == [execution.id] * 3
    with pytest.raises(LookupError):
        current_context()


@workflow
def identifies(ctx: Context) -> list[Any]:
    return [ctx.tenant, ctx.workflow, ctx.attempt, ctx.principal, ctx.cancelled, ctx.mapping("halopsa")]


@only(identifies)
def test_a_context_knows_for_whom_it_works(hub: Hub) -> None:
    tenant = hub.create_tenant("contoso", mappings={"halopsa": "12"})
    result = tenant.acting_as("ada").run(identifies).result(WITHIN)
    assert result == ["contoso", "identifies", 1, "user:ada", False, "12"]
