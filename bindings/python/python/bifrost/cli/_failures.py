"""Errors as one line: what, and what next. Tracebacks are for ``--debug``."""

from __future__ import annotations

from typing import Any

from bifrost import BifrostError, InvalidInput, NeedsAttention, ReauthRequired, StoreError

from ._exit import Exit
from ._output import Output

#: Facts that are text of many lines.
_LONG = frozenset({"traceback"})


class Failure(Exception):
    """Something this command found itself."""

    def __init__(self, message: str, *, next_action: str | None = None, code: Exit = Exit.FAILED) -> None:
        super().__init__(message)
        self.message = message
        self.next_action = next_action
        self.code = code

    def __str__(self) -> str:
        return f"{self.message}; next: {self.next_action}" if self.next_action else self.message


class Usage(Failure):
    """The command line is wrong."""

    def __init__(self, message: str, *, next_action: str | None = None) -> None:
        super().__init__(message, next_action=next_action, code=Exit.USAGE)


def told(error: Exception, out: Output) -> Exit:
    """Says what went wrong; answers the exit code."""
    text = str(error) if isinstance(error, (BifrostError, Failure)) else _unexpected(error)
    out.note("bifrost: " + " ".join(text.split()))
    out.json({"error": report(error)})
    return exit_code(error)


def report(error: Exception) -> dict[str, Any]:
    """An error for programs."""
    if isinstance(error, BifrostError):
        context = {key: value for key, value in error.context.items() if key not in _LONG}
        found = {"code": error.code, "operation": error.operation, "message": error.message, "context": context}
        return {**found, "next_action": error.next_action}
    if isinstance(error, Failure):
        code = "invalid_input" if error.code == Exit.USAGE else "failed"
        return {"code": code, "message": error.message, "next_action": error.next_action}
    return {"code": "internal", "message": _unexpected(error), "next_action": None}


def exit_code(error: Exception) -> Exit:
    """What an error means to the shell."""
    if isinstance(error, Failure):
        return error.code
    if isinstance(error, StoreError):
        return Exit.STORE
    if isinstance(error, (NeedsAttention, ReauthRequired)):
        return Exit.ATTENTION
    return Exit.USAGE if isinstance(error, InvalidInput) else Exit.FAILED


def _unexpected(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
