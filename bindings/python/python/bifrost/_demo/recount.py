"""Counting at the providers what is there: the proof that nothing was made twice."""

from __future__ import annotations

from collections.abc import Sequence

from bifrost import Simulators

from .onboarding import CUSTOMERS, Person


def recount(simulators: Simulators, people: Sequence[Person]) -> str:
    """How many users, tickets and time entries the providers hold."""
    # One of the new hires was there before: a user without a department, which only we fill in.
    users = sum(bool(user.get("department")) for customer in CUSTOMERS for user in simulators.users(customer))
    tickets = simulators.tickets()
    entries = sum(bool(action.get("timetaken")) for ticket in tickets for action in simulators.actions(ticket["id"]))
    twice = "nothing twice" if max(users, len(tickets), entries) <= len(people) else "SOMETHING TWICE"
    return f"asked of the providers: {users} new users, {len(tickets)} tickets, {entries} time entries: {twice}"
