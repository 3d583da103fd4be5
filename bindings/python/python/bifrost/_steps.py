"""The protocol of a step, written once for both kinds of context.

A generator says what it needs: a ``Pending`` call of the hub, or a :class:`UserCall` of the workflow's own code.
Whoever drives it blocks or awaits, and sends back what came of it.
"""

from __future__ import annotations

import builtins
import functools
import inspect
from collections.abc import Callable, Generator
from typing import Any, Generic, TypeVar, final

from ._errors import WorkflowFailed, describe, in_doubt
from ._native import Pending, Run, Step
from ._results import decoder_of_result

T = TypeVar("T")


@final
class UserCall:
    """A call of the workflow's own code, and how many seconds it may take."""

    __slots__ = ("function", "is_probe", "limit")

    def __init__(self, function: Callable[[], Any], limit: float, is_probe: bool = False) -> None:
        self.function = function
        self.limit = limit
        #: Whether it only looks whether a write was applied.
        self.is_probe = is_probe


@final
class Gate:
    """A step that the hub has not let begin yet."""

    __slots__ = ("pending",)

    def __init__(self, pending: Pending[Any]) -> None:
        self.pending = pending


#: What a protocol asks its driver for.
Work = Generator["Pending[Any] | Gate | UserCall", Any, Any]


class Done(Generic[T]):
    """What a probe returns when it found the write: its result, which may be ``None``."""

    def __init__(self, value: T) -> None:
        self.value = value


class _Verdict:
    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"bifrost.{self.name.upper()}"


#: What a probe returns when the write was not applied; ``None`` says the same.
NOT_DONE = _Verdict("not_done")
#: What a probe returns when it cannot tell: a person must.
UNKNOWN = _Verdict("unknown")


#: Sees the work of every step before it is driven, and may put something around it: how :mod:`bifrost.testing` ends a
#: hub in the middle of a step. ``None`` outside of tests.
observer: Callable[[Run, str, Work], Work] | None = None


def step(run: Run, name: str, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Work:
    """Runs ``function`` once and stores its result; on resume the stored result is returned."""
    call = functools.partial(function, *args, **kwargs)
    return _observed(run, name, _drive(run, name, "step", lambda key: call, None, function))


def body() -> None:
    """Stands for the body of a block: a driver that meets it stops, and goes on with what the body came to."""


def block(run: Run, name: str) -> Work:
    """A step whose function is a block of the workflow's code."""
    return _observed(run, name, _drive(run, name, "step", lambda key: body, None, body))


def child(run: Run, name: str, params: dict[str, Any]) -> Work:
    """Runs another workflow of the tenant, and comes to its output."""
    return _observed(run, name, _child(run, name, params))


def _child(run: Run, name: str, params: dict[str, Any]) -> Work:
    started = run.run_child(name, params)
    return (yield started) if type(started) is Pending else started


def is_child(work: Work) -> bool:
    """Whether a work runs another workflow, and calls nothing here."""
    return inspect.isgenerator(work) and work.gi_code is _child.__code__


def _observed(run: Run, name: str, work: Work) -> Work:
    return work if observer is None else observer(run, name, work)


def effect(
    run: Run,
    name: str,
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    probe: Callable[..., Any] | None,
) -> Work:
    """A write to the outside that is never repeated blindly."""
    keyed = _takes_key(function)
    plan = "probe" if probe is not None else "resend" if keyed else "person"

    def call(key: str) -> Callable[[], Any]:
        return functools.partial(function, *args, **kwargs, **({"idempotency_key": key} if keyed else {}))

    return _observed(run, name, _drive(run, name, plan, call, probe, function))


def _drive(
    run: Run,
    name: str,
    plan: str,
    call: Callable[[str], Callable[[], Any]],
    probe: Callable[..., Any] | None,
    function: Callable[..., Any],
) -> Work:
    failure: Exception | None = None
    try:
        begun = run.begin(name, plan)
        handle: Any
        handle, action, payload = (yield Gate(begun)) if type(begun) is Pending else begun
        while action != "done":
            if action == "call":
                tell, failure = yield from _call(handle, UserCall(call(payload), handle.limit), plan)
            else:
                tell, failure = yield from _probe(handle, probe, payload)
            told = tell()
            action, payload = (yield told) if type(told) is Pending else told
    except WorkflowFailed as error:
        raised = _as_raised(error, failure)
        raise raised from (None if raised is failure else failure)
    decode = decoder_of_result(function)
    return payload if decode is None else decode(payload)


#: How to tell the hub what came of a call, and the exception if it was one.
_Tell = tuple[Callable[[], Any], "Exception | None"]


def _call(handle: Step, call: UserCall, plan: str) -> Generator[Any, Any, _Tell]:
    try:
        value = yield call
    except StepOverdue:
        return handle.overdue, None
    except Exception as error:
        described = describe(error, "run step") if plan == "step" else in_doubt(error)
        return functools.partial(handle.failed, described), error
    return functools.partial(handle.succeeded, value), None


def _probe(handle: Step, probe: Any, key: str) -> Generator[Any, Any, _Tell]:
    """Asks the probe; without one the hub has decided already and never asks."""
    asked = functools.partial(probe, idempotency_key=key) if _takes_key(probe) else probe
    try:
        found = yield UserCall(asked, handle.limit, is_probe=True)
    except Exception as error:
        return functools.partial(handle.probe_failed, describe(error, "probe effect")), error
    if found is None or found is NOT_DONE:
        return functools.partial(handle.probed, "not_done", None), None
    if found is UNKNOWN:
        return functools.partial(handle.probed, "unknown", None), None
    value = found.value if isinstance(found, Done) else found
    return functools.partial(handle.probed, "done", value), None


class StepOverdue(Exception):
    """The driver gave a call up because it took too long."""


def _as_raised(error: WorkflowFailed, failure: Exception | None) -> Exception:
    """The exception a workflow sees for a step that failed: the same at first and on every replay.

    Built-in exceptions come back as themselves; of any other only its line is stored, so that is what is raised.
    """
    name = error.context.get("exception", "")
    builtin = getattr(builtins, name, None)
    if not (isinstance(builtin, type) and issubclass(builtin, Exception)):
        return error
    if failure is not None and type(failure) is builtin:
        return failure
    try:
        return builtin(error.message.removeprefix(f"{name}: "))
    except TypeError:
        return error


def _takes_key(function: Callable[..., Any]) -> bool:
    """Whether a function wants the idempotency key of its effect: it has a parameter of that name."""
    try:
        return "idempotency_key" in inspect.signature(function).parameters
    except (TypeError, ValueError):
        return False
