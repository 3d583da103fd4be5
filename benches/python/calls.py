"""What the scripts `graph_*.py` share: the customers of the simulators, and the load of GETs of single users.

Unthrottled: users of all customers in turn, 64 in flight, for the time given or until the customers' limits come near:
each has the units of ten seconds at the start, so that nothing waits for a limit.
Throttled: a number of GETs of one customer's users, 64 in flight, at a limit. The ideal time is what the limit asks for
once the units of the start are used. A call that fails with a 429 in the end is made again.
CPU is that of the client's process with all its threads. Requests are counted by the simulators: a client that answers
calls without asking is refused.
"""

import argparse
import asyncio
import itertools
import json
import time
import urllib.parse
import urllib.request
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

from load import warm_up

#: Gets a user; false when the call was answered 429 in the end.
Get = Callable[["User"], Awaitable[bool]]


@dataclass(frozen=True)
class User:
    """Somebody to ask for."""

    name: str
    #: The customer's domain, which the identity platform knows its tenant by.
    tenant: str


def tokens(simulators: dict[str, Any]) -> dict[str, str]:
    """A token per customer, for clients that do not get their own."""
    form = {
        "grant_type": "client_credentials",
        "client_id": simulators["client_id"],
        "client_secret": simulators["client_secret"],
        "scope": "https://graph.microsoft.com/.default",
    }
    data = urllib.parse.urlencode(form).encode()
    address = f"{simulators['identity']}/{{}}/oauth2/v2.0/token"
    return {tenant: _read(address.format(tenant), data)["access_token"] for tenant in simulators["customers"]}


def _read(address: str, data: bytes | None = None) -> Any:
    with urllib.request.urlopen(address, data, timeout=30) as answer:
        return json.load(answer)


async def measure(given: argparse.Namespace, get: Get) -> dict[str, float]:
    """The figures of one client."""
    simulators = given.simulators
    by_tenant = [[User(name, tenant) for name in names] for tenant, names in simulators["customers"].items()]
    if given.throttled:
        return await _throttled(given, get, by_tenant[0])
    # One of each customer, then the second of each.
    users = [user for users in zip(*by_tenant, strict=True) for user in users]
    calls = simulators["limit"] * len(by_tenant)
    await _load(get, itertools.islice(itertools.cycle(users), calls // 10), given.in_flight, warm_up(given.seconds))
    return await _unthrottled(given, get, itertools.islice(itertools.cycle(users), calls * 8 // 10))


async def _unthrottled(given: argparse.Namespace, get: Get, users: Iterable[User]) -> dict[str, float]:
    before, started, cpu = _counts(given), time.perf_counter(), time.process_time()
    calls = await _load(get, users, given.in_flight, given.seconds)
    cpu, taken, after = time.process_time() - cpu, time.perf_counter() - started, _counts(given)
    if after["throttled"] != before["throttled"] or after["requests"] - before["requests"] != calls:
        raise SystemExit(f"{calls} calls were not as many requests: {before} before, {after} after")
    return {"graph_rate": calls / taken, "graph_cpu": cpu / calls * 1e6}


async def _throttled(given: argparse.Namespace, get: Get, users: list[User]) -> dict[str, float]:
    before, started = _counts(given), time.perf_counter()
    await _load(get, itertools.islice(itertools.cycle(users), given.throttled), given.in_flight, float("inf"))
    taken, after = time.perf_counter() - started, _counts(given)
    limit = given.simulators["limit"]
    ideal = (given.throttled - limit) / (limit / 10)
    share = (after["throttled"] - before["throttled"]) / (after["requests"] - before["requests"])
    return {"throttled_time": taken / ideal, "throttled_share": share * 100}


async def _load(get: Get, users: Iterable[User], in_flight: int, seconds: float) -> int:
    """Gets users with so many calls in flight, until they or the time are used up; answers how many it got."""
    users, ends, calls = iter(users), time.perf_counter() + seconds, 0

    async def caller() -> None:
        nonlocal calls
        while time.perf_counter() < ends and (user := next(users, None)):
            while not await get(user):
                pass
            calls += 1

    await asyncio.gather(*(caller() for _ in range(in_flight)))
    return calls


def _counts(given: argparse.Namespace) -> dict[str, int]:
    state = _read(f"{given.simulators['state']}?log=1")
    return {name: state[name] for name in ("requests", "throttled")}
