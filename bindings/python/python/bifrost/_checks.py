"""Judging what a decorator was given: each check returns the value to keep or says what to write instead."""

from __future__ import annotations

import re
from typing import Any, Literal

from ._docs import first_paragraph
from ._suggest import did_you_mean

Kind = Literal["workflow", "data_provider"]
Isolation = Literal["task", "thread"]

# As long as the hub lets a name be (`WorkflowName` in bifrost-core); a test compares the two.
MAX_NAME = 64


def checked_name(kind: Kind, function: Any, given: Any) -> str:
    """Return the name to keep.

    Raises:
        TypeError: It is no str.
        ValueError: It is too long, or holds a character outside ``[a-z0-9_]``.
    """
    name = function.__name__ if given is None else given
    if not isinstance(name, str):
        raise TypeError(f"@{kind}: name is a str, not {type(name).__name__}")
    if len(name) > MAX_NAME:
        raise ValueError(f"@{kind}: the name {name[:MAX_NAME]!r}… is longer than {MAX_NAME} characters")
    if not re.fullmatch(r"[a-z0-9_]+", name):
        proposal = re.sub(r"[^a-z0-9_]+", "_", name.lower()).strip("_") or "name"
        raise ValueError(f"@{kind}: the name {name!r} is not made of a-z, 0-9 and _; use name={proposal!r}")
    return name


def description(what: str, function: Any, given: Any) -> str:
    """Return the description to keep.

    Raises:
        TypeError: It is no str.
    """
    if given is not None and not isinstance(given, str):
        raise TypeError(f"{what}: description is a str, not {type(given).__name__}")
    return first_paragraph(function.__doc__) if given is None else given


def isolation(what: str, is_async: bool, given: Any) -> Isolation:
    """Return where the function runs.

    Raises:
        ValueError: The function is of the other kind, or there is no such place.
    """
    natural: Isolation = "task" if is_async else "thread"
    if given is None or given == natural:
        return natural
    if given == "process":
        raise ValueError(f"{what}: isolation='process' comes with a later version; leave it out")
    if given in ("task", "thread"):
        kind, other = ("async def", "def") if is_async else ("def", "async def")
        raise ValueError(f"{what}: isolation={given!r} is for {other!r}, but this is {kind!r}")
    raise ValueError(f"{what}: isolation={given!r} is unknown{did_you_mean(str(given), ('task', 'thread'))}")
