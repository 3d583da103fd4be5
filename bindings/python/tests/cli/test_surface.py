"""Help, version, completion, doctor: what needs no execution."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest
from commandline import Cli

import bifrost
from bifrost.cli import Exit
from bifrost.cli._exit import HELP
from bifrost.cli._parser import COMMANDS

NAMES = [name for name, _, _ in COMMANDS]


def test_version(cli: Cli) -> None:
    assert cli("--version").out == f"bifrost {bifrost.__version__}\n"


def test_help_lists_commands_and_every_exit_code(cli: Cli) -> None:
    shown = cli("--help").out
    assert [name for name in NAMES if name not in shown] == []
    assert HELP in shown
    assert [code for code in Exit if f" {int(code)}  " not in HELP] == []


def test_no_command_is_a_usage_error(cli: Cli) -> None:
    assert cli().code == Exit.USAGE
    assert cli("runz").code == Exit.USAGE


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_knows_all_commands(cli: Cli, shell: str) -> None:
    script = cli("completion", shell)
    assert script.code == 0
    wanted = [*NAMES, "resolve", "verify", "idempotency-key", "crash-after"]
    assert [word for word in wanted if word not in script.out] == []
    program = shutil.which(shell)
    if program is not None:
        (cli.folder / "script").write_text(script.out)
        subprocess.run([program, "-n", str(cli.folder / "script")], check=True)


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_bash_completes(cli: Cli) -> None:
    (cli.folder / "script").write_text(cli("completion", "bash").out)
    ask = 'source ./script; COMP_WORDS=(bifrost --json runs re); COMP_CWORD=3; _bifrost; echo "${COMPREPLY[@]}"'
    found = subprocess.run(["bash", "-c", ask], cwd=cli.folder, capture_output=True, text=True, check=True)
    assert found.stdout == "resolve\n"


def test_doctor_on_nothing_makes_nothing(cli: Cli) -> None:
    ran = cli("doctor")
    assert (ran.code, "nothing is wrong" in ran.out) == (0, True)
    assert not cli.data.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="there are no modes")
def test_doctor_sees_a_key_that_others_may_read(contoso: Cli) -> None:
    key = contoso.data / "master.key"
    assert contoso("doctor").code == 0
    key.chmod(0o644)
    ran = contoso("doctor")
    assert (ran.code, f"chmod 600 {key}" in ran.out) == (Exit.FAILED, True)


def test_doctor_sees_a_folder_from_the_future(contoso: Cli) -> None:
    os.utime(contoso.data / "master.key", (4_000_000_000, 4_000_000_000))
    ran = contoso("doctor", "--json")
    assert [finding["what"] for finding in ran.lines if finding["level"] == "wrong"] == ["clock"]


def test_doctor_sees_a_lost_key(contoso: Cli) -> None:
    (contoso.data / "master.key").unlink()
    ran = contoso("doctor")
    assert (ran.code, "restore" in ran.out) == (Exit.FAILED, True)
    assert not (contoso.data / "master.key").exists()


def test_debug_shows_the_traceback(cli: Cli) -> None:
    ran = subprocess.run(
        cli.command(["--debug", "tenants", "list"]), capture_output=True, text=True, env=cli.environment(), check=False
    )
    assert "Traceback" in ran.stderr
