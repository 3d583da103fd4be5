"""What tests of workflows need: a hub in memory, a clock that moves when told, an end at any step.

With pytest the fixtures ``hub``, ``tenant``, ``simulators``, ``clock`` and ``crash`` come with the package; see
:mod:`bifrost.pytest_plugin`. With anything else::

    with Stage(workflows=[onboard], clock=Clock()) as stage:
        execution = stage.tenant().run(onboard, first_name="Zoë")
        assert stage.clock.run_until(execution).succeeded
"""

from __future__ import annotations

import asyncio
import datetime
import threading
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager, nullcontext
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from . import _native, _steps
from ._errors import Closed
from ._idle import is_idle
from .hub import Hub
from .simulators import Simulators, connection_options

if TYPE_CHECKING:
    from ._core import Core
    from ._native import Run
    from .execution import Execution, Outcome
    from .tenant import Tenant

__all__ = ["Clock", "Crash", "Killed", "Stage", "connect"]

#: Seconds after which a wait of a test is given up, unless it says otherwise.
PATIENCE = 30.0

#: How often whoever waits looks again, in seconds.
_ROUND = 0.0005

_FOREVER = 1e9

When = Literal["before", "during", "after"]


class Clock:
    """A clock that stands still until it is moved: what waits an hour in the hub waits no time in the test.

    It is the clock of the hub and the simulators: of retries, delays, ``ctx.sleep``, scheduled starts, deadlines of
    runs, token lifetimes and budgets. Code of your own that calls ``time.sleep`` waits as always.

    >>> clock = Clock()
    >>> clock.now().isoformat()
    '2026-01-05T08:00:00+00:00'
    >>> clock.advance(90)
    >>> clock.advance(datetime.timedelta(days=1))
    """

    def __init__(self, start: datetime.datetime | None = None) -> None:
        start = start or datetime.datetime(2026, 1, 5, 8, 0, tzinfo=datetime.timezone.utc)
        #: The clock as the hub knows it.
        self.native = _native.Clock(start.timestamp())

    def now(self) -> datetime.datetime:
        """The time it shows, in UTC."""
        return datetime.datetime.fromtimestamp(self.native.now(), datetime.timezone.utc)

    def advance(self, by: float | datetime.timedelta) -> None:
        """Moves on by so many seconds, or by a timedelta, waking whoever's wait is over."""
        self.native.advance(by.total_seconds() if isinstance(by, datetime.timedelta) else float(by))

    def run_until(self, execution: Execution, *, timeout: float = PATIENCE) -> Outcome:
        """Lets time pass until ``execution`` has ended, and returns its outcome.

        Raises ``TimeoutError`` when that takes longer than ``timeout`` seconds of real time, and ``NeedsAttention``
        when a person would have to decide.
        """
        with self.automatic():
            return execution.outcome(timeout)

    @contextmanager
    def automatic(self) -> Generator[None, None, None]:
        """Inside, the clock moves by itself: whenever its hubs rest, it jumps to the next time somebody waits for.

        >>> with clock.automatic():
        ...     tenant.run("nightly_report").result()
        """
        stop = threading.Event()
        mover = threading.Thread(target=self._move, args=(stop,), name="bifrost-test-clock", daemon=True)
        mover.start()
        try:
            yield
        finally:
            stop.set()
            mover.join()

    def _move(self, stop: threading.Event) -> None:
        while not stop.wait(_ROUND):
            due = self.native.next_due()
            # Looked at twice: what was on its way from one thread to another at first is seen by then.
            if due is not None and is_idle(self) and not stop.wait(_ROUND) and is_idle(self):
                self.native.advance(due)


class Killed(BaseException):
    """Unwinds the code of a hub that was ended by :class:`Crash`, long after it could reach anything."""


