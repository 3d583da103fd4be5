"""Python values as plain JSON: dict, list, str, int, float, bool and None, and nothing else."""

from __future__ import annotations

import dataclasses
import enum
import math
from collections.abc import Mapping, Sequence, Set
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from ._kinds import converts_itself, is_model
from ._pointer import CodecError

# The depth at which the hub's JSON reader gives up, too.
MAX_DEPTH = 128
_TEXT_OR_BYTES = (str, bytes, bytearray, memoryview)


def encode(value: Any) -> Any:
    """Return ``value`` as plain JSON.

    >>> encode({"when": date(2026, 3, 1), "groups": {"b", "a"}})
    {'when': '2026-03-01', 'groups': ['a', 'b']}

    Dataclasses and NamedTuples become objects of their fields, Enums their value, dates ISO 8601 text (a datetime
    keeps its offset, or has none), timedeltas seconds, Decimals and UUIDs text, sets sorted lists, pydantic models
    their ``model_dump(mode="json")``, and objects with ``to_dict()`` what that returns.

    Raises:
        CodecError: A value has no such form: NaN and infinity, bytes, keys that are no text, more than 128 levels, a
            whole number beyond 64 bits, any other type. Names the path and the type, never the value.
    """
    return _encode(value, 0)


def _encode(value: Any, depth: int) -> Any:
    kind = type(value)
    if kind is str:
        return value if value.isascii() else _text(value)
    if value is None or kind is bool:
        return value
    if kind is int:
        return _whole(value)
    if kind is float:
        return _number(value)
    if depth >= MAX_DEPTH:
        raise CodecError(f"nested deeper than {MAX_DEPTH} levels")
    if kind is dict:
        return _mapping(value, depth)
    if kind is list:
        return _sequence(value, depth)
    return _object(value, depth)


def _object(value: Any, depth: int) -> Any:
    kind = type(value)
    if isinstance(value, enum.Enum):
        return _encode(value.value, depth + 1)
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, Decimal):
        return _decimal(value)
    if converts_itself(kind):
        return _encode(value.to_dict(), depth + 1)
    if is_model(kind):
        return _model(value, depth)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        # What is no argument of the constructor is derived from what is.
        names = [field.name for field in dataclasses.fields(value) if field.init]
        return _mapping({name: getattr(value, name) for name in names}, depth)
    if isinstance(value, tuple) and (labels := getattr(value, "_fields", None)):
        return _mapping(dict(zip(labels, value, strict=False)), depth)
    if not isinstance(value, type) and callable(convert := getattr(value, "to_dict", None)):
        return _encode(convert(), depth + 1)
    return _builtin(value, depth)


def _builtin(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return _text(str.__str__(value))
    if isinstance(value, int):
        return _whole(int(value))
    if isinstance(value, float):
        return _number(float(value))
    if isinstance(value, Mapping):
        return _mapping(value, depth)
    if isinstance(value, Sequence) and not isinstance(value, _TEXT_OR_BYTES):
        return _sequence(value, depth)
    if isinstance(value, Set):
        return _sorted(_sequence(value, depth))
    raise CodecError(f"a value of type {type(value).__qualname__} has no form in JSON{_advice(value)}")


def _advice(value: object) -> str:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return "; use base64 text"
    if hasattr(value, "__next__"):
        return "; collect it in a list first"
    if isinstance(value, BaseException):
        return "; raise it, or use its text"
    return "; use plain data, a dataclass, or an object with to_dict()"


def _mapping(value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
    encoded: dict[str, Any] = {}
    for key, item in value.items():
        name = key if type(key) is str else _key(key)
        if not name.isascii():
            _text(name)
        try:
            encoded[name] = _encode(item, depth + 1)
        except CodecError as error:
            raise error.within(name) from error.__cause__
    return encoded


def _key(key: object) -> str:
    plain = key.value if isinstance(key, enum.Enum) else key
    if isinstance(plain, str):
        return str.__str__(plain)
    # Not turned into text silently: what is read back after a restart would no longer equal what was stored.
    raise CodecError(f"a key of type {type(key).__qualname__}; the keys of JSON objects are text")


def _sequence(value: Sequence[Any] | Set[Any], depth: int) -> list[Any]:
    encoded: list[Any] = []
    for index, item in enumerate(value):
        try:
            encoded.append(_encode(item, depth + 1))
        except CodecError as error:
            raise error.within(index) from error.__cause__
    return encoded


def _sorted(items: list[Any]) -> list[Any]:
    try:
        return sorted(items)
    except TypeError:
        # Of several types: any order will do that is the same next time.
        import json

        return sorted(items, key=lambda item: json.dumps(item, sort_keys=True))


def _text(value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise CodecError("text that is not valid Unicode (a lone surrogate)") from None
    return value


def _whole(value: int) -> int:
    if -(2**63) <= value < 2**64:
        return value
    raise CodecError("a whole number beyond 64 bits; use text")


def _number(value: float) -> float:
    if math.isfinite(value):
        return value
    raise CodecError("NaN and infinity have no form in JSON")


def _decimal(value: Decimal) -> str:
    if value.is_finite():
        # Never with an exponent, which the schema of Decimal does not know.
        return format(value, "f")
    raise CodecError("NaN and infinity have no form in JSON")


def _model(value: Any, depth: int) -> Any:
    try:
        plain = value.model_dump(mode="json", by_alias=True)
    except ValueError as error:
        # The text of pydantic's own error may repeat the value.
        problem = f"a model of type {type(value).__qualname__} cannot be dumped: {type(error).__name__}"
        raise CodecError(problem) from None
    return _encode(plain, depth + 1)
