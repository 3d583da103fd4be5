"""Verify and export the audit trail, a hash chain per tenant."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from bifrost import _native

from . import _open
from ._exit import Exit
from ._failures import Usage
from ._output import Output


def configure_actions(actions: Any) -> Iterator[argparse.ArgumentParser]:
    """The actions and their arguments."""
    verifying = actions.add_parser("verify", help="check every link of the chain")
    _open.add_tenant(verifying, required=False)
    verifying.add_argument("--file", metavar="FILE", help="check an exported trail instead, without the hub")
    verifying.set_defaults(run=verify)
    yield verifying
    exporting = actions.add_parser("export", help="write the whole trail to a new file")
    _open.add_tenant(exporting)
    exporting.add_argument("file", metavar="FILE")
    exporting.set_defaults(run=export)
    yield exporting


def verify(arguments: argparse.Namespace, out: Output) -> int:
    """``audit verify``."""
    if arguments.file is not None:
        found = [{"tenant": arguments.tenant, **_offline(arguments)}]
    else:
        with _open.to_look(arguments) as hub:
            tenants = _open.chosen(hub, arguments.tenant)
            found = [{"tenant": tenant.name, **tenant.verify_audit()} for tenant in tenants]
    for verdict in found:
        out.json(verdict)
        fault = verdict["fault"]
        said = "unbroken" if fault is None else f"BROKEN: {fault}"
        out.text(f"{verdict['tenant']}: {verdict['checked']} records, {said}")
    return Exit.OK if all(verdict["fault"] is None for verdict in found) else Exit.FAILED


def export(arguments: argparse.Namespace, out: Output) -> int:
    """``audit export``."""
    with _open.to_look(arguments) as hub:
        head = _open.tenant(hub, arguments.tenant).export_audit(arguments.file)
    out.json({"tenant": arguments.tenant, "file": arguments.file, **head})
    out.text(f"{arguments.file}: {head['last']} records, head {head['head']}")
    out.note("keep the head apart from the file: it proves that nothing was cut off at the end")
    return Exit.OK


def _offline(arguments: argparse.Namespace) -> dict[str, Any]:
    if arguments.tenant is None:
        raise Usage("a file is checked against the tenant it is said to be of", next_action="name it with -t TENANT")
    return _native.verify_audit_file(arguments.file, arguments.tenant)
