"""A tenant's secrets. They are read from standard input or a prompt, never from an argument, and never come back."""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from collections.abc import Iterator
from typing import Any

from . import _open
from ._exit import Exit
from ._failures import Usage
from ._output import Output


def configure_actions(actions: Any) -> Iterator[argparse.ArgumentParser]:
    """The actions and their arguments."""
    setting = actions.add_parser("set", help="store a secret, read from standard input or a prompt")
    deleting = actions.add_parser("delete", help="remove a secret")
    for action, handler in ((setting, put), (deleting, delete)):
        _open.add_tenant(action)
        action.add_argument("name")
        action.set_defaults(run=handler)
        yield action
    listing = actions.add_parser("list", help="the names of a tenant's own secrets")
    _open.add_tenant(listing)
    listing.set_defaults(run=show)
    yield listing


def put(arguments: argparse.Namespace, out: Output) -> int:
    """``secrets set``."""
    text = read(f"{arguments.name}: ")
    with _open.to_look(arguments) as hub:
        _open.tenant(hub, arguments.tenant).secrets.set(arguments.name, text)
    out.json({"name": arguments.name})
    return Exit.OK


def delete(arguments: argparse.Namespace, out: Output) -> int:
    """``secrets delete``."""
    with _open.to_look(arguments) as hub:
        _open.tenant(hub, arguments.tenant).secrets.delete(arguments.name)
    out.json({"name": arguments.name})
    return Exit.OK


def show(arguments: argparse.Namespace, out: Output) -> int:
    """``secrets list``."""
    with _open.to_look(arguments) as hub:
        names = _open.tenant(hub, arguments.tenant).secrets.names()
    out.rows([{"name": name} for name in names], ("name",), "no secrets of its own")
    return Exit.OK


def read(prompt: str, variable: str | None = None) -> str:
    """A secret: from an environment variable, else a prompt, else standard input without its last line break."""
    if variable is not None:
        text = os.environ.get(variable, "")
        if not text:
            raise Usage(f"the environment variable {variable} is empty or not set")
        return text
    text = getpass.getpass(prompt) if sys.stdin.isatty() else sys.stdin.read().removesuffix("\n").removesuffix("\r")
    if not text:
        raise Usage("the secret is empty", next_action="type it at the prompt, or send it to standard input")
    return text
