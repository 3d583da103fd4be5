from __future__ import annotations

import asyncio
import inspect

import pytest

import bifrost._errors as errors
from bifrost.graph import AsyncGraph, AsyncUsers, BatchRequest, Graph, NewUser, Response, User, Users, UserUpdate, quote
from bifrost.simulators import Simulators


def test_a_user_is_created_read_changed_and_deleted(graph: Graph) -> None:
    made = graph.users.create(upn="zoe@contoso.com", display_name="Zoë Müller", usage_location="CH")
    read = graph.users.get("zoe@contoso.com")
    assert (read.id, read.display_name, read.usage_location) == (made.id, "Zoë Müller", "CH")
    graph.users.update(made.id, department="Sales", job_title=None)
    assert graph.users.get(made.id).department == "Sales"
    graph.users.update(made.id, UserUpdate(department=None))
    assert graph.users.get(made.id).department is None
    assert [graph.users.delete(made.id), graph.users.delete(made.id)] == ["made", "already_done"]
    assert graph.users.get_opt(made.id) is None


def test_what_to_create_is_an_object_a_dictionary_or_keywords(graph: Graph) -> None:
    graph.users.create(NewUser(upn="a@contoso.com", display_name="A"))
    graph.users.create({"upn": "b@contoso.com", "display_name": "B", "extra": {"city": "Bern"}})
    assert graph.users.find_by_upn("b@contoso.com") is not None
    for misuse in (
        lambda: graph.users.create(upnn="c@contoso.com"),
        lambda: graph.users.create(),
        lambda: graph.users.create({"upn": "c@contoso.com"}),
        lambda: graph.users.create(NewUser(upn="c@contoso.com", display_name="C"), department="Sales"),
        lambda: graph.users.create("c@contoso.com"),
        lambda: graph.users.update("b@contoso.com", departement="Sales"),
        lambda: graph.users.get(idd="b@contoso.com"),
    ):
        with pytest.raises(TypeError):
            misuse()


def test_no_password_is_shown_and_one_is_made(graph: Graph, simulators: Simulators) -> None:
    new = NewUser(upn="a@contoso.com", display_name="A", password="canary-1A!")
    assert "canary" not in repr(new)
    graph.users.create(new)
    graph.users.create(upn="b@contoso.com", display_name="B")
    assert simulators.user("contoso", "b@contoso.com") is not None
    assert "canary" not in str(simulators.requests())


def test_lists_go_page_by_page_and_on_from_a_token(graph: Graph) -> None:
    for number in range(9):
        graph.users.create(upn=f"user{number}@contoso.com", display_name=f"User {number}")
    sizes = [len(page) for page in graph.users.list(page_size=4).pages()]
    assert sizes == [4, 4, 2]
    listed = graph.users.list(page_size=4, count=True)
    seen = []
    for user in listed:
        seen.append(user.user_principal_name)
        if len(seen) == 6:
            break
    # Of the page that was left in the middle, all items come again.
    rest = [user.user_principal_name for user in graph.users.list(resume=listed.resume_token)]
    assert listed.total == 10
    assert (rest[:2], len(rest)) == (seen[4:], 6)
    assert set(seen) | set(rest) == {user.user_principal_name for user in graph.users.list()}
    whole = graph.users.list(page_size=4)
    assert len(whole.all()) == 10
    assert whole.resume_token is None


def test_a_token_that_leads_elsewhere_is_refused(graph: Graph) -> None:
    evil = '{"link":"https://evil.example/v1.0/users","advanced":false}'
    with pytest.raises(errors.Rejected, match="another host"):
        graph.users.list(resume=evil).first()
    with pytest.raises(errors.InvalidInput, match="resume token"):
        graph.users.list(resume="2").first()


def test_values_stay_within_their_quotes(graph: Graph) -> None:
    graph.users.create(upn="o@contoso.com", display_name="O'Brien")
    found = graph.users.list(filter=f"displayName eq {quote(chr(79) + chr(39) + 'Brien')}", select=["id"]).all()
    assert len(found) == 1
    assert [quote(True), quote(7), quote(None), quote("x' or 'a")] == ["true", "7", "null", "'x'' or ''a'"]
    assert graph.users.count() == 2


