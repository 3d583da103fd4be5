"""The value that says "leave it as it is"."""

from __future__ import annotations

import enum
from typing import Final


class Unset(enum.Enum):
    """The type of :data:`UNSET`."""

    UNSET = "unset"

    def __repr__(self) -> str:
        return "UNSET"


#: What an update does not touch. ``None`` empties a property instead.
UNSET: Final = Unset.UNSET
