"""Run a workflow of a file to its end, and follow it.

What is unfinished of the file's workflows goes on at the same time. Ctrl-C puts back what runs; the same command with
the same --idempotency-key finds it again.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from bifrost import Execution, Hub, Outcome

from . import _follow, _load, _open, _params
from ._exit import Exit
from ._failures import Usage
from ._output import Output

#: Executions of a tenant that are looked through for others that wait.
_LOOKED_AT = 200


def configure(parser: argparse.ArgumentParser) -> None:
    """Its arguments."""
    parser.add_argument("target", metavar="FILE:WORKFLOW", help="a Python file or module, and a workflow in it")
    _open.add_tenant(parser)
    parser.add_argument(
        "-p", "--param", metavar="KEY=VALUE", action="append", default=[], help="a parameter; may be repeated"
    )
    parser.add_argument(
        "--json",
        metavar="FILE",
        nargs="?",
        const="",
        default=argparse.SUPPRESS,
        help="JSON lines on standard output; with FILE (`-`: standard input), the parameters come from there, too",
    )
    parser.add_argument("--idempotency-key", metavar="KEY", help="the same key finds the execution that is there")
    parser.add_argument("--reveal-secrets", action="store_true", help="let workflows read the text of secrets, audited")


def run(arguments: argparse.Namespace, out: Output) -> int:
    """``run``."""
    definition = _load.load(arguments.target)
    params = _read(arguments.json) if isinstance(arguments.json, str) and arguments.json else {}
    params |= _params.parse(arguments.param, definition.schema)
    with _open.to_work(arguments, reveal_secrets=arguments.reveal_secrets) as hub:
        tenant = _open.tenant(hub, arguments.tenant)
        execution = tenant.start(definition.function, params, idempotency_key=arguments.idempotency_key)
        out.note(f"execution {execution.id} of {definition.name} for {tenant.name}")
        outcome = follow(execution, out)
        _tell_of_others(hub, out)
    return _told(execution, outcome, out)


def follow(execution: Execution, out: Output) -> Outcome:
    """Shows the events until the execution has ended. Raises ``NeedsAttention`` when a person must decide."""
    for event in execution.events():
        if out.as_json:
            out.json(event.to_dict())
        else:
            out.note(_follow.line(event))
        set_aside = event.kind == "state" and event.data.get("state") == "needs_attention"
        # An old event: somebody may have decided since.
        if set_aside and execution.record()["state"] == "needs_attention":
            execution.result()
    return execution.outcome()


def _told(execution: Execution, outcome: Outcome, out: Output) -> int:
    found = {"output": outcome.output, "error": outcome.error, "problems": outcome.problems}
    out.json({"execution": execution.id, "state": outcome.state, **found})
    if not out.as_json and outcome.output is not None:
        out.document(outcome.output, indent=2)
    for problem in outcome.problems:
        out.note(f"problem: {_error(problem)}")
    if outcome.succeeded:
        return Exit.OK
    error = outcome.error or {"message": outcome.state}
    out.note(f"bifrost: {_error(error)}")
    return Exit.FAILED


def _error(error: dict[str, Any]) -> str:
    action = f"; next: {error['next_action']}" if error.get("next_action") else ""
    at = dict(error.get("context") or ()).get("at")
    where = f", at {at}" if at else ""
    return " ".join(f"{error['message']}{where}{action}".split())


def _read(file: str) -> dict[str, Any]:
    try:
        if file == "-":
            found = json.load(sys.stdin)
        else:
            with open(file, encoding="utf-8") as source:
                found = json.load(source)
    except OSError as error:
        raise Usage(f"--json {file}: {error.strerror}") from error
    except ValueError as error:
        raise Usage(f"--json {file} is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise Usage(f"--json {file} is not an object with the parameters by name")
    return found


def _tell_of_others(hub: Hub, out: Output) -> None:
    """Executions of the folder that this command cannot bring to an end: nobody here has their code."""
    if not hub.health()["executions_in_flight"]:
        return
    for tenant in _open.chosen(hub, None):
        for record in tenant.executions(limit=_LOOKED_AT):
            if (record.get("attention") or {}).get("reason") == "workflow_missing":
                what = f"{record['workflow']} {record['id']} of {tenant.name}"
                out.note(f"note: {what} waits; next: run the file that defines {record['workflow']}")
