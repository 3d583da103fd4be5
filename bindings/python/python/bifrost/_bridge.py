"""Brings the hub's log records to `logging`: one thread for all open hubs, there from the first to the last."""

from __future__ import annotations

import logging
import os
import threading
import traceback
from typing import Any

from . import _native

#: The most records that wait for the thread.
CAPACITY = 10_000

#: Seconds after which the thread looks for changed levels although nothing was said.
_LOOK = 2.0

#: Seconds that whoever closes the last hub waits for handlers to take what is left.
_PATIENCE = 1.0

#: Attributes that every record has.
_ALWAYS = ("tenant", "workflow", "execution", "connection")


class _Thread:
    """The queue and who empties it."""

    def __init__(self) -> None:
        self.process = os.getpid()
        self.hubs: set[int] = set()
        self.logs = _native.Logs.open(CAPACITY)
        self.logs.set_level(_wanted())
        self._thread = threading.Thread(target=self._run, name="bifrost-logs", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends the thread once it has handed out what is left, if the handlers let it."""
        self.logs.close()
        if self._thread is not threading.current_thread():
            self._thread.join(_PATIENCE)

    def _run(self) -> None:
        while (fetched := self.logs.fetch(_LOOK)) is not None:
            records, dropped = fetched
            for record in records:
                _hand_out(*record)
            if dropped:
                _tell_loss(dropped)
            self.logs.set_level(_wanted())


# Who configures no logging shall not find the hub's warnings on standard error.
logging.getLogger("bifrost").addHandler(logging.NullHandler())

_lock = threading.Lock()
_thread: _Thread | None = None


def attach(hub: object) -> None:
    """A hub opens."""
    global _thread
    with _lock:
        if _thread is None or _thread.process != os.getpid():
            _thread = _Thread()
        _thread.hubs.add(id(hub))


def detach(hub: object) -> None:
    """A hub has ended; with the last one goes the thread."""
    global _thread
    with _lock:
        ended = _thread
        if ended is None or ended.process != os.getpid():
            return
        ended.hubs.discard(id(hub))
        if ended.hubs:
            return
        _thread = None
    ended.close()


def refresh_levels() -> None:
    """Looks for changed levels now."""
    with _lock:
        if _thread is not None and _thread.process == os.getpid():
            _thread.logs.set_level(_wanted())


def _wanted() -> int:
    """The lowest level that a logger of ours lets through."""
    ours = logging.getLogger("bifrost")
    below = logging.Logger.manager.loggerDict.copy()
    levels = [ours.getEffectiveLevel()]
    levels += [
        logger.level
        for name, logger in below.items()
        if name.startswith("bifrost.") and isinstance(logger, logging.Logger) and logger.level
    ]
    return max(min(levels), logging.Logger.manager.disable + 1)


def _hand_out(
    level: int, name: str, message: str, facts: dict[str, Any], at: float, place: tuple[str | None, int | None]
) -> None:
    logger = logging.getLogger(name)
    if not logger.isEnabledFor(level):
        return
    text = " ".join([message, *(f"{fact}={value}" for fact, value in facts.items())])
    record = logger.makeRecord(name, level, place[0] or name, place[1] or 0, text, (), None)
    record.relativeCreated += (at - record.created) * 1000
    record.created = at
    record.msecs = at % 1 * 1000
    for attribute in _ALWAYS:
        setattr(record, attribute, facts.pop(attribute, ""))
    record.facts = facts
    _handle(logger, record)


def _tell_loss(dropped: int) -> None:
    logger = logging.getLogger("bifrost.logs")
    if not logger.isEnabledFor(logging.WARNING):
        return
    text = f"{dropped} log records were dropped: the handlers of `logging` do not keep up"
    record = logger.makeRecord("bifrost.logs", logging.WARNING, __file__, 0, text, (), None)
    for attribute in _ALWAYS:
        setattr(record, attribute, "")
    record.facts = {"dropped": dropped}
    _handle(logger, record)


def _handle(logger: logging.Logger, record: logging.LogRecord) -> None:
    try:
        logger.handle(record)
    except Exception:
        # A handler or filter that raises must not end the thread; `logging` knows whether anybody wants to see it.
        if logging.raiseExceptions:
            traceback.print_exc()
