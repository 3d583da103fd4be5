"""Each example is run as a reader would run it, and says what it promises."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[4] / "examples"
PYTHON = EXAMPLES / "python"


def run(name: str, *args: str, cwd: Path) -> str:
    command = [sys.executable, str(PYTHON / name), *args]
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8"}
    ran = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, encoding="utf-8", timeout=120, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_every_example_is_in_the_index() -> None:
    index = (PYTHON / "README.md").read_text(encoding="utf-8")
    there = [path.name for path in PYTHON.iterdir() if path.name not in ("README.md", "__pycache__")]
    assert [name for name in there if name not in index] == []


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_the_quickstart_survives_being_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-u", str(PYTHON / "quickstart.py")]
    first = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, encoding="utf-8")
    assert first.stdout is not None
    for line in first.stdout:
        if "wait for the mailbox" in line:
            break
    first.send_signal(signal.SIGKILL)
    first.communicate()
    second = run("quickstart.py", cwd=tmp_path)
    assert second.splitlines()[-1] == "Welcome, Zoë Müller!"
    assert second.count("step_started create user") == 1


def test_the_quickstart_fits_the_readme() -> None:
    code = (PYTHON / "quickstart.py").read_text(encoding="utf-8").split("# --8<-- readme\n")[1]
    assert len([line for line in code.splitlines() if line.strip()]) <= 20


def test_onboarding(tmp_path: Path) -> None:
    hires = str(EXAMPLES / "data" / "new_hires.csv")
    said = run("onboarding.py", hires, cwd=tmp_path).splitlines()
    assert len([line for line in said if line.startswith("row ")]) == 2
    assert len([line for line in said if line.endswith(": succeeded")]) == 27
    short = [line for line in said if "completed_with_errors" in line]
    assert len(short) == 1
    assert short[0].endswith("no licence of this SKU is left")
    assert run("onboarding.py", hires, cwd=tmp_path).splitlines() == said


def test_licence_report(tmp_path: Path) -> None:
    said = run("licence_report.py", cwd=tmp_path)
    for finding in ("bob@contoso.com cannot sign in", "ada@adatum.com has SPE_E3 too", "assigned to nobody"):
        assert finding in said
    *lines, total = said.splitlines()
    assert float(total.split()[0]) == pytest.approx(sum(float(line.split()[-1]) for line in lines))


def test_bulk_update(tmp_path: Path) -> None:
    said = run("bulk_update.py", cwd=tmp_path).splitlines()
    assert [line.split()[0] for line in said[:3]] == ["20/51", "40/51", "51/51"]
    assert said[3].startswith("nobody@contoso.com: ")
    assert said[-1] == "50 of 51 users changed: completed_with_errors"


def test_the_sample_suite(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-n", "4", "-p", "no:cacheprovider", str(PYTHON / "testing")]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stdout
