"""One choice of a form, and how what a data provider returns becomes a list of them."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ._encode import encode
from ._pointer import CodecError


@dataclass(frozen=True)
class Option:
    """What a person may choose.

    Args:
        value: What the workflow receives: text, a number or a boolean.
        label: What the person reads; the value as text unless given.
    """

    value: str | int | float | bool
    label: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return ``{"value": ..., "label": ...}``."""
        return {"value": self.value, "label": str(self.value) if self.label is None else self.label}


OptionLike = Option | str | int | float | bool | tuple[Any, str] | Mapping[str, Any]


def normalise(result: Iterable[OptionLike]) -> list[dict[str, Any]]:
    """Return options in the one form that forms read.

    >>> normalise(["E3", ("id-5", "Microsoft 365 E5")])
    [{'value': 'E3', 'label': 'E3'}, {'value': 'id-5', 'label': 'Microsoft 365 E5'}]

    Raises:
        CodecError: The result or one option has another form. Names the position, never the value.
    """
    if isinstance(result, (str, bytes, Mapping)) or not isinstance(result, Iterable):
        raise CodecError(f"a data provider returns a list of options, not {type(result).__qualname__}")
    options: list[dict[str, Any]] = []
    for index, item in enumerate(result):
        try:
            options.append(_normal(item))
        except CodecError as error:
            raise error.within(index) from error.__cause__
    return options


def _normal(item: Any) -> dict[str, Any]:
    option = _option(item)
    value = encode(option.value)
    if value is None or isinstance(value, (list, dict)):
        raise CodecError(f"is text, a number or a boolean, not {type(option.value).__qualname__}", "/value")
    if option.label is not None and not isinstance(option.label, str):
        raise CodecError(f"is text, not {type(option.label).__qualname__}", "/label")
    return Option(value, option.label).to_dict()


def _option(item: Any) -> Option:
    if isinstance(item, Option):
        return item
    if isinstance(item, enum.Enum):
        return Option(item.value, item.name)
    if isinstance(item, (str, int, float)):
        return Option(item)
    if isinstance(item, tuple) and len(item) == 2:
        return Option(*item)
    if isinstance(item, Mapping) and "value" in item and item.keys() <= {"value", "label"}:
        return Option(item["value"], item.get("label"))
    form = "Option(value, label), text, (value, label) or {'value': ..., 'label': ...}"
    raise CodecError(f"an option is {form}, not {type(item).__qualname__}")
