"""Records as providers write them: dataclasses that know their names there and keep what they do not know."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import Any, ClassVar, NamedTuple, TypeVar

M = TypeVar("M", bound="Model")


class Model:
    """A record of a provider. Fields that were not sent are ``None``, or empty for lists."""

    __slots__ = ()

    #: The fields that say which record it is.
    _shown: ClassVar[tuple[str, ...]] = ("id",)

    @staticmethod
    def wire_name(name: str) -> str:
        """What the provider calls a field."""
        return name

    @classmethod
    def from_dict(cls: type[M], data: Mapping[str, Any]) -> M:
        """Reads a record as the provider writes it; what is not modelled goes to ``extra``."""
        rest = dict(data)
        fields: dict[str, Any] = {}
        for name, wire, read, _ in _plan(cls):
            value = rest.pop(wire, None)
            if value is not None:
                fields[name] = value if read is None else read(value)
        if rest:
            fields["extra"] = rest
        return cls(**fields)

    def to_dict(self) -> dict[str, Any]:
        """The record as the provider writes it, without what is not set."""
        written = dict(self._extra())
        for name, wire, _, write in _plan(type(self)):
            value = getattr(self, name)
            if value is not None and value != []:
                written[wire] = value if write is None else write(value)
        return written

    def _extra(self) -> dict[str, Any]:
        extra: dict[str, Any] = getattr(self, "extra", {})
        return extra

    def __repr__(self) -> str:
        shown = ((name, getattr(self, name)) for name in self._shown)
        told = ", ".join(f"{name}={value!r}" for name, value in shown if value is not None)
        return f"{type(self).__name__}({told})"


class _Field(NamedTuple):
    name: str
    wire: str
    read: Callable[[Any], Any] | None
    write: Callable[[Any], Any] | None


#: The plans of the models that were read or written so far.
_plans: dict[type[Model], tuple[_Field, ...]] = {}


def _plan(cls: Any) -> tuple[_Field, ...]:
    plan = _plans.get(cls)
    if plan is None:
        plan = _plans[cls] = _made_plan(cls)
    return plan


def _made_plan(cls: Any) -> tuple[_Field, ...]:
    fields = (field for field in dataclasses.fields(cls) if field.name != "extra")
    return tuple(
        _Field(
            field.name,
            field.metadata.get("wire") or cls.wire_name(field.name),
            field.metadata.get("read"),
            field.metadata.get("write"),
        )
        for field in fields
    )


def wire(name: str) -> Any:
    """A field the provider calls differently."""
    return dataclasses.field(default=None, metadata={"wire": name})


def instant() -> Any:
    """A point in time."""
    return dataclasses.field(default=None, metadata={"read": read_time, "write": write_time})


def one(kind: type[Model]) -> Any:
    """A record within the record."""
    metadata = {"read": kind.from_dict, "write": kind.to_dict}
    return dataclasses.field(default_factory=kind, metadata=metadata)


def several(kind: type[Model] | None = None) -> Any:
    """A list, of records where their kind is given."""
    if kind is None:
        return dataclasses.field(default_factory=_no_items)

    def read(items: list[dict[str, Any]]) -> list[Model]:
        return [kind.from_dict(item) for item in items]

    def write(items: list[Model]) -> list[dict[str, Any]]:
        return [item.to_dict() for item in items]

    return dataclasses.field(default_factory=_no_items, metadata={"read": read, "write": write})


def unknown() -> Any:
    """What is not modelled."""
    return dataclasses.field(default_factory=_no_fields)


def _no_items() -> list[Any]:
    return []


def _no_fields() -> dict[str, Any]:
    return {}


_FRACTION = re.compile(r"\.(\d{1,6})\d*")


def read_time(text: str) -> datetime:
    """A point in time as providers and the hub write it; without an offset it is UTC."""
    text = _FRACTION.sub(lambda found: f".{found[1]:0<6}", text.strip().replace("Z", "+00:00").replace("z", "+00:00"))
    time = datetime.fromisoformat(text)
    return time if time.tzinfo is not None else time.replace(tzinfo=timezone.utc)


def write_time(time: datetime) -> str:
    """A point in time as the hub reads it. One without an offset is local time, as Python has it."""
    return time.astimezone(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def camel(name: str) -> str:
    """``display_name`` as ``displayName``."""
    first, *others = name.split("_")
    return first + "".join(part.capitalize() for part in others)
