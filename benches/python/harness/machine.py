"""Facts of the machine that figures depend on."""

import os
import platform
import time
from pathlib import Path

from load import quantile


def disk_sync(folder: Path, seconds: float) -> float:
    """Milliseconds one record of 128 bytes takes in a bare log, p50: written over blocks that are there, and synced."""
    sync = getattr(os, "fdatasync", os.fsync)
    record, size = bytes(128), 1 << 20
    path = folder / "log"
    taken = []
    with path.open("wb", buffering=0) as log:
        log.write(bytes(size))
        os.fsync(log.fileno())
        ends = time.perf_counter() + seconds
        while (started := time.perf_counter()) < ends:
            log.seek(len(taken) * len(record) % size)
            log.write(record)
            sync(log.fileno())
            taken.append((time.perf_counter() - started) * 1e3)
    path.unlink()
    return quantile(taken, 0.5)


def facts(folder: Path) -> str:
    """Cores, system, Python, and what the stores are on."""
    system = f"{platform.system()} {platform.release()} {platform.machine()}"
    return f"{os.cpu_count()} cores; {system}; CPython {platform.python_version()}; stores on {file_system(folder)}"


def file_system(folder: Path) -> str:
    """The kind of file system a folder is on, as far as Linux tells; on tmpfs nothing is durable."""
    mounts = Path("/proc/self/mounts")
    if not mounts.exists():
        return "an unknown file system"
    entries = [line.split() for line in mounts.read_text().splitlines()]
    around = [(entry[1], entry[2]) for entry in entries if folder.resolve().is_relative_to(entry[1])]
    return max(around, key=lambda entry: len(entry[0]), default=("", "an unknown file system"))[1]
