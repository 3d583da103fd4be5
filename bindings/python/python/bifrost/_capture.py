"""What workflows say through `logging` and `print`, noted with the execution that says it.

While a hub that wants this is open, `Logger.callHandlers` and ``sys.stdout`` have a hook. Both pass on all they get, as
before; where the context variable says that a workflow of such a hub runs here, its execution hears it, too. For log
records the hook is at the one place that every logger comes by, propagating or not, behind its own filters and levels.
"""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from collections.abc import Iterable
from contextvars import ContextVar
from typing import Any

from ._native import Run

#: What can be captured.
KINDS = ("logging", "print")

#: The most characters of one line; the rest of it begins another.
_LONGEST = 8_000


class Capture:
    """What one hub captures."""

    def __init__(self, kinds: Iterable[str], level: int) -> None:
        self.kinds = frozenset((kinds,) if isinstance(kinds, str) else kinds)
        self.level = level
        unknown = sorted(self.kinds - set(KINDS))
        if unknown:
            raise ValueError(f"capture is any of {', '.join(map(repr, KINDS))}, not {unknown[0]!r}")

    @classmethod
    def of(cls, kinds: Iterable[str], level: int) -> Capture | None:
        """``None`` where nothing is to be captured."""
        capture = cls(kinds, level)
        return capture if capture.kinds else None

    def open(self) -> None:
        """Sets the hooks, if nobody has before."""
        for kind in sorted(self.kinds):
            _hooks[kind].add(self)

    def close(self) -> None:
        """Takes the hooks away again, if nobody else needs them."""
        for kind in sorted(self.kinds):
            _hooks[kind].discard(self)

    def listen(self, run: Run) -> Listener:
        """Hears what is said from here on, in this context and those copied from it, for ``run``."""
        listener = Listener(self, run)
        _current.set(listener)
        return listener


class Listener:
    """Hears what one execution says."""

    def __init__(self, capture: Capture, run: Run) -> None:
        self.kinds = capture.kinds
        self.level = capture.level
        self._run = run
        self._begun = ""
        self._lock = threading.RLock()

    def note(self, level: str, message: str, fields: dict[str, str]) -> None:
        """Notes something with the execution, unless that has ended: a task it left behind may still talk."""
        if self._run.is_abandoned():
            return
        try:
            self._run.log(level, message, fields)
        except UnicodeEncodeError:
            # Half a surrogate pair: whoever prints must not fail for being heard.
            self._run.log(level, _whole(message), {name: _whole(text) for name, text in fields.items()})

    def record(self, record: logging.LogRecord) -> None:
        """Notes a log record."""
        if record.levelno < self.level or f"{record.name}.".startswith("bifrost."):
            return
        try:
            message = record.getMessage()
        except Exception:
            # Arguments that do not fit: `logging` has told whoever wants to know.
            message = str(record.msg)
        fields = {"logger": record.name}
        if record.exc_info and record.exc_info[1] is not None:
            fields["exception"] = traceback.format_exception_only(record.exc_info[1])[-1].strip()[:_LONGEST]
        level = next((name for number, name in _LEVELS if record.levelno >= number), "debug")
        self.note(level, message[:_LONGEST], fields)

    def print(self, text: str) -> None:
        """Notes each line that ends here; what has begun waits for its end."""
        with self._lock:
            *ended, begun = (self._begun + text).split("\n")
            while len(begun) > _LONGEST:
                ended.append(begun[:_LONGEST])
                begun = begun[_LONGEST:]
            self._begun = begun
        for line in ended:
            self.note("info", line, {"stream": "stdout"})

    def end(self) -> None:
        """Notes what was printed without an end of line."""
        with self._lock:
            left, self._begun = self._begun, ""
        if left:
            self.note("info", left, {"stream": "stdout"})


def _whole(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")


#: Who hears what is said here.
_current: ContextVar[Listener] = ContextVar("bifrost.listener")

_LEVELS = ((logging.ERROR, "error"), (logging.WARNING, "warn"), (logging.INFO, "info"))


def _listener(kind: str) -> Listener | None:
    listener = _current.get(None)
    return listener if listener is not None and kind in listener.kinds else None


class _Hook:
    """Something that is replaced while anybody needs it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users: set[Capture] = set()

    def add(self, user: Capture) -> None:
        with self._lock:
            if not self._users:
                self._set()
            self._users.add(user)

    def discard(self, user: Capture) -> None:
        with self._lock:
            if user in self._users:
                self._users.discard(user)
                if not self._users:
                    self._unset()

    def _set(self) -> None:
        raise NotImplementedError

    def _unset(self) -> None:
        raise NotImplementedError


class _LoggingHook(_Hook):
    _original: Any = None
    _replaced: Any = None
    _owner: Any = logging.Logger

    def _set(self) -> None:
        original = self._original = self._owner.callHandlers

        def call_handlers(logger: logging.Logger, record: logging.LogRecord) -> None:
            original(logger, record)
            listener = _listener("logging")
            if listener is not None:
                listener.record(record)

        self._owner.callHandlers = self._replaced = call_handlers

    def _unset(self) -> None:
        # Whoever has put something on top since then keeps ours beneath, which notes nothing any more.
        if self._owner.callHandlers is self._replaced:
            self._owner.callHandlers = self._original


class _PrintHook(_Hook):
    _proxy: Stdout | None = None
    _system: Any = sys

    def _set(self) -> None:
        # None where a program has no console.
        if self._system.stdout is not None:
            self._system.stdout = self._proxy = Stdout(self._system.stdout)

    def _unset(self) -> None:
        if self._system.stdout is self._proxy and self._proxy is not None:
            self._system.stdout = self._proxy.real
        self._proxy = None


_hooks: dict[str, _Hook] = {"logging": _LoggingHook(), "print": _PrintHook()}


class Stdout:
    """Passes everything on to the real one; what a workflow prints is noted with its execution, too."""

    def __init__(self, real: Any) -> None:
        self.real = real

    def write(self, text: str) -> int:
        """Writes, and notes."""
        written: int = self.real.write(text)
        listener = _listener("print")
        if listener is not None:
            listener.print(text)
        return written

    def writelines(self, lines: Iterable[str]) -> None:
        """Writes, and notes."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def __iter__(self) -> Any:
        return iter(self.real)
