"""Where the scripts run: a throw-away environment per side, and the servers the sides need."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE

#: How many seconds something may take to install.
INSTALLED_WITHIN = 600


class Unavailable(Exception):
    """Something cannot be had here; what it is for is skipped."""


def environment(folder: Path, packages: Sequence[str]) -> str:
    """The Python of a fresh environment with these packages in it."""
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    asked([sys.executable, "-m", "venv", str(folder)])
    asked([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages])
    return str(python)


def redis(folder: Path) -> str:
    """A Redis server: the one on the path, or Debian's, unpacked into `folder` and not installed."""
    if found := shutil.which("redis-server"):
        return found
    if not shutil.which("apt-get"):
        raise Unavailable("redis-server is not on the path, and there is no apt-get to fetch it with")
    folder.mkdir()
    asked(["apt-get", "download", "redis-server", "redis-tools", "liblzf1", "libjemalloc2"], folder)
    for package in folder.glob("*.deb"):
        asked(["dpkg", "-x", str(package), str(folder)])
    libraries = ":".join(sorted({str(path.parent) for path in folder.glob("usr/lib/**/*.so.*")}))
    program = folder / "redis-server"
    program.write_text(f'#!/bin/sh\nLD_LIBRARY_PATH="{libraries}" exec "{folder}/usr/bin/redis-server" "$@"\n')
    program.chmod(0o755)
    return str(program)


def restate(folder: Path) -> str:
    """Restate's server: the one on the path, or npm's, unpacked into `folder`; no package's scripts are run."""
    if found := shutil.which("restate-server"):
        return found
    npm = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(folder)]
    asked([*npm, "@restatedev/restate-server"])
    # The package itself is a script for node; the program comes with the one for this platform.
    programs = folder.glob("node_modules/@restatedev/restate-server-*/bin/restate-server*")
    if not (program := next(programs, None)):
        raise Unavailable("npm has no Restate server for this platform")
    return str(program)


@contextmanager
def simulators(python: str, limit: int | None, variables: dict[str, str]) -> Iterator[str]:
    """Running simulators and the line they say when they start; they end with this process, too."""
    script = Path(__file__).parents[1] / "simulators.py"
    command = [python, str(script)] + ([] if limit is None else ["--limit", str(limit)])
    with subprocess.Popen(command, env=variables, stdin=PIPE, stdout=PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            if not (line := process.stdout.readline()):
                raise Unavailable("the simulators did not start")
            yield line
        finally:
            process.terminate()


def asked(command: Sequence[str], folder: Path | None = None) -> str:
    """What a command prints; `Unavailable` with the last it says when it fails."""
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            check=True,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=INSTALLED_WITHIN,
        )
        return done.stdout
    except subprocess.TimeoutExpired:
        raise Unavailable(f"{' '.join(command[:4])} …: not done within {INSTALLED_WITHIN} s") from None
    except subprocess.CalledProcessError as error:
        said = (error.stderr.strip() or "nothing").splitlines()[-1]
        raise Unavailable(f"{' '.join(command[:4])} …: {said}") from None
    except OSError as error:
        raise Unavailable(f"{command[0]}: {error.strerror}") from None
