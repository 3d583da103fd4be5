from __future__ import annotations

import asyncio
import datetime as dt

import pytest

import bifrost._errors as errors
from bifrost.halopsa import AsyncHaloPsa, HaloPsa, NewAction, NewTicket
from bifrost.simulators import Simulators

KEY = "0198-abcd-step-2"


def test_a_ticket_from_opening_to_closing(halopsa: HaloPsa, simulators: Simulators) -> None:
    client = halopsa.clients.require_by_name("Contoso")
    ticket = halopsa.tickets.create(summary="Onboard Zoë", client_id=client.id, reference=KEY)
    found = halopsa.tickets.find_by_reference(client.id, KEY, since=dt.datetime.now(dt.timezone.utc))
    assert found is not None
    assert found.id == ticket.id
    action = halopsa.actions.add(NewAction(ticket_id=ticket.id, hours=0.5, note="Set up", reference=KEY))
    assert halopsa.actions.find(ticket.id, KEY) == halopsa.actions.get(ticket.id, action.id)
    assert len(halopsa.actions.list(ticket.id)) == len(simulators.actions(ticket.id))
    updated = halopsa.tickets.update(ticket.id, summary="Onboard Zoë Müller")
    assert updated.summary == "Onboard Zoë Müller"
    closed = halopsa.tickets.resolve(ticket.id)
    assert closed.is_closed
    assert [t.id for t in halopsa.tickets.list(client_id=client.id, closed=True)] == [ticket.id]


def test_customers_sites_and_contacts(halopsa: HaloPsa) -> None:
    client = halopsa.clients.create(name="Northwind", newclient_sitename="Main")
    site = halopsa.sites.create(client_id=client.id, name="Bern")
    assert site.id in [site.id for site in halopsa.sites.list(client.id)]
    new = {"site_id": site.id, "first_name": "Zoë", "last_name": "Müller", "emailaddress": "zoe@northwind.example"}
    user = halopsa.users.create(new)
    found = halopsa.users.find_by_email(client.id, "ZOE@northwind.example")
    assert found is not None
    assert found.id == user.id
    assert [one.name for one in halopsa.clients.list(search="Northwind")] == ["Northwind"]
    assert halopsa.users.find_by_email(client.id, "nobody@northwind.example") is None


def test_agents_and_lookups(halopsa: HaloPsa) -> None:
    assert halopsa.agents.me().id in [agent.id for agent in halopsa.agents.list()]
    assert halopsa.lookups.require_status("closed").id == 9
    assert halopsa.lookups.ticket_types()
    assert halopsa.lookups.outcomes()


def test_lists_of_several_pages(halopsa: HaloPsa) -> None:
    client = halopsa.clients.require_by_name("Contoso")
    for number in range(105):
        halopsa.tickets.create(summary=f"Ticket {number}", client_id=client.id)
    listed = halopsa.tickets.list(client_id=client.id)
    first = next(listed.pages())
    assert (len(first), first.total) == (100, 105)
    rest = halopsa.tickets.list(client_id=client.id, resume=first.next).all()
    assert [ticket.summary for ticket in rest] == [f"Ticket {number}" for number in range(100, 105)]


def test_misuse_is_refused(halopsa: HaloPsa) -> None:
    with pytest.raises(TypeError):
        halopsa.tickets.create(sumary="x")
    with pytest.raises(errors.InvalidInput, match="summary"):
        halopsa.tickets.create(NewTicket(summary=" "))
    with pytest.raises(errors.InvalidInput, match="24 hours"):
        halopsa.actions.add(ticket_id=1, hours=25)
    with pytest.raises(errors.InvalidInput):
        halopsa.tickets.get(0)


def test_the_async_twin_does_the_same(async_halopsa: AsyncHaloPsa) -> None:
    async def main() -> None:
        client = await async_halopsa.clients.require_by_name("Contoso")
        ticket = await async_halopsa.tickets.create(summary="Hello", client_id=client.id)
        assert [one.id async for one in async_halopsa.tickets.list(client_id=client.id)] == [ticket.id]
        assert (await async_halopsa.request("GET", f"/Tickets/{ticket.id}")).json()["summary"] == "Hello"

    asyncio.run(main())
