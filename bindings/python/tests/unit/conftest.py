"""Lets the unit tests of the pure-Python half run from a clone, without a built wheel."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
if importlib.util.find_spec("bifrost") is None:
    sys.path.insert(0, str(Path(__file__).parents[2] / "python"))


@pytest.fixture(autouse=True)
def own_definitions() -> Iterator[None]:
    """Each test starts without definitions and leaves none behind."""
    from bifrost import _registry

    kept = dict(_registry._BY_NAME)
    _registry._BY_NAME.clear()
    yield
    _registry._BY_NAME.clear()
    _registry._BY_NAME.update(kept)
