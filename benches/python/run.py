"""Measures bifrost from Python beside its peers, in one run, and says how the figures stand.

    python benches/python/run.py --peers

Every script runs in a process of its own; the rounds alternate between ours and the peers, on the same machine, Python
and disk. `bifrost` is the package this Python has, or the wheel of --wheel. Peers are installed into throw-away
environments; one that cannot be had is skipped and said so. Everything that is started is stopped, and all it wrote is
removed.
"""

import argparse
import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import machine
from harness.environments import Unavailable, environment, redis, restate, simulators
from harness.figures import Results, table, write_into

HERE = Path(__file__).parent

#: Packages of the peers.
PEERS = {
    # It needs a newer SQLite than some systems have; see its script.
    "dbos": ["dbos"] if sqlite3.sqlite_version_info >= (3, 42) else ["dbos", "pysqlite3"],
    "celery": ["celery[redis]"],
    "restate": ["restate-sdk", "hypercorn", "aiohttp"],
    "msgraph-sdk": ["msgraph-sdk"],
    "httpx": ["httpx"],
    "aiohttp": ["aiohttp"],
}

#: Calls of the throttled benches and the limit per ten seconds; the same when it is to be quick.
THROTTLED, QUICK = (5_000, 2_500), (220, 200)


@dataclass(frozen=True)
class Bench:
    """Scripts that measure the same, by side."""

    name: str
    scripts: dict[str, str]
    in_flight: int = 1
    simulated: bool = False
    throttled: bool = False


GRAPH = {"bifrost": "graph_bifrost.py", "msgraph-sdk": "graph_msgraph.py"}
BENCHES = [
    Bench("import_time", {"bifrost": "import_time.py"}),
    Bench("demo_first_line", {"bifrost": "demo_first_line.py"}),
    Bench(
        "workflows",
        {
            "bifrost": "workflows_bifrost.py",
            "restate": "workflows_restate.py",
            "dbos": "workflows_dbos.py",
            "celery": "workflows_celery.py",
        },
        in_flight=100,
    ),
    Bench("graph", {**GRAPH, "httpx": "graph_httpx.py", "aiohttp": "graph_aiohttp.py"}, 64, simulated=True),
    # The bare clients would only hammer: they do not wait when they are told to.
    Bench("throttled", GRAPH, 64, simulated=True, throttled=True),
]


def main() -> int:
    given = arguments()
    for number in (signal.SIGTERM, signal.SIGHUP) if os.name == "posix" else ():
        # As Ctrl-C does: whatever was started is ended, and what it wrote is removed.
        signal.signal(number, lambda *_: sys.exit(1))
    with contextlib.ExitStack() as stack:
        temporary = tempfile.TemporaryDirectory(prefix="bifrost-bench-", dir=given.folder)
        folder = Path(stack.enter_context(temporary)).resolve()
        session = Session(given, folder)
        session.prepare()
        for turn in range(1, given.rounds + 1):
            session.round(turn)
    report = session.report()
    print(f"\n{report}")
    if given.json:
        rows = [row.json() for row in session.results.rows()]
        given.json.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", "utf-8")
    if given.readme:
        write_into(HERE.parent / "README.md", report)
    return 1 if session.failed else 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", action="store_true", help="measure the peers, too")
    parser.add_argument("--peer", action="append", choices=PEERS, help="only this peer; may be repeated")
    names = [bench.name for bench in BENCHES]
    parser.add_argument("--only", action="append", choices=names, help="only this bench; may be repeated")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0, help="how long each load lasts")
    parser.add_argument("--quick", action="store_true", help="one round of very little: shows that it works, not more")
    parser.add_argument("--wheel", type=Path, help="measure this wheel instead of the installed package")
    parser.add_argument("--folder", help="where stores and environments go; the system's temporary folder unless given")
    parser.add_argument("--json", type=Path, help="write the figures to this file, too")
    parser.add_argument("--readme", action="store_true", help="write the table into benches/README.md, too")
    given = parser.parse_args()
    if given.quick:
        given.rounds, given.seconds = 1, 0.4
    return given


