"""The command in a process of its own, on a data folder of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WORKFLOWS = '''
import time
from bifrost import AsyncContext, Context, workflow

@workflow
async def hello(
    ctx: AsyncContext, name: str, seats: int = 1, share: float = 0.5, tags: list[str] = [], numbers: list[int] = [],
    dry: bool = False, extra: dict[str, int] | None = None,
) -> dict[str, object]:
    """Say hello."""
    await ctx.step("look", lambda: 1)
    ctx.progress(1, 2, "half")
    ctx.log("said", to=name)
    return {"name": name, "seats": seats, "share": share, "tags": tags, "numbers": numbers, "dry": dry, "extra": extra}

@workflow(retry=False)
def breaks(ctx: Context) -> None:
    raise ValueError("no good")

@workflow
def slow(ctx: Context) -> str:
    ctx.step("wait", time.sleep, 30)
    return "done"

@workflow
async def doubtful(ctx: AsyncContext) -> str:
    def send() -> str:
        raise ConnectionError("the answer was lost")
    return await ctx.effect("send", send)
'''


@dataclass
class Ran:
    """What a command came to."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Standard output, every line of which must be JSON."""
        return [json.loads(line) for line in self.out.splitlines()]


class Cli:
    """The command ``bifrost``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        (folder / "wf.py").write_text(WORKFLOWS, encoding="utf-8")

    def command(self, args: Sequence[str]) -> list[str]:
        return [sys.executable, "-m", "bifrost", *args]

    def environment(self, **more: str) -> dict[str, str]:
        return {**os.environ, "BIFROST_DATA": str(self.data), "PYTHONIOENCODING": "utf-8", **more}

    def __call__(self, *args: str, input: str = "", **more: str) -> Ran:
        ran = subprocess.run(
            self.command(args),
            input=input,
            capture_output=True,
            encoding="utf-8",
            cwd=self.folder,
            env=self.environment(**more),
            timeout=60,
            check=False,
        )
        assert "\x1b" not in ran.stdout + ran.stderr
        assert "Traceback" not in ran.stderr, ran.stderr
        return Ran(ran.returncode, ran.stdout, ran.stderr)

    def start(self, *args: str) -> subprocess.Popen[str]:
        """The command, going on by itself."""
        pipe = subprocess.PIPE
        return subprocess.Popen(
            self.command(args), stdout=pipe, stderr=pipe, encoding="utf-8", cwd=self.folder, env=self.environment()
        )


Wait = Callable[[subprocess.Popen[str], str], None]
