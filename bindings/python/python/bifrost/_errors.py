"""The exceptions of the hub: one base, one class per kind, built-ins as further bases where Python has one.

For example::

    try:
        tenant.run("onboard_user", first_name=7)
    except bifrost.InvalidInput as error:      # also a ValueError
        print(error.code, error.tenant, error.next_action)
"""

from __future__ import annotations

import json
import os
import traceback
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from ._pointer import CodecError

__all__ = [
    "AcknowledgedDataMissing",
    "AlreadyExists",
    "BifrostError",
    "Cancelled",
    "Closed",
    "Conflict",
    "Internal",
    "InvalidInput",
    "NeedsAttention",
    "NotFound",
    "Overloaded",
    "PermissionDenied",
    "QuotaExceeded",
    "ReauthRequired",
    "Rejected",
    "StoreCorrupt",
    "StoreError",
    "StoreFull",
    "StoreLocked",
    "StorePoisoned",
    "Suspended",
    "Throttled",
    "TimedOut",
    "TooLarge",
    "Unavailable",
    "UnknownOutcome",
    "WorkflowFailed",
]

#: Facts that are kept with an error but would make its line unreadable.
_SILENT = frozenset({"traceback", "attention", "exception"})


#: By code: what a person can do where nothing is said about this very failure.
_ADVICE = {
    "invalid_input": "correct the value at the path",
    "throttled": "try again later; the hub keeps within what the provider allows, so look for who else calls it",
    "unavailable": "try again later; if it stays like this, look at the provider's service health",
    "timeout": "find out from its events what it waited for, or give it more time",
    "cancelled": "start it again if it is still wanted",
}


class BifrostError(Exception):
    """Whatever the hub, a provider or a workflow refused, in one line: what, for whom, and what to do next.

    Raise :meth:`terminal` or :meth:`retryable` in a workflow to say whether trying again can help.
    """

    #: The stable name of the kind, as it appears in logs and JSON.
    code: str = "internal"

    def __init__(
        self,
        message: str = "",
        *,
        operation: str = "run workflow",
        context: Mapping[str, str] | None = None,
        retry: float | None = None,
        next_action: str | None = None,
    ) -> None:
        super().__init__(message)
        #: What was found.
        self.message = message
        #: What was attempted.
        self.operation = operation
        #: Facts, such as ``path`` or ``connection``. Never a secret.
        self.context: dict[str, str] = dict(context or {})
        self._retry = retry
        #: What a person can do about it, where that is known.
        self.next_action = next_action or self._advice()

    def _advice(self) -> str | None:
        """What helps against its kind, where whoever raised it knows nothing better."""
        return _ADVICE.get(self.code)

    @property
    def tenant(self) -> str | None:
        """Whose call it was."""
        return self.context.get("tenant")

    @property
    def execution(self) -> str | None:
        """Which execution it was."""
        return self.context.get("execution")

    @property
    def request_id(self) -> str | None:
        """The provider's name for the request, for its support."""
        return self.context.get("request_id")

    @property
    def traceback(self) -> str | None:
        """Where the workflow's code failed, as text that ends in the workflow's own line."""
        return self.context.get("traceback")

    @property
    def is_retryable(self) -> bool:
        """Whether the same call may succeed later."""
        return self._retry is not None

    @property
    def retry_after(self) -> float | None:
        """The least number of seconds to wait, where somebody named one."""
        return self._retry or None

    @staticmethod
    def terminal(message: str, *, next_action: str | None = None) -> WorkflowFailed:
        """A failure that trying again does not cure.

        >>> raise BifrostError.terminal("the mailbox is too large")
        Traceback (most recent call last):
        bifrost._errors.WorkflowFailed: run workflow: the mailbox is too large (workflow_failed)
        """
        return WorkflowFailed(message, next_action=next_action)

    @staticmethod
    def retryable(message: str, *, after: float = 0.0, next_action: str | None = None) -> WorkflowFailed:
        """A failure that may pass: the workflow's retry policy decides. ``after`` is in seconds."""
        return WorkflowFailed(message, retry=max(after, 0.0), next_action=next_action)

    def __str__(self) -> str:
        facts = "".join(f"; {key}={value}" for key, value in self._facts() if key not in _SILENT)
        line = f"{self.operation}: {self.message} ({self.code}{facts})"
        return f"{line}; next: {self.next_action}" if self.next_action else line

    def _facts(self) -> Iterable[tuple[str, str]]:
        """What its line says in brackets."""
        return self.context.items()

    def __reduce__(self) -> tuple[Any, ...]:
        state = (self.message, self.operation, tuple(self.context.items()), self._retry, self.next_action)
        return _rebuild, (type(self), *state)


def _rebuild(
    cls: type[BifrostError],
    message: str,
    operation: str,
    context: Iterable[tuple[str, str]],
    retry: float | None,
    next_action: str | None,
) -> BifrostError:
    return cls(message, operation=operation, context=dict(context), retry=retry, next_action=next_action)


class InvalidInput(BifrostError, ValueError):
    """The input is wrong; nothing was started. ``context["path"]`` names the place."""

    code = "invalid_input"


class NotFound(BifrostError, LookupError):
    """No such thing, or not yours: both answer the same."""

    code = "not_found"


class AlreadyExists(BifrostError):
    """It exists already."""

    code = "already_exists"


class Conflict(BifrostError):
    """It changed since it was read."""

    code = "conflict"


class PermissionDenied(BifrostError, PermissionError):
    """The caller may not do this."""

    code = "permission_denied"


class TooLarge(BifrostError, ValueError):
    """A value is larger than its limit."""

    code = "too_large"


