"""What notebooks show: tables of what was asked for, escaped, and nothing that is nobody's business."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

import pytest

from bifrost import Context, Hub, Table, Tenant, workflow
from bifrost.graph_models import AssignedLicense, User

SECRET = "canary-secret-4711"
MARKUP = "<script>alert('x')</script>"


class Cells(HTMLParser):
    """The text of each cell; fails on markup that is no table's."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.tags: set[str] = set()
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def cells(shown: Any) -> list[str]:
    parsed = Cells(shown._repr_html_())
    assert parsed.tags <= {"table", "caption", "thead", "tbody", "tr", "th", "td"}
    return parsed.texts


@workflow
def echo_in_a_notebook(ctx: Context, text: str) -> str:
    """Returns what it is given."""
    return text


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub.open(workflows=[echo_in_a_notebook]) as hub:
        yield hub


@pytest.fixture
def tenant(hub: Hub) -> Tenant:
    return hub.create_tenant("contoso", title=MARKUP)


def test_a_tenants_title_is_text(hub: Hub, tenant: Tenant) -> None:
    found = hub.tenants()
    assert MARKUP in cells(found)
    assert json.loads(json.dumps(found))[0]["title"] == MARKUP


def test_connections_show_where_they_lead_and_no_credential(tenant: Tenant) -> None:
    tenant.connections.create("graph", entra_tenant="contoso.com", client_id="app", client_secret=SECRET)
    found = tenant.connections.list()
    shown = cells(found)
    assert {"graph", "contoso.com", "app"} <= set(shown)
    assert SECRET not in f"{shown}{found}{json.dumps(found)}"


def test_executions_show_how_they_stand_and_not_what_they_were_given(tenant: Tenant) -> None:
    tenant.run(echo_in_a_notebook, text=SECRET).result(timeout=10)
    found = tenant.executions()
    shown = cells(found)
    assert {"echo_in_a_notebook", "succeeded"} <= set(shown)
    assert SECRET not in str(shown)


def test_one_execution_shows_its_error_as_text(tenant: Tenant) -> None:
    execution = tenant.run(echo_in_a_notebook, text=MARKUP)
    execution.result(timeout=10)
    assert {"echo_in_a_notebook", execution.id, "succeeded"} <= set(cells(execution))


def test_a_workflow_may_return_a_table(tenant: Tenant) -> None:
    @workflow
    def lists(ctx: Context) -> Any:
        return Table([{"a": 1}], columns=("a",))

    assert tenant.run(lists).result(timeout=10) == [{"a": 1}]


def test_models_show_their_first_plain_fields() -> None:
    users = [User.from_dict({"id": "1", "displayName": "Zoë <b>", "accountEnabled": True, "custom": SECRET})]
    table = Table.of(users)
    shown = cells(table)
    assert {"id", "display_name", "Zoë <b>", "True"} <= set(shown)
    assert SECRET not in str(shown)
    assert cells(Table.of([AssignedLicense("sku")], columns=("sku_id",)))[-1] == "sku"


def test_what_sounds_like_a_secret_is_not_chosen() -> None:
    @dataclass
    class Row:
        name: str = "n"
        client_secret: str = SECRET
        accessToken: str = SECRET  # noqa: N815
        Password: str = SECRET
        extra: dict[str, str] = field(default_factory=dict)

    assert Table.of([Row()]).columns == ("name",)


def test_a_long_table_is_cut_and_says_so() -> None:
    table = Table.of([{"n": number} for number in range(250)], caption="numbers")
    assert "… and 150 more" in cells(table)
    assert cells(table[:2]) == ["numbers", "n", "0", "1"]
    assert table[1] == {"n": 1}


def test_a_row_is_something_with_fields() -> None:
    with pytest.raises(TypeError, match="not int"):
        Table.of([7])
