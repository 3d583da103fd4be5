"""What a docstring says of its function and of each parameter. Only the plain, common forms are read."""

from __future__ import annotations

import inspect
import re

_SECTION = re.compile(r"^(Args|Arguments|Parameters|Attributes):$")
_ENTRY = re.compile(r"^\*{0,2}(\w+)(?: \([^)]*\))?: +(\S.*)$")
_FIELD = re.compile(r"^:param (?:[^:]*\s)?(\w+): +(\S.*)$")


def first_paragraph(doc: str | None) -> str:
    """Return the first paragraph of a docstring on one line; empty without a docstring."""
    if not doc:
        return ""
    return " ".join(inspect.cleandoc(doc).split("\n\n", 1)[0].split())


def arguments(doc: str | None) -> dict[str, str]:
    """Return what a docstring says of each parameter.

    Google style (``Args:`` and ``Attributes:``) and ``:param name: text`` are read; anything else is left alone.

    >>> arguments('''Onboard.
    ...
    ... Args:
    ...     name: Display name,
    ...         as HR wrote it.
    ... ''')
    {'name': 'Display name, as HR wrote it.'}
    """
    found: dict[str, str] = {}
    section_indent: int | None = None
    entry_indent = 0
    current: str | None = None
    for line in inspect.cleandoc(doc or "").splitlines():
        text = line.strip()
        indent = len(line) - len(line.lstrip())
        if _SECTION.match(text):
            section_indent, current = indent, None
        elif field := _FIELD.match(text):
            found[field[1]] = field[2]
            section_indent, current = None, None
        elif section_indent is None or not text:
            current = None
        elif indent <= section_indent:
            section_indent, current = None, None
        elif current is not None and indent > entry_indent:
            found[current] += f" {text}"
        elif entry := _ENTRY.match(text):
            current, entry_indent = str(entry[1]), indent
            found[current] = entry[2]
        else:
            current = None
    return found
