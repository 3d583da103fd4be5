"""mypy and pyright, both strict, find in the samples exactly what is written beside each line."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
OK = HERE / "sample_ok.py"
ERRORS = HERE / "sample_errors.py"

#: A finding: its line, and the code of the rule.
Findings = set[tuple[int, str]]


def expected(sample: Path, tool: str) -> Findings:
    """What the comments of a sample say about a tool."""
    found: Findings = set()
    for number, line in enumerate(sample.read_text(encoding="utf-8").splitlines(), 1):
        marked = re.search(rf"# error:.*\b{tool}\[([\w,-]+)\]", line)
        found |= {(number, code) for code in marked[1].split(",")} if marked else set()
    return found


def mypy(sample: Path, folder: Path) -> Findings:
    """What mypy finds; anywhere else it must find nothing."""
    command = [sys.executable, "-m", "mypy", "--strict", "--python-version", "3.10", "--config-file", ""]
    command += ["--cache-dir", str(folder / "cache"), "--no-error-summary", "--hide-error-context", str(sample)]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    lines = [line for line in ended.stdout.splitlines() if ": note:" not in line]
    found = [re.fullmatch(rf".*{sample.name}:(\d+): error: .*\[([\w-]+)\]", line) for line in lines]
    assert None not in found, ended.stdout
    assert ended.stderr == ""
    return {(int(item[1]), item[2]) for item in found if item}


def pyright(sample: Path, folder: Path) -> Findings:
    """What pyright finds."""
    shutil.copy(sample, folder)
    settings = {"include": [sample.name], "typeCheckingMode": "strict", "pythonVersion": "3.10"}
    project = folder / "pyrightconfig.json"
    project.write_text(json.dumps(settings), encoding="utf-8")
    command = [sys.executable, "-m", "pyright", "--outputjson", "--project", str(project)]
    command += ["--pythonpath", sys.executable]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    told = json.loads(ended.stdout)
    assert told["summary"]["filesAnalyzed"] == 1, ended.stdout
    return {
        (item["range"]["start"]["line"] + 1, item.get("rule", item["message"])) for item in told["generalDiagnostics"]
    }


@pytest.mark.parametrize("sample", [OK, ERRORS], ids=["ok", "errors"])
@pytest.mark.parametrize("tool", [mypy, pyright], ids=["mypy", "pyright"])
def test_a_tool_finds_what_is_there(tool: object, sample: Path, tmp_path: Path) -> None:
    assert callable(tool)
    assert tool(sample, tmp_path) == expected(sample, tool.__name__)


def test_the_samples_are_what_they_say() -> None:
    assert not expected(OK, "mypy") | expected(OK, "pyright")
    assert len(expected(ERRORS, "mypy")) > 10
    assert {line for line, _ in expected(ERRORS, "mypy")} == {line for line, _ in expected(ERRORS, "pyright")}
