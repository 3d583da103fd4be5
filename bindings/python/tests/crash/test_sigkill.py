"""A Python process that is killed at random points: what it began is finished by the next one, and nothing twice.

The outside world is a folder of files that outlives every process. ``BIFROST_KILLS=100`` is the long form.
"""

from __future__ import annotations

import collections
import os
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

KILLS = int(os.environ.get("BIFROST_KILLS", "25"))
SEED = int(os.environ.get("BIFROST_SEED", "7"))

#: Lives are this long at most before they are killed, in seconds: as long as some twenty executions take.
LONGEST_LIFE = 0.25

PROGRAM = """
import os, sys
from bifrost import AsyncContext, Context, Hub, workflow

def append(name, line):
    file = os.open(f"outside/{name}", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(file, f"{line}\\n".encode())
    os.fsync(file)
    os.close(file)

def lines(name):
    try:
        with open(f"outside/{name}") as file:
            return file.read().split()
    except FileNotFoundError:
        return []

def once(number, idempotency_key):
    # A peer that honours keys: the first write of a key is applied, at once and whole, and whoever repeats it is told
    # of that one.
    draft = f"outside/drafts/{idempotency_key}.{os.getpid()}"
    with open(draft, "w") as file:
        print(number, file=file)
    try:
        os.link(draft, f"outside/keyed/{idempotency_key}")
    except FileExistsError:
        pass
    return number

def create(number):
    append("probed", number)
    return number

def find(number):
    return number if str(number) in lines("probed") else None

def note(kind, number):
    append("steps", f"{kind}/{number}")

@workflow
async def five_async(ctx: AsyncContext, number: int) -> int:
    await ctx.step("one", note, "one", number)
    await ctx.effect("keyed", once, number)
    await ctx.step("three", note, "three", number)
    await ctx.effect("probed", create, number, probe=lambda: find(number))
    await ctx.step("five", note, "five", number)
    return number

@workflow
def five_plain(ctx: Context, number: int) -> int:
    ctx.step("one", note, "one", number)
    ctx.effect("keyed", once, number)
    ctx.step("three", note, "three", number)
    ctx.effect("probed", create, number, probe=lambda: find(number))
    ctx.step("five", note, "five", number)
    return number

def records(tenant):
    found, before = [], None
    while page := tenant.executions(before=before, limit=1000):
        found += page
        before = page[-1]["id"]
    return found

last = sys.argv[1] == "last"
for folder in ("drafts", "keyed"):
    os.makedirs(f"outside/{folder}", exist_ok=True)
with Hub.open("data", workflows=[five_async, five_plain]) as hub:
    tenant = hub.create_tenant("contoso", exist_ok=True)
    print("open")
    if not last:
        number = len(records(tenant))
        while True:
            tenant.start((five_async, five_plain)[number % 2], {"number": number}, idempotency_key=str(number))
            # Told after it is durable: from here on it must not be lost.
            print("accepted", number)
            number += 1
            if number % 4 == 0:
                tenant.execution(tenant.executions(limit=1)[0]["id"]).result(timeout=30)
    for record in records(tenant):
        print(record["params"]["number"], record["id"], tenant.execution(record["id"]).result(timeout=60))
    assert tenant.verify_audit()["fault"] is None, tenant.verify_audit()
"""


def test_whoever_is_killed_finishes_later_and_nothing_is_written_twice(
    start: Callable[..., Any], run: Callable[..., str], tmp_path: Path
) -> None:
    chance = random.Random(SEED)
    accepted = 0
    for _ in range(KILLS):
        program = start(PROGRAM, "work")
        program.lines_until("open")
        # The point is random, not the wait: there is nothing to poll for.
        time.sleep(chance.uniform(0.0, LONGEST_LIFE))
        program.process.kill()
        told = [line.split() for line in program.end()[1].splitlines() if line.startswith("accepted ")]
        accepted += sum(len(words) == 2 for words in told)
    finished = [line.split() for line in run(PROGRAM, "last").splitlines() if line != "open"]
    assert len(finished) >= accepted > KILLS, (SEED, accepted, len(finished))
    assert all(number == result for number, _, result in finished), SEED
    numbers = sorted(int(number) for number, _, _ in finished)
    assert numbers == list(range(len(numbers))), SEED
    outside = tmp_path / "outside"
    keyed = [file.read_text() for file in (outside / "keyed").iterdir()]
    for texts in (keyed, (outside / "probed").read_text().split()):
        written = sorted(map(int, texts))
        assert written == numbers, f"seed {SEED}: {_twice(written)}"
    # A step may run again when its process died before the result was stored, one life at a time; never after that.
    ran = collections.Counter((tmp_path / "outside" / "steps").read_text().split())
    assert set(ran) == {f"{kind}/{number}" for kind in ("one", "three", "five") for number in numbers}, SEED
    again = sum(ran.values()) - len(ran)
    assert again <= KILLS * 40, (SEED, again)


def _twice(written: list[int]) -> list[tuple[int, int]]:
    return [(number, count) for number, count in collections.Counter(written).items() if count > 1]


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
