"""Following one execution."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import AsyncIterator, Generator, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from . import _html, _native
from ._calls import finish, wait

if TYPE_CHECKING:
    from ._core import Core


@dataclass(frozen=True)
class Event:
    """One event of an execution: numbered from 1, without gaps, shown once it is durable."""

    #: Its number within the execution.
    seq: int
    #: When it happened, in UTC.
    at: datetime.datetime
    #: ``state``, ``step_started``, ``step_finished``, ``step_failed``, ``progress``, ``log``, ``problem``, ….
    kind: str
    #: What else it says, by kind: ``state``, ``name``, ``message``, ``done``, ``total``, ….
    data: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Event:
        """Reads the hub's form."""
        rest = {key: value for key, value in data.items() if key not in ("seq", "at", "event")}
        return cls(data["seq"], moment(data["at"]), data["event"], rest)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {"seq": self.seq, "at": self.at.isoformat(), "event": self.kind, **self.data}


@dataclass(frozen=True)
class Outcome:
    """What came of an execution."""

    #: ``succeeded``, ``completed_with_errors``, ``failed``, ``timed_out`` or ``cancelled``.
    state: str
    #: What the workflow returned, as plain JSON.
    output: Any = None
    #: The error that ended it: ``kind``, ``message``, ``context``, ``next_action``, ….
    error: dict[str, Any] | None = None
    #: Problems it reported and lived with.
    problems: list[dict[str, Any]] = field(default_factory=list)

    @property
    def succeeded(self) -> bool:
        """Whether it ended well, problems or not."""
        return self.state in ("succeeded", "completed_with_errors")


def moment(value: Any) -> datetime.datetime:
    """A time of the hub as Python's."""
    return datetime.datetime.fromisoformat(value.replace("Z", "+00:00"))


class _Base:
    def __init__(self, core: Core, native: _native.Execution, workflow: str) -> None:
        self._core = core
        self._native = native
        #: The workflow's name.
        self.workflow = workflow

    @property
    def id(self) -> str:
        """Its identifier."""
        return self._native.id

    @property
    def tenant(self) -> str:
        """The tenant's name."""
        return self._native.tenant

    def _outcome(self, found: dict[str, Any]) -> Outcome:
        return Outcome(**found)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.workflow!r}, tenant={self.tenant!r}, id={self.id!r})"


class Execution(_Base):
    """A run of a workflow, for callers that block."""

    def result(self, timeout: float | None = None) -> Any:
        """Waits for what the workflow returned.

        Raises what ended it; ``NeedsAttention`` as soon as a person must decide; ``TimeoutError`` after ``timeout``
        seconds, and the execution goes on.
        """
        return self._core.decoded(self.workflow, wait(self._native.output(), timeout))

    def outcome(self, timeout: float | None = None) -> Outcome:
        """Waits for state, output, error and problems; a workflow that failed is no error here."""
        return self._outcome(wait(self._native.outcome(), timeout))

    def events(self, from_seq: int = 1) -> Iterator[Event]:
        """Its events from number ``from_seq`` on, in order and without gaps, until it has ended.

        >>> for event in execution.events():
        ...     print(event.seq, event.kind)
        """
        while found := wait(self._native.events(from_seq)):
            for event in found:
                from_seq = event["seq"] + 1
                yield Event.from_dict(event)

    def cancel(self, reason: str = "cancelled by the caller") -> None:
        """Asks it to stop; returns when the wish is durable."""
        wait(self._native.cancel(reason))

    def record(self) -> dict[str, Any]:
        """Its record as it is stored."""
        found: dict[str, Any] = wait(self._native.record())
        return found

    def _repr_html_(self) -> str:
        return _html.execution(self.record())


class AsyncExecution(_Base):
    """A run of a workflow, for callers on an event loop; ``await execution`` is its result."""

    def __await__(self) -> Generator[Any, None, Any]:
        return self.result().__await__()

    async def result(self, timeout: float | None = None) -> Any:
        """Waits for what the workflow returned; see :meth:`Execution.result`."""
        output = await _within(self._native.output(), timeout)
        return self._core.decoded(self.workflow, output)

    async def outcome(self, timeout: float | None = None) -> Outcome:
        """Waits for state, output, error and problems; a workflow that failed is no error here."""
        return self._outcome(await _within(self._native.outcome(), timeout))

    async def events(self, from_seq: int = 1) -> AsyncIterator[Event]:
        """Its events from number ``from_seq`` on, in order and without gaps, until it has ended.

        >>> async for event in execution.events():
        ...     print(event.seq, event.kind)
        """
        while found := await finish(self._native.events(from_seq)):
            for event in found:
                from_seq = event["seq"] + 1
                yield Event.from_dict(event)

    async def cancel(self, reason: str = "cancelled by the caller") -> None:
        """Asks it to stop; returns when the wish is durable."""
        await finish(self._native.cancel(reason))

    async def record(self) -> dict[str, Any]:
        """Its record as it is stored."""
        found: dict[str, Any] = await finish(self._native.record())
        return found

    def _repr_html_(self) -> str:
        return _html.handle(self.workflow, self.tenant, self.id)


async def _within(started: Any, timeout: float | None) -> Any:
    if timeout is None:
        return await finish(started)
    try:
        return await asyncio.wait_for(finish(started), timeout)
    except asyncio.TimeoutError as error:
        raise TimeoutError(f"no answer within {timeout} s") from error
