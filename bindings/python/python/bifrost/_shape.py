"""What a hint means: the closed set of things that JSON can carry.

Read once by `HintReader`, used for the schema and for decoding.
"""

from __future__ import annotations

import types
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

from ._params import Param

# Marks a field without a default; `None` is a default. Not `dataclasses.MISSING`, which a dataclass would read itself.
ABSENT: Any = object()
SCALARS = (str, int, float, bool, types.NoneType, date, datetime, time, timedelta, UUID, Decimal)


@dataclass(frozen=True)
class Anything:
    """Any JSON value."""


@dataclass(frozen=True)
class Scalar:
    """One of `SCALARS`."""

    type: type


@dataclass(frozen=True)
class Choice:
    """An Enum or a Literal: one of these Python values."""

    values: tuple[Any, ...]


@dataclass(frozen=True)
class OneOf:
    """A union, in the order written."""

    branches: tuple[Shape, ...]


@dataclass(frozen=True)
class Array:
    """Any number of items, collected in ``kind``: list, tuple, set or frozenset."""

    kind: type
    item: Shape


@dataclass(frozen=True)
class Fixed:
    """A tuple of known length."""

    items: tuple[Shape, ...]


@dataclass(frozen=True)
class Table:
    """An object with free keys."""

    value: Shape


@dataclass(frozen=True)
class Record:
    """An object with known fields: a dataclass, a NamedTuple or a TypedDict. Its fields are read on demand."""

    cls: type
    kind: Literal["dataclass", "named_tuple", "typed_dict"]


@dataclass(frozen=True)
class Model:
    """A pydantic model, which judges itself."""

    cls: Any


@dataclass(frozen=True)
class Custom:
    """A class that converts itself by ``to_dict`` and ``from_dict``."""

    cls: Any


@dataclass(frozen=True)
class Alias:
    """``type Name = …``, which may name itself."""

    alias: Any


@dataclass(frozen=True)
class Labelled:
    """A shape with what a form should know of it."""

    shape: Shape
    param: Param
    hint: object


Shape = Anything | Scalar | Choice | OneOf | Array | Fixed | Table | Record | Model | Custom | Alias | Labelled


@dataclass(frozen=True)
class Field:
    """One named member of a record or one parameter of a function."""

    name: str
    shape: Shape
    required: bool = True
    default: Any = ABSENT
