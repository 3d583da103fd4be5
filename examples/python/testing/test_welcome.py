"""Tests of a workflow, with the fixtures that come with the package: `pytest -n 4 examples/python/testing`.

Everything is in memory: no account, no network, and no waiting, as the clock moves when told.
"""

import pytest
from welcome import sign_in_name, welcome

from bifrost import NotFound, Simulators, Tenant
from bifrost.testing import Clock, Crash

ZOE = {"name": "Zoë Müller", "alias": "zoe mueller"}
UPN = "zoe.mueller@contoso.com"


def test_what_needs_no_hub_is_tested_without() -> None:
    assert sign_in_name(" Zoe Mueller", "contoso") == UPN


def test_an_hour_passes_in_an_instant(tenant: Tenant, simulators: Simulators, clock: Clock) -> None:
    before = clock.now()
    outcome = clock.run_until(tenant.run(welcome, **ZOE))
    assert outcome.output == UPN
    assert (clock.now() - before).total_seconds() >= 3600
    user = simulators.user("contoso", UPN)
    assert user is not None
    assert user["department"] == "Sales"


@pytest.mark.parametrize("when", ["before", "during", "after"])
def test_a_crash_makes_no_second_user(
    tenant: Tenant, simulators: Simulators, clock: Clock, crash: Crash, when: str
) -> None:
    crash.at("create user", when=when)  # type: ignore[arg-type]
    execution = tenant.run(welcome, **ZOE)
    again = crash.reopen().tenant("contoso").execution(execution.id)
    assert clock.run_until(again).succeeded
    users = [user["userPrincipalName"] for user in simulators.users("contoso")]
    assert users.count(UPN) == 1


def test_a_provider_that_is_down_for_a_while_is_waited_for(
    tenant: Tenant, simulators: Simulators, clock: Clock
) -> None:
    simulators.fault("unavailable", provider="graph", times=3)
    assert clock.run_until(tenant.run(welcome, **ZOE)).succeeded


def test_a_lost_answer_makes_no_second_user(tenant: Tenant, simulators: Simulators, clock: Clock) -> None:
    simulators.fault("lost_answer", provider="graph", method="POST", path="/v1.0/users", times=1)
    assert clock.run_until(tenant.run(welcome, **ZOE)).succeeded
    users = [user["userPrincipalName"] for user in simulators.users("contoso")]
    assert users.count(UPN) == 1


def test_other_tenants_are_out_of_reach(tenant: Tenant) -> None:
    with pytest.raises(NotFound):
        tenant.execution("01a20637-ae16-770c-8814-9dad578ee367")
