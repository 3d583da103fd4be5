"""The members of a dataclass, a NamedTuple or a TypedDict, as its class tells them."""

from __future__ import annotations

import dataclasses
import typing
from typing import Any

from ._shape import ABSENT

# Name, hint, whether it is required, default.
Member = tuple[str, object, bool, object]

# Only factories that are known to be pure are asked: another might draw a number or read the clock.
_PURE: tuple[Any, ...] = (list, dict, set, frozenset, tuple)


def _dataclass_members(cls: Any, hints: dict[str, Any]) -> list[Member]:
    members: list[Member] = []
    for field in dataclasses.fields(cls):
        if not field.init:
            continue
        default = ABSENT if field.default is dataclasses.MISSING else field.default
        factory: Any = field.default_factory
        if factory in _PURE:
            default = factory()
        required = field.default is field.default_factory is dataclasses.MISSING
        members.append((field.name, hints[field.name], required, default))
    return members


def _named_tuple_members(cls: Any, hints: dict[str, Any]) -> list[Member]:
    defaults = cls._field_defaults
    return [(name, hints.get(name, Any), name not in defaults, defaults.get(name, ABSENT)) for name in cls._fields]


def _typed_dict_members(cls: Any, hints: dict[str, Any]) -> list[Member]:
    members: list[Member] = []
    for name, hint in hints.items():
        # The class itself does not see through string annotations, so what the hint says comes first.
        mark = getattr(typing.get_origin(hint), "_name", None)
        required = name in cls.__required_keys__ if mark not in ("Required", "NotRequired") else mark == "Required"
        members.append((name, hint, required, ABSENT))
    return members


MEMBERS = {"dataclass": _dataclass_members, "named_tuple": _named_tuple_members, "typed_dict": _typed_dict_members}