class QuotaExceeded(BifrostError):
    """A quota of the tenant is used up."""

    code = "quota_exceeded"


class Overloaded(BifrostError):
    """The hub, or the interpreter under it, has no room right now."""

    code = "overloaded"


class Throttled(BifrostError):
    """The provider asked to slow down."""

    code = "throttled"


class TimedOut(BifrostError, TimeoutError):
    """A deadline passed."""

    code = "timeout"


class Cancelled(BifrostError):
    """Somebody cancelled it."""

    code = "cancelled"


class Unavailable(BifrostError, ConnectionError):
    """The provider or the network is down; trying later can help."""

    code = "unavailable"


class Rejected(BifrostError):
    """The provider understood and refused."""

    code = "rejected"


class UnknownOutcome(BifrostError):
    """A write may or may not have been applied."""

    code = "unknown_outcome"


class ReauthRequired(BifrostError):
    """The connection needs a person: sign in, consent, renew a secret."""

    code = "reauth_required"


class NeedsAttention(BifrostError):
    """A person must decide before the execution goes on; :attr:`attention` says about what."""

    code = "needs_attention"

    @property
    def attention(self) -> str | None:
        """What is to be decided, as JSON."""
        return self.context.get("attention")

    def _facts(self) -> Iterable[tuple[str, str]]:
        """With what is to be decided, such as both shapes of a workflow whose code has changed."""
        about: dict[str, Any] = json.loads(self.attention or "{}")
        shown = {
            key: ", ".join(map(str, value)) if isinstance(value, list) else str(value) for key, value in about.items()
        }
        return [*self.context.items(), *shown.items()]


class Suspended(BifrostError):
    """The tenant is suspended or disabled."""

    code = "suspended"


class Closed(BifrostError):
    """The hub, tenant or store is closed."""

    code = "closed"


class StoreError(BifrostError, OSError):
    """The store refuses."""


class StoreFull(StoreError):
    """The disk is full; reads go on, writes resume when there is room."""

    code = "store_full"


class StorePoisoned(StoreError):
    """The store saw a write error and takes nothing more until it is opened again."""

    code = "store_poisoned"


class StoreCorrupt(StoreError):
    """Stored data does not read back as it was written."""

    code = "store_corrupt"


class AcknowledgedDataMissing(StoreError):
    """Data that was acknowledged is not there."""

    code = "acknowledged_data_missing"


class StoreLocked(StoreError):
    """Another process has the store open."""

    code = "store_locked"


class WorkflowFailed(BifrostError):
    """The workflow's own code ended with an error; :attr:`traceback` says where."""

    code = "workflow_failed"


class Internal(BifrostError):
    """A defect of the hub or of code it runs."""

    code = "internal"


_BY_CODE: dict[str, type[BifrostError]] = {
    cls.code: cls
    for cls in (
        *(InvalidInput, NotFound, AlreadyExists, Conflict, PermissionDenied, TooLarge, QuotaExceeded, Overloaded),
        *(Throttled, TimedOut, Cancelled, Unavailable, Rejected, UnknownOutcome, ReauthRequired, NeedsAttention),
        *(Suspended, Closed, StoreFull, StorePoisoned, StoreCorrupt, AcknowledgedDataMissing, StoreLocked),
        *(WorkflowFailed, Internal),
    )
}


def from_native(
    code: str,
    operation: str,
    message: str,
    context: list[tuple[str, str]],
    retry: float | None,
    next_action: str | None,
) -> BifrostError:
    """The exception for an error of the native module."""
    cls = _BY_CODE.get(code, BifrostError)
    return cls(message, operation=operation, context=dict(context), retry=retry, next_action=next_action)


class Described(NamedTuple):
    """An exception as the native module reads it."""

    code: str
    operation: str
    message: str
    context: list[tuple[str, str]]
    retry: float | None
    next_action: str | None


#: Built-in exceptions that usually pass.
_PASSING = (ConnectionError, TimeoutError)

#: Frames of this package end a traceback no user wants to read on from.
_OWN = os.path.dirname(os.path.abspath(__file__))


def describe(error: BaseException, operation: str = "run workflow") -> Described:
    """What an exception says, without local variables.

    Of the built-in exceptions, ``ConnectionError`` and ``TimeoutError`` may pass; any other is a defect of the code,
    which trying again does not cure.
    """
    if isinstance(error, BifrostError):
        context = list(error.context.items())
        if "traceback" not in error.context:
            context += located(error)
        return Described(error.code, error.operation, error.message, context, error._retry, error.next_action)
    if isinstance(error, CodecError):
        context = [("path", error.path or "/"), *located(error)]
        return Described("invalid_input", operation, str(error), context, None, None)
    name = type(error).__qualname__
    message = f"{name}: {error}" if str(error) else name
    module = type(error).__module__
    context = [("exception", name if module == "builtins" else f"{module}.{name}"), *located(error)]
    return Described("workflow_failed", operation, message, context, 0.0 if isinstance(error, _PASSING) else None, None)


def in_doubt(error: BaseException) -> Described:
    """What an exception out of an effect says: unless it is one of ours, which know, the write may have arrived."""
    described = describe(error, "run effect")
    if isinstance(error, BifrostError):
        return described
    return described._replace(code="unknown_outcome", retry=None)


def located(error: BaseException) -> list[tuple[str, str]]:
    """Where the user's code failed: the last line of it, and the way there."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith(_OWN)]
    if not frames:
        return []
    last = frames[-1]
    text = "".join(traceback.format_list(frames[-20:]))
    return [("at", f"{os.path.basename(last.filename)}:{last.lineno} in {last.name}"), ("traceback", text)]
