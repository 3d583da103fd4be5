"""Type hints as JSON Schema, draft 2020-12. The hub's Rust validator judges by these schemas; nothing here judges.

Forms find what JSON Schema has no word for under ``x-bifrost-order`` (position of a field), ``x-bifrost-options-from``
(name of a data provider) and ``x-bifrost-step`` (page of a form in several steps).
"""

from __future__ import annotations

import re
import types
from collections.abc import Iterable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from ._codec import CodecError, encode
from ._docs import arguments, first_paragraph
from ._hints import UnsupportedHint, show
from ._params import Param
from ._reader import HintReader
from ._shape import (
    ABSENT,
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

DIALECT = "https://json-schema.org/draft/2020-12/schema"
Schema = dict[str, Any]

_SCALARS: dict[type, Schema] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    types.NoneType: {"type": "null"},
    date: {"type": "string", "format": "date"},
    # RFC 3339: with an offset, because a time without one means something else in every tenant.
    datetime: {"type": "string", "format": "date-time"},
    # The format "time" would demand an offset, which a time of day seldom has.
    time: {
        "type": "string",
        "pattern": r"^([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]+)?)?(Z|[+-][0-9]{2}:[0-9]{2})?$",
    },
    timedelta: {"type": "number"},
    UUID: {"type": "string", "format": "uuid"},
    Decimal: {"type": "string", "pattern": r"^[+-]?[0-9]+(\.[0-9]+)?$"},
}
_BOUNDS = {
    "number": ("minimum", "maximum"),
    "string": ("minLength", "maxLength"),
    "array": ("minItems", "maxItems"),
}


def schema_of(hint: Any, scope: Mapping[str, Any] | None = None) -> Schema:
    """Return the JSON Schema of one hint.

    >>> schema_of(list[int])["items"]
    {'type': 'integer'}

    Args:
        hint: The hint; names in strings are looked up in ``scope``.
        scope: Globals of the place where the hint is written.

    Raises:
        UnsupportedHint: JSON cannot carry it (a TypeError).
    """
    reader = HintReader()
    builder = SchemaBuilder(reader)
    return builder.root(builder.of(reader.read(hint, scope or {})))


class SchemaBuilder:
    """Builds schemas that share their definitions (``#/$defs/Name``)."""

    def __init__(self, reader: HintReader) -> None:
        self._reader = reader
        self._defs: Schema = {}
        self._names: dict[object, str] = {}

    def root(self, schema: Schema) -> Schema:
        """Return ``schema`` as a document of its own."""
        defs = {"$defs": self._defs} if self._defs else {}
        return {"$schema": DIALECT, **schema, **defs}

    def members(self, fields: Iterable[Field], doc: str | None, *, extra: bool | Schema = False) -> Schema:
        """Return the schema of an object with these members, described by the docstring ``doc``."""
        helps = arguments(doc)
        properties: Schema = {}
        required: list[str] = []
        for order, field in enumerate(fields):
            member = self.of(field.shape)
            if field.name in helps:
                member.setdefault("description", helps[field.name])
            member.update(_default(field.default))
            properties[field.name] = {**member, "x-bifrost-order": order}
            if field.required:
                required.append(field.name)
        schema: Schema = {"type": "object", "properties": properties}
        if required:
            schema["required"] = required
        if extra is not True:
            schema["additionalProperties"] = extra
        return schema

    def of(self, shape: Shape) -> Schema:
        """Return a fresh schema of ``shape``; records become references."""
        if isinstance(shape, Scalar):
            return dict(_SCALARS[shape.type])
        if isinstance(shape, Labelled):
            return self._labelled(shape)
        if isinstance(shape, Choice):
            return _choice(shape)
        if isinstance(shape, OneOf):
            return _union([self.of(branch) for branch in shape.branches])
        if isinstance(shape, Array):
            unique = {"uniqueItems": True} if shape.kind in (set, frozenset) else {}
            return {"type": "array", **self._if_any("items", shape.item), **unique}
        if isinstance(shape, Fixed):
            return self._fixed(shape)
        if isinstance(shape, Table):
            return {"type": "object", **self._if_any("additionalProperties", shape.value)}
        if isinstance(shape, Record):
            return self._record(shape)
        if isinstance(shape, Model):
            return self._model(shape)
        if isinstance(shape, Alias):
            return self._alias(shape)
        # A class that converts itself keeps its shape to itself.
        return {"type": "object"} if isinstance(shape, Custom) else {}

    def _if_any(self, keyword: str, shape: Shape) -> Schema:
        return {} if isinstance(shape, Anything) else {keyword: self.of(shape)}

    def _fixed(self, shape: Fixed) -> Schema:
        size = len(shape.items)
        items: Schema = {"type": "array", "minItems": size, "maxItems": size}
        return {**items, "prefixItems": [self.of(item) for item in shape.items]} if size else items

    def _labelled(self, labelled: Labelled) -> Schema:
        schema, param = self.of(labelled.shape), labelled.param
        notes = {
            "title": param.label,
            "description": param.help,
            "x-bifrost-options-from": param.options_from,
            "x-bifrost-step": param.step,
            **_limits(labelled, param, schema),
        }
        return {**schema, **{key: value for key, value in notes.items() if value is not None}}

    def _reserve(self, key: object, name: str) -> str:
        name = base = re.sub(r"[^A-Za-z0-9_]", "_", name)
        number = 2
        while name in self._defs:
            name, number = f"{base}{number}", number + 1
        self._names[key] = name
        self._defs[name] = {}
        return name

    def _record(self, record: Record) -> Schema:
        if record.cls not in self._names:
            # Reserved before the fields are read, so that a record may hold itself.
            name = self._reserve(record.cls, record.cls.__name__)
            doc = _own_doc(record)
            # A TypedDict describes the keys it knows, as Python's own checkers read it: others may be there.
            schema = self.members(self._reader.fields(record), doc, extra=record.kind == "typed_dict")
            described = {"description": first_paragraph(doc)} if doc else {}
            self._defs[name] = {**schema, **described}
        return {"$ref": f"#/$defs/{self._names[record.cls]}"}

    def _alias(self, alias: Alias) -> Schema:
        if alias.alias not in self._names:
            name = self._reserve(alias.alias, alias.alias.__name__)
            self._defs[name] = self.of(self._reader.alias(alias))
        return {"$ref": f"#/$defs/{self._names[alias.alias]}"}

    def _model(self, model: Model) -> Schema:
        if model.cls not in self._names:
            schema = _without_lookaround(model.cls.model_json_schema())
            name = self._reserve(model.cls, model.cls.__name__)
            inner = schema.pop("$defs", {})
            # pydantic names its definitions without knowing ours: each gets a free name here.
            names = {old: name if old == model.cls.__name__ else self._reserve((model.cls, old), old) for old in inner}
            for old, definition in inner.items():
                self._defs[names[old]] = _renamed(definition, names)
            if model.cls.__name__ not in inner:
                self._defs[name] = _renamed(schema, names)
        return {"$ref": f"#/$defs/{self._names[model.cls]}"}


