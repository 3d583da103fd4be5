"""Durable handlers with Restate: the same two workflows as in workflows_bifrost.py, under the same load.

Timed: from sending a request to Restate's ingress over a connection that is kept until its answer is here. Server,
endpoint and caller are processes of their own, as Restate has it, and speak HTTP over loopback.
Not timed: starting the server and the endpoint, the registration, a warm-up of each load, ending.

The server has its settings as they come (its log is written to RocksDB's, which is synced), but for its ports, which
are free ones of 127.0.0.1, and its telemetry, which is off. The handlers are those of a plain service, the least that
Restate makes durable: an invocation is logged before it runs, each `run` is logged before the next begins, and so is
the answer. The endpoint is served by Hypercorn, as Restate's documentation has it, in one process.
"""

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import restate
from load import Call, arguments, tell
from load import workflow as measured

ABOUT = "its log synced before every answer; server, endpoint and caller speak HTTP, each in a process of its own"

#: How long server and endpoint may take to come up.
READY_WITHIN = 60.0

bench = restate.Service("bench")


def work(n: int) -> int:
    return n + 1


@bench.handler()
async def trivial(ctx: restate.Context, n: int) -> int:
    return n


@bench.handler()
async def steps(ctx: restate.Context, n: int) -> int:
    for _ in range(5):
        n = await ctx.run_typed("work", work, n=n)
    return n


app = restate.app([bench])


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody listens on; all are held until each is known."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


@contextlib.contextmanager
def running(*command: str, log: Path, **environment: str) -> Iterator[None]:
    with log.open("wb") as said:
        process = subprocess.Popen(command, cwd=log.parent, env=os.environ | environment, stdout=said, stderr=said)
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def version(server: str) -> str:
    """Name and version of the server, without what it was built from."""
    said = subprocess.run([server, "--version"], check=True, capture_output=True, text=True).stdout
    return " ".join(said.split()[:2])


async def registered(session: aiohttp.ClientSession, admin: int, endpoint: int) -> None:
    """Makes the endpoint known to the server, as soon as both are there."""
    ends, said = time.monotonic() + READY_WITHIN, "nothing"
    while time.monotonic() < ends:
        with contextlib.suppress(aiohttp.ClientError):
            asked = session.post(
                f"http://127.0.0.1:{admin}/deployments", json={"uri": f"http://127.0.0.1:{endpoint}", "force": True}
            )
            async with asked as answer:
                if answer.ok:
                    return
                said = await answer.text()
        await asyncio.sleep(0.2)
    raise SystemExit(f"Restate does not take its endpoint: {said}")


def calling(session: aiohttp.ClientSession, ingress: int, handler: str) -> Call:
    address = f"http://127.0.0.1:{ingress}/bench/{handler}"

    async def call() -> None:
        async with session.post(address, json=1) as answer:
            answer.raise_for_status()
            await answer.read()

    return call


async def answered(call: Call) -> None:
    """Waits until the ingress knows the handler: it hears of the registration a moment after it."""
    ends = time.monotonic() + READY_WITHIN
    while True:
        try:
            await call()
            break
        except aiohttp.ClientResponseError:
            if time.monotonic() > ends:
                raise
            await asyncio.sleep(0.2)


async def main() -> None:
    given = arguments(__doc__)
    figures: dict[str, float] = {}
    folder = Path(given.folder)
    node, ingress, admin, endpoint = free_ports(4)
    server = [os.environ["BENCH_RESTATE"], "--base-dir", str(folder / "restate"), "--node-name", "bench", "--no-logo"]
    server += ["--listen-mode", "tcp", "--bind-ip", "127.0.0.1", "--bind-port", str(node)]
    settings = {
        "RESTATE_INGRESS__BIND_PORT": str(ingress),
        "RESTATE_ADMIN__BIND_PORT": str(admin),
        "RESTATE_DISABLE_TELEMETRY": "true",
    }
    served = [sys.executable, "-m", "hypercorn", "--bind", f"127.0.0.1:{endpoint}", "workflows_restate:app"]
    here = str(Path(__file__).parent)
    with (
        running(*server, log=folder / "server.log", **settings),
        running(*served, log=folder / "endpoint.log", PYTHONPATH=here),
    ):
        connector = aiohttp.TCPConnector(limit=given.in_flight)
        async with aiohttp.ClientSession(connector=connector) as session:
            await registered(session, admin, endpoint)
            for handler in ("trivial", "steps"):
                call = calling(session, ingress, handler)
                await answered(call)
                figures |= await measured(handler, call, given)
    tell(figures, f"{version(server[0])}, {ABOUT}", "restate-sdk", "hypercorn")


if __name__ == "__main__":
    asyncio.run(main())
