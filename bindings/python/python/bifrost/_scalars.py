"""Decoding of the hints that are no containers: numbers, dates, UUIDs."""

from __future__ import annotations

import re
import types
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID

from ._plan import Decoder, Plan, found
from ._pointer import CodecError

_CLOCK = re.compile(r"(\d\d:\d\d(?::\d\d)?)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)?", re.ASCII | re.IGNORECASE)


def _parser(what: str, parse: Callable[[Any], Any], kinds: tuple[type, ...] = (str,)) -> Decoder:
    def decode(value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, kinds):
            raise CodecError(f"expected {what}, found {found(value)}")
        try:
            return parse(value)
        except (ValueError, OverflowError, InvalidOperation):
            raise CodecError(f"not {what}") from None

    return decode


def _parsed(what: str, parse: Callable[[Any], Any], kinds: tuple[type, ...] = (str,)) -> Plan:
    decode = _parser(what, parse, kinds)

    def fits(value: Any) -> bool:
        try:
            decode(value)
        except CodecError:
            return False
        return True

    return Plan(fits, decode)


def _iso_clock(text: str) -> str:
    """Write a time of day the one way Python 3.10 reads: no ``Z``, six digits after the point."""
    match = _CLOCK.fullmatch(text)
    if match is None:
        raise ValueError
    clock, fraction, offset = match.groups()
    if fraction:
        clock = f"{clock}{'' if clock.count(':') == 2 else ':00'}.{fraction[:6]:0<6}"
    return clock + ("+00:00" if offset in ("Z", "z") else offset or "")


def _datetime(text: str) -> datetime:
    return datetime.fromisoformat(f"{text[:10]}T{_iso_clock(text[11:])}")


def _whole(value: int | float) -> int:
    # JSON Schema takes 3.0 for an integer, so that is what may come from a peer written in JavaScript.
    if int(value) != value:
        raise ValueError
    return int(value)


def _finite_decimal(value: str | int) -> Decimal:
    number = Decimal(value)
    if not number.is_finite():
        raise ValueError
    return number


_to_int = _parser("a whole number", _whole, (int, float))
_to_float = _parser("a number", float, (int, float))
NULL = Plan(lambda value: value is None)
SCALAR_PLANS: dict[type, Plan] = {
    str: Plan(lambda value: isinstance(value, str)),
    bool: Plan(lambda value: isinstance(value, bool)),
    types.NoneType: NULL,
    # Nearly always right already, so the check stands before the call.
    int: Plan(lambda value: type(value) is int, lambda value: value if type(value) is int else _to_int(value)),
    float: Plan(
        lambda value: type(value) in (float, int), lambda value: value if type(value) is float else _to_float(value)
    ),
    date: _parsed("a date", date.fromisoformat),
    datetime: _parsed("a date and time", _datetime),
    time: _parsed("a time of day", lambda text: time.fromisoformat(_iso_clock(text))),
    timedelta: _parsed("a number of seconds", lambda seconds: timedelta(seconds=seconds), (int, float)),
    UUID: _parsed("a UUID", UUID),
    Decimal: _parsed("a decimal number as text", _finite_decimal, (str, int)),
}
