"""Say what is wrong and what to do about it. Nothing is changed and nobody is called."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import ExitStack

from bifrost import BifrostError, StoreLocked

from . import _open
from ._checks import Finding, of_folder, of_machine, of_tenant, process
from ._exit import Exit
from ._output import Output


def configure(parser: argparse.ArgumentParser) -> None:
    """Its arguments: those that all commands share."""


def run(arguments: argparse.Namespace, out: Output) -> int:
    """``doctor``."""
    findings = []
    for finding in _findings(arguments):
        findings.append(finding)
        out.json(finding.to_dict())
        out.text(f"{out.coloured(f'{finding.level:<6}')} {finding.what}: {finding.found}")
    wrong = [finding for finding in findings if finding.level == "wrong"]
    out.text()
    if not wrong:
        out.text("nothing is wrong")
    for number, finding in enumerate(wrong, 1):
        out.text(f"{number}. {finding.what}: {finding.found}; next: {finding.next_action}")
    if wrong:
        return Exit.FAILED
    return Exit.STORE if any(finding.locked for finding in findings) else Exit.OK


def _findings(arguments: argparse.Namespace) -> Iterator[Finding]:
    yield from of_machine()
    yield from of_folder(_open.folder(arguments))
    if not _open.holds_a_hub(_open.folder(arguments)):
        yield Finding("note", "store", "there is none yet", "the first run makes it")
        return
    with ExitStack() as stack:
        try:
            hub = stack.enter_context(_open.to_look(arguments))
        except StoreLocked as error:
            holder = process(error.context.get("pid"))
            found = f"in use by {holder}: what is inside was not looked at"
            yield Finding("note", "store", found, f"stop {holder} to look inside", locked=True)
            return
        except BifrostError as error:
            yield Finding("wrong", "store", error.message, error.next_action or "restore the folder from a backup")
            return
        store = hub.health()["store"]
        if store["refusing"]:
            yield Finding("wrong", "store", f"it refuses: {store['refusing']}", "make room, then open it again")
        else:
            yield Finding("ok", "store", f"{store['engine']}, {store['last_commit']} commits")
        for said in store["open_report"]:
            yield Finding("note", "store", str(said), "keep this line, should data be missed")
        for entry in hub.tenants():
            yield from of_tenant(hub.tenant(entry["id"]))
