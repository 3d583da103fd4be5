"""What ``bifrost doctor`` looks at."""

from __future__ import annotations

import datetime
import importlib.metadata
import importlib.util
import os
import platform
import shutil
import stat
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bifrost import Tenant, __version__

from . import _follow

#: Below this, the store may soon refuse writes.
_LITTLE_ROOM = 512 * 1024 * 1024
#: Seconds by which a file may come from the future, as clocks of file servers differ.
_SKEW = 120
#: Executions looked through per tenant.
_LOOKED_AT = 500
#: No clock that is right says an earlier year: it is that of this code.
_THIS_YEAR = 2026


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    #: ``ok``, ``note`` or ``wrong``.
    level: str
    #: What was looked at.
    what: str
    #: What was found.
    found: str
    #: What to do about it.
    next_action: str = ""
    #: Another process has the folder.
    locked: bool = False

    def to_dict(self) -> dict[str, Any]:
        """For programs."""
        return {"level": self.level, "what": self.what, "found": self.found, "next_action": self.next_action or None}


def of_machine() -> Iterator[Finding]:
    """Python, the package and the clock."""
    python = f"{platform.python_implementation()} {platform.python_version()} on {platform.platform()}"
    yield Finding("ok", "python", python)
    yield Finding("ok", "bifrost", f"{__version__}, {_wheel()}")
    extras = [name for name in ("rich", "tqdm", "pydantic", "uvloop") if importlib.util.find_spec(name)]
    yield Finding("ok", "optional packages", ", ".join(extras) or "none; all features work without")
    now = datetime.datetime.now(datetime.timezone.utc)
    if now.year < _THIS_YEAR:
        yield Finding("wrong", "clock", f"it says {now:%Y-%m-%d}", "set the clock, or switch on NTP: tokens would fail")
    else:
        yield Finding("ok", "clock", f"{now:%Y-%m-%d %H:%M:%S} UTC")


def _wheel() -> str:
    try:
        text = importlib.metadata.distribution("bifrost-hub").read_text("WHEEL") or ""
    except importlib.metadata.PackageNotFoundError:
        return "not installed as a wheel"
    tags = [line.removeprefix("Tag: ") for line in text.splitlines() if line.startswith("Tag: ")]
    return ", ".join(tags) or "not installed as a wheel"


def of_folder(folder: str) -> Iterator[Finding]:
    """The data folder as the file system has it."""
    shown = os.path.abspath(folder)
    if not os.path.exists(folder):
        yield Finding("note", "data folder", f"{shown} does not exist", "the first run makes it")
        return
    if not os.path.isdir(folder):
        yield Finding("wrong", "data folder", f"{shown} is no folder", "name another with --data DIR")
        return
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        yield Finding(
            "wrong", "data folder", f"{shown} is not writable for this user", f"chown it, or chmod u+rwx {shown}"
        )
        return
    yield Finding("ok", "data folder", shown)
    yield from _key(os.path.join(folder, "master.key"), os.path.join(folder, "store"))
    free = shutil.disk_usage(folder).free
    room = f"{free / 1024**3:.1f} GiB free"
    if free < _LITTLE_ROOM:
        yield Finding("wrong", "disk", room, "make room: a full disk makes the store refuse writes")
    else:
        yield Finding("ok", "disk", room)
    newest = max((entry.stat().st_mtime for entry in _files(folder)), default=0.0)
    if newest > time.time() + _SKEW:
        ahead = datetime.timedelta(seconds=round(newest - time.time()))
        yield Finding("wrong", "clock", f"the folder was written {ahead} from now", "set the clock, or switch on NTP")


def _files(folder: str) -> Iterator[os.DirEntry[str]]:
    for entry in os.scandir(folder):
        if entry.is_dir(follow_symlinks=False):
            yield from _files(entry.path)
        else:
            yield entry


def _key(key: str, store: str) -> Iterator[Finding]:
    if not os.path.exists(key):
        if os.path.isdir(store):
            action = f"restore {key} from its backup: without it nothing sealed can be read"
            yield Finding("wrong", "master key", "it is not there", action)
        return
    mode = stat.S_IMODE(os.stat(key).st_mode)
    if sys.platform != "win32" and mode & 0o077:
        yield Finding("wrong", "master key", f"others may read it (mode {mode:o})", f"chmod 600 {key}")
    else:
        yield Finding("ok", "master key", "only its owner may read it; back it up apart from the data")


def of_tenant(tenant: Tenant) -> Iterator[Finding]:
    """A tenant's connections and executions."""
    record = tenant.record()
    if record["status"] != "active":
        status = record["status"]
        action = f"bifrost tenants enable {tenant.name}"
        yield Finding("note", tenant.name, f"it is {status if isinstance(status, str) else _reason(status)}", action)
    for known in tenant.connections.list():
        yield _connection(tenant, known["id"])
    waiting = [found for found in tenant.executions(limit=_LOOKED_AT) if found["state"] == "needs_attention"]
    unfinished = [found for found in tenant.executions(limit=_LOOKED_AT) if found["state"] not in _follow.ENDED]
    for execution in waiting:
        yield _attention(tenant.name, execution)
    names = sorted({found["workflow"] for found in unfinished if found["state"] != "needs_attention"})
    if names:
        count = len(unfinished) - len(waiting)
        found = f"{count} executions go on with the next run of {', '.join(names)}"
        yield Finding("note", tenant.name, found, f"bifrost run FILE:{names[0]} -t {tenant.name}")


def _reason(status: Any) -> str:
    return ", ".join(f"{key}: {value}" for key, value in status.items()) if isinstance(status, dict) else str(status)


def _connection(tenant: Tenant, name: str) -> Finding:
    status = tenant.connections.status(name)
    what, state = f"{tenant.name}/{name}", str(status.get("state"))
    if status.get("cause") is None and not status.get("next_action"):
        return Finding("ok", what, state)
    cause = status.get("cause")
    said = cause.get("message", cause) if isinstance(cause, dict) else cause
    action = status.get("next_action") or f"bifrost connections test {name} -t {tenant.name}"
    return Finding("wrong", what, f"{state}: {said}", action)


def _attention(tenant: str, record: dict[str, Any]) -> Finding:
    attention = record.get("attention") or {}
    reason = str(attention.get("reason", "a person must decide"))
    what = f"{tenant}/{record['workflow']}"
    if reason == "workflow_missing":
        action = f"run the file that defines {record['workflow']}: it goes on by itself"
    else:
        action = f"bifrost runs show {record['id']}, then bifrost runs resolve"
    return Finding("wrong", what, f"{record['id']} needs attention: {reason.replace('_', ' ')}", action)


def process(pid: str | None) -> str:
    """A process as somebody would name it."""
    if pid is None:
        return "another process"
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as source:
            command = source.read().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return f"process {pid}"
    return f"process {pid} ({command[:80]})" if command else f"process {pid}"
