"""Progress while it runs: a bar per customer on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from typing import Any

from bifrost._demo.onboarding import Person

from ._output import is_terminal, width

_BAR = 28


def display(people: Sequence[Person]) -> Lines | Bars | RichBars:
    """The liveliest form that standard error can show."""
    if not (is_terminal(sys.stdout) and is_terminal(sys.stderr)):
        return Lines(people)
    try:
        return RichBars(people)
    except ImportError:
        return Bars(people)


class Lines:
    """A line for everyone who is through."""

    def __init__(self, people: Sequence[Person]) -> None:
        self._total = len(people)
        self._done = 0

    def step(self, person: Person, step: str) -> None:
        """Nothing: a log is no place for what lasts a moment."""

    def ended(self, person: Person, outcome: str) -> None:
        """Somebody is through."""
        self._done += 1
        sys.stderr.write(f"[{self._done}/{self._total}] {person.hire.upn}: {outcome}\n")
        sys.stderr.flush()

    def close(self) -> None:
        """Nothing to clear."""


class Quiet:
    """Shows nothing."""

    def step(self, person: Person, step: str) -> None:
        """Nothing."""

    def ended(self, person: Person, outcome: str) -> None:
        """Nothing."""


class Bars:
    """A bar per customer, redrawn in place."""

    def __init__(self, people: Sequence[Person]) -> None:
        self._totals = Counter(person.customer for person in people)
        self._done: Counter[str] = Counter()
        self._notes = dict.fromkeys(self._totals, "")
        self._drawn = False

    def step(self, person: Person, step: str) -> None:
        """Somebody is at this step."""
        self._notes[person.customer] = f"{person.hire.name}: {step}"
        self._draw()

    def ended(self, person: Person, outcome: str) -> None:
        """Somebody is through."""
        self._done[person.customer] += 1
        if self._done[person.customer] == self._totals[person.customer]:
            self._notes[person.customer] = "done"
        self._draw()

    def close(self) -> None:
        """Leaves the bars as they are."""

    def _draw(self) -> None:
        up = f"\x1b[{len(self._totals)}A" if self._drawn else ""
        lines = [f"\r\x1b[K{self._line(customer)}\n" for customer in self._totals]
        sys.stderr.write(up + "".join(lines))
        sys.stderr.flush()
        self._drawn = True

    def _line(self, customer: str) -> str:
        done, total = self._done[customer], self._totals[customer]
        full = _BAR * done // total
        note = self._notes[customer]
        while width(note) > 34:
            note = note[:-1]
        return f"{customer:10} {'█' * full}{'░' * (_BAR - full)} {done:>3}/{total:<3} {note}"


class RichBars:
    """The same with rich, where that is installed."""

    def __init__(self, people: Sequence[Person]) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        columns = (TextColumn("{task.fields[customer]:10}"), BarColumn(), MofNCompleteColumn())
        self._progress: Any = Progress(*columns, TextColumn("{task.description}"), console=Console(stderr=True))
        totals = Counter(person.customer for person in people)
        self._tasks = {
            customer: self._progress.add_task("", total=total, customer=customer) for customer, total in totals.items()
        }
        self._progress.start()

    def step(self, person: Person, step: str) -> None:
        """Somebody is at this step."""
        self._progress.update(self._tasks[person.customer], description=f"{person.hire.name}: {step}")

    def ended(self, person: Person, outcome: str) -> None:
        """Somebody is through."""
        self._progress.advance(self._tasks[person.customer])

    def close(self) -> None:
        """Leaves the bars as they are."""
        self._progress.stop()
