"""Steps and effects as workflows write them: each form, replayed after a crash, with equal values and exceptions."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from bifrost import (
    NOT_DONE,
    UNKNOWN,
    AsyncContext,
    BifrostError,
    Context,
    Done,
    NeedsAttention,
    WorkflowFailed,
    workflow,
)
from bifrost.testing import Stage


@dataclass
class Account:
    upn: str
    seats: int = 1


class Boom(Exception):
    """Known to nobody else."""


#: What the steps below did, in order; emptied before each test.
did: list[str] = []


@pytest.fixture(autouse=True)
def nothing_done() -> None:
    did.clear()


def make(upn: str, *, seats: int = 1) -> Account:
    did.append("make")
    return Account(upn, seats)


async def make_async(upn: str, *, seats: int = 1) -> Account:
    did.append("make")
    return Account(upn, seats)


def fail_value() -> None:
    did.append("fail")
    raise ValueError("no such licence")


def fail_custom() -> None:
    did.append("fail")
    raise Boom("custom")


@workflow
def forms_sync(ctx: Context) -> list[Any]:
    first = ctx.step("function", make, "ada", seats=2)
    assert isinstance(first, Account)

    @ctx.step("decorator")
    def second(upn: str) -> Account:
        return make(upn)

    decorated = second("zoe")
    with ctx.step("block") as block:
        if not block.done:
            block.value = {"made": make("bob").upn}
    caught = []
    for name, function in (("value", fail_value), ("custom", fail_custom)):
        try:
            ctx.step(name, function)
        except Exception as error:
            caught.append([type(error).__name__, str(error).split(";")[0]])
    try:
        with ctx.step("failing block"):
            fail_value()
    except ValueError as error:
        caught.append([type(error).__name__, str(error)])
    ctx.step("last", did.append, "last")
    return [first.seats, decorated.upn, block.value, caught]


@workflow
async def forms_async(ctx: AsyncContext) -> list[Any]:
    first = await ctx.step("function", make_async, "ada", seats=2)
    assert isinstance(first, Account)

    @ctx.step("decorator")
    async def second(upn: str) -> Account:
        return await make_async(upn)

    decorated = await second("zoe")
    async with ctx.step("block") as block:
        if not block.done:
            block.value = {"made": make("bob").upn}
    caught = []
    for name, function in (("value", fail_value), ("custom", fail_custom)):
        try:
            await ctx.step(name, function)
        except Exception as error:
            caught.append([type(error).__name__, str(error).split(";")[0]])
    try:
        async with ctx.step("failing block"):
            fail_value()
    except ValueError as error:
        caught.append([type(error).__name__, str(error)])
    await ctx.step("last", did.append, "last")
    return [first.seats, decorated.upn, block.value, caught]


@pytest.mark.parametrize("function", [forms_sync, forms_async])
@pytest.mark.parametrize("crash_after", [None, "block", "failing block", "last"])
def test_replay_gives_equal_values_and_exceptions(function: Callable[..., Any], crash_after: str | None) -> None:
    with Stage(workflows=[function]) as stage:
        tenant = stage.tenant()
        if crash_after is None:
            result = tenant.run(function).result(timeout=30)
        else:
            stage.crash.at(crash_after)
            execution = tenant.run(function)
            result = stage.crash.reopen().tenant("contoso").execution(execution.id).result(timeout=30)
    assert result == [
        2,
        "zoe",
        {"made": "bob"},
        [
            ["ValueError", "no such licence"],
            ["WorkflowFailed", "run step: Boom: custom (workflow_failed"],
            ["ValueError", "no such licence"],
        ],
    ]
    assert did == ["make", "make", "make", "fail", "fail", "fail", "last"], "each step ran once"


@workflow
async def many_at_once(ctx: AsyncContext) -> list[int]:
    async def part(number: int) -> int:
        await asyncio.sleep(0)
        did.append(str(number))
        return number

    return list(await asyncio.gather(*(ctx.step(f"part {n % 5}", part, n) for n in range(20))))


def test_concurrent_steps_of_one_workflow_keep_their_results() -> None:
    with Stage(workflows=[many_at_once]) as stage:
        stage.crash.at("part 3", occurrence=4)
        execution = stage.tenant().run(many_at_once)
        resumed = stage.crash.reopen().tenant("contoso").execution(execution.id)
        assert resumed.result(timeout=30) == list(range(20))


class Peer:
    """Somebody outside, who keeps what was written."""

    def __init__(self) -> None:
        self.written: list[str] = []
        self.keys: list[str] = []
        self.looked = 0

    def write(self, name: str) -> str:
        self.written.append(name)
        return name

    def write_once(self, name: str, idempotency_key: str) -> str:
        if idempotency_key not in self.keys:
            self.written.append(name)
        self.keys.append(idempotency_key)
        return name

    def find(self) -> Any:
        self.looked += 1
        return self.written[0] if self.written else None


def _effect(peer: Peer, how: str, is_async: bool) -> Callable[..., Any]:
    probes: dict[str, Any] = {
        "probe": peer.find,
        "done": lambda: Done(None),
        "not done": lambda: NOT_DONE if not peer.written else Done("found"),
        "unknown": lambda: UNKNOWN,
    }
    call, probe = (peer.write_once, None) if how == "key" else (peer.write, probes.get(how))

    if is_async:

        @workflow(name="effect_workflow")
        async def effect_async(ctx: AsyncContext) -> Any:
            return await ctx.effect("write", call, "ada", probe=probe)

        return effect_async

    @workflow(name="effect_workflow")
    def effect_sync(ctx: Context) -> Any:
        return ctx.effect("write", call, "ada", probe=probe)

    return effect_sync


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("when", ["before", "during", "after"])
@pytest.mark.parametrize("how", ["probe", "key", "not done", "neither", "unknown", "done"])
def test_a_write_in_doubt(how: str, when: Any, is_async: bool) -> None:
    peer = Peer()
    function = _effect(peer, how, is_async)
    with Stage(workflows=[function]) as stage:
        stage.crash.at("write", when)
        execution = stage.tenant().run(function)
        resumed = stage.crash.reopen().tenant("contoso").execution(execution.id)
        if how in ("neither", "unknown") and when != "after":
            with pytest.raises(NeedsAttention, match="contoso") as refused:
                resumed.result(timeout=30)
            assert "write" in str(refused.value.attention)
            assert len(peer.written) == (when == "during"), "never blindly repeated"
            decision: tuple[Any, ...] = ("done", "ada") if when == "during" else ("not_done",)
            stage.hub.tenant("contoso").resolve(execution.id, *decision)
            assert resumed.result(timeout=30) == "ada"
        elif how == "done" and when != "after":
            assert resumed.result(timeout=30) is None, "what the probe says is the result"
            return
        else:
            wanted = "found" if (how, when) == ("not done", "during") else "ada"
            assert resumed.result(timeout=30) == wanted
        assert peer.written == ["ada"]
        assert len(set(peer.keys)) <= 1, "every try has the same key"


def test_an_effect_whose_answer_is_lost_is_asked_about_at_once() -> None:
    peer = Peer()

    def write() -> None:
        peer.write("ada")
        raise ConnectionError("reset by peer")

    @workflow
    def lost_answer(ctx: Context) -> str:
        return ctx.effect("write", write, probe=peer.find)  # type: ignore[return-value]

    with Stage(workflows=[lost_answer]) as stage:
        assert stage.tenant().run(lost_answer).result(timeout=30) == "ada"
    assert (peer.written, peer.looked) == (["ada"], 1)


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("form", ["function", "block"])
@pytest.mark.parametrize("change", ["renamed", "reordered"])
def test_changed_code_is_refused_with_both_shapes(
    change: str, form: str, is_async: bool, eventually: Callable[..., None]
) -> None:
    names = ["one", "two"]

    @workflow(name="changed")
    async def changed_async(ctx: AsyncContext) -> None:
        for name in names:
            if form == "function":
                await ctx.step(name, lambda: 1)
                continue
            async with ctx.step(name) as step:
                step.value = 1

    @workflow(name="changed")
    def changed_sync(ctx: Context) -> None:
        for name in names:
            if form == "function":
                ctx.step(name, lambda: 1)
                continue
            with ctx.step(name) as step:
                step.value = 1

    function = changed_async if is_async else changed_sync
    with Stage(workflows=[function]) as stage:
        stage.crash.at("two" if change == "renamed" else "one", "after")
        execution = stage.tenant().run(function)
        eventually("it stands at the step", lambda: stage.crash.happened)
        names[:] = ["one", "second"] if change == "renamed" else ["two", "one"]
        resumed = stage.crash.reopen().tenant("contoso").execution(execution.id)
        with pytest.raises(NeedsAttention, match="contoso") as refused:
            resumed.result(timeout=30)
        line = str(refused.value)
        assert "reason=shape_changed; recorded=one#0" in line
        assert f"requested={'one#0, second' if change == 'renamed' else 'two'}#0" in line
        names[:] = ["one", "two"]
        stage.hub.tenant("contoso").resolve(execution.id, "resume")
        assert resumed.outcome(timeout=30).succeeded


def test_a_step_that_has_no_form_as_json_says_where() -> None:
    @workflow(retry=False)
    def no_json(ctx: Context) -> None:
        ctx.step("bytes", lambda: {"a": [b"x"]})

    with Stage(workflows=[no_json]) as stage, pytest.raises(BifrostError, match="/a/0"):
        stage.tenant().run(no_json).result(timeout=30)


def test_a_workflow_that_fails_tells_where() -> None:
    @workflow(retry=False)
    def tells_where(ctx: Context) -> None:
        local_secret = "canary-local"
        assert local_secret
        ctx.step("fails", fail_custom)

    with Stage(workflows=[tells_where]) as stage, pytest.raises(WorkflowFailed, match="Boom: custom") as failed:
        stage.tenant().run(tells_where).result(timeout=30)
    assert failed.value.traceback is not None
    assert failed.value.traceback.rstrip().endswith('raise Boom("custom")')
    assert "canary-local" not in failed.value.traceback
