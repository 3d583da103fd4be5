"""Counting at the providers what is there: the proof that nothing was made twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bifrost import AsyncTenant

from .onboarding import Person


async def recount(tenants: Mapping[str, AsyncTenant], people: Sequence[Person]) -> str:
    """How many users, tickets and time entries the providers hold."""
    users = tickets = entries = 0
    for tenant in tenants.values():
        async for user in tenant.graph.users.list(select=["id", "user_principal_name", "usage_location", "department"]):
            # One of the new hires was there before: a user without department, which only we fill in.
            users += bool(user.department)
        client = int(tenant.record()["mappings"]["halopsa"]["entity"])
        async for ticket in tenant.halopsa.tickets.list(client_id=client):
            tickets += 1
            entries += sum(1 for action in await tenant.halopsa.actions.list(ticket.id) if action.timetaken)
    twice = "nothing twice" if tickets <= len(people) and entries <= len(people) else "SOMETHING TWICE"
    return f"asked of the providers: {users} new users, {tickets} tickets, {entries} time entries: {twice}"
