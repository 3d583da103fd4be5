"""The command line: what every command shares, and the table of commands."""

from __future__ import annotations

import argparse
from types import ModuleType

from bifrost import __version__

from . import _exit, audit, completion, config, connections, demo, doctor, run, runs, secrets, tenants

#: The commands, in the order of ``--help``.
COMMANDS: tuple[tuple[str, ModuleType, str], ...] = (
    ("demo", demo, "onboard 28 people at three simulated customers"),
    ("run", run, "run a workflow of a file to its end, and follow it"),
    ("tenants", tenants, "list, create, disable and enable tenants"),
    ("runs", runs, "look at executions, decide about them, cancel them"),
    ("connections", connections, "a tenant's connections to providers"),
    ("secrets", secrets, "a tenant's secrets; their text never comes back"),
    ("config", config, "a tenant's configuration"),
    ("audit", audit, "verify and export the audit trail"),
    ("doctor", doctor, "say what is wrong and what to do about it"),
    ("completion", completion, "print the completion script of a shell"),
)


def build() -> argparse.ArgumentParser:
    """The whole command line."""
    parser = argparse.ArgumentParser(
        prog="bifrost",
        description="Durable workflows for Managed Service Providers, on the command line.",
        epilog=_exit.HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"bifrost {__version__}")
    parser.set_defaults(data=None, json=False, debug=False, simulated=False)
    _add_shared(parser, own_json=False)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, module, summary in COMMANDS:
        command = commands.add_parser(name, help=summary, description=module.__doc__)
        own_json = name in ("demo", "run")
        if hasattr(module, "configure_actions"):
            actions = command.add_subparsers(title="actions", metavar="ACTION", required=True)
            for action in module.configure_actions(actions):
                _add_shared(action, own_json=False)
        else:
            module.configure(command)
            command.set_defaults(run=module.run)
            _add_shared(command, own_json=own_json)
    return parser


def _add_shared(parser: argparse.ArgumentParser, *, own_json: bool) -> None:
    """What may stand before and after the command: no defaults here, or the later one would undo the earlier."""
    shared = parser.add_argument_group("everywhere")
    absent = argparse.SUPPRESS
    shared.add_argument(
        "--data", metavar="DIR", default=absent, help="the folder everything is kept in ($BIFROST_DATA, else ./data)"
    )
    if not own_json:
        shared.add_argument(
            "--json", action="store_true", default=absent, help="one JSON value per line on standard output"
        )
    shared.add_argument(
        "--simulated",
        action="store_true",
        default=absent,
        help="use the built-in simulators in place of the real providers",
    )
    shared.add_argument("--debug", action="store_true", default=absent, help="show the traceback of an error")
