"""The command, and folders for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from commandline import Cli, Wait


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """The command on an empty folder."""
    return Cli(tmp_path)


@pytest.fixture
def contoso(cli: Cli) -> Cli:
    """The command on a folder with the tenant ``contoso``."""
    assert cli("tenants", "create", "contoso").code == 0
    return cli


@pytest.fixture
def wait_for() -> Wait:
    """Reads a process's standard error until a word comes."""

    def wait(process: subprocess.Popen[str], word: str) -> None:
        assert process.stderr is not None
        for line in process.stderr:
            if word in line:
                return
        raise AssertionError(f"{word} was not said")

    return wait
