"""A program as users write it; type checkers find nothing in it."""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

from bifrost import (
    UNKNOWN,
    AsyncContext,
    AsyncExecution,
    AsyncHub,
    AsyncTenant,
    BifrostError,
    Context,
    Done,
    Event,
    Execution,
    Hub,
    InvalidInput,
    Option,
    Outcome,
    Param,
    Retry,
    Table,
    Tenant,
    data_provider,
    workflow,
)
from bifrost.logs import ContextFilter


@dataclass
class Hire:
    """Whom to onboard."""

    name: str
    start: datetime
    role: Literal["engineer", "clerk"] = "clerk"


@data_provider(cache_ttl=60)
async def licences(ctx: AsyncContext) -> list[Option]:
    """The choices of a form."""
    return [Option("SPE_E3", "Microsoft 365 E3")]


async def make_user(hire: Hire) -> str:
    """An async function as a step."""
    return hire.name


def count(names: list[str], *, least: int = 0) -> int:
    """A plain function as a step."""
    return max(len(names), least)


@workflow(timeout=60, retry=Retry(attempts=2))
async def onboard(ctx: AsyncContext, hire: Hire, sku: Annotated[str, Param(label="Licence")] = "SPE_E3") -> str:
    """Onboards somebody."""
    user: str = await ctx.step("create user", make_user, hire)
    users: int = await ctx.step("count", count, [user], least=1)
    made: str = await ctx.effect("send mail", make_user, hire, probe=lambda: Done("sent"))
    await ctx.effect("call", count, [made], probe=lambda: UNKNOWN)

    @ctx.step("as a decorator")
    async def told() -> str:
        return user

    again: str = await told()
    async with ctx.step("as a block") as block:
        if not block.done:
            block.value = users
    ctx.progress(1, 2, "half")
    ctx.log("onboarded", user=again, sku=ctx.config.get("sku", sku))
    ctx.log.warning("no manager")
    at: datetime = ctx.now()
    names: list[str] = [found.display_name or "" async for found in ctx.graph.users.list()]
    child: Any = await ctx.run(report, day=at.isoformat())
    return f"{user} {names} {child} {ctx.secret('vpn')!r}"


@workflow
def report(ctx: Context, day: str) -> dict[str, int]:
    """A plain workflow."""
    total: int = ctx.step("count", count, [day])
    with ctx.step("as a block") as block:
        block.value = total
    first: str | None = ctx.graph.users.get("zoe@contoso.com").display_name
    return {day: total, first or "": ctx.effect("call", count, [day])}


def blocking() -> None:
    """The hub for callers that block."""
    with Hub.open("./data", workflows=[onboard, report], capture=("logging", "print")) as hub:
        tenant: Tenant = hub.create_tenant("contoso", exist_ok=True)
        execution: Execution = tenant.run(report, day="today")
        outcome: Outcome = execution.outcome(timeout=5)
        events: list[Event] = list(execution.events(from_seq=2))
        rows: Table = tenant.executions(limit=5)
        state: Any = rows[0]["state"]
        print(outcome.state, events[0].kind, state, execution.result(), rows[:1].columns, hub.tenants().caption)


async def awaiting() -> None:
    """The hub for callers on an event loop."""
    opened: AsyncHub
    async with Hub.open() as opened:
        tenant: AsyncTenant = await opened.create_tenant("contoso")
        await tenant.connections.create("graph", entra_tenant="contoso.com", client_id="a", client_secret="b")
        execution: AsyncExecution = await tenant.start("onboard", {"hire": {}}, idempotency_key="1")
        async for event in execution.events():
            print(event.seq, event.at.year)
        try:
            print(await execution, await tenant.options(licences))
        except InvalidInput as error:
            print(error.context["path"], error.code, error.next_action)
        except BifrostError as error:
            print(error.retry_after, error.is_retryable)
        await execution.cancel()


def unit_test() -> str:
    """A decorated function is still the function."""
    function = report
    print(function.__name__, ContextFilter("bifrost").name)
    return asyncio.run(make_user(Hire("Zoë", datetime.now())))
