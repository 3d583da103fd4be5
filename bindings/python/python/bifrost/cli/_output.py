"""What is written where: results to standard output, everything else to standard error.

With ``--json`` standard output holds nothing but JSON, one value per line. Colours are for terminals only.
"""

from __future__ import annotations

import json
import os
import sys
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TextIO

_COLOURS = {
    "succeeded": "32",
    "ok": "32",
    "active": "32",
    "ready": "32",
    "completed_with_errors": "33",
    "needs_attention": "33",
    "note": "33",
    "failed": "31",
    "wrong": "31",
    "timed_out": "31",
}


class Output:
    """Where a command writes."""

    def __init__(self, *, as_json: bool) -> None:
        #: Whether programs read standard output.
        self.as_json = as_json
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):
                # A terminal that cannot show a name must not end a run.
                stream.reconfigure(errors="backslashreplace")

    def json(self, value: Any) -> None:
        """A line of JSON, with ``--json`` only."""
        if self.as_json:
            self.document(value)

    def document(self, value: Any, *, indent: int | None = None) -> None:
        """JSON, whatever was asked for."""
        sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=indent, default=str) + "\n")
        # Lines are read while they are written: a run may take hours.
        sys.stdout.flush()

    def text(self, line: str = "") -> None:
        """A line of a result, for people."""
        if not self.as_json:
            sys.stdout.write(line + "\n")

    def note(self, line: str) -> None:
        """A line beside the result."""
        sys.stdout.flush()
        sys.stderr.write(line + "\n")
        sys.stderr.flush()

    def rows(self, records: Iterable[Mapping[str, Any]], columns: Sequence[str], empty: str) -> None:
        """Records: a table of some columns for people, everything for programs."""
        found = list(records)
        for record in found:
            self.json(record)
        if not found:
            self.note(empty)
        elif not self.as_json:
            self.table(columns, [[record.get(column) for column in columns] for record in found])

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """A table for people."""
        cells = [["-" if value in (None, "") else str(value) for value in row] for row in rows]
        widths = [max(map(width, column)) for column in zip(columns, *cells, strict=True)]
        for number, row in enumerate([list(columns), *cells]):
            padded = [text + " " * (size - width(text)) for text, size in zip(row, widths, strict=True)]
            self.text("  ".join(self.coloured(cell) if number else cell for cell in padded).rstrip())

    def coloured(self, text: str) -> str:
        """A word in the colour of what it says, on a terminal."""
        colour = _COLOURS.get(text.strip())
        return f"\x1b[{colour}m{text}\x1b[0m" if colour and is_terminal(sys.stdout) else text

    def flush(self) -> None:
        """Writes what is left."""
        sys.stdout.flush()

    def abandon(self) -> None:
        """Nobody reads any more: the interpreter's last flush must not complain."""
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def is_terminal(stream: TextIO) -> bool:
    """Whether a stream may be coloured and redrawn."""
    return stream.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"


def width(text: str) -> int:
    """The columns a text takes on a terminal: marks take none, CJK characters two."""
    return sum(_columns(letter) for letter in text)


def _columns(letter: str) -> int:
    if unicodedata.category(letter) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1