class Crash:
    """Ends a hub at a named step as if its process had been killed, and opens the one that a restart would see.

    >>> crash.at("create user", when="during")
    >>> execution = tenant.run(onboard, first_name="Zoë")
    >>> hub = crash.reopen()
    >>> hub.tenant("contoso").execution(execution.id).result()
    """

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._lock = threading.Lock()
        self._reset()

    def _reset(self) -> None:
        self._step: tuple[str, When, int] | None = None
        self._left: _native.Store | None = None
        self._seen: list[str] = []
        self._ran: dict[str, int] = {}
        self._released = threading.Event()

    def at(self, step: str, when: When = "after", *, occurrence: int = 1) -> None:
        """Plans the end.

        Args:
            step: The name of a step or effect; of a child execution, the name of its workflow.
            when: ``"before"`` its function is called; ``"during"``, when it has returned and nothing of that is stored
                yet, which is when it is unknown whether a write was applied; ``"after"``, when its result is stored.
            occurrence: Which run of a step of this name, counted from 1 over all executions of this hub.
        """
        if when not in ("before", "during", "after"):
            raise ValueError("when is one of 'before', 'during', 'after'")
        self._step = (step, when, occurrence)
        _watch(self)

    def now(self) -> None:
        """Ends the hub at this moment, whatever it is doing."""
        _watch(self)
        self._die()

    @property
    def happened(self) -> bool:
        """Whether the hub was ended."""
        return self._left is not None

    def reopen(self, *, timeout: float = PATIENCE) -> Hub:
        """Waits for the end, then opens a hub on what was durable at that moment.

        It has the same workflows, simulators and clock.

        Handles of the hub before are of no use any more: ask the new one for its tenant and executions.

        Raises ``TimeoutError`` when the step was not reached within ``timeout`` seconds; it names those that were.
        """
        clock = self._stage.clock
        with nullcontext() if clock is None else clock.automatic():
            if not _eventually(lambda: self.happened, timeout):
                raise TimeoutError(f"the end planned at {self._step} did not come; steps that ran: {self._seen}")
        assert self._left is not None
        self._stage.reopen(self._left)
        self._reset()
        return self._stage.hub

    def _die(self) -> None:
        with self._lock:
            if self._left is None:
                self._left = self._stage.store.fork()

    def let_go(self) -> None:
        """Lets threads that stand in the middle of a step end; only when their hub is closed."""
        self._released.set()

    def is_of(self, lane: int) -> bool:
        """Whether a lane is one of the hub's."""
        core = self._stage.core
        return core is not None and lane in core.lanes()

    def follow(self, name: str, work: _steps.Work) -> _steps.Work:
        """Drives ``work`` as it is, and goes nowhere any more once the hub was ended."""
        if self.happened:
            yield self._stand_still()
        ran = _steps.is_child(work)
        failure: Exception | None = None
        value = None
        try:
            need = next(work)
            while True:
                calls = type(need) is _steps.UserCall and not need.is_probe
                if calls:
                    ran = True
                    self._count(name)
                    yield from self._pass(name, "before")
                answer = yield from _asked(need)
                if calls:
                    yield from self._pass(name, "during")
                need = answer(work)
        except StopIteration as done:
            value = done.value
        except Exception as error:
            failure = error
        if ran:
            yield from self._pass(name, "after")
        if failure is not None:
            raise failure
        return value

    def _count(self, name: str) -> None:
        with self._lock:
            self._seen.append(name)
            self._ran[name] = self._ran.get(name, 0) + 1

    def _pass(self, name: str, when: When) -> _steps.Work:
        planned = self._step
        if planned is not None and planned[:2] == (name, when) and self._ran.get(name, 1) == planned[2]:
            self._die()
        if self.happened:
            yield self._stand_still()

    def _stand_still(self) -> _steps.UserCall:
        return _steps.UserCall(self._hang, _FOREVER)

    def _hang(self) -> Any:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self._released.wait()
            raise Killed from None
        # Cancelled when the lane on this loop is closed.
        return loop.create_future()


def _asked(need: Any) -> Generator[Any, Any, Callable[[_steps.Work], Any]]:
    """Passes on what a protocol needs; returns how the protocol is told what came of it."""
    try:
        got = yield need
    except Exception as error:
        # Bound to another name, because the one of the clause is gone when it is called.
        raised = error
        return lambda work: work.throw(raised)
    return lambda work: work.send(got)


