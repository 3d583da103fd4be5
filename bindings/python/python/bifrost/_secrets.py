"""Secrets among the arguments of a call: only their names go along, their text is filled in where it is sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

#: Pairs of a JSON pointer and the name of the secret that belongs there.
Places = list[tuple[str, str]]


@runtime_checkable
class SecretHandle(Protocol):
    """What ``ctx.secret("name")`` gives."""

    name: str

    def reveal(self) -> str:
        """The text itself, where the hub's policy allows that."""
        ...


def extract(value: Any, path: str, places: Places) -> Any:
    """``value`` with nothing where secrets stood; their places are added to ``places``."""
    if value is None or isinstance(value, (str, int, float)):
        return value
    if isinstance(value, dict):
        fields: Mapping[Any, Any] = value
        return {key: extract(item, f"{path}/{_escaped(key)}", places) for key, item in fields.items()}
    if isinstance(value, (list, tuple)):
        items: Sequence[Any] = value
        return [extract(item, f"{path}/{index}", places) for index, item in enumerate(items)]
    if isinstance(value, SecretHandle):
        places.append((path, value.name))
        return None
    return value


def _escaped(key: Any) -> str:
    return str(key).replace("~", "~0").replace("/", "~1")
