"""A Python process that is killed at random points: what it acknowledged is there, whole and once.

``BIFROST_KILLS=200`` is the long form; ``BIFROST_SEED`` replays the plan, not the interleaving; with ``BIFROST_REPORT``
what was tried and found is written to that file, as JSON.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

KILLS = int(os.environ.get("BIFROST_KILLS", "25"))
SEED = int(os.environ.get("BIFROST_SEED", "7"))

#: Lives are this long at most once the hub is open, in seconds: as long as some twenty executions take.
LONGEST_LIFE = 0.3

#: One in so many dies earlier, some time between its start and the opening of the store.
DIES_EARLY = 6

#: How long the last life may take to finish everything, and any to open the store.
WITHIN = 300.0

PROGRAM = Path(__file__).with_name("program.py")


class Lab:
    """What the lives said, and what contradicts it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.violations: list[str] = []
        #: ``(tenant, number)``: executions that were asked for, and the identifiers they were accepted with.
        self.tried: dict[tuple[str, str], bool] = {}
        self.accepted: dict[tuple[str, str], str] = {}
        #: ``(execution, step)``: what a step that has ended returned.
        self.steps: dict[tuple[str, str], int] = {}
        self.finished: dict[str, Any] = {}
        #: Per tenant: the last version that was acknowledged and the last that was asked for.
        self.set: Counter[str] = Counter()
        self.setting: Counter[str] = Counter()
        self.slowest_opening = 0.0
        self.acknowledged = 0

    def check(self, holds: bool, text: str) -> None:
        if not holds:
            self.violations.append(text)

    def start(self, life: int | str) -> tuple[subprocess.Popen[bytes], Path]:
        """Starts a life; what it says is appended to a file, which it cannot be kept from by whoever reads."""
        said = self.folder / f"said.{life}"
        environment = {**os.environ, "RUST_BACKTRACE": "0", "PYTHONFAULTHANDLER": "1"}
        with said.open("wb") as out, (self.folder / "complaints").open("ab") as complaints:
            process = subprocess.Popen(
                [sys.executable, "-W", "error", str(PROGRAM), str(life)],
                cwd=self.folder, env=environment, stdout=out, stderr=complaints,
            )  # fmt: skip
        return process, said

    def live_and_die(self, life: int, chance: random.Random) -> None:
        process, said = self.start(life)
        early = chance.randrange(DIES_EARLY) == 0
        try:
            if not early:
                self.wait_until_open(process, said)
            # The point is random, not the wait: there is nothing to poll for.
            time.sleep(chance.uniform(0.0, LONGEST_LIFE))
            self.check(process.poll() is None, f"life {life} ended by itself: {self.complaints()}")
        finally:
            process.kill()
            process.wait()
        self.hear(said)

    def wait_until_open(self, process: subprocess.Popen[bytes], said: Path) -> None:
        until = time.monotonic() + WITHIN
        while b'"open"' not in said.read_bytes():
            assert process.poll() is None, self.complaints()
            assert time.monotonic() < until, "the store does not open"
            time.sleep(0.002)

    def complaints(self) -> str:
        return (self.folder / "complaints").read_text()

    def hear(self, said: Path) -> None:
        """Takes down what a life said. A line that it did not finish was not said."""
        for line in said.read_bytes().split(b"\n")[:-1]:
            self.take_down(**json.loads(line))

    def take_down(self, said: str, **fact: Any) -> None:
        if said == "open":
            self.slowest_opening = max(self.slowest_opening, fact["seconds"])
        elif said == "trying":
            self.tried[fact["tenant"], fact["number"]] = fact["nests"]
        elif said == "setting":
            self.setting[fact["tenant"]] = fact["version"]
        elif said == "wrong":
            self.violations.append(fact["what"])
        elif said == "step":
            known = self.steps.get((fact["id"], fact["name"]))
            self.acknowledged += known is None
            self.check(known in (None, fact["value"]), f"a step that had ended with {known} ran again: {fact}")
            self.steps[fact["id"], fact["name"]] = fact["value"]
        else:
            self.acknowledged += 1
            if said == "accepted":
                self.accepted[fact["tenant"], fact["number"]] = fact["id"]
            elif said == "finished":
                self.finished[fact["id"]] = fact["output"]
            else:
                self.set[fact["tenant"]] = fact["version"]

    def look(self) -> dict[str, Any]:
        """Lets everything end in a last life, and takes down what there is then."""
        tried = [[tenant, number, nests] for (tenant, number), nests in self.tried.items()]
        (self.folder / "tried.json").write_text(json.dumps(tried))
        process, said = self.start("last")
        assert process.wait(WITHIN) == 0, self.complaints()
        assert self.complaints() == ""
        self.hear(said)
        found: dict[str, Any] = json.loads((self.folder / "found.json").read_text())
        return found

    def compare(self, found: dict[str, Any]) -> None:
        """Compares what there is in the end with what was acknowledged."""
        ids = {(tenant, number): id for tenant, number, id, _ in found["executions"]}
        outputs = {id: output for _, _, id, output in found["executions"]}
        for order, id in self.accepted.items():
            self.check(ids.get(order) == id, f"{order} was accepted as {id}, its key leads to {ids.get(order)}")
        for id, output in self.finished.items():
            self.check(outputs.get(id) == output, f"{id} had ended with {output}, now with {outputs.get(id)}")
        for (id, name), value in self.steps.items():
            kept = outputs.get(id, {}).get(name)
            self.check(kept == value, f"{id}: {name} had ended with {value}, now with {kept}")
        for tenant, version in found["versions"].items():
            known = {self.set[tenant], self.setting[tenant]}
            self.check(version in known, f"{tenant}: the setting is {version}, acknowledged was {known}")
        for text in found["torn"]:
            self.violations.append(text)
        self.once(
            {f"{tenant}/{number}/{effect}" for tenant, number in ids for effect in ("keyed", "probed")}
            | {f"{tenant}/{number}/leaf" for (tenant, number) in ids if self.tried[tenant, number]}
        )

    def once(self, wanted: set[str]) -> None:
        """Compares what was applied outside with what should have been: each once."""
        outside = self.folder / "outside"
        applied = Counter(line.split()[0] for line in (outside / "probed").read_text().splitlines())
        applied += Counter(file.read_text().split()[0] for file in (outside / "keyed").iterdir())
        for label in wanted | set(applied):
            self.check(applied[label] == (label in wanted), f"{label} was applied {applied[label]} times")

    def report(self, seconds: float) -> None:
        path = os.environ.get("BIFROST_REPORT")
        if path:
            measured = {
                "acknowledgements": self.acknowledged, "executions": len(self.accepted), "steps": len(self.steps),
                "slowest opening in ms": round(1000 * self.slowest_opening),
            }  # fmt: skip
            report = {"attempts": KILLS, "violations": self.violations, "seconds": seconds, "measured": measured}
            Path(path).write_text(json.dumps(report))


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    """The lab; what it found is reported however the test ends."""
    lab, began = Lab(tmp_path), time.monotonic()
    try:
        yield lab
    finally:
        lab.report(time.monotonic() - began)


