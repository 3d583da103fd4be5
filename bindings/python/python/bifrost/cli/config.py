"""A tenant's configuration. What is set on the provider tenant holds for every customer without a value of its own."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import Any

from . import _open
from ._exit import Exit
from ._failures import Failure
from ._output import Output


def configure_actions(actions: Any) -> Iterator[argparse.ArgumentParser]:
    """The actions and their arguments."""
    summaries = {
        "get": "a value as the tenant sees it",
        "set": "set a value",
        "delete": "remove the tenant's own value",
    }
    for name, handler in (("get", get), ("set", put), ("delete", delete)):
        action = actions.add_parser(name, help=summaries[name])
        _open.add_tenant(action)
        action.add_argument("key")
        if name == "set":
            action.add_argument("value", help="JSON, or else text")
        action.set_defaults(run=handler)
        yield action
    listing = actions.add_parser("list", help="the tenant's own values")
    _open.add_tenant(listing)
    listing.set_defaults(run=show)
    yield listing


def get(arguments: argparse.Namespace, out: Output) -> int:
    """``config get``."""
    with _open.to_look(arguments) as hub:
        value = _open.tenant(hub, arguments.tenant).config.get(arguments.key)
    if value is None:
        action = f"bifrost config set -t {arguments.tenant} {arguments.key} VALUE"
        raise Failure(f"{arguments.tenant} has no value for {arguments.key!r}", next_action=action)
    out.json({"key": arguments.key, "value": value})
    out.text(_shown(value))
    return Exit.OK


def put(arguments: argparse.Namespace, out: Output) -> int:
    """``config set``."""
    value = json_or_text(arguments.value)
    with _open.to_look(arguments) as hub:
        _open.tenant(hub, arguments.tenant).config.set(arguments.key, value)
    out.json({"key": arguments.key, "value": value})
    return Exit.OK


def delete(arguments: argparse.Namespace, out: Output) -> int:
    """``config delete``."""
    with _open.to_look(arguments) as hub:
        _open.tenant(hub, arguments.tenant).config.delete(arguments.key)
    out.json({"key": arguments.key, "value": None})
    return Exit.OK


def show(arguments: argparse.Namespace, out: Output) -> int:
    """``config list``."""
    with _open.to_look(arguments) as hub:
        config = _open.tenant(hub, arguments.tenant).config
        found = [{"key": key, "value": config.get(key)} for key in config.keys()]  # noqa: SIM118 - no mapping
    if out.as_json:
        out.rows(found, ("key", "value"), "no values")
    else:
        out.rows([{**row, "value": _shown(row["value"])} for row in found], ("key", "value"), "no values of its own")
    return Exit.OK


def json_or_text(text: str) -> Any:
    """A value as somebody types it: JSON where it is JSON, else the text itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
