"""New hires of three customers, from a CSV file to users, licences, groups, tickets and booked time.

    python onboarding.py new_hires.csv

It needs no account: Microsoft Graph, its identity platform and HaloPSA are simulated inside the process. `bifrost demo`
runs the same with a live display, and with a crash in the middle.
"""

import asyncio
import csv
import re
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from bifrost import (
    AsyncContext,
    AsyncHub,
    AsyncTenant,
    BifrostError,
    Conflict,
    Hub,
    NotFound,
    Rejected,
    Simulators,
    workflow,
)

# The workflow: what is done for one new hire.
#
# It reads from top to bottom, and it may die at any line: when it is taken up again, every step that has ended answers
# from the journal. So whatever decides the way on is read inside a step, and each write is one of two:
# - a `step`, where doing it twice is doing it once (a licence, a membership, a status);
# - an `effect` with a probe, where doing it twice makes two (a user, a ticket, a time entry).


@dataclass(frozen=True)
class Hire:
    """Who is to be onboarded."""

    name: str
    upn: str
    country: str
    licence: str
    department: str | None = None
    job_title: str | None = None
    groups: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Onboarded:
    """What was done, stored with the execution."""

    user_id: str
    adopted: bool
    licence: str | None
    groups: list[str]
    ticket_id: int
    time_entry_id: str
    resolved: bool


@workflow(retry=6, step_timeout=60)
async def onboard_user(ctx: AsyncContext, hire: Hire) -> Onboarded:
    """Create a user with licence and groups, and document the work in a ticket."""
    left_to_do: list[str] = []
    user_id, adopted = await ensure_user(ctx, hire)
    await ctx.step("set usage location", set_usage_location, ctx, user_id, hire.country)
    licence = await live_with(ctx, left_to_do, "assign licence", assign_licence, ctx, user_id, hire.licence)
    joined = [
        await live_with(ctx, left_to_do, "add to group", join_group, ctx, user_id, group) for group in hire.groups
    ]
    ticket_id = await open_ticket(ctx, hire, adopted, left_to_do)
    time_entry_id = await book_time(ctx, ticket_id)
    if not left_to_do:
        await ctx.step("resolve ticket", resolve_ticket, ctx, ticket_id)
    groups = [group for group in joined if group]
    return Onboarded(user_id, adopted, licence, groups, ticket_id, time_entry_id, resolved=not left_to_do)


async def ensure_user(ctx: AsyncContext, hire: Hire) -> tuple[str, bool]:
    """The id of the person's user, and whether it was there before."""

    async def find() -> str | None:
        user = await ctx.graph.users.find_by_upn(hire.upn)
        return user.id if user else None

    async def create() -> str:
        # Nobody ever sees the password: on the first day the service desk issues a temporary access pass.
        user = await ctx.graph.users.create(
            upn=hire.upn, display_name=hire.name, department=hire.department, job_title=hire.job_title
        )
        return user.id

    if known := await ctx.step("look up user", find):
        ctx.log(f"{hire.upn} exists already and is adopted")
        return known, True
    # Sign-in names are unique: whether there is one tells whether we made it.
    return await ctx.effect("create user", create, probe=find), False


async def set_usage_location(ctx: AsyncContext, user_id: str, country: str) -> None:
    """Microsoft forbids to assign a licence to a user who has none."""
    try:
        await ctx.graph.users.update(user_id, usage_location=country)
    except NotFound as error:
        raise not_there_yet(error) from error


async def assign_licence(ctx: AsyncContext, user_id: str, licence: str) -> str:
    """Assigns the SKU of this name."""
    sku = await ctx.graph.licenses.require_sku(licence)
    try:
        await ctx.graph.licenses.assign(user_id, sku.sku_id)
    except NotFound as error:
        raise not_there_yet(error) from error
    return sku.sku_part_number


async def join_group(ctx: AsyncContext, user_id: str, name: str) -> str:
    """Makes the user a member of the group of this name."""
    group = await ctx.graph.groups.require_by_name(name)
    try:
        await ctx.graph.groups.add_member(group.id, user_id)
    except NotFound as error:
        raise not_there_yet(error) from error
    return name


