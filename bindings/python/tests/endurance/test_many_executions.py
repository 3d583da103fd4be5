"""Many executions in one process: nothing of them stays. ``BIFROST_EXECUTIONS=100000`` is the long form."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable

import pytest

EXECUTIONS = int(os.environ.get("BIFROST_EXECUTIONS", "10000"))
LONG = EXECUTIONS >= 100_000
#: Before this many, pools and allocators grow to what they need, the store's cache of 32 MiB fills, and its first
#: snapshots are taken.
WARM = 60_000 if LONG else 2_000
#: How much more memory there may be at the end: in the short form the store's cache is still filling.
GROWTH = 1.05 if LONG else 1.5
#: Bytes of memory the embedded store needs to find one finished execution again: its engine holds one entry for each of
#: its pages. They go when the execution is deleted.
INDEX = 400

PROGRAM = """
import asyncio, gc, os, sys, threading
from bifrost import AsyncContext, Context, Hub, workflow

warm, executions, in_flight = map(int, sys.argv[1:])

@workflow
async def endures_async(ctx: AsyncContext, number: int) -> int:
    return await ctx.step("one", lambda: number)

@workflow
def endures_plain(ctx: Context, number: int) -> int:
    return ctx.step("one", lambda: number)

def measure():
    gc.collect()
    with open("/proc/self/statm") as statm:
        resident = int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    counts = len(os.listdir("/proc/self/task")), len(os.listdir("/proc/self/fd")), threading.active_count()
    print(*counts, resident, len(gc.get_objects()), flush=True)

async def main():
    async with Hub.open(DATA, workflows=[endures_async, endures_plain]) as hub:
        tenant = await hub.create_tenant("contoso", quota={"max_in_flight": 1000})
        numbers = iter(range(executions))
        done = 0

        async def work():
            nonlocal done
            for number in numbers:
                execution = await tenant.run((endures_async, endures_plain)[number % 2], number=number)
                assert await execution == number
                done += 1
                if done == warm:
                    measure()

        await asyncio.gather(*(work() for _ in range(in_flight)))
        assert done == executions
        measure()

asyncio.run(main())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="measured by way of /proc")
def test_executions_leave_nothing_behind(start: Callable[..., object]) -> None:
    program = start(PROGRAM.replace("DATA", repr("data")), str(WARM), str(EXECUTIONS), "50")
    code, printed, complaints = program.end(timeout=900)  # type: ignore[attr-defined]
    assert (code, complaints) == (0, "")
    before, after = ([int(word) for word in line.split()] for line in printed.splitlines())
    assert after[0] <= before[0] + 1, f"native threads: {before[0]} → {after[0]}"
    assert after[1] <= before[1] + 2, f"descriptors: {before[1]} → {after[1]}"
    assert after[2] <= before[2], f"Python threads: {before[2]} → {after[2]}"
    allowed = before[3] * GROWTH + (EXECUTIONS - WARM) * INDEX
    assert after[3] <= allowed, f"bytes: {before[3]} → {after[3]} after {EXECUTIONS} executions"
    assert after[4] <= before[4] * 1.01 + 100, f"objects: {before[4]} → {after[4]}"


def test_an_event_loop_leaves_no_descriptor(eventually: Callable[..., None]) -> None:
    """Each loop that a hub was used on has a mailbox; it goes with its loop, and the hub's threads soon after it."""
    from bifrost import Hub

    async def main() -> None:
        async with Hub.open(workflows=[]) as hub:
            await hub.create_tenant("contoso")

    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd"))

    asyncio.run(main())
    before = descriptors()
    for _ in range(10):
        asyncio.run(main())
    # A runtime never makes its closer wait: its last thread gives back three descriptors when it gets to it.
    eventually("the loops' descriptors are given back", lambda: descriptors() <= before + 2)
