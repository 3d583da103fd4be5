"""What data providers yielded, per tenant and parameters, for as long as each says; callers at once share one run."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ._encode import encode

if TYPE_CHECKING:
    from ._definition import Definition
    from .execution import AsyncExecution, Execution
    from .tenant import AsyncTenant, Tenant

_Key = tuple[str, str, str]

#: The most answers that are kept; the oldest goes first.
_MOST = 10_000


class OptionsCache:
    """See the module. What runs is an execution like any other: recorded, limited, audited."""

    def __init__(self, definitions: dict[str, Definition], now: Callable[[], float]) -> None:
        self._definitions = definitions
        #: The hub's clock, in seconds.
        self._now = now
        self._lock = threading.Lock()
        self._kept: dict[_Key, tuple[float, list[dict[str, Any]]]] = {}
        self._running: dict[_Key, str] = {}

    def get(self, tenant: Tenant, provider: str, params: dict[str, Any]) -> list[dict[str, Any]]:
        """The choices, blocking."""
        key, kept = self._look(tenant.name, provider, params)
        if kept is not None:
            return kept
        execution: Execution
        known = self._under_way(key)
        execution = tenant.start(provider, params) if known is None else tenant.execution(known)
        self._note(key, execution.id)
        try:
            return self._keep(key, execution.result())
        finally:
            self._forget(key, execution.id)

    async def get_async(self, tenant: AsyncTenant, provider: str, params: dict[str, Any]) -> list[dict[str, Any]]:
        """The choices, on an event loop."""
        key, kept = self._look(tenant.name, provider, params)
        if kept is not None:
            return kept
        execution: AsyncExecution
        known = self._under_way(key)
        execution = await (tenant.start(provider, params) if known is None else tenant.execution(known))
        self._note(key, execution.id)
        try:
            return self._keep(key, await execution)
        finally:
            self._forget(key, execution.id)

    def _look(self, tenant: str, provider: str, params: dict[str, Any]) -> tuple[_Key, list[dict[str, Any]] | None]:
        key = (tenant, provider, json.dumps(encode(params), sort_keys=True))
        with self._lock:
            until, options = self._kept.get(key, (0.0, []))
        return key, options if until > self._now() else None

    def _under_way(self, key: _Key) -> str | None:
        with self._lock:
            return self._running.get(key)

    def _note(self, key: _Key, execution: str) -> None:
        with self._lock:
            self._running.setdefault(key, execution)

    def _forget(self, key: _Key, execution: str) -> None:
        with self._lock:
            if self._running.get(key) == execution:
                del self._running[key]

    def _keep(self, key: _Key, options: list[dict[str, Any]]) -> list[dict[str, Any]]:
        definition = self._definitions.get(key[1])
        lifetime = 0.0 if definition is None else definition.cache_ttl
        with self._lock:
            self._kept[key] = (self._now() + lifetime, options)
            while len(self._kept) > _MOST:
                del self._kept[next(iter(self._kept))]
        return options