def test_groups_and_licences(graph: Graph) -> None:
    user = graph.users.create(upn="zoe@contoso.com", display_name="Zoë", usage_location="CH")
    sales = graph.groups.require_by_name("Sales")
    plan = graph.groups.plan_members(sales.id, [user.id])
    assert (plan.add, bool(plan)) == ([user.id], True)
    graph.groups.apply_members(plan)
    assert [member.id for member in graph.groups.members(sales.id)] == [user.id]
    assert graph.groups.add_member(sales.id, user.id) == "already_done"
    graph.licenses.assign_by_name(user.id, "SPE_E3")
    sku = graph.licenses.require_sku("spe_e3")
    assert (sku.consumed_units, sku.free) == (1, 24)
    assert graph.users.get(user.id).has_license(sku.sku_id)
    assert graph.licenses.remove(user.id, sku.sku_id) == "made"
    with pytest.raises(errors.NotFound, match="SPE_E3"):
        graph.licenses.require_sku("E5")


def test_requests_without_a_type(graph: Graph, simulators: Simulators) -> None:
    answer = graph.request("GET", "/users", query={"$top": 1, "$select": "id"})
    assert (answer.status, len(answer.json()["value"])) == (200, 1)
    assert answer.headers["content-type"].startswith("application/json")
    for path in ("https://evil.example/users", "//evil.example", "users", "/users/../x"):
        with pytest.raises(errors.InvalidInput):
            graph.request("GET", path)
    simulators.fault("lost_answer", provider="graph", method="POST", times=1)
    body = {"upn": "x"}
    with pytest.raises(errors.UnknownOutcome):
        graph.request("POST", "/users", json=body)


def test_each_request_of_a_batch_has_its_own_outcome(graph: Graph) -> None:
    paths = ["/users/admin@contoso.com", "/users/nobody@contoso.com"]
    found, missing = graph.batch([BatchRequest(method="GET", path=path) for path in paths])
    assert isinstance(found, Response)
    assert found.json()["displayName"] == "Contoso Admin"
    assert isinstance(missing, errors.NotFound)


def test_errors_say_what_whose_and_what_next(graph: Graph) -> None:
    with pytest.raises(errors.NotFound) as caught:
        graph.users.get("nobody@contoso.com")
    assert (caught.value.tenant, caught.value.context["endpoint"]) == ("contoso", "/users/{user-id}")
    assert caught.value.request_id


def test_the_async_twin_does_the_same(async_graph: AsyncGraph, simulators: Simulators) -> None:
    async def main() -> None:
        made = await async_graph.users.create(upn="zoe@contoso.com", display_name="Zoë")
        listed = async_graph.users.list(page_size=1)
        assert [user.id async for user in listed][-1] == made.id
        assert [len(page) async for page in listed.pages()] == [1, 1]
        assert (await listed.first()) is not None
        assert len(await listed.all()) == 2
        await async_graph.users.update(made.id, {"department": "Sales"})
        assert (await async_graph.request("GET", f"/users/{made.id}")).json()["id"] == made.id
        with pytest.raises(TypeError):
            await async_graph.users.create(upnn="x")

    asyncio.run(main())


def test_64_tasks_at_a_time(async_graph: AsyncGraph, simulators: Simulators) -> None:
    async def one(number: int) -> User:
        upn = f"user{number}@contoso.com"
        await async_graph.users.create(upn=upn, display_name=f"User {number}")
        return await async_graph.users.get(upn)

    async def main() -> list[User]:
        return await asyncio.gather(*(one(number) for number in range(64)))

    found = asyncio.run(main())
    assert [user.display_name for user in found] == [f"User {number}" for number in range(64)]
    assert simulators.throttled_count == 0


def test_twins_have_the_same_methods() -> None:
    for name in [name for name in dir(Users) if not name.startswith("_")]:
        blocking, awaited = getattr(Users, name), getattr(AsyncUsers, name)
        assert blocking.__doc__ == awaited.__doc__
        assert blocking.__doc__
        one, other = inspect.signature(blocking), inspect.signature(awaited)
        assert one.parameters == other.parameters
        assert inspect.iscoroutinefunction(awaited) == (name != "list")
    assert str(inspect.signature(Users.list).return_annotation) == "Pages[User]"
