"""How one shape is decoded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Decoder = Callable[[Any], Any]
Fits = Callable[[Any], bool]


@dataclass
class Plan:
    """How one shape is decoded: whether a value looks like it, and how it is built (``None``: as it is)."""

    fits: Fits
    decode: Decoder | None = None


def found(value: object) -> str:
    """Return what a value is in the words of JSON, without the value."""
    names: dict[type, str] = {dict: "an object", list: "a list", str: "text", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number" if isinstance(value, (int, float)) else type(value).__qualname__)
