"""Where workflow code runs: async functions as tasks of an event loop, plain ones on a bounded pool of threads.

A lane takes the runs that the hub posts, calls the user's function and says how it ended. A later lane (worker
processes) fits the same shape: ``start`` a run, ``cancel`` it by number, ``close``.
"""

from __future__ import annotations

import asyncio
import contextvars
import itertools
import sys
import threading
from typing import TYPE_CHECKING, Any

from ._calls import Inbox
from ._errors import Cancelled, Described, describe
from ._native import Mailbox, Run
from .context import AsyncContext, Context, current

if TYPE_CHECKING:
    from ._capture import Capture
    from ._definition import Definition

_numbers = itertools.count(1)

#: Seconds an event loop that ends may take over its last tasks.
_LOOP_ENDS_WITHIN = 1.0

#: Starting a task at once saves a round of the loop where Python can do it.
_EAGER: dict[str, Any] = {"eager_start": True} if sys.version_info >= (3, 12) else {}


class TaskLane:
    """Runs async workflows on one event loop."""

    def __init__(self, inbox: Inbox, definitions: dict[str, Definition], capture: Capture | None = None) -> None:
        self.number = next(_numbers)
        self.mailbox = inbox.mailbox
        self.inbox = inbox
        self._definitions = definitions
        self._capture = capture
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._unasked: set[Run] = set()
        inbox.lanes[self.number] = self

    @property
    def under_way(self) -> int:
        """How many runs it has under way."""
        return len(self._tasks)

    def start(self, run: Run) -> None:
        """Starts a run as a task of its own."""
        task: asyncio.Task[None] = asyncio.Task(self._execute(run), loop=self.inbox.loop, **_EAGER)
        if not task.done():
            self._tasks[run.number] = task

    def cancel(self, number: int, why: str) -> None:
        """Cancels a run's task, if it is one of this lane."""
        task = self._tasks.get(number)
        if task is not None:
            task.cancel(why)

    def close(self) -> None:
        """Takes no runs any more, and cancels those under way: the hub has put them back."""
        self.inbox.lanes.pop(self.number, None)
        if self.inbox.loop.is_closed():
            return
        for task in list(self._tasks.values()):
            task.cancel("the hub was closed")

    async def settle(self) -> None:
        """Waits until the cancelled tasks have ended."""
        if self._tasks:
            await asyncio.wait(list(self._tasks.values()), timeout=1.0)

    async def _execute(self, run: Run) -> None:
        definition = self._definitions[run.workflow]
        token = current.set(context := AsyncContext(run, self.inbox))
        listener = None if self._capture is None else self._capture.listen(run)
        try:
            try:
                output = await definition.function(context, **definition.bind(run.params()))
            finally:
                if listener is not None:
                    listener.end()
            run.finish(definition.returned(output))
        except asyncio.CancelledError:
            self._cancelled(run)
        except BaseException as error:
            run.fail(describe(error))
            if not isinstance(error, Exception):
                raise
        finally:
            current.reset(token)
            self._tasks.pop(run.number, None)

    def _cancelled(self, run: Run) -> None:
        if run.is_cancelled():
            run.fail(_given_up("the workflow was cancelled"))
        elif not run.is_abandoned():
            # Nobody has asked the hub for this: the loop is ending, as `asyncio.run` ends one with all its tasks, and
            # what it interrupts is no failure of the workflow. Kept unanswered, the run is put back when the hub ends.
            # Only if the loop goes on has somebody cancelled just this task.
            self._unasked.add(run)
            self.inbox.loop.call_later(_LOOP_ENDS_WITHIN, self._answer_unasked, run)

    def _answer_unasked(self, run: Run) -> None:
        self._unasked.discard(run)
        run.fail(_given_up("the workflow's task was cancelled"))


class ThreadLane:
    """Runs plain workflows on at most ``size`` threads, which are started when the first such workflow is known."""

    def __init__(self, definitions: dict[str, Definition], size: int, capture: Capture | None = None) -> None:
        self.number = next(_numbers)
        self.mailbox = Mailbox(False, float("inf"), size)
        self._definitions = definitions
        self._capture = capture
        self._threads: list[threading.Thread] = []
        self._size = size
        self._lock = threading.Lock()

    def identities(self) -> list[int]:
        """Its threads."""
        return [thread.ident for thread in self._threads if thread.ident is not None]

    def open(self) -> None:
        """Starts the threads, once."""
        with self._lock:
            if self._threads:
                return
            for index in range(self._size):
                thread = threading.Thread(target=self._work, name=f"bifrost-workflow-{index}", daemon=True)
                self._threads.append(thread)
                thread.start()

    def close(self) -> None:
        """Wakes the threads to end; one that hangs in a workflow is left to itself."""
        self.mailbox.close()
        for thread in self._threads:
            thread.join(timeout=0.2)

    def _work(self) -> None:
        while (run := self.mailbox.next()) is not None:
            contextvars.Context().run(self._execute, run)

    def _execute(self, run: Run) -> None:
        definition = self._definitions[run.workflow]
        current.set(context := Context(run))
        listener = None if self._capture is None else self._capture.listen(run)
        try:
            try:
                output = definition.function(context, **definition.bind(run.params()))
            finally:
                if listener is not None:
                    listener.end()
            run.finish(definition.returned(output))
        except BaseException as error:
            run.fail(describe(error))


class LoopThread:
    """An event loop on a thread of the hub's own, for programs that have none."""

    def __init__(self) -> None:
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="bifrost-loop", daemon=True)
        self._thread.start()
        self._ready.wait()

    def _run(self) -> None:
        self.loop = asyncio.SelectorEventLoop()
        asyncio.set_event_loop(self.loop)
        self.loop.call_soon(self._started)
        self.loop.run_forever()
        self.loop.close()

    def _started(self) -> None:
        self.inbox = Inbox.current()
        self._ready.set()

    @property
    def thread(self) -> int | None:
        """Which thread it is."""
        return self._thread.ident

    def close(self, lane: TaskLane | None) -> None:
        """Ends the lane and all tasks, then the loop; one that hangs in a workflow is left to itself."""
        self.loop.call_soon_threadsafe(lambda: self.loop.create_task(self._end(lane)))
        self._thread.join(timeout=2.0)

    async def _end(self, lane: TaskLane | None) -> None:
        if lane is not None:
            lane.close()
        # Those that workflows left behind, too: nobody else has a claim on this loop.
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        if left:
            _, left = await asyncio.wait(left, timeout=1.0)
        stubborn: set[Any] = left
        for task in stubborn:
            # It would not end when it was told to; that it is dropped now is no news.
            task._log_destroy_pending = False
        self.loop.stop()


def _given_up(why: str) -> Described:
    return describe(Cancelled(why))
