"""What tests need: a clock that moves when told, and a store that outlives its hub."""

from __future__ import annotations

import datetime

from . import _native


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self, start: datetime.datetime | None = None) -> None:
        start = start or datetime.datetime(2026, 1, 5, 8, 0, tzinfo=datetime.timezone.utc)
        self.native = _native.Clock(start.timestamp())

    def advance(self, seconds: float) -> None:
        """Moves on, waking whoever's wait is over."""
        self.native.advance(seconds)
