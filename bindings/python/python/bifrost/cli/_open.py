"""Opening the data folder, to work or only to look."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from typing import Any

from bifrost import Hub, NotFound, Simulators, Tenant
from bifrost.hub import Opening

from ._failures import Failure, Usage


def to_look(arguments: argparse.Namespace, *, create: bool = False) -> Opening:
    """The hub of the data folder, without taking up what is unfinished in it: nothing runs and nothing is moved.

    Raises ``Failure`` when there is no hub in it, unless it may be made.
    """
    path = folder(arguments)
    if not create and not holds_a_hub(path):
        message = f"there is no hub in {path}"
        raise Failure(message, next_action="name its folder with --data DIR, or make a tenant: bifrost tenants create")
    return Hub.open(path, workflows=[], look=True, **_providers(arguments))


def to_decide(arguments: argparse.Namespace) -> Opening:
    """The same for decisions about executions, which are taken up for that. None of them has its code here: those that
    could run are set aside until a hub with their workflow is opened, and go on by themselves then."""
    to_look(arguments)
    return Hub.open(folder(arguments), workflows=[], **_providers(arguments))


def to_work(arguments: argparse.Namespace, **options: Any) -> Opening:
    """The hub of the data folder with everything that is decorated so far; takes up what is unfinished."""
    return Hub.open(folder(arguments), **_providers(arguments), **options)


def folder(arguments: argparse.Namespace) -> str:
    """The data folder."""
    return arguments.data or os.environ.get("BIFROST_DATA") or "./data"


def holds_a_hub(path: str) -> bool:
    """Whether a hub has been opened on a folder before."""
    return os.path.isdir(os.path.join(path, "store"))


def tenant(hub: Hub, name: str) -> Tenant:
    """A tenant; who is unknown is told how it is made."""
    try:
        return hub.tenant(name)
    except NotFound as error:
        known = ", ".join(entry["id"] for entry in hub.tenants()) or "none"
        message = f"there is no tenant {name!r} (known: {known})"
        raise Failure(message, next_action=f"bifrost tenants create {name}") from error


def chosen(hub: Hub, name: str | None) -> Iterator[Tenant]:
    """The tenant of this name, or all of them."""
    if name is not None:
        yield tenant(hub, name)
        return
    for entry in hub.tenants():
        yield hub.tenant(entry["id"])


def _providers(arguments: argparse.Namespace) -> dict[str, Any]:
    return {"simulators": Simulators()} if arguments.simulated else {}


def add_tenant(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    """The option that chooses a tenant."""
    everyone = "" if required else "; all of them unless given"
    parser.add_argument("-t", "--tenant", metavar="TENANT", required=required, help=f"the tenant{everyone}")


def pairs(texts: list[str], option: str) -> dict[str, str]:
    """``key=value``, repeated."""
    found = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise Usage(f"{option} {text!r} is not of the form key=value")
        found[key] = value
    return found