def test_what_was_acknowledged_before_a_kill_is_there_and_once(lab: Lab) -> None:
    chance = random.Random(SEED)
    for life in range(1, KILLS + 1):
        lab.live_and_die(life, chance)
    lab.compare(lab.look())
    assert lab.violations == [], f"seed {SEED}: {lab.violations[:20]}"
    # A loaded machine gets little done in such short lives; at length it must be enough to mean something.
    assert lab.acknowledged > KILLS, lab.acknowledged


def test_finished_steps_do_not_run_again(start: Callable[..., Any], run: Callable[..., str], tmp_path: Path) -> None:
    program = start(PAUSING, "work")
    program.lines_until("paused")
    program.process.kill()
    program.end()
    assert run(PAUSING, "last").split() == ["1", "2", "3"]
    assert (tmp_path / "ran").read_text().split() == ["1", "2", "3"], "each exactly once"


@pytest.mark.parametrize("change", ["renamed", "reordered"])
def test_a_changed_function_is_refused_with_both_shapes(
    change: str, start: Callable[..., Any], run: Callable[..., str], tmp_path: Path
) -> None:
    program = start(PAUSING, "work")
    program.lines_until("paused")
    program.process.kill()
    program.end()
    line = run(PAUSING, change)
    recorded = "recorded=step 1#0, step 2#0"
    requested = {"renamed": "requested=step 1#0, second#0", "reordered": "requested=step 3#0"}[change]
    assert "needs_attention; tenant=contoso" in line
    assert recorded in line
    assert requested in line
    assert (tmp_path / "ran").read_text().split() == ["1", "2"], "nothing ran under the changed code"


PAUSING = """
import sys, threading
from bifrost import Context, Hub, NeedsAttention, workflow

names = {"renamed": {2: "second"}}.get(sys.argv[1], {})
order = {"reordered": [3, 1, 2]}.get(sys.argv[1], [1, 2, 3])

def ran(number):
    with open("ran", "a") as file:
        file.write(f"{number}\\n")
    return number

@workflow
def pausing(ctx: Context) -> list[int]:
    done = []
    for number in order:
        done.append(ctx.step(names.get(number, f"step {number}"), ran, number))
        if number == 2 and sys.argv[1] == "work":
            print("paused")
            threading.Event().wait(60)
    return done

with Hub.open("data", workflows=[pausing]) as hub:
    tenant = hub.create_tenant("contoso", exist_ok=True)
    if sys.argv[1] == "work":
        tenant.run(pausing)
        threading.Event().wait(60)
    try:
        print(*tenant.execution(tenant.executions()[0]["id"]).result(timeout=30))
    except NeedsAttention as error:
        print(error)
"""
