"""One open hub beneath both faces: its workflows, the lanes that run them and the native hub."""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from . import _bridge, _native
from ._calls import Inbox, block
from ._capture import Capture
from ._definition import Definition, definition_of, definitions
from ._errors import BifrostError, Closed, InvalidInput
from ._lanes import LoopThread, TaskLane, ThreadLane
from ._options_cache import OptionsCache
from ._suggest import did_you_mean

if TYPE_CHECKING:
    from .simulators import Simulators
    from .testing import Clock

#: Anything that names a workflow: its function, or its name.
WorkflowLike = str | Callable[..., Any]


@dataclass
class Options:
    """What a hub is opened with; see :meth:`bifrost.Hub.open`."""

    path: str | os.PathLike[str] | None = None
    workflows: Iterable[Callable[..., Any]] | None = None
    simulators: Simulators | None = None
    clock: Clock | None = None
    store: _native.Store | None = None
    workers: int = 16
    own_loop: bool = False
    capture: Capture | None = None
    native: dict[str, Any] = field(default_factory=dict)


class Core:
    """See the module."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.definitions: dict[str, Definition] = _chosen(options.workflows)
        now = time.monotonic if options.clock is None else options.clock.native.now
        self.options_cache = OptionsCache(self.definitions, now)
        self.threads = ThreadLane(self.definitions, options.workers, options.capture)
        self._lock = threading.Lock()
        self._tasks: TaskLane | None = None
        self._loop: LoopThread | None = None
        self._native: _native.Hub | None = None
        self._process = os.getpid()

    @property
    def native(self) -> _native.Hub:
        """The native hub; raises ``Closed`` before it is open and after it is closed."""
        if self._native is None:
            raise Closed("the hub is not open", operation="use hub", next_action="open it with `with Hub.open(...)`")
        return self._native

    @property
    def tasks(self) -> TaskLane | None:
        """The lane of async workflows, while the hub is open."""
        return self._tasks

    @property
    def own_loop_thread(self) -> int | None:
        """The thread of the hub's own event loop, if it has one."""
        return None if self._loop is None else self._loop.thread

    def lanes(self) -> set[int]:
        """The numbers of its lanes, by which a run tells whose it is."""
        return {self.threads.number} | (set() if self._tasks is None else {self._tasks.number})

    def open(self, inbox: Inbox | None) -> Any:
        """Starts opening: the lanes, then the native hub, which takes up what was left at once."""
        if inbox is None:
            self._loop = LoopThread()
            inbox = self._loop.inbox
        options = self.options
        self._tasks = TaskLane(inbox, self.definitions, options.capture)
        _bridge.attach(self)
        if options.capture is not None:
            options.capture.open()
        described = [self._described(definition) for definition in self.definitions.values()]
        path = None if options.path is None else os.fspath(options.path)
        return _native.Hub.open(
            {**options.native, "path": path},
            described,
            simulators=None if options.simulators is None else options.simulators.native,
            clock=None if options.clock is None else options.clock.native,
            store=options.store,
        )

    def opened(self, native: _native.Hub) -> None:
        """The native hub is there."""
        self._native = native
        _OPEN.add(self)

    def register(self, function: Callable[..., Any]) -> Definition:
        """Adds a workflow or data provider, in place of the one of its name."""
        definition = definition_of(function)
        with self._lock:
            if self.definitions.get(definition.name) is definition:
                return definition
            self.definitions[definition.name] = definition
            if self._native is not None:
                description, mailbox = self._described(definition)
                self._native.register(description, mailbox)
        return definition

    def named(self, workflow: WorkflowLike) -> str:
        """The name of a workflow; a function that is not known yet is registered."""
        if not isinstance(workflow, str):
            return self.register(workflow).name
        if workflow in self.definitions or self._native is None:
            return workflow
        known = definitions().get(workflow)
        return workflow if known is None else self.register(known.function).name

    def decoded(self, workflow: str, output: Any) -> Any:
        """An output as the workflow's return hint says."""
        definition = self.definitions.get(workflow)
        return output if definition is None else definition.decode_result(output)

    def health(self) -> dict[str, Any]:
        """How the hub is doing, and the lanes under it."""
        lanes = {"thread": self.threads.mailbox.health()}
        if self._tasks is not None:
            lanes["task"] = self._tasks.mailbox.health()
        shown = {
            name: {"queued": queued, "oldest_seconds": oldest, "stuck": stuck}
            for name, (queued, oldest, stuck) in lanes.items()
        }
        return {**self.native.snapshot(), "lanes": shown}

    def closing(self, timeout: float) -> Any:
        """Starts closing the native hub; ``None`` when that has been done, or is the parent process's to do."""
        if self._is_inherited():
            return None
        with self._lock:
            native, self._native = self._native, None
            _OPEN.discard(self)
        return None if native is None else native.close(timeout)

    def close_lanes(self) -> TaskLane | None:
        """Ends the lanes; returns the task lane if its loop is the caller's, who waits for its tasks to end."""
        if self._is_inherited():
            return None
        with self._lock:
            loop, self._loop = self._loop, None
            tasks, self._tasks = self._tasks, None
        self.threads.close()
        if loop is not None:
            loop.close(tasks)
        elif tasks is not None:
            tasks.close()
        if self.options.capture is not None:
            self.options.capture.close()
        _bridge.detach(self)
        return tasks if loop is None else None

    def _is_inherited(self) -> bool:
        """Whether this is the copy in a forked child: hub, threads and loop run in the parent, and go on there."""
        return self._process != os.getpid()

    def end(self, then: Callable[[], None] | None = None) -> None:
        """Ends the hub at once, from any thread: puts back what runs, and ends every thread that could touch the
        interpreter. ``then`` is called when the hub is out of reach."""
        with contextlib.suppress(BifrostError):
            block(self.closing(0.0))
        if then is not None:
            then()
        self.close_lanes()

    def _described(self, definition: Definition) -> tuple[dict[str, Any], _native.Mailbox]:
        lane: TaskLane | ThreadLane
        if definition.isolation == "thread":
            lane = self.threads
            self.threads.open()
        else:
            assert self._tasks is not None
            lane = self._tasks
        retry = definition.retry
        description = {
            "name": definition.name,
            "lane": lane.number,
            "description": definition.description,
            "schema": definition.schema,
            "run_seconds": definition.timeout,
            "queue_seconds": definition.queue_timeout,
            "step_seconds": definition.step_timeout,
            "retry": None if retry is None else asdict(retry),
        }
        return description, lane.mailbox


def _chosen(workflows: Iterable[Callable[..., Any]] | None) -> dict[str, Definition]:
    if workflows is None:
        return definitions()
    chosen = [definition_of(function) for function in workflows]
    return {definition.name: definition for definition in chosen}


def checked(known: frozenset[str], given: dict[str, Any], operation: str) -> dict[str, Any]:
    """Options by name; an unknown one is refused with a suggestion."""
    for name in given:
        if name not in known:
            hint = did_you_mean(name, sorted(known))
            raise InvalidInput(f"there is no option {name!r}{hint}", operation=operation, context={"path": f"/{name}"})
    return given


#: Hubs that are open: closed when the interpreter ends, so that no thread outlives it.
_OPEN: weakref.WeakSet[Core] = weakref.WeakSet()


def open_hubs() -> list[Core]:
    """All hubs of this process that are open."""
    return list(_OPEN)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_native.note_fork)


@atexit.register
def _close_all() -> None:
    for core in open_hubs():
        core.end()