async def open_ticket(ctx: AsyncContext, hire: Hire, adopted: bool, left_to_do: list[str]) -> int:
    """Opens the ticket that documents the work."""
    client_id = int(ctx.mapping("halopsa"))

    async def create(idempotency_key: str) -> int:
        ticket = await ctx.halopsa.tickets.create(
            summary=f"Onboard {hire.name}",
            details=describe(hire, adopted, left_to_do),
            client_id=client_id,
            reference=idempotency_key,
        )
        return ticket.id

    async def find(idempotency_key: str) -> int | None:
        # HaloPSA knows no idempotency keys: the ticket carries ours as a reference, by which it is found again.
        ticket = await ctx.halopsa.tickets.find_by_reference(client_id, idempotency_key)
        return ticket.id if ticket else None

    return await ctx.effect("open ticket", create, probe=find)


async def book_time(ctx: AsyncContext, ticket_id: int) -> str:
    """Books the time that the provider has set for a person."""
    hours: float = ctx.config["onboarding.hours"]

    async def add(idempotency_key: str) -> str:
        note = "Account, licence and groups"
        entry = await ctx.halopsa.actions.add(ticket_id=ticket_id, hours=hours, note=note, reference=idempotency_key)
        # HaloPSA numbers actions per ticket.
        return f"{ticket_id}/{entry.id}"

    async def find(idempotency_key: str) -> str | None:
        entry = await ctx.halopsa.actions.find(ticket_id, idempotency_key)
        return f"{ticket_id}/{entry.id}" if entry else None

    return await ctx.effect("book time", add, probe=find)


async def resolve_ticket(ctx: AsyncContext, ticket_id: int) -> None:
    """Closes the ticket: nothing was left to do."""
    await ctx.halopsa.tickets.resolve(ticket_id)


async def live_with(
    ctx: AsyncContext, left_to_do: list[str], name: str, function: Callable[..., Awaitable[str]], *args: Any
) -> str | None:
    """A refusal that only a person can cure is reported and lived with: the ticket says what is left to do. Anything
    else ends the attempt, and the retry policy decides."""
    try:
        return await ctx.step(name, function, *args)
    except (Rejected, NotFound, Conflict) as error:
        if error.is_retryable:
            raise
        ctx.problem(error)
        left_to_do.append(f"{error.message}: {error.next_action}" if error.next_action else error.message)
        return None


def not_there_yet(error: NotFound) -> BifrostError:
    """For some seconds Entra does not know everywhere a user it has just created: that passes."""
    return BifrostError.retryable(error.message, next_action=error.next_action)


def describe(hire: Hire, adopted: bool, left_to_do: list[str]) -> str:
    """The text of the ticket."""
    lines = [
        f"{hire.name} ({hire.upn}), {hire.country}",
        f"Licence: {hire.licence}",
        f"Groups: {', '.join(hire.groups)}",
    ]
    if adopted:
        lines.append("The user was there before and was taken over.")
    return "\n".join([*lines, *(f"Left to do: {what}" for what in left_to_do)])


# The file of new hires: every row is checked before anything starts.

COLUMNS = ("customer", "name", "alias", "country", "department", "job_title", "licence", "groups")
CUSTOMERS = ("contoso", "fabrikam", "adatum")


@dataclass(frozen=True)
class Person:
    """A row that can be worked on; the header is row 1."""

    row: int
    customer: str
    hire: Hire


@dataclass(frozen=True)
class InvalidRow:
    """What is wrong with a row."""

    row: int
    column: str
    reason: str


def read_hires(path: str) -> tuple[list[Person], list[InvalidRow]]:
    """Reads and checks the file."""
    people: list[Person] = []
    invalid: list[InvalidRow] = []
    rows_by_upn: dict[str, int] = {}
    # Spreadsheets put a byte order mark in front.
    with open(path, encoding="utf-8-sig", newline="") as source:
        rows = csv.DictReader(source, skipinitialspace=True)
        missing = [column for column in COLUMNS if column not in (rows.fieldnames or ())]
        if missing:
            raise ValueError(f"the columns {', '.join(missing)} are missing in row 1")
        for cells in rows:
            row = rows.line_num
            if None in cells or None in cells.values():
                invalid.append(InvalidRow(row, "(all)", f"the row has not {len(rows.fieldnames or ())} fields"))
                continue
            cells = {column: text.strip() for column, text in cells.items()}
            upn = f"{cells['alias']}@{cells['customer']}.com"
            wrong = [InvalidRow(row, column, reason) for column, reason in mistakes(cells)]
            if (first := rows_by_upn.setdefault(upn.lower(), row)) != row:
                wrong.append(InvalidRow(row, "alias", f"{upn} is in row {first} already"))
            if wrong:
                invalid += wrong
            else:
                people.append(Person(row, cells["customer"], to_hire(cells, upn)))
    return people, invalid


