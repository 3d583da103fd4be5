"""Fixtures for tests of workflows; pytest finds them by itself where the package is installed.

    def test_a_lost_answer_makes_no_second_user(tenant, crash):
        crash.at("create user", when="during")
        execution = tenant.run(onboard, first_name="Zoë")
        again = crash.reopen().tenant("contoso").execution(execution.id)
        assert again.result(timeout=10) == "zoe@contoso.com"

- ``hub``: an open :class:`bifrost.Hub` in memory over simulated providers, in virtual time when the test asks for
  ``clock`` too. In tests that are coroutines open one with ``async with Hub.open(simulators=simulators)``.
- ``tenant``: the tenant ``contoso`` of that hub, connected to the simulated customer of its name.
- ``simulators``: the simulated providers.
- ``clock``: a :class:`bifrost.testing.Clock`; ``clock.run_until(execution)`` lets hours pass in an instant.
- ``crash``: a :class:`bifrost.testing.Crash`, which ends the hub at a named step and opens it again.

The marker ``@pytest.mark.bifrost(workflows=[...], seed=7)`` says what the hub may run, and takes whatever else
:meth:`bifrost.Hub.open` does. Without ``workflows`` it is every workflow that is defined. ``bifrost_seed`` in the ini
file is the seed of all tests.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    # Imported when a fixture is used: pytest loads this module in projects that test something else.
    from .hub import Hub
    from .simulators import Simulators
    from .tenant import Tenant
    from .testing import Clock, Crash, Stage

_MARKER = "bifrost(workflows=None, seed=None, **options): what the fixture `hub` is opened with; see bifrost.Hub.open"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Tells pytest of the seed."""
    parser.addini("bifrost_seed", "the seed of simulators, identifiers and jitter in tests of workflows", default="7")


def pytest_configure(config: pytest.Config) -> None:
    """Tells pytest of the marker."""
    config.addinivalue_line("markers", _MARKER)


def _options(request: pytest.FixtureRequest) -> dict[str, Any]:
    """What the markers of a test say, the nearest one last."""
    options: dict[str, Any] = {"seed": int(request.config.getini("bifrost_seed"))}
    for marker in reversed(list(request.node.iter_markers("bifrost"))):
        if marker.args:
            raise pytest.UsageError("@pytest.mark.bifrost takes keywords only, such as workflows=[...]")
        options.update(marker.kwargs)
    return options


@pytest.fixture
def clock() -> Clock:
    """A clock that moves when told, of the hub and the simulators."""
    from .testing import Clock

    return Clock()


def _clock(request: pytest.FixtureRequest) -> Clock | None:
    return request.getfixturevalue("clock") if "clock" in request.fixturenames else None


@pytest.fixture
def simulators(request: pytest.FixtureRequest) -> Simulators:
    """Simulated providers, made of the test's seed."""
    from .simulators import Simulators

    return Simulators(seed=_options(request)["seed"], clock=_clock(request))


@pytest.fixture
def _bifrost_stage(request: pytest.FixtureRequest, simulators: Simulators) -> Iterator[Stage]:
    from .testing import Stage

    with Stage(simulators=simulators, clock=_clock(request), **_options(request)) as stage:
        yield stage


@pytest.fixture
def hub(_bifrost_stage: Stage) -> Hub:
    """An open hub in memory."""
    return _bifrost_stage.hub


@pytest.fixture
def tenant(_bifrost_stage: Stage) -> Tenant:
    """The tenant ``contoso``, connected to the simulated customer of its name."""
    return _bifrost_stage.tenant()


@pytest.fixture
def crash(_bifrost_stage: Stage) -> Crash:
    """Ends the hub at a named step, and opens it again."""
    return _bifrost_stage.crash
