"""Definitions by name, in the order they were made: what a file offers, and nothing of any hub."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._definition import Definition

_BY_NAME: dict[str, Definition] = {}
_LOCK = threading.Lock()


def definitions() -> dict[str, Definition]:
    """Return all definitions made so far, by name. A snapshot: later ones do not appear in it."""
    with _LOCK:
        return dict(_BY_NAME)


def add(definition: Definition) -> None:
    """Note a definition; the same function made again replaces itself.

    Raises:
        ValueError: Another function has the name. Names both places.
    """
    with _LOCK:
        known = _BY_NAME.get(definition.name)
        if known is not None and not _replaces(definition, known):
            raise ValueError(
                f"the name {definition.name!r} is taken: {known.place} and {definition.place}; give one another name="
            )
        _BY_NAME[definition.name] = definition


def _replaces(new: Definition, known: Definition) -> bool:
    if new.qualname == known.qualname:
        if new.module == known.module:
            return True
        # A script that is imported under its own name while it runs.
        return new.filename == known.filename and "__main__" in (new.module, known.module)
    if "<locals>" in known.qualname:
        # Nobody can find a function's inner function by importing it, so it reserves no name.
        return True
    # A notebook cell, run again after its function was renamed: each run is a file of its own.
    return new.module == known.module == "__main__" and new.filename != known.filename
