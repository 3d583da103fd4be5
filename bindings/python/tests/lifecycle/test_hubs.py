"""Hubs side by side, on every kind of event loop and on none, closed while work runs."""

from __future__ import annotations

import asyncio
import importlib.util
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from bifrost import AsyncContext, Closed, Context, Hub, NotFound, workflow


@workflow
async def lifecycle_task(ctx: AsyncContext, name: str) -> str:
    first: str = await ctx.step("first", lambda: name)
    return first + ctx.config.get("suffix", "")


@workflow
def lifecycle_thread(ctx: Context, name: str) -> str:
    return ctx.step("first", lambda: name)


BOTH = [lifecycle_task, lifecycle_thread]


def test_two_hubs_with_tenants_of_one_name_do_not_mix() -> None:
    with Hub.open(workflows=BOTH) as one, Hub.open(workflows=BOTH) as other:
        tenants = [hub.create_tenant("contoso") for hub in (one, other)]
        tenants[0].config.set("suffix", "-one")
        tenants[1].config.set("suffix", "-other")
        executions = [tenant.run(lifecycle_task, name=str(n)) for n, tenant in enumerate(tenants * 20)]
        assert {execution.result(timeout=30) for execution in executions} == {
            *(f"{n}-one" for n in range(0, 40, 2)),
            *(f"{n}-other" for n in range(1, 40, 2)),
        }
        with pytest.raises(NotFound):
            tenants[1].execution(executions[0].id)
        one.close()
        assert tenants[1].run(lifecycle_thread, name="still there").result(timeout=30) == "still there"


def test_two_hubs_on_one_event_loop_do_not_mix() -> None:
    async def main() -> None:
        async with Hub.open(workflows=BOTH) as one, Hub.open(workflows=BOTH) as other:
            tenants = [await hub.create_tenant("contoso") for hub in (one, other)]
            await tenants[0].config.set("suffix", "-one")
            await tenants[1].config.set("suffix", "-other")
            executions = [await tenant.run(lifecycle_task, name="x") for tenant in tenants * 5]
            assert await asyncio.gather(*(execution.result(30) for execution in executions)) == ["x-one", "x-other"] * 5

    asyncio.run(main())


async def _works(own_loop: bool) -> None:
    async with Hub.open(workflows=BOTH, loop="own" if own_loop else "caller") as hub:
        tenant = await hub.create_tenant("contoso")
        for function in BOTH:
            execution = await tenant.run(function, name="Zoë")
            assert await execution == "Zoë"
            assert [event.seq async for event in execution.events()][:2] == [1, 2]


@pytest.mark.parametrize("own_loop", [False, True])
def test_asyncio(own_loop: bool) -> None:
    asyncio.run(_works(own_loop))


@pytest.mark.skipif(importlib.util.find_spec("uvloop") is None, reason="uvloop is not installed")
@pytest.mark.parametrize("own_loop", [False, True])
def test_uvloop(own_loop: bool) -> None:
    import uvloop

    uvloop.run(_works(own_loop))


def test_no_event_loop_at_all(tmp_path: Path) -> None:
    for _ in range(2):
        with Hub.open(tmp_path / "data", workflows=BOTH) as hub:
            tenant = hub.create_tenant("contoso", exist_ok=True)
            assert [tenant.run(function, name="Zoë").result(timeout=30) for function in BOTH] == ["Zoë", "Zoë"]


def test_a_blocking_call_on_an_event_loop_is_refused() -> None:
    async def main() -> None:
        with pytest.raises(RuntimeError, match="block the running event loop"):
            Hub.open(workflows=BOTH).__enter__()

    asyncio.run(main())


def test_closing_twice_is_closing() -> None:
    with Hub.open(workflows=BOTH) as hub:
        assert hub.close() == 0
        assert hub.close() == 0
        with pytest.raises(Closed):
            hub.tenant("contoso")


def test_work_that_runs_at_closing_is_finished_by_the_next_open(
    tmp_path: Path, eventually: Callable[..., None]
) -> None:
    before = _threads()
    ran: list[str] = []
    started = [threading.Event(), threading.Event()]
    go_on = threading.Event()

    @workflow
    async def closing_task(ctx: AsyncContext) -> str:
        await ctx.step("count", lambda: ran.append("task"))
        started[0].set()
        if not go_on.is_set():
            await asyncio.get_running_loop().create_future()
        return "task"

    @workflow
    def closing_thread(ctx: Context) -> str:
        ctx.step("count", lambda: ran.append("thread"))
        started[1].set()
        go_on.wait(30)
        return "thread"

    functions = [closing_task, closing_thread]
    with Hub.open(tmp_path, workflows=functions) as hub:
        tenant = hub.create_tenant("contoso")
        executions = [tenant.run(function).id for function in functions]
        assert all(event.wait(30) for event in started)
        assert hub.close(timeout=0.1) == 2
    go_on.set()
    with Hub.open(tmp_path, workflows=functions) as hub:
        tenant = hub.tenant("contoso")
        assert [tenant.execution(number).result(timeout=30) for number in executions] == ["task", "thread"]
        assert sorted(ran) == ["task", "thread"]
    eventually("the threads of both hubs end", lambda: _threads() <= before)


def test_closing_ends_tasks_that_a_workflow_left_behind() -> None:
    ended: list[str] = []

    async def left_behind() -> None:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            await asyncio.sleep(0)
            ended.append("left behind")

    @workflow
    async def leaves_a_task(ctx: AsyncContext) -> None:
        ctx.task = asyncio.create_task(left_behind())  # type: ignore[attr-defined]
        await asyncio.sleep(0)

    with Hub.open(workflows=[leaves_a_task]) as hub:
        hub.create_tenant("contoso").run(leaves_a_task).result(timeout=30)
    assert ended == ["left behind"]


def _threads() -> set[threading.Thread]:
    """The threads that run workflows."""
    return {thread for thread in threading.enumerate() if thread.name.startswith(("bifrost-workflow", "bifrost-loop"))}
