"""What is measured, what it should be, and how it is told: as a table, as JSON, in the README."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

START, END = "<!-- results of benches/python: start -->", "<!-- results of benches/python: end -->"


@dataclass(frozen=True)
class Metric:
    """One figure of a script."""

    name: str
    title: str
    unit: str
    #: What ours must reach: at least it for rates, at most it for everything else.
    target: float | None = None

    @property
    def more_is_better(self) -> bool:
        return self.unit == "/s"

    def best(self, values: Iterable[float]) -> float:
        return max(values) if self.more_is_better else min(values)

    def met(self, value: float) -> bool | None:
        if self.target is None:
            return None
        return value >= self.target if self.more_is_better else value <= self.target

    @property
    def shown_target(self) -> str:
        if self.target is None:
            return ""
        return f"{'≥' if self.more_is_better else '≤'} {number(self.target)}"


METRICS = [
    Metric("disk_sync", "one synced record in a bare log, p50", "ms"),
    Metric("trivial_rate", "trivial workflow, 100 in flight", "/s", 5_000),
    Metric("trivial_p50", "trivial workflow, one at a time, p50", "ms", 1.0),
    Metric("trivial_p99", "trivial workflow, one at a time, p99", "ms"),
    Metric("steps_rate", "five steps, 100 in flight", "/s", 1_500),
    Metric("steps_p50", "five steps, one at a time, p50", "ms", 3.0),
    Metric("steps_p99", "five steps, one at a time, p99", "ms"),
    Metric("steps_plain_rate", "five steps in a plain def, 100 in flight", "/s"),
    Metric("steps_plain_p50", "five steps in a plain def, one at a time, p50", "ms"),
    Metric("steps_plain_p99", "five steps in a plain def, one at a time, p99", "ms"),
    Metric("graph_rate", "Graph: GETs of users, 64 in flight", "/s", 6_000),
    Metric("graph_cpu", "Graph: CPU of the client per GET", "µs"),
    Metric("throttled_time", "Graph, throttled: time ÷ ideal", "", 1.05),
    Metric("throttled_share", "Graph, throttled: calls answered 429", "%", 1.0),
    Metric("import_time", "import bifrost", "ms", 150),
    Metric("demo_first_line", "bifrost demo: first line", "s", 1.0),
]


@dataclass
class Results:
    """What the rounds have told: values by metric and side, ours under `bifrost`."""

    values: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    #: What each side promises of what it stores or sends, by side and bench.
    abouts: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)

    def add(self, side: str, figures: dict[str, float]) -> None:
        for name, value in figures.items():
            self.values.setdefault(name, {}).setdefault(side, []).append(value)

    def rows(self) -> list["Row"]:
        """All figures in the order of `METRICS`; the peers follow ours."""
        found = []
        for metric in METRICS:
            sides = self.values.get(metric.name, {})
            medians = {side: statistics.median(values) for side, values in sides.items()}
            peers = {side: value for side, value in medians.items() if side != "bifrost"}
            baseline = metric.best(peers.values()) if peers else None
            best = next((side for side, value in peers.items() if value == baseline), None)
            for side in sorted(sides, key=lambda side: side != "bifrost"):
                ours = side == "bifrost"
                row = Row(metric, side, medians[side], min(sides[side]), max(sides[side]))
                found.append(Row(*row.key(), baseline, best) if ours else row)
        return found


@dataclass(frozen=True)
class Row:
    """One figure of one side: the median of the rounds, their range, and the best peer's median beside ours."""

    metric: Metric
    side: str
    value: float
    least: float
    most: float
    baseline: float | None = None
    best: str | None = None

    def key(self) -> tuple[Metric, str, float, float, float]:
        return self.metric, self.side, self.value, self.least, self.most

    @property
    def ratio(self) -> float | None:
        return self.value / self.baseline if self.baseline else None

    def json(self) -> dict[str, Any]:
        name = f"python/{self.metric.name}" + ("" if self.side == "bifrost" else f"/{self.side}")
        values = {"value": self.value, "unit": self.metric.unit, "min": self.least, "max": self.most}
        return {"name": name, **values, "baseline": self.baseline, "ratio": self.ratio}

    def cells(self) -> list[str]:
        ours = self.side == "bifrost"
        ratio = "" if self.ratio is None else f"{number(self.ratio)} ({self.best})"
        met = {True: "yes", False: "**no**", None: ""}[self.metric.met(self.value) if ours else None]
        title = self.metric.title if ours else f"... {self.side}"
        spread = f"{number(self.least)} to {number(self.most)}"
        target = self.metric.shown_target if ours else ""
        return [title, number(self.value), spread, self.metric.unit, ratio, target, met]


def number(value: float) -> str:
    """Three significant digits, and all digits before the point."""
    size = abs(value)
    return f"{value:,.0f}" if size >= 100 else f"{value:.1f}" if size >= 10 else f"{value:.3g}"


def table(rows: Sequence[Row]) -> str:
    """The figures as Markdown whose columns line up."""
    lines = [
        ["what", "median", "min to max", "unit", "ratio to the best peer", "target", "met"],
        *(row.cells() for row in rows),
    ]
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    lines.insert(1, ["-" * width for width in widths])
    texts = (" | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)
    return "\n".join(f"| {text} |" for text in texts)


def write_into(readme: Path, report: str) -> None:
    """Puts the report between the markers."""
    before, _, rest = readme.read_text("utf-8").partition(START)
    _, found, after = rest.partition(END)
    if not found:
        raise SystemExit(f"{readme} lacks the lines {START} and {END}")
    readme.write_text(f"{before}{START}\n\n{report}\n\n{END}{after}", "utf-8")
