"""Type hints to shapes: the only file that knows how `typing` writes them."""

from __future__ import annotations

import collections.abc as abc
import enum
import sys
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal, Union

from ._hints import UnsupportedHint, class_hints, evaluate, globals_of
from ._kinds import converts_itself, is_model
from ._members import MEMBERS
from ._params import Param
from ._shape import (
    SCALARS,
    Alias,
    Anything,
    Array,
    Choice,
    Custom,
    Field,
    Fixed,
    Labelled,
    Model,
    OneOf,
    Record,
    Scalar,
    Shape,
    Table,
)

_CONTAINERS: dict[object, type] = {
    list: list, abc.Sequence: list, abc.MutableSequence: list, abc.Collection: list, abc.Iterable: list,
    tuple: tuple, set: set, abc.MutableSet: set, abc.Set: set, frozenset: frozenset,
    dict: dict, abc.Mapping: dict, abc.MutableMapping: dict,
}  # fmt: skip
_ADVICE: dict[object, str] = {
    bytes: "pass base64 text as str",
    bytearray: "pass base64 text as str",
    complex: "pass two floats",
}


class HintReader:
    """Reads hints into shapes.

    Args:
        localns: Names visible where the function was defined, for classes made inside a function.
    """

    def __init__(self, localns: Mapping[str, Any] | None = None) -> None:
        self._localns = localns

    def read(self, hint: Any, scope: Mapping[str, Any]) -> Shape:
        """Return what ``hint`` means; names in strings are looked up in ``scope``.

        Raises:
            UnsupportedHint: JSON cannot carry it.
        """
        if isinstance(hint, (str, typing.ForwardRef)):
            # Python 3.10 leaves strings inside list["Name"] as they are.
            return self.read(evaluate(hint, scope, self._localns), scope)
        if hint is Any or hint is object:
            return Anything()
        if hint is None:
            return Scalar(types.NoneType)
        if isinstance(hint, typing.NewType):
            return self.read(hint.__supertype__, scope)
        if isinstance(hint, typing.TypeVar):
            return Anything() if hint.__bound__ is None else self.read(hint.__bound__, scope)
        if type(hint).__name__ == "TypeAliasType":
            return Alias(hint)
        if isinstance(hint, type) and typing.get_origin(hint) is None:
            return self._class(hint, scope)
        return self._generic(hint, scope)

    def _generic(self, hint: Any, scope: Mapping[str, Any]) -> Shape:
        origin, args = typing.get_origin(hint), typing.get_args(hint)
        if origin is typing.Annotated:
            return self._annotated(hint, args, scope)
        if _is_qualifier(origin):
            return self.read(args[0], scope)
        if origin is Union or origin is types.UnionType:
            return OneOf(tuple(self.read(arg, scope) for arg in args))
        if origin is Literal:
            return Choice(_checked_choices(hint, args))
        if getattr(hint, "__name__", None) == "LiteralString":
            return Scalar(str)
        if origin in _CONTAINERS:
            return self._container(hint, _CONTAINERS[origin], args, scope)
        raise UnsupportedHint.of(hint)

    def _annotated(self, hint: object, args: tuple[Any, ...], scope: Mapping[str, Any]) -> Shape:
        shape = self.read(args[0], scope)
        param: Param | None = None
        for note in args[1:]:
            if note is Param:
                raise UnsupportedHint(f"{hint!r}: write Param(...), with parentheses")
            if isinstance(note, Param):
                param = note if param is None else note.over(param)
        return shape if param is None else Labelled(shape, param, args[0])

    def _container(self, hint: object, kind: type, args: tuple[Any, ...], scope: Mapping[str, Any]) -> Shape:
        if kind is dict:
            if args and not _is_text(self.read(args[0], scope)):
                raise UnsupportedHint.of(hint, "the keys of JSON objects are text: use dict[str, ...]")
            return Table(self.read(args[1], scope) if args else Anything())
        if kind is tuple and args[-1:] != (...,) and (args or hint is not typing.Tuple):  # noqa: UP006
            return Fixed(tuple(self.read(arg, scope) for arg in args))
        return Array(kind, self.read(args[0], scope) if args else Anything())

    def _class(self, cls: type[Any], scope: Mapping[str, Any]) -> Shape:
        if cls in SCALARS:
            return Scalar(cls)
        if cls is tuple:
            return Array(tuple, Anything())
        if cls in _CONTAINERS:
            return self._container(cls, _CONTAINERS[cls], (), scope)
        if issubclass(cls, enum.Enum):
            if issubclass(cls, enum.Flag):
                raise UnsupportedHint.of(cls, "pass a list of an Enum instead of a Flag")
            return Choice(_checked_choices(cls, tuple(cls)))
        if typing.is_typeddict(cls) or type(cls).__name__ == "_TypedDictMeta":
            return Record(cls, "typed_dict")
        if converts_itself(cls):
            return Custom(cls)
        if is_model(cls):
            return Model(cls)
        if hasattr(cls, "__dataclass_fields__"):
            return Record(cls, "dataclass")
        if issubclass(cls, tuple) and hasattr(cls, "_field_defaults"):
            return Record(cls, "named_tuple")
        if callable(getattr(cls, "from_dict", None)):
            return Custom(cls)
        raise UnsupportedHint.of(cls, _ADVICE.get(cls, ""))

    def fields(self, record: Record) -> tuple[Field, ...]:
        """Return the members of a record, in their order.

        Raises:
            UnsupportedHint: JSON cannot carry one of them; names the class and the field.
        """
        hints = class_hints(record.cls, self._localns)
        members = MEMBERS[record.kind](record.cls, hints)
        return tuple(self._field(record.cls, *member) for member in members)

    def _field(self, cls: type, name: str, hint: object, required: bool, default: object) -> Field:
        try:
            return Field(name, self.read(hint, globals_of(cls)), required, default)
        except UnsupportedHint as error:
            raise error.within(f"field {name!r} of {cls.__name__}") from error.__cause__

    def alias(self, alias: Alias) -> Shape:
        """Return what a ``type`` alias stands for."""
        module = sys.modules.get(alias.alias.__module__)
        return self.read(alias.alias.__value__, {} if module is None else vars(module))


def _is_qualifier(origin: object) -> bool:
    # Required, NotRequired, ReadOnly and Final: newer Pythons and typing_extensions have them each under this name.
    return getattr(origin, "_name", None) in ("Required", "NotRequired", "ReadOnly", "Final")


def _is_text(shape: Shape) -> bool:
    if isinstance(shape, Labelled):
        return _is_text(shape.shape)
    return isinstance(shape, Anything) or shape == Scalar(str)


def _checked_choices(hint: object, values: tuple[Any, ...]) -> tuple[Any, ...]:
    for value in values:
        plain = value.value if isinstance(value, enum.Enum) else value
        if plain is not None and not isinstance(plain, (str, int, float)):
            raise UnsupportedHint.of(hint, f"a choice is text or a number, not {type(plain).__name__}")
    return values
