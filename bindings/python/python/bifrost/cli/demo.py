"""Onboard new hires at three customers, all simulated: users, licences, groups, tickets, booked time.

Without --data everything is kept in memory. With it, run the same twice: nothing is created twice.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime
import importlib.resources
import json
from typing import TYPE_CHECKING, Any

from ._exit import Exit
from ._failures import Usage
from ._output import Output

if TYPE_CHECKING:
    from bifrost import AsyncHub
    from bifrost._demo.onboarding import InvalidRow, Person
    from bifrost._demo.people import Finished, Watch

#: People worked on at the same time: enough to be quick, and gentle with the providers.
_AT_A_TIME = 12


def configure(parser: argparse.ArgumentParser) -> None:
    """Its arguments."""
    parser.add_argument("--hires", metavar="FILE", help="another file of new hires")
    parser.add_argument(
        "--json",
        metavar="PATH",
        nargs="?",
        const="-",
        default=argparse.SUPPRESS,
        help="the results as one JSON document; without PATH, or as `-`, on standard output, and nothing else there",
    )
    parser.add_argument(
        "--crash-after",
        metavar="STEPS",
        type=int,
        help="end the hub after so many steps as kill -9 would, and start another on what was durable",
    )


def run(arguments: argparse.Namespace, out: Output) -> int:
    """``demo``."""
    if arguments.crash_after is not None and arguments.data is not None:
        raise Usage("--crash-after keeps everything in memory", next_action="leave out --data")
    if arguments.crash_after is not None and arguments.crash_after < 1:
        raise Usage("--crash-after needs at least one step")
    target = "-" if arguments.json is True else arguments.json or None
    # Where people read: standard output, unless the document goes there.
    out.as_json = target == "-"
    return asyncio.run(_Demo(arguments, out, target).run())


class _Demo:
    def __init__(self, arguments: argparse.Namespace, out: Output, target: str | None) -> None:
        self._arguments = arguments
        self._out = out
        self._target = target

    async def run(self) -> int:
        people, invalid = self._read()
        from bifrost import Simulators
        from bifrost._demo.people import Watch

        from ._progress import display

        shown = display(people)
        watch = Watch(shown, datetime.datetime.now(datetime.timezone.utc))
        self._options: dict[str, Any] = {"simulators": Simulators(), "max_running": _AT_A_TIME}
        try:
            finished, providers = await self._onboard(watch, people)
        finally:
            shown.close()
        self._report(finished, invalid, watch.created, providers)
        ended = {"Succeeded", "CompletedWithErrors"}
        return Exit.OK if all(one.outcome in ended for one in finished) else Exit.FAILED

    def _read(self) -> tuple[list[Person], list[InvalidRow]]:
        """Says who will not be worked on before anything starts."""
        from bifrost._demo.onboarding import read_hires

        built_in = importlib.resources.files("bifrost._demo") / "new_hires.csv"
        with importlib.resources.as_file(built_in) as path:
            file = self._arguments.hires or str(path)
            try:
                people, invalid = read_hires(file)
            except (OSError, ValueError) as error:
                raise Usage(f"{file}: {error}") from error
        for wrong in invalid:
            self._say(f"row {wrong.row}, column {wrong.column}: {wrong.reason}")
        self._say(f"{len(people)} people to onboard, {len(invalid)} rows are skipped")
        return people, invalid

    async def _onboard(self, watch: Watch, people: list[Person]) -> tuple[list[Finished], dict[str, Any]]:
        from bifrost import Hub, _native
        from bifrost._demo.onboarding import onboard_user

        store = None if self._arguments.data else _native.Store()
        if self._arguments.crash_after is not None and store is not None:
            store = await self._crash(store, watch, people)
        workflows = [onboard_user]
        async with Hub.open(self._arguments.data, workflows=workflows, store=store, **self._options) as hub:
            return await self._work(hub, watch, people)

    async def _work(self, hub: AsyncHub, watch: Watch, people: list[Person]) -> tuple[list[Finished], dict[str, Any]]:
        from bifrost._demo.onboarding import provision

        resumed = hub.health()["executions_in_flight"]
        if resumed:
            self._say(f"{resumed} people were half-way when the last run ended: they go on")
        if resumed and self._arguments.data:
            self._say("but the simulators that held their users ended with that run: a new --data folder starts afresh")
        tenants = await provision(hub)
        finished = await watch.onboard(tenants, people)
        return finished, hub.health()["providers"]

    async def _crash(self, store: Any, watch: Watch, people: list[Person]) -> Any:
        """Works until the crash; answers what is left, or everything when there were not so many steps."""
        from bifrost import Hub
        from bifrost._demo.crash import Crash
        from bifrost._demo.onboarding import onboard_user
        from bifrost._demo.people import Watch

        from ._progress import Quiet

        with Crash(store, self._arguments.crash_after) as crash:
            async with Hub.open(workflows=[onboard_user], store=store, **self._options) as hub:
                # Events are counted once, by the hub that sees everyone to the end.
                work = asyncio.ensure_future(self._work(hub, Watch(Quiet(), watch.since), people))
                happened = asyncio.ensure_future(crash.happened.wait())
                await asyncio.wait((work, happened), return_when=asyncio.FIRST_COMPLETED)
                happened.cancel()
                if crash.left is None:
                    await work
                    return store
                work.cancel()
                await asyncio.gather(work, return_exceptions=True)
                await hub.close(0.0)
        self._say(f"the hub was killed after {self._arguments.crash_after} steps; another one takes up what it left")
        return crash.left

    def _report(
        self, people: list[Finished], invalid: list[InvalidRow], created: dict[str, int], providers: dict[str, Any]
    ) -> None:
        from bifrost._demo import report

        self._out.table(report.COLUMNS, list(report.rows(people)))
        for problem in report.problems(people):
            self._say(problem)
        self._say(report.summary(people, created))
        for name, sent in providers.items():
            fullest = max(sent["budget_used"].values(), default=0.0)
            told = f"{sent['calls']} calls, {sent['throttled']} answered 429, budget used {fullest:.0%}"
            self._say(f"{name}: {told}")
        if self._target is None:
            return
        document = report.document(people, invalid, created, providers)
        if self._target == "-":
            self._out.document(document, indent=2)
            return
        try:
            with open(self._target, "w", encoding="utf-8") as file:
                json.dump(document, file, ensure_ascii=False, indent=2)
                file.write("\n")
        except OSError as error:
            raise Usage(f"--json {self._target}: {error.strerror}") from error

    def _say(self, line: str) -> None:
        """To people: beside the document, where that goes to standard output."""
        if self._out.as_json:
            self._out.note(line)
        else:
            self._out.text(line)
            self._out.flush()
