"""How workflows are tested: run it with `pytest -n 4`. The fixtures come with bifrost-hub."""

from __future__ import annotations

import datetime

import pytest
from onboarding import count_users, directory, onboard

from bifrost import Hub, InvalidInput, Simulators, Tenant
from bifrost.testing import Clock, Crash, Stage

pytestmark = pytest.mark.bifrost(workflows=[onboard, count_users])


@pytest.fixture(autouse=True)
def empty_directory() -> None:
    directory.users.clear()
    directory.failures = 0


def test_a_workflow_runs_in_memory(tenant: Tenant) -> None:
    directory.users.append("ada@contoso.com")
    assert tenant.run(count_users).result(timeout=10) == 1


def test_a_wrong_parameter_is_refused_before_anything_starts(tenant: Tenant) -> None:
    with pytest.raises(InvalidInput, match="first_name"):
        tenant.run(onboard, first_name=7)
    assert tenant.executions() == []


def test_days_pass_in_an_instant(tenant: Tenant, clock: Clock) -> None:
    started = clock.now()
    outcome = clock.run_until(tenant.run(onboard, first_name="Zoë"))
    assert outcome.output == "Welcome, Zoë!"
    assert clock.now() - started >= datetime.timedelta(days=3)


def test_what_passes_is_tried_again(tenant: Tenant, clock: Clock) -> None:
    directory.failures = 2
    execution = tenant.run(onboard, first_name="Zoë")
    assert clock.run_until(execution).succeeded
    assert directory.users == ["zoë@contoso.com"]
    assert "account created" in [event.data.get("message") for event in execution.events()]


@pytest.mark.parametrize("when", ["before", "during", "after"])
def test_a_crash_makes_no_second_account(tenant: Tenant, clock: Clock, crash: Crash, when: str) -> None:
    crash.at("create user", when)
    execution = tenant.run(onboard, first_name="Zoë")
    resumed = crash.reopen().tenant("contoso").execution(execution.id)
    assert clock.run_until(resumed).output == "Welcome, Zoë!"
    assert directory.users == ["zoë@contoso.com"]


def test_the_tenant_is_connected_to_the_simulators(hub: Hub, tenant: Tenant, simulators: Simulators) -> None:
    tenant.connections.test("graph")
    tenant.connections.test("halopsa")
    assert [entry["id"] for entry in hub.tenants()] == ["contoso"]


def test_without_fixtures() -> None:
    with Stage(workflows=[count_users]) as stage:
        assert stage.tenant("fabrikam").run(count_users).result(timeout=10) == 0