def _default(value: Any) -> Schema:
    if value is ABSENT:
        return {}
    try:
        return {"default": encode(value)}
    except CodecError:
        # Such a default lives in Python only: the field is optional all the same.
        return {}


def _own_doc(record: Record) -> str | None:
    doc = record.cls.__doc__
    # dataclass and NamedTuple write "Name(field: type)" where the author wrote nothing.
    generated = doc is not None and doc.startswith(f"{record.cls.__name__}(")
    return None if generated or doc == dict.__doc__ else doc


def _choice(shape: Choice) -> Schema:
    values: list[Any] = []
    for value in map(encode, shape.values):
        if not any(value == known and type(value) is type(known) for known in values):
            values.append(value)
    return {"const": values[0]} if len(values) == 1 else {"enum": values}


def _union(branches: list[Schema]) -> Schema:
    """Join branches; ``X | None`` stays one plain schema, so that violations inside keep their exact path."""
    distinct = [branch for index, branch in enumerate(branches) if branch not in branches[:index]]
    if {} in distinct:
        return {}
    if all(set(branch) == {"type"} and isinstance(branch["type"], str) for branch in distinct):
        return {"type": [branch["type"] for branch in distinct]} if len(distinct) > 1 else distinct[0]
    others = [branch for branch in distinct if branch != {"type": "null"}]
    if len(others) == 1 and len(distinct) == 2:
        return _optional(others[0])
    return {"anyOf": distinct}


def _optional(schema: Schema) -> Schema:
    if "const" in schema:
        rest = {key: value for key, value in schema.items() if key != "const"}
        return {**rest, "enum": [schema["const"], None]}
    if "enum" in schema:
        return {**schema, "enum": [*schema["enum"], *([] if None in schema["enum"] else [None])]}
    if isinstance(schema.get("type"), str):
        return {**schema, "type": [schema["type"], "null"]}
    return {"anyOf": [schema, {"type": "null"}]}


def _limits(labelled: Labelled, param: Param, schema: Schema) -> Schema:
    limits: Schema = {}
    kind = _kind(labelled.shape)
    if param.pattern is not None:
        if kind != "string" or "pattern" in schema:
            advice = "; put it on the items" if kind == "array" else ""
            raise UnsupportedHint(f"Param(pattern=...) applies to str, not to {show(labelled.hint)}{advice}")
        limits["pattern"] = param.pattern
    for name, bound, index in (("min", param.min, 0), ("max", param.max, 1)):
        if bound is None:
            continue
        if kind is None:
            problem = f"Param({name}=...) applies to numbers, str and lists, not to {show(labelled.hint)}"
            raise UnsupportedHint(problem)
        if kind != "number" and (not isinstance(bound, int) or bound < 0):
            raise UnsupportedHint(f"Param({name}=...) of {show(labelled.hint)} is a length: a whole number from 0")
        limits[_BOUNDS[kind][index]] = bound
    return limits


def _kind(shape: Shape) -> str | None:
    """Return which limits apply; only one kind may be meant, so a union of several has none."""
    if isinstance(shape, Labelled):
        return _kind(shape.shape)
    if isinstance(shape, OneOf):
        kinds = {_kind(branch) for branch in shape.branches if branch != Scalar(types.NoneType)}
        return kinds.pop() if len(kinds) == 1 else None
    if isinstance(shape, Array):
        return "array"
    if isinstance(shape, Scalar):
        return {str: "string", int: "number", float: "number", timedelta: "number"}.get(shape.type)
    return None


def _without_lookaround(schema: Any) -> Any:
    """Drop patterns with look-around, which the hub's linear-time expressions lack.

    Some releases of pydantic write one for each Decimal; it judges the value itself when it is decoded.
    """
    if isinstance(schema, list):
        return [_without_lookaround(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: _without_lookaround(value)
        for key, value in schema.items()
        if not (key == "pattern" and isinstance(value, str) and re.search(r"\(\?<?[=!]", value))
    }


def _renamed(schema: Any, names: Mapping[str, str]) -> Any:
    if isinstance(schema, list):
        return [_renamed(item, names) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: _renamed_ref(value, names) if key == "$ref" else _renamed(value, names) for key, value in schema.items()
    }


def _renamed_ref(reference: Any, names: Mapping[str, str]) -> Any:
    old = reference.rpartition("/")[2] if isinstance(reference, str) else ""
    return f"#/$defs/{names[old]}" if old in names else reference
