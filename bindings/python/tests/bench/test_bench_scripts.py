"""The benches start, measure and tell; how fast anything is concerns no test."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

BENCHES = Path(__file__).parents[4] / "benches/python"


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(BENCHES)
    from harness import figures

    return figures


def test_a_quick_run_measures_and_writes_json(tmp_path: Path) -> None:
    told = tmp_path / "figures.json"
    command = [sys.executable, str(BENCHES / "run.py"), "--quick", "--folder", str(tmp_path), "--json", str(told)]
    command += ["--only", "import_time", "--only", "workflows"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr
    assert "| import bifrost " in ended.stdout
    by_name = {figure.pop("name"): figure for figure in json.loads(told.read_text("utf-8"))}
    assert {"python/disk_sync", "python/import_time", "python/trivial_rate", "python/steps_p50"} <= by_name.keys()
    assert set(by_name["python/import_time"]) == {"value", "unit", "min", "max", "baseline", "ratio"}
    assert list(tmp_path.iterdir()) == [told]


def test_ours_stands_beside_the_best_peer(figures: Any) -> None:
    results = figures.Results()
    for side, values in {"bifrost": (4_000, 6_000, 5_000), "dbos": (100,), "celery": (400, 500)}.items():
        for value in values:
            results.add(side, {"trivial_rate": value})
    ours, *peers = results.rows()
    assert ours.cells()[1:] == ["5,000", "4,000 to 6,000", "/s", "11.1 (celery)", "≥ 5,000", "yes"]
    assert [row.json()["name"] for row in peers] == ["python/trivial_rate/dbos", "python/trivial_rate/celery"]
    assert ours.json()["baseline"] == 450


def test_the_readme_has_room_for_the_table(figures: Any, tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    original = (BENCHES.parent / "README.md").read_text("utf-8")
    readme.write_text(original, "utf-8")
    figures.write_into(readme, "| first |")
    figures.write_into(readme, "| second |")
    written = readme.read_text("utf-8")
    assert "| first |" not in written
    assert written.count("| second |") == 1
    assert written.startswith(original.partition(figures.START)[0])
