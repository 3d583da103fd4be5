"""A native hub on simulators, without the package's own hub: the clients are tested over nothing but a connection."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bifrost import _native
from bifrost._calls import wait
from bifrost.graph import AsyncGraph, Graph
from bifrost.halopsa import AsyncHaloPsa, HaloPsa
from bifrost.simulators import Simulators

Opener = Callable[[], Any]


#: Opens a hub on simulators with one tenant, and gives what opens its connections.
Connect = Callable[[Simulators], Callable[[str], Opener]]


@pytest.fixture
def connect() -> Iterator[Connect]:
    hubs: list[_native.Hub] = []

    def opened(simulators: Simulators) -> Callable[[str], Opener]:
        hub = wait(_native.Hub.open({}, [], simulators=simulators.native))
        hubs.append(hub)
        tenant = wait(hub.create_tenant("contoso", {}, False))
        for provider in ("graph", "halopsa"):
            options = simulators.connection_options("contoso", provider)
            credential = {name: options.pop(name) for name in ("client_id", "client_secret")}
            wait(tenant.create_connection(provider, provider, options, credential, False))
        return lambda provider: lambda: tenant.connection(provider)

    yield opened
    for hub in hubs:
        wait(hub.close(5.0))


@pytest.fixture
def simulators() -> Simulators:
    return Simulators(seed=7)


@pytest.fixture
def opener(connect: Connect, simulators: Simulators) -> Callable[[str], Opener]:
    return connect(simulators)


@pytest.fixture
def graph(opener: Callable[[str], Opener]) -> Graph:
    return Graph(opener("graph"))


@pytest.fixture
def async_graph(opener: Callable[[str], Opener]) -> AsyncGraph:
    return AsyncGraph(opener("graph"))


@pytest.fixture
def halopsa(opener: Callable[[str], Opener]) -> HaloPsa:
    return HaloPsa(opener("halopsa"))


@pytest.fixture
def async_halopsa(opener: Callable[[str], Opener]) -> AsyncHaloPsa:
    return AsyncHaloPsa(opener("halopsa"))
