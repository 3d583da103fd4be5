"""The installed package as such: it is there, it is whole, and importing it changes nothing."""

import importlib.metadata
import subprocess
import sys
from pathlib import Path

import bifrost

DISTRIBUTION = importlib.metadata.distribution("bifrost-hub")

# Counts threads the way Python does and, on Linux, the way the kernel does: a native thread is unknown to Python.
IMPORT_AND_COUNT = """
import os, threading
def count():
    native = len(os.listdir("/proc/self/task")) if os.path.isdir("/proc/self/task") else 0
    return threading.active_count(), native
before = count()
import bifrost
import bifrost._native
print(before == count())
"""


def test_version_is_that_of_the_distribution() -> None:
    assert bifrost.__version__ == DISTRIBUTION.version


def test_nothing_is_required() -> None:
    mandatory = [requirement for requirement in DISTRIBUTION.requires or [] if "extra ==" not in requirement]
    assert mandatory == []


def test_types_are_shipped() -> None:
    folder = Path(bifrost.__file__).parent
    assert (folder / "py.typed").is_file()
    assert (folder / "_native.pyi").is_file()


def test_importing_starts_no_thread() -> None:
    command = [sys.executable, "-c", IMPORT_AND_COUNT]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert printed.strip() == "True"
