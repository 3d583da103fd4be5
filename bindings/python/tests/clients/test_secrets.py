"""Secrets by name: filled in where they are sent, never seen by Python."""

from __future__ import annotations

import pytest

import bifrost._errors as errors
from bifrost import Context, Hub, workflow
from bifrost.graph import Graph, NewUser
from bifrost.simulators import Simulators


class Handle:
    """As ``ctx.secret`` gives one."""

    name = "first_password"

    def reveal(self) -> str:
        raise AssertionError("nobody asks for the text")


def test_outside_of_a_workflow_a_secret_by_name_is_refused(graph: Graph) -> None:
    for call in (
        lambda: graph.users.create(upn="a@contoso.com", display_name="A", password=Handle()),
        lambda: graph.request("POST", "/users", json={"passwordProfile": {"password": Handle()}}),
        lambda: graph.request("GET", "/users", headers={"x-key": Handle()}),
    ):
        with pytest.raises(errors.InvalidInput, match="within a workflow") as caught:
            call()
        assert caught.value.context["name"] == "first_password"


def test_within_a_workflow_it_is_filled_in_where_it_is_sent() -> None:
    @workflow
    def hire(ctx: Context, upn: str) -> str:
        secret = ctx.secret("first_password")
        user = ctx.graph.users.create(NewUser(upn=upn, display_name="A", password=secret))
        body = {
            "accountEnabled": True,
            "displayName": "B",
            "mailNickname": "b",
            "userPrincipalName": f"b.{upn}",
            "passwordProfile": {"password": secret},
        }
        ctx.graph.request("POST", "/users", json=body, headers={"x-key": secret})
        return user.id

    simulators = Simulators()
    with Hub.open(simulators=simulators) as hub:
        tenant = hub.create_tenant("contoso")
        tenant.connections.create("graph", **simulators.connection_options("contoso"))
        tenant.secrets.set("first_password", "canary-1A!x")
        found = tenant.run(hire, upn="a@contoso.com").result(timeout=20)
    assert found
    assert [user["userPrincipalName"] for user in simulators.users("contoso")][1:] == [
        "a@contoso.com",
        "b.a@contoso.com",
    ]
    assert bifrost.Secret is not None
