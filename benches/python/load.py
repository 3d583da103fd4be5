"""What the scripts of this folder share: how load is made, how times are summed up, how figures are told.

Every script takes the same options, so that all sides of a comparison get the same load for the same time.
"""

import argparse
import asyncio
import json
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from importlib import metadata

#: A call that is measured; it returns when its work is done.
Call = Callable[[], Awaitable[object]]


def arguments(about: str | None) -> argparse.Namespace:
    """What `run.py` tells its scripts."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", required=True, help="an empty folder for whatever is stored")
    parser.add_argument("--seconds", type=float, default=4.0, help="how long each load lasts, without the warm-up")
    parser.add_argument("--in-flight", type=int, default=100)
    parser.add_argument("--simulators", type=json.loads, help="what the simulators printed when they started")
    parser.add_argument("--throttled", type=int, help="how many calls to make of a customer whose limit is below that")
    parser.add_argument("--fresh", type=int, default=20, help="fresh processes to start")
    return parser.parse_args()


def warm_up(seconds: float) -> float:
    """How long to warm up before a load of so many seconds."""
    return min(1.0, seconds / 4)


async def rate(call: Call, in_flight: int, seconds: float) -> float:
    """Calls per second with so many in flight: all that were started are waited for, and their time counts."""
    started = time.perf_counter()
    done = 0

    async def caller() -> None:
        nonlocal done
        while time.perf_counter() - started < seconds:
            await call()
            done += 1

    await asyncio.gather(*(caller() for _ in range(in_flight)))
    return done / (time.perf_counter() - started)


async def latencies(call: Call, seconds: float) -> list[float]:
    """The time of each call in milliseconds, one after the other."""
    taken = []
    ends = time.perf_counter() + seconds
    while (started := time.perf_counter()) < ends:
        await call()
        taken.append((time.perf_counter() - started) * 1e3)
    return taken


async def workflow(name: str, call: Call, given: argparse.Namespace) -> dict[str, float]:
    """Both figures of one workflow: many in flight, and one at a time."""
    await rate(call, given.in_flight, warm_up(given.seconds))
    per_second = await rate(call, given.in_flight, given.seconds)
    await latencies(call, warm_up(given.seconds))
    taken = await latencies(call, given.seconds)
    return {f"{name}_rate": per_second, f"{name}_p50": quantile(taken, 0.5), f"{name}_p99": quantile(taken, 0.99)}


def quantile(values: Sequence[float], part: float) -> float:
    """The smallest value that `part` of all values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(part * len(ordered)) - 1)]


def tell(figures: dict[str, float], about: str, *packages: str) -> None:
    """Prints the one line `run.py` reads: figures by name, what they stand on, and versions."""
    versions = {package: version(package) for package in packages}
    print(json.dumps({"figures": figures, "about": about, "versions": versions}))


def version(package: str) -> str:
    """The version of an installed package; of ours also when it is used from a source tree."""
    if package != "bifrost-hub":
        return metadata.version(package)
    import bifrost

    return bifrost.__version__
