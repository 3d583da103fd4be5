"""Look at executions, decide about them, cancel them. No workflow runs meanwhile."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import Any

from bifrost import Event, Execution, Hub, NotFound, Tenant

from . import _follow, _open
from ._exit import Exit
from ._failures import Failure
from ._output import Output
from .config import json_or_text

#: Seconds an execution may take to come out of the store.
_PATIENCE = 5.0
_STATES = ("scheduled", "pending", "running", "needs_attention", "cancelling", *sorted(_follow.ENDED))


def configure_actions(actions: Any) -> Iterator[argparse.ArgumentParser]:
    """The actions and their arguments."""
    listing = actions.add_parser("list", help="executions, newest first")
    _open.add_tenant(listing, required=False)
    listing.add_argument("--state", choices=_STATES, help="only those in this state")
    listing.add_argument(
        "--limit", type=int, default=50, metavar="N", help="at most so many per tenant; 50 unless given"
    )
    listing.add_argument("--before", metavar="ID", help="only those older than this one, to page on")
    listing.set_defaults(run=show_all)
    yield listing
    summaries = {
        "show": "one execution: state, error, what is to be decided",
        "tail": "its events",
        "resolve": "decide about an execution that needs attention",
        "cancel": "stop an execution",
    }
    for name, handler in (("show", show), ("tail", tail), ("resolve", resolve), ("cancel", cancel)):
        action = actions.add_parser(name, help=summaries[name])
        _open.add_tenant(action, required=False)
        action.add_argument("id", metavar="ID", help="the execution")
        if name == "tail":
            action.add_argument("--from", dest="from_seq", type=int, default=1, metavar="N", help="from event N on")
        if name == "resolve":
            _configure_resolve(action)
        if name == "cancel":
            action.add_argument("--reason", default="cancelled on the command line")
        action.set_defaults(run=handler)
        yield action


def _configure_resolve(action: argparse.ArgumentParser) -> None:
    action.add_argument(
        "decision",
        choices=("done", "not_done", "resume", "abort"),
        help="the write was applied; it was not, do it; try again as it is; give up",
    )
    action.add_argument("--result", metavar="JSON", help="with `done`: what the write returned")


def show_all(arguments: argparse.Namespace, out: Output) -> int:
    """``runs list``."""
    with _open.to_look(arguments) as hub:
        found = [
            {"tenant": tenant.name, **record}
            for tenant in _open.chosen(hub, arguments.tenant)
            for record in tenant.executions(before=arguments.before, limit=arguments.limit)
            if arguments.state in (None, record["state"])
        ]
    out.rows(found, ("tenant", "id", "workflow", "state", "attempt", "accepted_at"), "no executions")
    return Exit.OK


def show(arguments: argparse.Namespace, out: Output) -> int:
    """``runs show``."""
    with _open.to_look(arguments) as hub:
        tenant, execution = _found(hub, arguments)
        record = {"tenant": tenant.name, **execution.record()}
    out.json(record)
    for name, value in _lines(record):
        out.text(f"{name:<12}{value}")
    if record["state"] == "needs_attention":
        out.note(f"next: decide with `bifrost runs resolve {record['id']} done|not_done|resume|abort`")
        return Exit.ATTENTION
    return Exit.OK


def tail(arguments: argparse.Namespace, out: Output) -> int:
    """``runs tail``: what is stored. Nothing can be added meanwhile, as this process holds the folder."""
    with _open.to_look(arguments) as hub:
        _, execution = _found(hub, arguments)
        record = execution.record()
        for event in _stored(execution, record["last_event"], arguments.from_seq):
            out.json(event.to_dict())
            out.text(_follow.line(event))
    if record["state"] in _follow.ENDED:
        return Exit.OK
    if record["state"] == "needs_attention":
        out.note(f"it waits for a person; next: bifrost runs show {arguments.id}")
        return Exit.ATTENTION
    out.note(f"it is {record['state']} and goes on when its workflow runs; next: bifrost run FILE:{record['workflow']}")
    return Exit.OK


def resolve(arguments: argparse.Namespace, out: Output) -> int:
    """``runs resolve``."""
    result = None if arguments.result is None else json_or_text(arguments.result)
    with _open.to_look(arguments) as hub:
        tenant, execution = _found(hub, arguments)
        tenant.resolve(arguments.id, arguments.decision, result)
        record = execution.record()
    out.json({"tenant": tenant.name, **record})
    out.text(f"{arguments.id} is {record['state']}")
    return Exit.OK


def cancel(arguments: argparse.Namespace, out: Output) -> int:
    """``runs cancel``."""
    with _open.to_look(arguments) as hub:
        tenant, execution = _found(hub, arguments)
        execution.cancel(arguments.reason)
        # The handle from before knew nobody to wait for: cancelling had it taken up.
        execution = tenant.execution(arguments.id)
        execution.outcome(_PATIENCE)
        record = execution.record()
    out.json({"tenant": tenant.name, **record})
    out.text(f"{arguments.id} is {record['state']}")
    return Exit.OK


def _found(hub: Hub, arguments: argparse.Namespace) -> tuple[Tenant, Execution]:
    """An execution by its identifier, which is unique among all tenants."""
    for tenant in _open.chosen(hub, arguments.tenant):
        try:
            return tenant, tenant.execution(arguments.id)
        except NotFound:
            continue
    raise Failure(f"there is no execution {arguments.id}", next_action="find it with `bifrost runs list`")


def _stored(execution: Execution, last: int, first: int) -> Iterator[Event]:
    if first > last:
        return
    for event in execution.events(first):
        yield event
        if event.seq >= last:
            return


def _lines(record: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name in (
        "tenant",
        "id",
        "workflow",
        "state",
        "attempt",
        "principal",
        "accepted_at",
        "started_at",
        "finished_at",
    ):
        if record.get(name) is not None:
            yield name.removesuffix("_at"), _shown(record[name])
    yield "params", _shown(record.get("params"))
    if record.get("attention"):
        yield "attention", _shown(record["attention"])
    outcome = record.get("outcome") or {}
    if outcome.get("output") is not None:
        yield "output", _shown(outcome["output"])
    errors = ([outcome["error"]] if outcome.get("error") else []) + list(outcome.get("problems") or [])
    for error in errors:
        yield "error", error["message"]
        if error.get("next_action"):
            yield "next", error["next_action"]


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
