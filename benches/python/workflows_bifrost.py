"""Durable workflows with bifrost: a trivial one and one of five steps, 100 in flight and one at a time.

Timed: from asking for an execution until its result is here, in the process that runs it. Both are durable before they
are told: the acceptance of each execution, the result of each step and the end of each execution are in the journal and
synced. Commits that wait at the same time share one sync.
Not timed: opening the hub, making the tenant, a warm-up of each load, closing.
`steps_plain` is the workflow of five steps as a plain `def`, which runs on the hub's pool of threads.
"""

import asyncio

from load import Call, arguments, tell
from load import workflow as measured

from bifrost import AsyncContext, AsyncTenant, Context, Hub, workflow

ABOUT = "every acceptance, step and end synced (group commit)"


def work(n: int) -> int:
    return n + 1


@workflow
async def trivial(ctx: AsyncContext, n: int) -> int:
    return n


@workflow
async def steps(ctx: AsyncContext, n: int) -> int:
    for _ in range(5):
        n = await ctx.step("work", work, n)
    return n


@workflow
def steps_plain(ctx: Context, n: int) -> int:
    for _ in range(5):
        n = ctx.step("work", work, n)
    return n


def calling(tenant: AsyncTenant, name: str) -> Call:
    async def call() -> None:
        await (await tenant.run(name, n=1))

    return call


async def main() -> None:
    given = arguments(__doc__)
    figures: dict[str, float] = {}
    async with Hub.open(given.folder) as hub:
        tenant = await hub.create_tenant("contoso", quota={"max_running": 256})
        for name in ("trivial", "steps", "steps_plain"):
            figures |= await measured(name, calling(tenant, name), given)
    tell(figures, ABOUT, "bifrost-hub")


asyncio.run(main())
