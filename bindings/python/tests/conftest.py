"""What the tests of the whole package share: programs in a process of their own, and waiting with a deadline."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

#: Whatever takes longer than this hangs.
DEADLINE = 60.0


@dataclass
class Program:
    """A Python program that runs beside the test."""

    process: subprocess.Popen[str]

    def lines_until(self, word: str) -> list[str]:
        """What it prints up to the line that is `word`."""
        assert self.process.stdout is not None
        lines = []
        for line in self.process.stdout:
            if line.strip() == word:
                return lines
            lines.append(line.strip())
        raise AssertionError(f"it ended without saying {word!r}: {lines} {self.end()[1]}")

    def interrupt(self) -> None:
        self.process.send_signal(signal.SIGINT)

    def end(self, timeout: float = DEADLINE) -> tuple[int, str, str]:
        """Waits for its end: exit code, what else it printed, what it complained about."""
        try:
            printed, complaints = self.process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            printed, complaints = self.process.communicate()
            raise AssertionError(f"it hangs: {printed} {complaints}") from None
        return self.process.returncode, printed, complaints


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Program]]:
    """Starts a program in the test's folder; one that is left over is ended with the test."""
    programs: list[Program] = []

    def start(source: str, *arguments: str) -> Program:
        path = tmp_path / f"program{len(programs)}.py"
        path.write_text(textwrap.dedent(source))
        environment = {**os.environ, "RUST_BACKTRACE": "0", "PYTHONFAULTHANDLER": "1"}
        process = subprocess.Popen(
            [sys.executable, "-u", "-W", "error", str(path), *arguments],
            cwd=tmp_path, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        programs.append(Program(process))
        return programs[-1]

    yield start
    for program in programs:
        if program.process.poll() is None:
            program.process.kill()
            program.process.communicate()


@pytest.fixture
def run(start: Callable[..., Program]) -> Callable[..., str]:
    """Runs a program to its end, which must be a quiet one; returns what it printed."""

    def run(source: str, *arguments: str) -> str:
        code, printed, complaints = start(source, *arguments).end()
        assert (code, complaints) == (0, ""), (code, printed, complaints)
        return printed

    return run


@pytest.fixture
def eventually() -> Callable[..., None]:
    """Polls until a condition holds."""

    def eventually(what: str, condition: Callable[[], object], timeout: float = DEADLINE) -> None:
        until = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < until, f"did not happen: {what}"
            time.sleep(0.005)

    return eventually
