"""Waiting for the native module: blocking, or through the running event loop's inbox.

A native call hands over its value where no wait was needed, else a ``Pending``. Nothing else in the package waits.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
from typing import TYPE_CHECKING, Any, TypeVar

from ._native import Mailbox, Pending

if TYPE_CHECKING:
    from ._lanes import TaskLane
    from ._native import Started

T = TypeVar("T")

#: Seconds after which an event loop that fetched nothing counts as blocked.
PATIENCE = 5.0


def wait(started: Started[T], timeout: float | None = None) -> T:
    """What a call comes to, blocking without the GIL; Ctrl-C ends the wait.

    Raises ``TimeoutError`` after ``timeout`` seconds; the call goes on.
    """
    if type(started) is not Pending:
        return started
    _refuse_in_loop()
    got = started.wait(timeout)
    if got is None:
        raise TimeoutError(f"no answer within {timeout} s")
    return got[0]


def block(started: Started[T]) -> T:
    """The same for what the local store answers at once, also inside an event loop."""
    if type(started) is not Pending:
        return started
    got = started.wait()
    assert got is not None
    return got[0]


def _refuse_in_loop() -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise RuntimeError("this call would block the running event loop; use `async with Hub.open(...)` and await it")


async def finish(started: Started[T]) -> T:
    """What a call comes to, on the running event loop."""
    if type(started) is not Pending:
        return started
    return await Inbox.current().answer(started)


class Inbox:
    """The mailbox of one event loop: answers, and runs for the lanes that live on it."""

    _of_thread = threading.local()

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.mailbox = Mailbox(True, PATIENCE)
        self.lanes: dict[int, TaskLane] = {}
        self._waiting: dict[int, tuple[asyncio.Future[Any], Pending[Any]]] = {}
        self._tokens = itertools.count(1)
        self._watch()

    @classmethod
    def current(cls) -> Inbox:
        """The inbox of the running event loop."""
        loop = asyncio.get_running_loop()
        inbox: Inbox | None = getattr(cls._of_thread, "inbox", None)
        if inbox is None or inbox.loop is not loop:
            inbox = cls._of_thread.inbox = cls(loop)
        return inbox

    @property
    def waits(self) -> int:
        """How many calls of the hub are awaited on this loop."""
        return len(self._waiting)

    async def answer(self, pending: Pending[T]) -> T:
        """What ``pending`` comes to; cancelling the wait gives the call up."""
        token = next(self._tokens)
        future: asyncio.Future[T] = self.loop.create_future()
        self._waiting[token] = (future, pending)
        if not pending.post(self.mailbox, token):
            del self._waiting[token]
            return pending.take()
        try:
            return await future
        except asyncio.CancelledError:
            self._waiting.pop(token, None)
            pending.cancel()
            raise

    def deliver(self) -> None:
        """Hands out everything that came, and comes back for more until there is none: under load nobody has to wake
        the loop."""
        drained = self.mailbox.drain()
        if drained is None:
            return
        self.loop.call_soon(self.deliver)
        starts, cancels, answers = drained
        for token in answers:
            waiting = self._waiting.pop(token, None)
            if waiting is None:
                continue
            future, pending = waiting
            if future.done():
                continue
            try:
                future.set_result(pending.take())
            except Exception as error:
                future.set_exception(error)
        for run in starts:
            lane = self.lanes.get(run.lane)
            if lane is not None:
                lane.start(run)
        for number, why in cancels:
            for lane in self.lanes.values():
                lane.cancel(number, why)

    def _watch(self) -> None:
        try:
            self.loop.add_reader(self.mailbox.fileno(), self.deliver)
        except NotImplementedError:
            # The Windows proactor loop watches no sockets by itself: a thread does it for it.
            threading.Thread(target=self._relay, name="bifrost-inbox", daemon=True).start()

    def _relay(self) -> None:
        import select

        bell = self.mailbox.fileno()
        delivered = threading.Event()
        while not self.loop.is_closed():
            if not select.select([bell], [], [], 1.0)[0]:
                continue
            delivered.clear()

            def deliver() -> None:
                self.deliver()
                delivered.set()

            try:
                self.loop.call_soon_threadsafe(deliver)
            except RuntimeError:
                return
            delivered.wait(1.0)
