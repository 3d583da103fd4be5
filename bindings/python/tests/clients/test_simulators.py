from __future__ import annotations

import urllib.request

import pytest

import bifrost._errors as errors
from bifrost import _native
from bifrost._calls import wait
from bifrost.graph import Graph
from bifrost.simulators import Customer, Simulators


def test_faults_strike_what_matches_and_are_forgotten(graph: Graph, simulators: Simulators) -> None:
    simulators.fault("throttled", provider="graph", path="/v1.0/users/*", retry_after=0.05, times=2)
    assert graph.users.get("admin@contoso.com").display_name == "Contoso Admin"
    assert simulators.throttled_count == 2
    simulators.fault("lost_answer", method="POST", path="/v1.0/users", times=1)
    with pytest.raises(errors.UnknownOutcome):
        graph.users.create(upn="zoe@contoso.com", display_name="Zoë")
    assert graph.users.find_by_upn("zoe@contoso.com") is not None
    simulators.fault("status", status=400)
    with pytest.raises(errors.Rejected):
        graph.users.get("admin@contoso.com")
    simulators.clear_faults()
    graph.users.get("admin@contoso.com")
    assert [record["fault"] for record in simulators.requests("graph") if "fault" in record][:2] == ["status"] * 2


def test_a_sign_in_that_fails_says_what_to_do(graph: Graph, simulators: Simulators) -> None:
    simulators.fail_sign_in("contoso", "consent_required", always=True)
    with pytest.raises(errors.ReauthRequired) as caught:
        graph.users.get("admin@contoso.com")
    assert "consent" in (caught.value.next_action or "")
    with pytest.raises(errors.InvalidInput):
        simulators.fail_sign_in("contoso", "no such error")  # type: ignore[arg-type]


def test_revoked_tokens_are_replaced(graph: Graph, simulators: Simulators) -> None:
    graph.users.get("admin@contoso.com")
    simulators.revoke_tokens("contoso")
    graph.users.get("admin@contoso.com")
    assert [record["status"] for record in simulators.requests("graph")] == [200, 401, 200]


def test_customers_of_ones_own() -> None:
    northwind = Customer("northwind", "Northwind", "northwind.example", {"SPE_E3": 5}, ["IT"], more_users=3)
    simulators = Simulators(customers=[northwind], graph_units=(100, 10), halopsa_requests=(5, 60))
    assert [customer.name for customer in simulators.customers] == ["northwind"]
    assert [user["userPrincipalName"] for user in simulators.users("northwind")][-1] == "user00003@northwind.example"
    assert simulators.licenses("northwind")[0]["enabled"] == 5
    assert [group["displayName"] for group in simulators.groups("northwind")] == ["IT"]
    assert simulators.state()
    with pytest.raises(errors.InvalidInput, match="time"):
        Simulators(token_lifetime=-1)


def test_demo_customers_are_those_of_the_simulators() -> None:
    ours, theirs = Simulators(), _native.Simulators(7)
    for customer in ours.customers:
        assert ours.users(customer.name) == theirs.look("users", customer.name)
        assert ours.licenses(customer.name) == theirs.look("licenses", customer.name)


def test_a_served_world_is_reached_over_the_network() -> None:
    simulators = Simulators()
    with simulators.serve() as server:
        hub = wait(_native.Hub.open({}, []))
        tenant = wait(hub.create_tenant("contoso", {}, False))
        options = server.connection_options("contoso")
        credential = {name: options.pop(name) for name in ("client_id", "client_secret")}
        wait(tenant.create_connection("graph", "graph", options, credential, False))
        graph = Graph(lambda: tenant.connection("graph"))
        assert len(graph.users.list(page_size=1).all()) == 1
        wait(hub.close(5.0))
        with urllib.request.urlopen(server.addresses["state"]) as state:
            assert state.status == 200
    with pytest.raises(OSError, match=r"refused|reset"):
        urllib.request.urlopen(server.url)