class Stage:
    """A hub in memory with simulated providers, for one test.

    >>> with Stage(workflows=[onboard], clock=Clock()) as stage:
    ...     execution = stage.tenant().run(onboard, first_name="Zoë")
    ...     assert stage.clock.run_until(execution).succeeded

    Args:
        workflows: The decorated functions it may run; all that are defined so far unless given.
        simulators: The providers; new ones made of ``seed`` unless given.
        clock: The clock of hub and simulators; the machine's unless given.
        seed: Makes simulators, identifiers and jitter repeat.
        options: Whatever else :meth:`bifrost.Hub.open` takes.
    """

    def __init__(
        self,
        workflows: Iterable[Callable[..., Any]] | None = None,
        *,
        simulators: Simulators | None = None,
        clock: Clock | None = None,
        seed: int = 7,
        **options: Any,
    ) -> None:
        #: The clock it was given.
        self.clock = clock
        #: The simulated providers.
        self.simulators = Simulators(seed=seed, clock=clock) if simulators is None else simulators
        #: What is durable. A crash goes on with a copy of it.
        self.store = _native.Store()
        #: Ends the hub, and opens it again.
        self.crash = Crash(self)
        self._workflows = None if workflows is None else list(workflows)
        self._seed = seed
        self._options = options
        self._hub: Hub | None = None

    @property
    def hub(self) -> Hub:
        """The hub that is open."""
        if self._hub is None:
            raise Closed("the stage is not open", operation="use hub", next_action="enter it with `with Stage(...)`")
        return self._hub

    @property
    def core(self) -> Core | None:
        """What is beneath the hub that is open."""
        return None if self._hub is None else self._hub.core

    def tenant(self, name: str = "contoso") -> Tenant:
        """A tenant, made when there is none of this name, with connections ``graph`` and ``halopsa`` to the simulated
        customer of its name."""
        tenant = self.hub.create_tenant(name, exist_ok=True)
        connect(tenant, self.simulators)
        return tenant

    def __enter__(self) -> Stage:
        self._open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._close()

    def _open(self) -> None:
        opening = Hub.open(
            workflows=self._workflows,
            simulators=self.simulators,
            clock=self.clock,
            store=self.store,
            # Identifiers are made of time and chance: in time that stands still, each hub needs a chance of its own.
            seed=self._seed,
            **self._options,
        )
        self._seed += 1_000_003
        self._hub = opening.__enter__()

    def _close(self) -> None:
        """Closes the hub at once; what a crash holds in the middle of a step is let go when it can reach nothing."""
        hub, self._hub = self._hub, None
        if hub is not None:
            hub.core.end(self.crash.let_go)
        _watching.discard(self.crash)
        _watch()

    def reopen(self, left: _native.Store) -> None:
        """Goes on with what a crash left."""
        self._close()
        self.store = left
        self._open()


def connect(tenant: Tenant, simulators: Simulators | None = None) -> None:
    """Gives a tenant connections ``graph`` and ``halopsa`` to the simulated customer of its name, if it has none.

    Without ``simulators``, to those the hub was opened with, whichever they are.
    """
    options = connection_options if simulators is None else simulators.connection_options
    known = {connection["id"] for connection in tenant.connections.list()}
    if "graph" not in known:
        tenant.connections.create("graph", **options(tenant.name))
    if "halopsa" not in known:
        tenant.connections.create("halopsa", **options(tenant.name, "halopsa"))


#: Whoever may end a hub in the middle of a step.
_watching: set[Crash] = set()


def _watch(crash: Crash | None = None) -> None:
    if crash is not None:
        _watching.add(crash)
    _steps.observer = _observe if _watching else None


def _observe(run: Run, name: str, work: _steps.Work) -> _steps.Work:
    for crash in _watching:
        if crash.is_of(run.lane):
            return crash.follow(name, work)
    return work


def _eventually(condition: Callable[[], bool], timeout: float) -> bool:
    until = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(_ROUND)
    return True
