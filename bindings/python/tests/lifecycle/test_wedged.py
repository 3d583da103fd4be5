"""Code that does not return: it is seen, and its level admits nothing, while the other goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from bifrost import AsyncContext, Context, Hub, Overloaded, TimedOut, _calls, workflow


@pytest.fixture
def wedge() -> Iterator[threading.Event]:
    """What hanging code waits for; it is let go at the end."""
    event = threading.Event()
    yield event
    event.set()


def test_a_wedged_loop(
    wedge: threading.Event, eventually: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_calls, "PATIENCE", 0.3)

    @workflow
    async def blocks_the_loop(ctx: AsyncContext) -> None:
        wedge.wait(60)

    @workflow
    async def wedged_async(ctx: AsyncContext) -> int:
        return 1

    @workflow
    def wedged_plain(ctx: Context) -> int:
        return 2

    with Hub.open(workflows=[blocks_the_loop, wedged_async, wedged_plain]) as hub:
        tenant = hub.create_tenant("contoso")
        assert tenant.run(wedged_async).result(timeout=30) == 1
        assert not hub.health()["lanes"]["task"]["stuck"]
        hanging = tenant.run(blocks_the_loop)
        waiting = tenant.run(wedged_async)
        eventually("the loop counts as stuck", lambda: hub.health()["lanes"]["task"]["stuck"])
        with pytest.raises(Overloaded, match="hang in code that does not return") as refused:
            tenant.run(wedged_async)
        assert refused.value.is_retryable
        assert "blocking call" in str(refused.value.next_action)
        assert tenant.run(wedged_plain).result(timeout=30) == 2
        wedge.set()
        hanging.result(timeout=30)
        assert waiting.result(timeout=30) == 1
        eventually("the loop has recovered", lambda: not hub.health()["lanes"]["task"]["stuck"])
        assert tenant.run(wedged_async).result(timeout=30) == 1


def test_a_wedged_pool(wedge: threading.Event, eventually: Callable[..., None]) -> None:
    @workflow(timeout=0.2, retry=False)
    def blocks_its_thread(ctx: Context) -> None:
        wedge.wait(60)

    @workflow
    async def pool_async(ctx: AsyncContext) -> int:
        return 1

    @workflow
    def pool_plain(ctx: Context) -> int:
        return 2

    with Hub.open(workflows=[blocks_its_thread, pool_async, pool_plain], workers=2, cancel_grace=0.1) as hub:
        tenant = hub.create_tenant("contoso")
        hanging = [tenant.run(blocks_its_thread) for _ in range(2)]
        for execution in hanging:
            with pytest.raises(TimedOut):
                execution.result(timeout=30)
        eventually("the pool counts as stuck", lambda: hub.health()["lanes"]["thread"]["stuck"])
        with pytest.raises(Overloaded):
            tenant.run(pool_plain)
        assert tenant.run(pool_async).result(timeout=30) == 1
        wedge.set()
        eventually("the pool has recovered", lambda: not hub.health()["lanes"]["thread"]["stuck"])
        assert tenant.run(pool_plain).result(timeout=30) == 2
        assert hub.health()["lanes"]["thread"] == {"queued": 0, "oldest_seconds": 0.0, "stuck": False}