def mistakes(cells: dict[str, str]) -> list[tuple[str, str]]:
    """What is wrong with the cells of a row, by column."""
    wrong = []
    if not cells["name"]:
        wrong.append(("name", "the name is missing"))
    if not re.fullmatch("[A-Z]{2}", cells["country"]):
        wrong.append(("country", f"`{cells['country']}` is no two-letter country code such as `CH`"))
    if not cells["licence"]:
        wrong.append(("licence", "the licence is missing"))
    if cells["customer"] not in CUSTOMERS:
        wrong.append(("customer", f"`{cells['customer']}` is none of {', '.join(CUSTOMERS)}"))
    if not re.fullmatch(r"[A-Za-z0-9'.\-_!#^~]+", cells["alias"]):
        wrong.append(("alias", f"`{cells['alias']}` holds a character that Entra does not allow in sign-in names"))
    return wrong


def to_hire(cells: dict[str, str], upn: str) -> Hire:
    """A row that is right."""
    return Hire(
        name=cells["name"],
        upn=upn,
        country=cells["country"],
        licence=cells["licence"],
        department=cells["department"] or None,
        job_title=cells["job_title"] or None,
        groups=[name.strip() for name in cells["groups"].split(";") if name.strip()],
    )


# The tenants of the hub: the provider, its customers, their connections and mappings. What is there is found.

GRAPH = {"client_id": "b1f05700-0000-4000-8000-00000000d3e0", "client_secret": "demo-secret-for-simulators-only"}
HALOPSA = {
    "tenant": "demo",
    "resource_server": "https://demo.halopsa.com/api",
    "authorisation_server": "https://demo.halopsa.com/auth",
    "client_id": "b1f05700-0000-4000-8000-0000000d3e01",
    "client_secret": "demo-halopsa-secret-for-simulators-only",
}


async def provision(hub: AsyncHub) -> dict[str, AsyncTenant]:
    """Makes what is missing."""
    provider = await hub.create_tenant("msp", title="The provider", provider=True, exist_ok=True)
    if await provider.config.get("onboarding.hours") is None:
        # Every customer inherits it.
        await provider.config.set("onboarding.hours", 0.5)
    tenants = {}
    for name in CUSTOMERS:
        tenant = tenants[name] = await hub.create_tenant(name, exist_ok=True)
        connected = {connection["id"] for connection in await tenant.connections.list()}
        if "graph" not in connected:
            await tenant.connections.create("graph", entra_tenant=f"{name}.com", **GRAPH)
        if "halopsa" not in connected:
            await tenant.connections.create("halopsa", **HALOPSA)
        if "halopsa" not in tenant.record()["mappings"]:
            client = await tenant.halopsa.clients.require_by_name(name)
            await hub.set_mapping(name, "halopsa", str(client.id))
    return tenants


async def main(path: str) -> None:
    """Onboards everyone in the file, all at the same time."""
    people, invalid = read_hires(path)
    for wrong in invalid:
        print(f"row {wrong.row}, column {wrong.column}: {wrong.reason}")
    async with Hub.open("data/onboarding", simulators=Simulators(), max_running=12) as hub:
        tenants = await provision(hub)
        runs = []
        for person in people:
            # The key is the person: whoever was onboarded before, or is half-way, is found and not started again.
            key = f"onboard:{person.hire.upn}"
            runs.append(await tenants[person.customer].start(onboard_user, {"hire": person.hire}, idempotency_key=key))
        for person, run in zip(people, runs, strict=True):
            outcome = await run.outcome()
            print(
                f"{person.hire.upn}: {outcome.state}", *(problem["message"] for problem in outcome.problems), sep="  "
            )


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "examples/data/new_hires.csv"))
