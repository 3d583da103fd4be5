"""Ten thousand users over a hundred pages: one page in memory at a time."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from typing import Any

import pytest

from bifrost.graph import Graph
from bifrost.simulators import Customer, Simulators

MIB = 1024 * 1024


def resident() -> int:
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * 4096


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_long_list_does_not_grow_memory(connect: Callable[[Simulators], Callable[[str], Any]]) -> None:
    contoso = Customer("contoso", "Contoso", "contoso.com", more_users=9_999)
    users = Graph(connect(Simulators(customers=[contoso]))("graph")).users
    assert users.list(page_size=100).first() is not None
    gc.collect()
    before = resident()
    count = pages = most = 0
    for page in users.list(page_size=100).pages():
        pages, count = pages + 1, count + len(page)
        most = max(most, resident())
    assert (count, pages) == (10_000, 100)
    assert most - before <= 20 * MIB, f"{(most - before) / MIB:.1f} MiB"
