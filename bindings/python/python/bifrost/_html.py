"""What notebooks show: small tables, every value escaped, never a secret."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

#: The most rows one table shows.
MOST_ROWS = 100

_COLOURS = {
    "succeeded": "#1a7f37",
    "completed_with_errors": "#9a6700",
    "needs_attention": "#9a6700",
    "failed": "#cf222e",
    "timed_out": "#cf222e",
    "cancelled": "#57606a",
}


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], caption: str = "") -> str:
    """A table; rows past the hundredth are counted."""
    shown = list(rows)
    head = "".join(f"<th>{html.escape(column)}</th>" for column in columns)
    body = "".join(_row(row) for row in shown[:MOST_ROWS])
    left = len(shown) - MOST_ROWS
    more = f"<tr><td colspan={len(columns)}>… and {left} more</td></tr>" if left > 0 else ""
    title = f"<caption>{html.escape(caption)}</caption>" if caption else ""
    return f"<table>{title}<thead><tr>{head}</tr></thead><tbody>{body}{more}</tbody></table>"


def records(items: Iterable[Mapping[str, Any]], columns: Sequence[str], caption: str = "") -> str:
    """A table of dictionaries, of these columns."""
    return table(columns, ([item.get(column, "") for column in columns] for item in items), caption)


def execution(record: Mapping[str, Any]) -> str:
    """One execution: what it is, where it stands, what came of it."""
    outcome = record.get("outcome") or {}
    error = outcome.get("error") or {}
    rows: list[tuple[str, Any]] = [
        ("workflow", record["workflow"]),
        ("execution", record["id"]),
        ("state", record["state"]),
        ("attempt", record["attempt"]),
        ("accepted", record["accepted_at"]),
        ("finished", record.get("finished_at", "")),
        ("error", error.get("message", "")),
        ("next", error.get("next_action") or ""),
    ]
    return table(("", ""), [row for row in rows if row[1] != ""])


def handle(workflow: str, tenant: str, execution: str) -> str:
    """An execution of which only the handle is at hand: a notebook's display cannot wait."""
    return table(("workflow", "tenant", "execution"), [(workflow, tenant, execution)])


def _row(values: Sequence[Any]) -> str:
    return f"<tr>{''.join(_cell(value) for value in values)}</tr>"


def _cell(value: Any) -> str:
    text = html.escape("" if value is None else str(value))
    colour = _COLOURS.get(text)
    return f'<td style="color:{colour}">{text}</td>' if colour else f"<td>{text}</td>"
