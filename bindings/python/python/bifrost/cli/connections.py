"""A tenant's connections to providers."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from . import _open, secrets
from ._exit import Exit
from ._output import Output
from .config import json_or_text


def configure_actions(actions: Any) -> Iterator[argparse.ArgumentParser]:
    """The actions and their arguments."""
    listing = actions.add_parser("list", help="all connections and where they lead")
    _open.add_tenant(listing, required=False)
    listing.set_defaults(run=show)
    yield listing
    status = actions.add_parser("status", help="how connections are doing, without asking the provider")
    _open.add_tenant(status, required=False)
    status.add_argument("name", nargs="?", help="one connection; all of them unless given")
    status.set_defaults(run=tell)
    yield status
    test = actions.add_parser("test", help="obtain a token the way a call would")
    _open.add_tenant(test)
    test.add_argument("name")
    test.set_defaults(run=check)
    yield test
    yield _configure_create(actions)


def _configure_create(actions: Any) -> argparse.ArgumentParser:
    create: argparse.ArgumentParser = actions.add_parser(
        "create",
        help="make a connection; the secret comes from the environment or a prompt",
        description="Make a connection. The client secret is read from the variable that --secret-env names, else from "
        "a prompt or standard input.",
    )
    _open.add_tenant(create)
    create.add_argument("name", help="`graph` and `halopsa` are what ctx.graph and ctx.halopsa use")
    create.add_argument("--provider", choices=("graph", "halopsa"), help="the name unless given")
    create.add_argument("--client-id", required=True, help="the application's id at the provider")
    create.add_argument("--secret-env", metavar="VARIABLE", help="the environment variable with the client secret")
    create.add_argument(
        "--refresh-token-env", metavar="VARIABLE", help="the one with a refresh token, where one is used"
    )
    create.add_argument(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="entra_tenant, cloud, tenant, resource_server, authorisation_server, scopes; may be repeated",
    )
    create.add_argument("--replace", action="store_true", help="put it in the place of the one of this name")
    create.set_defaults(run=make)
    return create


def show(arguments: argparse.Namespace, out: Output) -> int:
    """``connections list``."""
    with _open.to_look(arguments) as hub:
        found = [
            {"tenant": tenant.name, "connection": known["id"], **known["settings"]}
            for tenant in _open.chosen(hub, arguments.tenant)
            for known in tenant.connections.list()
        ]
    out.rows(found, ("tenant", "connection", "provider", "base_url"), "no connections yet")
    return Exit.OK


def tell(arguments: argparse.Namespace, out: Output) -> int:
    """``connections status``."""
    with _open.to_look(arguments) as hub:
        found = []
        for tenant in _open.chosen(hub, arguments.tenant):
            names = [arguments.name] if arguments.name else [known["id"] for known in tenant.connections.list()]
            found += [{"tenant": tenant.name, "connection": name, **tenant.connections.status(name)} for name in names]
    out.rows(found, ("tenant", "connection", "state", "cause", "next_action"), "no connections yet")
    return Exit.OK


def check(arguments: argparse.Namespace, out: Output) -> int:
    """``connections test``."""
    with _open.to_look(arguments) as hub:
        _open.tenant(hub, arguments.tenant).connections.test(arguments.name)
    out.json({"tenant": arguments.tenant, "connection": arguments.name, "works": True})
    out.text(f"{arguments.name} of {arguments.tenant} works: a token was obtained")
    return Exit.OK


def make(arguments: argparse.Namespace, out: Output) -> int:
    """``connections create``."""
    options: dict[str, Any] = {
        key: json_or_text(value) if key in ("scopes", "allow_private_hosts") else value
        for key, value in _open.pairs(arguments.set, "--set").items()
    }
    options["client_id"] = arguments.client_id
    if arguments.refresh_token_env:
        options["refresh_token"] = secrets.read("refresh token: ", arguments.refresh_token_env)
    if arguments.secret_env or not arguments.refresh_token_env:
        options["client_secret"] = secrets.read("client secret: ", arguments.secret_env)
    with _open.to_look(arguments) as hub:
        connections = _open.tenant(hub, arguments.tenant).connections
        make_it = connections.update if arguments.replace else connections.create
        make_it(arguments.name, provider=arguments.provider, **options)
    out.json({"tenant": arguments.tenant, "connection": arguments.name})
    out.text(f"{arguments.name} is there; next: bifrost connections test {arguments.name} -t {arguments.tenant}")
    return Exit.OK
