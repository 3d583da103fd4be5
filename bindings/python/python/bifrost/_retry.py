"""How often a workflow is tried again, and how long anything may take: policies as values."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from ._suggest import did_you_mean

# The codes of `ErrorKind` in bifrost-core; a test compares the two.
KINDS = (
    "invalid_input", "not_found", "already_exists", "conflict", "permission_denied", "too_large", "quota_exceeded",
    "overloaded", "throttled", "timeout", "cancelled", "unavailable", "rejected", "unknown_outcome",
    "reauth_required", "needs_attention", "suspended", "closed", "store_full", "store_poisoned", "store_corrupt",
    "acknowledged_data_missing", "store_locked", "workflow_failed", "internal",
)  # fmt: skip
_MOST_ATTEMPTS = 2**32 - 1


@dataclass(frozen=True)
class Retry:
    """A retry policy of a workflow as a whole. Steps that have a result are not run again.

    Example::

        @workflow(retry=Retry(attempts=5, delay=1.0, only=("throttled", "unavailable")))

    Args:
        attempts: How often it is tried in total; 1 means never again.
        delay: Seconds after the first attempt; doubled each time, and shortened by up to half at random.
        max_delay: Seconds that no delay exceeds, unless a provider asked for more.
        only: Codes of the errors worth another attempt. Without it, whoever saw the error judges.

    Raises:
        TypeError: A value has the wrong type.
        ValueError: A number is out of range, or a code is unknown.
    """

    attempts: int = 3
    delay: float | timedelta = 2.0
    max_delay: float | timedelta = 60.0
    only: Iterable[str] | None = None

    def __post_init__(self) -> None:
        if isinstance(self.attempts, bool) or not isinstance(self.attempts, int):
            raise TypeError(f"Retry: attempts is a whole number, not {type(self.attempts).__name__}")
        if not 1 <= self.attempts <= _MOST_ATTEMPTS:
            raise ValueError("Retry: attempts counts the first one, so it is at least 1")
        # Stored as the plain seconds and the tuple that the hub reads.
        object.__setattr__(self, "delay", seconds("Retry: delay", self.delay, least=0.0))
        object.__setattr__(self, "max_delay", seconds("Retry: max_delay", self.max_delay, least=0.0))
        if self.only is not None:
            object.__setattr__(self, "only", _codes(self.only))

    @classmethod
    def of(cls, value: int | bool | Retry | None) -> Retry | None:
        """Read what a decorator was given; ``None`` leaves the policy to the hub, ``False`` means a single attempt."""
        if value is None or isinstance(value, Retry):
            return value
        if value is False:
            return cls(attempts=1)
        if value is True:
            raise TypeError("retry=True does not say how often: pass a number of attempts or Retry(...)")
        if not isinstance(value, int):
            raise TypeError(f"retry is a number of attempts, Retry(...) or False, not {type(value).__name__}")
        return cls(attempts=value)


def _codes(only: Iterable[str]) -> tuple[str, ...]:
    codes = (only,) if isinstance(only, str) else tuple(only)
    for code in codes:
        if not isinstance(code, str):
            raise TypeError(f"Retry: only lists error codes as str, not {type(code).__name__}")
        if code not in KINDS:
            raise ValueError(f"Retry: {code!r} is no error code{did_you_mean(code, KINDS)}")
    return codes


def seconds(name: str, value: float | timedelta, *, least: float | None = None) -> float:
    """Return a duration in seconds.

    Args:
        name: What it is, for the error.
        value: Seconds or a timedelta.
        least: The least that is allowed; without it the duration must be more than nothing.

    Raises:
        TypeError: It is neither a number nor a timedelta.
        ValueError: It is negative, nothing, or not finite.
    """
    if isinstance(value, timedelta):
        value = value.total_seconds()
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} is a number of seconds or a timedelta, not {type(value).__name__}")
    if not math.isfinite(value) or value < (least or 0.0) or (least is None and value == 0):
        raise ValueError(f"{name} is {'positive' if least is None else 'not negative'} and finite, not {value}")
    return float(value)
