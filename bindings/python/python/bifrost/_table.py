"""Lists that notebooks show as tables."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from enum import Enum
from typing import Any, SupportsIndex, overload

from . import _html

#: The most columns that are shown without being asked for.
_MOST_COLUMNS = 8

#: What is never shown unless asked for by name, whatever is in it.
_PRIVATE = re.compile(r"secret|password|passwd|token|credential|api_?key|extra", re.IGNORECASE)

EXECUTIONS = ("id", "workflow", "state", "attempt", "accepted_at", "finished_at")
CONNECTIONS = ("id", "provider", "entity", "application", "enabled", "changed_at")
TENANTS = ("id", "title", "kind", "status", "created_at")


class Table(list[dict[str, Any]]):
    """A list of dictionaries that a notebook shows as a table of some of its columns.

    It is a list in every other way, also to `json`. Only named columns are shown, every value escaped.

    >>> Table.of(tenant.graph.users.list(), columns=("display_name", "user_principal_name"))
    """

    def __init__(self, rows: Iterable[dict[str, Any]] = (), columns: Sequence[str] = (), caption: str = "") -> None:
        super().__init__(rows)
        #: The columns that are shown.
        self.columns = tuple(columns)
        #: What stands above it.
        self.caption = caption

    @classmethod
    def of(cls, items: Iterable[Any], columns: Sequence[str] | None = None, caption: str = "") -> Table:
        """A table of dataclasses, such as users or tickets, or of dictionaries.

        Without ``columns`` the first eight with plain values are shown, and none whose name sounds like a secret.
        """
        rows = [_row(item) for item in items]
        return cls(rows, _presentable(rows) if columns is None else columns, caption)

    @overload
    def __getitem__(self, index: SupportsIndex, /) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, index: slice, /) -> Table: ...
    def __getitem__(self, index: Any, /) -> Any:
        found = super().__getitem__(index)
        return Table(found, self.columns, self.caption) if isinstance(index, slice) else found

    def _repr_html_(self) -> str:
        return _html.records((_flat(row) for row in self), self.columns, self.caption)


def _row(item: Any) -> dict[str, Any]:
    if isinstance(item, Mapping):
        return dict(item)
    if dataclasses.is_dataclass(item):
        return {field.name: getattr(item, field.name) for field in dataclasses.fields(item)}
    raise TypeError(f"a row is a dataclass or a dictionary, not {type(item).__name__}")


def _presentable(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    found = {
        name: None
        for row in rows
        for name, value in row.items()
        if isinstance(value, (str, int, float, date, Enum)) and not _PRIVATE.search(name)
    }
    return list(found)[:_MOST_COLUMNS]


def _flat(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """A connection keeps what it is set to in a dictionary of its own."""
    settings = row.get("settings")
    return {**settings, **row} if isinstance(settings, Mapping) else row
