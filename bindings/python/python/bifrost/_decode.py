"""Plain JSON as the values a type hint promises, compiled once per hint.

A decoder is ``None`` where the plain value already is right: the common case costs nothing at run time. Decoders do not
validate; parameters were judged by the hub before. They refuse only what they cannot build.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from ._encode import encode
from ._plan import Decoder, Plan, found
from ._pointer import CodecError
from ._reader import HintReader
from ._scalars import NULL, SCALAR_PLANS
from ._shape import (
    Alias,
    Anything,
    Array,
    Choice,
    Custom,
    Fixed,
    Labelled,
    Model,
    OneOf,
    Record,
    Scalar,
    Shape,
    Table,
)


def decoder(hint: Any, scope: Mapping[str, Any] | None = None) -> Decoder | None:
    """Return the function that turns plain JSON into what ``hint`` says, or ``None`` if there is nothing to turn.

    >>> decoder(str) is None
    True
    >>> from datetime import date
    >>> decoder(list[date])(["2026-03-01"])
    [datetime.date(2026, 3, 1)]

    Branches of a union are tried in the order written, the first that looks like the value wins.

    Raises:
        UnsupportedHint: JSON cannot carry the hint. The decoder itself raises `CodecError`.
    """
    reader = HintReader()
    return DecoderBuilder(reader).plan(reader.read(hint, scope or {})).decode


class DecoderBuilder:
    """Compiles shapes into plans; a record is compiled once and may hold itself."""

    def __init__(self, reader: HintReader) -> None:
        self._reader = reader
        self._plans: dict[object, Plan] = {}

    def plan(self, shape: Shape) -> Plan:
        """Return the plan of ``shape``."""
        if isinstance(shape, Labelled):
            return self.plan(shape.shape)
        if isinstance(shape, Scalar):
            return SCALAR_PLANS[shape.type]
        if isinstance(shape, Choice):
            return _choice(shape)
        if isinstance(shape, OneOf):
            return _union([self.plan(branch) for branch in shape.branches])
        if isinstance(shape, Array):
            return _array(shape.kind, self.plan(shape.item))
        if isinstance(shape, Fixed):
            return _fixed([self.plan(item) for item in shape.items])
        if isinstance(shape, Table):
            return _table(self.plan(shape.value))
        if isinstance(shape, Model):
            return Plan(_is_object, _model(shape.cls))
        if isinstance(shape, Custom):
            return Plan(_is_object, _custom(shape.cls))
        if isinstance(shape, Anything):
            return Plan(lambda value: True)
        return self._recursive(shape)

    def _recursive(self, shape: Record | Alias) -> Plan:
        key = shape.cls if isinstance(shape, Record) else shape.alias
        if key in self._plans:
            return self._plans[key]
        # Whoever meets it again while it is being compiled is given this one, which asks for the real plan when called.
        self._plans[key] = Plan(lambda value: real.fits(value), lambda value: _apply(real, value))
        real = self.plan(self._reader.alias(shape)) if isinstance(shape, Alias) else self._record(shape)
        self._plans[key] = real
        return real

    def _record(self, record: Record) -> Plan:
        fields = self._reader.fields(record)
        plans = {field.name: self.plan(field.shape) for field in fields}
        required = frozenset(field.name for field in fields if field.required)
        is_open = record.kind == "typed_dict"

        def fits(value: Any) -> bool:
            if not isinstance(value, dict) or not required <= value.keys():
                return False
            known = (plans[name].fits(item) if name in plans else is_open for name, item in value.items())
            return all(known)

        decoders = {name: plan.decode for name, plan in plans.items() if plan.decode is not None}
        if is_open:
            return Plan(fits, (lambda value: _members(value, decoders)) if decoders else None)
        names = frozenset(plans)
        return Plan(fits, lambda value: _instance(record.cls, value, names, required, decoders))


def _apply(plan: Plan, value: Any) -> Any:
    return value if plan.decode is None else plan.decode(value)


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _members(value: Any, decoders: Mapping[str, Decoder]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise CodecError(f"expected an object, found {found(value)}")
    members = dict(value)
    for name, decode in decoders.items():
        if name in members:
            try:
                members[name] = decode(members[name])
            except CodecError as error:
                raise error.within(name) from error.__cause__
    return members


def _instance(
    cls: type, value: Any, names: frozenset[str], required: frozenset[str], decoders: Mapping[str, Decoder]
) -> Any:
    members = _members(value, decoders)
    if not members.keys() <= names:
        raise CodecError(f"no such field of {cls.__name__}", f"/{min(members.keys() - names)}")
    if not required <= members.keys():
        raise CodecError(f"{cls.__name__} needs the field {min(required - members.keys())!r}")
    try:
        return cls(**members)
    except Exception as error:
        # The author's own words are kept as the cause; pydantic's repeat the value.
        cause = None if type(error).__module__.startswith("pydantic") else error
        raise CodecError(f"{cls.__name__} refuses these values: {type(error).__name__}") from cause


def _custom(cls: Any) -> Decoder:
    def decode(value: Any) -> Any:
        try:
            return cls.from_dict(value)
        except Exception as error:
            raise CodecError(f"{cls.__name__}.from_dict refuses these values: {type(error).__name__}") from error

    return decode


def _model(cls: Any) -> Decoder:
    def decode(value: Any) -> Any:
        try:
            return cls.model_validate(value)
        except ValueError as error:
            details = getattr(error, "errors", None)
            first: Any = cast(Any, details)(include_input=False, include_url=False)[0] if callable(details) else {}
            # Not chained: the text of pydantic's own error repeats the value.
            refusal = CodecError(f"{cls.__name__} refuses this: {first.get('type', type(error).__name__)}")
        for segment in reversed(first.get("loc", ())):
            refusal = refusal.within(segment)
        raise refusal

    return decode


def _array(kind: type, item: Plan) -> Plan:
    def fits(value: Any) -> bool:
        return isinstance(value, list) and all(map(item.fits, value))

    if kind is list and item.decode is None:
        return Plan(fits)

    def decode(value: Any) -> Any:
        items = _items(value, item.decode)
        try:
            return items if kind is list else kind(items)
        except TypeError:
            raise CodecError("an item of a set cannot be an object or a list") from None

    return Plan(fits, decode)


def _items(value: Any, decode: Decoder | None) -> list[Any]:
    if not isinstance(value, list):
        raise CodecError(f"expected a list, found {found(value)}")
    if decode is None:
        return value
    items: list[Any] = []
    for index, item in enumerate(value):
        try:
            items.append(decode(item))
        except CodecError as error:
            raise error.within(index) from error.__cause__
    return items


def _fixed(plans: list[Plan]) -> Plan:
    def fits(value: Any) -> bool:
        return (
            isinstance(value, list)
            and len(value) == len(plans)
            and all(p.fits(v) for p, v in zip(plans, value, strict=True))
        )

    def decode(value: Any) -> Any:
        if not isinstance(value, list) or len(value) != len(plans):
            raise CodecError(f"expected a list of {len(plans)}, found {found(value)}")
        members = dict(enumerate(value))
        for index, plan in enumerate(plans):
            try:
                members[index] = _apply(plan, members[index])
            except CodecError as error:
                raise error.within(index) from error.__cause__
        return tuple(members.values())

    return Plan(fits, decode)


def _table(item: Plan) -> Plan:
    def fits(value: Any) -> bool:
        return isinstance(value, dict) and all(map(item.fits, value.values()))

    each = item.decode
    if each is None:
        return Plan(fits)
    return Plan(fits, lambda value: _members(value, dict.fromkeys(value, each) if isinstance(value, dict) else {}))


def _choice(shape: Choice) -> Plan:
    # bool apart from int: True == 1, but they are two choices.
    members: dict[tuple[bool, Any], Any] = {}
    for value in shape.values:
        plain = encode(value)
        members.setdefault((isinstance(plain, bool), plain), value)

    def fits(value: Any) -> bool:
        return (value is None or isinstance(value, (str, int, float))) and (isinstance(value, bool), value) in members

    def decode(value: Any) -> Any:
        if not fits(value):
            raise CodecError("none of the choices")
        return members[isinstance(value, bool), value]

    literal = all(value is None or type(value) in (str, int, float, bool) for value in shape.values)
    return Plan(fits, None if literal else decode)


def _union(plans: list[Plan]) -> Plan:
    def fits(value: Any) -> bool:
        return any(plan.fits(value) for plan in plans)

    if all(plan.decode is None for plan in plans):
        return Plan(fits)
    others = [plan for plan in plans if plan is not NULL]
    if len(others) == 1 and (only := others[0].decode) is not None:
        # X | None: the errors of X keep their exact path.
        return Plan(fits, lambda value: None if value is None else only(value))

    def decode(value: Any) -> Any:
        for plan in plans:
            if plan.fits(value):
                try:
                    return _apply(plan, value)
                except CodecError:
                    continue
        # Nothing looks like it, but a branch may know how to read it all the same: 3.0 for int | str.
        for plan in plans:
            if plan.decode is not None:
                try:
                    return plan.decode(value)
                except CodecError:
                    continue
        raise CodecError(f"{found(value)} fits no branch of the union")

    return Plan(fits, decode)
