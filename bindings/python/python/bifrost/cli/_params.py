"""Parameters as somebody types them, read by the workflow's schema. The hub judges them; this only finds their type."""

from __future__ import annotations

import json
from typing import Any

from bifrost._suggest import did_you_mean

from ._failures import Usage

_WORDS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


def parse(texts: list[str], schema: dict[str, Any]) -> dict[str, Any]:
    """``key=value``, repeated; a list takes several values of one key, or one value with commas.

    >>> parse(["seats=3", "groups=All Staff,Sales"], schema)
    {'seats': 3, 'groups': ['All Staff', 'Sales']}
    """
    known: dict[str, Any] = schema.get("properties", {})
    given: dict[str, list[str]] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals:
            raise Usage(f"-p {text!r} is not of the form key=value")
        if key not in known:
            hint = did_you_mean(key, sorted(known)) or f" (there are: {', '.join(known) or 'none'})"
            raise Usage(f"the workflow has no parameter {key!r}{hint}")
        given.setdefault(key, []).append(value)
    return {key: _values(key, values, known[key], schema) for key, values in given.items()}


def _values(key: str, values: list[str], wanted: Any, root: dict[str, Any]) -> Any:
    kinds = _kinds(wanted, root)
    lists = [kind for kind in kinds if kind.get("type") == "array"]
    if lists and not (len(values) == 1 and values[0].startswith("[")):
        items = _kinds(lists[0].get("items", {}), root)
        texts = values if len(values) > 1 else [text.strip() for text in values[0].split(",") if text.strip()]
        return [_value(key, text, items) for text in texts]
    if len(values) > 1:
        raise Usage(f"-p {key} is given {len(values)} times, and is no list")
    return _value(key, values[0], kinds)


def _value(key: str, text: str, kinds: list[dict[str, Any]]) -> Any:
    types = [kind.get("type") for kind in kinds]
    for type_ in types:
        found, value = _read(text, type_)
        if found:
            return value
    if types == ["boolean"]:
        raise Usage(f"-p {key}={text}: say true or false")
    # The hub names the exact place and what belongs there.
    return text


def _read(text: str, type_: Any) -> tuple[bool, Any]:
    """Whether a text can be meant as this type, and as what."""
    try:
        if type_ == "integer":
            return True, int(text)
        if type_ == "number":
            return True, float(text)
        if type_ in ("array", "object", None):
            return True, json.loads(text)
    except ValueError:
        return False, None
    if type_ == "boolean":
        return text.lower() in _WORDS, _WORDS.get(text.lower())
    if type_ == "null":
        return text == "null", None
    return True, text


def _kinds(wanted: Any, root: dict[str, Any]) -> list[dict[str, Any]]:
    """The plain schemas a value may fit, text last: everything is text as it is typed."""
    found = list(_flattened(wanted, root))
    return sorted(found, key=lambda kind: kind.get("type") == "string")


def _flattened(wanted: Any, root: dict[str, Any]) -> list[dict[str, Any]]:
    if not isinstance(wanted, dict):
        return [{}]
    if "$ref" in wanted:
        target: Any = root
        for part in wanted["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        return _flattened(target, root)
    for union in ("anyOf", "oneOf"):
        if union in wanted:
            return [kind for branch in wanted[union] for kind in _flattened(branch, root)]
    types = wanted.get("type")
    if isinstance(types, list):
        return [{**wanted, "type": type_} for type_ in types]
    if types is None and "enum" in wanted:
        return [{"type": "string"}] if all(isinstance(value, str) for value in wanted["enum"]) else [{}]
    return [wanted]
