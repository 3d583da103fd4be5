"""What workflows log and print is noted with the execution that says it, and with no other."""

import asyncio
import logging
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from bifrost import AsyncContext, Context, Execution, Hub, logs, workflow

LOGGER = logging.getLogger("onboarding")
COUNT = 100


@pytest.fixture(autouse=True)
def audible() -> Iterator[None]:
    LOGGER.setLevel(logging.INFO)
    yield
    LOGGER.setLevel(logging.NOTSET)


class Gates:
    """Has all executions say one thing after the other, each time all of them before any goes on."""

    def __init__(self) -> None:
        self.threads = threading.Barrier(COUNT)
        self.tasks = 0


GATES = Gates()


@workflow
async def speaks_as_a_task(ctx: AsyncContext, number: int) -> int:
    """Says three things, with everybody else in between, the last from a task and a thread of its own."""
    LOGGER.info("task %s begins", number)
    GATES.tasks += 1
    while GATES.tasks % COUNT:
        await asyncio.sleep(0.001)
    print("task", number, end=" ")
    await asyncio.sleep(0.001)
    print("goes on")

    async def inner() -> None:
        await asyncio.to_thread(LOGGER.warning, "task %s ends", number)

    await asyncio.create_task(inner())
    return number


@workflow
def speaks_in_a_thread(ctx: Context, number: int) -> int:
    """Says three things, with everybody else in between."""
    LOGGER.info("thread %s begins", number)
    GATES.threads.wait(30)
    print("thread", number, end=" ")
    GATES.threads.wait(30)
    print("goes on")
    LOGGER.warning("thread %s ends", number)
    return number


def said(execution: Execution) -> list[tuple[str, str, dict[str, Any]]]:
    events = [event.data for event in execution.events() if event.kind == "log"]
    return [(data["level"], data["message"], data.get("fields") or {}) for data in events]


def expected(kind: str, number: int) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        ("info", f"{kind} {number} begins", {"logger": "onboarding"}),
        ("info", f"{kind} {number} goes on", {"stream": "stdout"}),
        ("warn", f"{kind} {number} ends", {"logger": "onboarding"}),
    ]


@pytest.mark.parametrize(("function", "kind"), [(speaks_as_a_task, "task"), (speaks_in_a_thread, "thread")])
def test_each_line_of_a_hundred_interleaved_lands_in_its_own_execution(
    function: Any, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    GATES.tasks = 0
    with Hub.open(workflows=[function], workers=COUNT, capture=("logging", "print")) as hub:
        tenant = hub.create_tenant("contoso", quota={"max_running": COUNT})
        executions = [tenant.run(function, number=number) for number in range(COUNT)]
        assert [execution.result(timeout=60) for execution in executions] == list(range(COUNT))
        for number, execution in enumerate(executions):
            assert said(execution) == expected(kind, number)
    assert capsys.readouterr().out.count("goes on") == COUNT


@workflow
def speaks(ctx: Context, then: str = "") -> None:
    """Says one thing of each kind."""
    print("printed\nwithout an end", end="")
    LOGGER.debug("too quiet")
    LOGGER.info("logged")
    logging.getLogger("bifrost.actors.connection").error("the hub's own")
    try:
        raise ValueError("half a surrogate \ud800")
    except ValueError:
        LOGGER.exception("caught")
    if then:
        raise RuntimeError(then)


def test_what_is_noted_is_what_was_asked_for() -> None:
    printed, logged = {"stream": "stdout"}, {"logger": "onboarding"}
    lines = [("info", "printed", printed), ("info", "without an end", printed)]
    records = [
        ("info", "logged", logged),
        ("error", "caught", {**logged, "exception": "ValueError: half a surrogate ?"}),
    ]
    wanted: list[tuple[tuple[str, ...], list[Any]]] = [
        ((), []),
        (("print",), lines),
        (("logging",), records),
        (("logging", "print"), [lines[0], *records, lines[1]]),
    ]
    for capture, found in wanted:
        with Hub.open(workflows=[speaks], capture=capture) as hub:
            execution = hub.create_tenant("contoso").run(speaks)
            execution.result(timeout=10)
            assert said(execution) == found


def test_arguments_that_do_not_fit_are_nobodys_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    # Apart from pytest's own handler, which raises.
    logger = logging.getLogger("apart")
    monkeypatch.setattr(logger, "propagate", False)
    monkeypatch.setattr(logger, "handlers", [logging.NullHandler()])

    @workflow
    def misspeaks(ctx: Context) -> None:
        logger.error("%d", "no number")

    with Hub.open(workflows=[misspeaks], capture=["logging"]) as hub:
        execution = hub.create_tenant("contoso").run(misspeaks)
        execution.result(timeout=10)
        assert said(execution) == [("error", "%d", {"logger": "apart"})]


def test_the_level_can_be_chosen() -> None:
    LOGGER.setLevel(logging.DEBUG)
    for level, first in ((logging.DEBUG, "too quiet"), (logging.ERROR, "caught")):
        with Hub.open(workflows=[speaks], capture=["logging"], capture_level=level) as hub:
            execution = hub.create_tenant("contoso").run(speaks)
            execution.result(timeout=10)
            assert said(execution)[0][1] == first


def test_a_failure_keeps_what_was_printed_before_it() -> None:
    with Hub.open(workflows=[speaks], capture="print") as hub:
        execution = hub.create_tenant("contoso").run(speaks, then="it fails")
        assert execution.outcome(timeout=30).state == "failed"
        assert said(execution)[:2] == [
            ("info", "printed", {"stream": "stdout"}),
            ("info", "without an end", {"stream": "stdout"}),
        ]


def test_only_the_hub_that_asked_captures() -> None:
    with Hub.open(workflows=[speaks], capture=("logging", "print")), Hub.open(workflows=[speaks]) as other:
        execution = other.create_tenant("contoso").run(speaks)
        execution.result(timeout=10)
        assert said(execution) == []


def test_everything_is_put_back(capsys: pytest.CaptureFixture[str]) -> None:
    stdout, handlers = sys.stdout, logging.Logger.callHandlers
    with Hub.open(capture=("logging", "print")):
        assert sys.stdout is not stdout
        assert (sys.stdout.encoding, sys.stdout.isatty()) == (stdout.encoding, stdout.isatty())
        with Hub.open(capture=("logging", "print")):
            print("passed on")
        assert sys.stdout is not stdout
    assert sys.stdout is stdout
    assert logging.Logger.callHandlers is handlers
    assert capsys.readouterr().out == "passed on\n"


def test_a_kind_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="'logging', 'print', not 'stderr'"):
        Hub.open(capture=("logging", "stderr"))


def test_the_filter_names_the_workflow_a_record_comes_from() -> None:
    records: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.addFilter(logs.ContextFilter())
    handler.emit = records.append  # type: ignore[method-assign]
    LOGGER.addHandler(handler)
    try:
        with Hub.open(workflows=[speaks]) as hub:
            execution = hub.create_tenant("contoso").run(speaks)
            execution.result(timeout=10)
    finally:
        LOGGER.removeHandler(handler)
    found = {tuple(vars(record)[name] for name in ("tenant", "workflow", "execution")) for record in records}
    assert found == {("contoso", "speaks", execution.id)}