class Session:
    """One run: what was chosen, where it runs, and what it told so far."""

    def __init__(self, given: argparse.Namespace, folder: Path) -> None:
        self.given = given
        self.folder = folder
        self.results = Results()
        self.failed = False
        self.benches = [bench for bench in BENCHES if not given.only or bench.name in given.only]
        #: The Python of each side that can run.
        self.pythons: dict[str, str] = {}
        #: What the peers' servers are told by, in the environment of their scripts.
        self.servers: dict[str, dict[str, str]] = {}

    def prepare(self) -> None:
        """Installs what is measured. Ours must be there; the rest is skipped when it is not to be had."""
        wheel = self.given.wheel
        self.pythons["bifrost"] = environment(self.folder / "bifrost", [str(wheel)]) if wheel else sys.executable
        for peer in self.wanted_peers():
            with self.skipping(peer):
                say(f"installing {peer}")
                if peer == "celery":
                    self.servers[peer] = {"BENCH_REDIS": redis(self.folder / "redis-server")}
                if peer == "restate":
                    self.servers[peer] = {"BENCH_RESTATE": restate(self.folder / "restate-server")}
                self.pythons[peer] = environment(self.folder / peer, PEERS[peer])

    def wanted_peers(self) -> list[str]:
        wanted = PEERS if self.given.peers else self.given.peer or []
        return [peer for peer in wanted if any(peer in bench.scripts for bench in self.benches)]

    def round(self, turn: int) -> None:
        """Every bench once, ours and the peers in turn."""
        self.results.add("bifrost", {"disk_sync": machine.disk_sync(self.folder, min(1.0, self.given.seconds))})
        for bench in self.benches:
            for side, script in bench.scripts.items():
                if side not in self.pythons:
                    continue
                say(f"round {turn}/{self.given.rounds}: {bench.name}, {side}")
                with self.skipping(f"{bench.name}, {side}", ours=side == "bifrost"):
                    self.take(bench, side, self.measured(bench, side, script))

    def take(self, bench: Bench, side: str, told: dict[str, Any]) -> None:
        self.results.add(side, told["figures"])
        self.results.versions |= told["versions"]
        if told["about"]:
            self.results.abouts[f"{bench.name}, {side}"] = told["about"]

    def measured(self, bench: Bench, side: str, script: str) -> dict[str, Any]:
        """What a script tells, in a folder of its own, beside servers of its own."""
        with contextlib.ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory(dir=self.folder))
            options = ["--folder", folder, "--seconds", str(self.given.seconds), "--in-flight", str(bench.in_flight)]
            options += ["--fresh", "2" if self.given.quick else "20"]
            calls, limit = QUICK if self.given.quick else THROTTLED
            if bench.simulated:
                serving = simulators(
                    self.pythons["bifrost"], limit if bench.throttled else None, self.variables("bifrost", folder)
                )
                options += ["--simulators", stack.enter_context(serving)]
            if bench.throttled:
                options += ["--throttled", str(calls)]
            return output([self.pythons[side], str(HERE / script), *options], self.variables(side, folder))

    def variables(self, side: str, folder: str) -> dict[str, str]:
        variables = os.environ | self.servers.get(side, {})
        if self.pythons[side] != sys.executable:
            variables.pop("PYTHONPATH", None)
        if side == "celery":
            variables["BENCH_REDIS_SOCKET"] = f"{folder}/redis.sock"
        return variables

    @contextlib.contextmanager
    def skipping(self, what: str, ours: bool = False) -> Iterator[None]:
        """Notes what cannot be had or fails, and goes on; a failure of ours is one of the run, too."""
        try:
            yield
        except Unavailable as error:
            say(f"skipped {what}: {error}")
            self.failed |= ours
            if (line := f"{what}: {error}") not in self.results.skipped:
                self.results.skipped.append(line)

    def report(self) -> str:
        """Table and facts as Markdown."""
        versions = ", ".join(f"{package} {version}" for package, version in sorted(self.results.versions.items()))
        rounds = f"{self.given.rounds} rounds, {self.given.seconds:g} s per load"
        facts = [f"{machine.facts(self.folder.parent)}; {rounds}", versions]
        facts += [f"{side}: {about}" for side, about in sorted(self.results.abouts.items())]
        facts += [f"skipped: {line}" for line in self.results.skipped]
        return f"{table(self.results.rows())}\n\n" + "\n".join(f"- {fact}" for fact in facts if fact)


def output(command: list[str], variables: dict[str, str]) -> dict[str, Any]:
    """The JSON a script prints last. Whatever it started ends with it."""
    process = subprocess.Popen(
        command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        printed, said = process.communicate(timeout=600)
    except subprocess.TimeoutExpired:
        raise Unavailable("it did not end within ten minutes") from None
    finally:
        end(process)
    if process.returncode:
        raise Unavailable(last(said) or f"it ended with {process.returncode}")
    told: dict[str, Any] = json.loads(printed.splitlines()[-1])
    return told


def last(said: str) -> str:
    """The line that says most of what went wrong: the last one that is no remark."""
    lines = [line for line in said.splitlines() if line.strip() and not line.startswith(("(", "[", " "))]
    return lines[-1] if lines else ""


def end(process: subprocess.Popen[str]) -> None:
    """Ends a process and, where there are groups of processes, all it left behind."""
    if process.poll() is None:
        process.kill()
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
