"""What happens to work when its process ends, forks or is interrupted."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bifrost import AsyncContext, Context, Hub, workflow

#: The workflows that each program below runs, as they hang.
HANGING = """
import asyncio, sys, threading, time
from bifrost import AsyncContext, Context, Hub, workflow

@workflow
async def exits_in_a_task(ctx: AsyncContext) -> str:
    await ctx.step("note", note)
    await asyncio.sleep(600)

@workflow
def exits_in_a_thread(ctx: Context) -> str:
    ctx.step("note", note)
    time.sleep(600)

@workflow
def exits_in_a_step(ctx: Context) -> str:
    ctx.step("note", note)
    return ctx.step("hang", lambda: threading.Event().wait(600))

@workflow
async def exits_on_the_hubs_clock(ctx: AsyncContext) -> str:
    await ctx.step("note", note)
    await ctx.sleep(600)

ALL = [exits_in_a_task, exits_in_a_thread, exits_in_a_step, exits_on_the_hubs_clock]
noted = threading.Semaphore(0)

def note():
    noted.release()

def begin(hub):
    tenant = hub.create_tenant("contoso")
    for function in ALL:
        tenant.run(function)
    for function in ALL:
        noted.acquire(timeout=30)
"""


@workflow
async def exits_in_a_task(ctx: AsyncContext) -> str:
    await ctx.step("note", _never)
    return "task"


@workflow
def exits_in_a_thread(ctx: Context) -> str:
    ctx.step("note", _never)
    return "thread"


@workflow
def exits_in_a_step(ctx: Context) -> str:
    ctx.step("note", _never)
    return ctx.step("hang", lambda: "step")


@workflow
async def exits_on_the_hubs_clock(ctx: AsyncContext) -> str:
    await ctx.step("note", _never)
    return "clock"


RESUMED = [exits_in_a_task, exits_in_a_thread, exits_in_a_step, exits_on_the_hubs_clock]


def _never() -> None:
    raise AssertionError("a step that was done ran again")


def _resumes(folder: Path) -> None:
    with Hub.open(folder, workflows=RESUMED) as hub:
        tenant = hub.tenant("contoso")
        results = [tenant.execution(record["id"]).result(timeout=30) for record in tenant.executions()]
        assert sorted(results) == ["clock", "step", "task", "thread"]
        records = tenant.executions()
        assert [record["recoveries"] for record in records] == [0] * 4, "an orderly end is nobody's fault"


ENDINGS = {
    "the program ends inside the block": """
        hub = Hub.open("data", workflows=ALL).__enter__()
        begin(hub)
    """,
    "sys.exit": """
        with Hub.open("data", workflows=ALL) as hub:
            begin(hub)
            sys.exit()
    """,
    "an exit from a thread of its own": """
        opened = []
        def work():
            opened.append(Hub.open("data", workflows=ALL).__enter__())
            begin(opened[0])
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    """,
    "an event loop that ends before its hub": """
        kept = []
        async def main():
            hub = await Hub.open("data", workflows=ALL).__aenter__()
            kept.append(hub)
            tenant = await hub.create_tenant("contoso")
            for function in ALL:
                await tenant.run(function)
            for function in ALL:
                while not noted.acquire(blocking=False):
                    await asyncio.sleep(0.01)
        asyncio.run(main())
    """,
    "an event loop whose main task was cancelled": """
        async def main():
            async with Hub.open("data", workflows=ALL) as hub:
                tenant = await hub.create_tenant("contoso")
                for function in ALL:
                    await tenant.run(function)
                for function in ALL:
                    while not noted.acquire(blocking=False):
                        await asyncio.sleep(0.01)
                asyncio.current_task().cancel()
                await asyncio.sleep(60)
        try:
            asyncio.run(main())
        except asyncio.CancelledError:
            pass
    """,
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_interpreter_ends_with_work_running(ending: str, run: Callable[..., str], tmp_path: Path) -> None:
    import textwrap

    started = time.monotonic()
    run(HANGING + textwrap.dedent(ENDINGS[ending]))
    assert time.monotonic() - started < 20
    _resumes(tmp_path / "data")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_forked_child_is_told_and_the_parent_goes_on(run: Callable[..., str]) -> None:
    program = (
        HANGING
        + """
import os, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # Python's own, of forking with threads

@workflow
def plain(ctx: Context) -> int:
    return ctx.step("one", lambda: 1)

from bifrost import Closed
with Hub.open("data", workflows=[*ALL, plain]) as hub:
    begin(hub)
    tenant = hub.tenant("contoso")
    execution = tenant.run(plain)
    child = os.fork()
    if child == 0:
        for call in (
            lambda: hub.tenant("contoso"),
            lambda: tenant.run(plain),
            lambda: execution.result(timeout=5),
            lambda: tenant.config.get("x"),
        ):
            try:
                call()
            except Closed as error:
                assert "open a hub in the child" in error.next_action, error
            else:
                raise AssertionError("the child may use the hub")
        with Hub.open(workflows=[plain]) as own:
            assert own.create_tenant("fabrikam").run(plain).result(timeout=30) == 1
        sys.exit(7)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 7
    assert execution.result(timeout=30) == 1
    assert tenant.run(plain).result(timeout=30) == 1
    hub.close(0)
"""
    )
    run(program)


@pytest.mark.parametrize(
    "call",
    [
        "tenant.run(exits_in_a_task).result()",
        "tenant.run(exits_in_a_thread).outcome()",
        "list(tenant.run(exits_in_a_step).events())",
        "hub.close(600)",
    ],
)
def test_an_interrupt_ends_a_blocked_call_within_a_second(call: str, start: Callable[..., Any]) -> None:
    program = start(
        HANGING
        + f"""
with Hub.open("data", workflows=ALL) as hub:
    begin(hub)
    tenant = hub.tenant("contoso")
    print("ready")
    try:
        {call}
    except KeyboardInterrupt:
        print("interrupted")
    print("done")
    hub.close(0)
"""
    )
    program.lines_until("ready")
    # It has said that it is about to block; it does within this time, and an interrupt before is one, too.
    time.sleep(0.3)
    interrupted = time.monotonic()
    program.interrupt()
    assert program.lines_until("done") == ["interrupted"]
    assert time.monotonic() - interrupted < 1.0
    code, _, complaints = program.end()
    assert (code, complaints) == (0, "")


def test_importing_starts_nothing(run: Callable[..., str]) -> None:
    program = """
        import sys, threading
        import bifrost, bifrost.testing, bifrost.pytest_plugin
        print(threading.active_count(), "asyncio" in sys.modules)
    """
    assert run(program).split()[0] == "1"
    assert sys.modules["bifrost"] is not None
