"""Whether a hub in virtual time has come to rest: nothing will happen in it until its clock moves.

Looked at from outside, so that no code of the hub has to keep account of it.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from . import _calls
from ._core import open_hubs
from ._errors import Closed

if TYPE_CHECKING:
    from ._core import Core
    from .testing import Clock

_WAIT = _calls.wait.__code__


def is_idle(clock: Clock) -> bool:
    """Whether all hubs on this clock rest."""
    return all(_rests(core) for core in open_hubs() if core.options.clock is clock)


def _rests(core: Core) -> bool:
    try:
        native = core.native
        # Each attempt that runs must be seen to wait for the hub; one that was just fetched is seen nowhere.
        if not native.is_resting() or core.threads.mailbox.health()[0]:
            return False
        waiting = _threads_that_wait(core)
        tasks = core.tasks
        if tasks is not None:
            if tasks.mailbox.health()[0] or not _loop_rests(core):
                return False
            waiting += min(tasks.under_way, tasks.inbox.waits)
        return int(native.snapshot()["executions_running"]) <= waiting
    except Closed:
        return True


def _threads_that_wait(core: Core) -> int:
    frames = sys._current_frames()
    return sum(frames[thread].f_code is _WAIT for thread in core.threads.identities() if thread in frames)


def _loop_rests(core: Core) -> bool:
    """Whether the hub's own loop waits for something to come; a caller's loop is taken at its word."""
    thread = core.own_loop_thread
    frame = None if thread is None else sys._current_frames().get(thread)
    return frame is None or frame.f_code.co_name == "select"
