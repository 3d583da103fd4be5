"""List, create, disable and enable tenants."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from . import _open
from ._exit import Exit
from ._output import Output


def configure_actions(actions: Any) -> Iterator[argparse.ArgumentParser]:
    """The actions and their arguments."""
    listing = actions.add_parser("list", help="all tenants")
    listing.set_defaults(run=show)
    yield listing
    making = actions.add_parser("create", help="make a tenant")
    making.add_argument("name", help="its name, never used again after it was deleted")
    making.add_argument("--title", help="the name people see")
    making.add_argument("--provider", action="store_true", help="the MSP itself, which all customers inherit from")
    making.add_argument(
        "--mapping", metavar="PROVIDER=ID", action="append", default=[], help="its id at a provider; may be repeated"
    )
    making.add_argument("--exist-ok", action="store_true", help="a tenant of this name is fine, and stays as it is")
    making.set_defaults(run=create)
    yield making
    for name, summary in (("disable", "switch a tenant off: it starts nothing"), ("enable", "switch it on again")):
        switch = actions.add_parser(name, help=summary)
        switch.add_argument("name", help="the tenant")
        switch.set_defaults(run=change, change=name)
        yield switch


def show(arguments: argparse.Namespace, out: Output) -> int:
    """``tenants list``."""
    with _open.to_look(arguments) as hub:
        out.rows(hub.tenants(), ("id", "title", "kind", "status", "created_at"), "no tenants yet")
    return Exit.OK


def create(arguments: argparse.Namespace, out: Output) -> int:
    """``tenants create``."""
    mappings = _open.pairs(arguments.mapping, "--mapping")
    options: dict[str, Any] = {"provider": arguments.provider, "mappings": mappings}
    if arguments.title:
        options["title"] = arguments.title
    with _open.to_look(arguments, create=True) as hub:
        record = hub.create_tenant(arguments.name, exist_ok=arguments.exist_ok, **options).record()
    out.json(record)
    out.text(f"{record['id']} is there; next: bifrost connections create graph -t {record['id']} …")
    return Exit.OK


def change(arguments: argparse.Namespace, out: Output) -> int:
    """``tenants disable`` and ``enable``."""
    with _open.to_look(arguments) as hub:
        _open.tenant(hub, arguments.name)
        if arguments.change == "disable":
            hub.disable_tenant(arguments.name)
        else:
            hub.enable_tenant(arguments.name)
        record = hub.tenant(arguments.name).record()
    out.json(record)
    out.text(f"{record['id']} is {record['status']}")
    return Exit.OK
