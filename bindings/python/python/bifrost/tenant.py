"""Working for one tenant: the capability, and no call takes a tenant again."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from . import _native
from ._calls import finish, wait
from ._core import WorkflowLike
from ._table import EXECUTIONS, Table
from .connections import AsyncConnections, Connections
from .execution import AsyncExecution, Execution
from .http import AsyncHttp, Http
from .settings import AsyncConfig, AsyncSecrets, Config, Secrets

if TYPE_CHECKING:
    from ._core import Core
    from .graph import AsyncGraph, Graph
    from .halopsa import AsyncHaloPsa, HaloPsa

_RESOLUTIONS = frozenset({"done", "not_done", "resume", "abort"})


class _Base:
    def __init__(self, core: Core, native: _native.Tenant) -> None:
        self._core = core
        self._native = native

    @property
    def name(self) -> str:
        """Its name."""
        return self._native.id

    def record(self) -> dict[str, Any]:
        """Its entry in the directory: title, kind, status, quota, mappings."""
        found: dict[str, Any] = self._native.record()
        return found

    def _starting(self, workflow: str, params: Mapping[str, Any], key: str | None, at: datetime.datetime | None) -> Any:
        starts_at = None if at is None else at.timestamp()
        return self._native.run(workflow, dict(params), idempotency_key=key, starts_at=starts_at)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"


def _resolution(decision: str, result: Any) -> dict[str, Any]:
    if decision not in _RESOLUTIONS:
        raise ValueError(f"decision is one of {', '.join(sorted(_RESOLUTIONS))}")
    return {"decision": decision, "result": result} if decision == "done" else {"decision": decision}


class Tenant(_Base):
    """One tenant, for callers that block; see :class:`AsyncTenant`, which has the same methods."""

    def acting_as(self, user: str) -> Tenant:
        """The same on behalf of ``user``, whom executions and audit trail will name."""
        return Tenant(self._core, self._native.acting_as(user))

    def run(self, workflow: WorkflowLike, /, **params: Any) -> Execution:
        """Starts a workflow; returns when the execution is durable. See :meth:`AsyncTenant.run`."""
        return self.start(workflow, params)

    def start(
        self,
        workflow: WorkflowLike,
        params: Mapping[str, Any] | None = None,
        *,
        idempotency_key: str | None = None,
        at: datetime.datetime | None = None,
    ) -> Execution:
        """The same with parameters as a mapping, a key, a time to start at. See :meth:`AsyncTenant.start`."""
        name = self._core.named(workflow)
        native = wait(self._starting(name, params or {}, idempotency_key, at))
        return Execution(self._core, native, name)

    def execution(self, id: str) -> Execution:
        """An execution that was started before. Raises ``NotFound``, also when it is another tenant's."""
        native = wait(self._native.execution(id))
        return Execution(self._core, native, wait(native.record())["workflow"])

    def executions(self, *, before: str | None = None, limit: int = 50) -> Table:
        """Records of executions, newest first: at most ``limit``, and 1,000, that are older than the one ``before``."""
        return Table(wait(self._native.executions(before, limit)), EXECUTIONS)

    def resolve(self, execution: str, decision: str, result: Any = None) -> None:
        """Decides about an execution that needs attention; see :meth:`AsyncTenant.resolve`."""
        wait(self._native.resolve(execution, _resolution(decision, result)))

    def options(self, provider: WorkflowLike, /, **params: Any) -> list[dict[str, Any]]:
        """The choices a data provider yields; see :meth:`AsyncTenant.options`."""
        return self._core.options_cache.get(self, self._core.named(provider), params)

    @property
    def connections(self) -> Connections:
        """Its connections to providers."""
        return Connections(self._native)

    @property
    def config(self) -> Config:
        """Its configuration."""
        return Config(self._native)

    @property
    def secrets(self) -> Secrets:
        """Its secrets."""
        return Secrets(self._native)

    @property
    def graph(self) -> Graph:
        """Microsoft Graph over its connection ``graph``, outside of a workflow."""
        from .graph import Graph

        return Graph(lambda: self._native.connection("graph"))

    @property
    def halopsa(self) -> HaloPsa:
        """HaloPSA over its connection ``halopsa``, outside of a workflow."""
        from .halopsa import HaloPsa

        return HaloPsa(lambda: self._native.connection("halopsa"))

    def http(self, connection: str) -> Http:
        """Any call over its connection of this name, within its budget and with its sign-in."""
        return Http(lambda: self._native.connection(connection))

    def audit(self, *, after: int | None = None, limit: int = 100) -> list[dict[str, Any]]:
        """A page of its audit trail: at most ``limit`` entries after number ``after``."""
        found: list[dict[str, Any]] = wait(self._native.audit(after, limit))
        return found

    def verify_audit(self) -> dict[str, Any]:
        """Verifies the whole audit trail; the verdict names the first bad record."""
        found: dict[str, Any] = wait(self._native.verify_audit())
        return found

    def export_audit(self, path: str) -> dict[str, Any]:
        """Writes the whole audit trail to a file that an offline tool verifies; returns its head."""
        found: dict[str, Any] = wait(self._native.export_audit(path))
        return found

    def snapshot(self) -> dict[str, Any]:
        """How it is doing."""
        found: dict[str, Any] = wait(self._native.snapshot())
        return found


class AsyncTenant(_Base):
    """One tenant, for callers on an event loop."""

    def acting_as(self, user: str) -> AsyncTenant:
        """The same on behalf of ``user``, whom executions and audit trail will name."""
        return AsyncTenant(self._core, self._native.acting_as(user))

    async def run(self, workflow: WorkflowLike, /, **params: Any) -> AsyncExecution:
        """Starts a workflow, by its function or name; returns when the execution is durable: it will be run to an end,
        whatever happens to this process.

        >>> execution = await tenant.run("onboard_user", first_name="Zoë")
        >>> await execution

        Raises before anything is stored:
            NotFound: No workflow of this name is registered.
            InvalidInput: A parameter does not fit; ``context["path"]`` is the exact place.
            TooLarge, Suspended, QuotaExceeded, Overloaded, Closed: As they say.
        """
        return await self.start(workflow, params)

    async def start(
        self,
        workflow: WorkflowLike,
        params: Mapping[str, Any] | None = None,
        *,
        idempotency_key: str | None = None,
        at: datetime.datetime | None = None,
    ) -> AsyncExecution:
        """The same with parameters as a mapping.

        Args:
            workflow: Its function or name.
            params: Its parameters by name.
            idempotency_key: Asking again with the same key answers with the execution that is there already.
            at: Starts it then instead of now; it is accepted now, and waits durably.

        Raises:
            Conflict: The idempotency key was used for something else. And what :meth:`run` raises.
        """
        name = self._core.named(workflow)
        native = await finish(self._starting(name, params or {}, idempotency_key, at))
        return AsyncExecution(self._core, native, name)

    async def execution(self, id: str) -> AsyncExecution:
        """An execution that was started before. Raises ``NotFound``, also when it is another tenant's."""
        native = await finish(self._native.execution(id))
        return AsyncExecution(self._core, native, (await finish(native.record()))["workflow"])

    async def executions(self, *, before: str | None = None, limit: int = 50) -> Table:
        """Records of executions, newest first: at most ``limit``, and 1,000, that are older than the one ``before``."""
        return Table(await finish(self._native.executions(before, limit)), EXECUTIONS)

    async def resolve(self, execution: str, decision: str, result: Any = None) -> None:
        """Decides about an execution that needs attention.

        Args:
            execution: Its identifier.
            decision: ``"done"`` (the write was applied; ``result`` is its result), ``"not_done"`` (do it),
                ``"resume"`` (try again as it is, for instance with the code that fits), ``"abort"``.
            result: What the effect returned, with ``"done"``.
        """
        await finish(self._native.resolve(execution, _resolution(decision, result)))

    async def options(self, provider: WorkflowLike, /, **params: Any) -> list[dict[str, Any]]:
        """The choices a data provider yields, as ``{"value": …, "label": …}``.

        They are kept for its ``cache_ttl``; callers who ask at the same time share one run.
        """
        return await self._core.options_cache.get_async(self, self._core.named(provider), params)

    @property
    def connections(self) -> AsyncConnections:
        """Its connections to providers."""
        return AsyncConnections(self._native)

    @property
    def config(self) -> AsyncConfig:
        """Its configuration."""
        return AsyncConfig(self._native)

    @property
    def secrets(self) -> AsyncSecrets:
        """Its secrets."""
        return AsyncSecrets(self._native)

    @property
    def graph(self) -> AsyncGraph:
        """Microsoft Graph over its connection ``graph``, outside of a workflow."""
        from .graph import AsyncGraph

        return AsyncGraph(lambda: self._native.connection("graph"))

    @property
    def halopsa(self) -> AsyncHaloPsa:
        """HaloPSA over its connection ``halopsa``, outside of a workflow."""
        from .halopsa import AsyncHaloPsa

        return AsyncHaloPsa(lambda: self._native.connection("halopsa"))

    def http(self, connection: str) -> AsyncHttp:
        """Any call over its connection of this name, within its budget and with its sign-in."""
        return AsyncHttp(lambda: self._native.connection(connection))

    async def audit(self, *, after: int | None = None, limit: int = 100) -> list[dict[str, Any]]:
        """A page of its audit trail: at most ``limit`` entries after number ``after``."""
        found: list[dict[str, Any]] = await finish(self._native.audit(after, limit))
        return found

    async def verify_audit(self) -> dict[str, Any]:
        """Verifies the whole audit trail; the verdict names the first bad record."""
        found: dict[str, Any] = await finish(self._native.verify_audit())
        return found

    async def export_audit(self, path: str) -> dict[str, Any]:
        """Writes the whole audit trail to a file that an offline tool verifies; returns its head."""
        found: dict[str, Any] = await finish(self._native.export_audit(path))
        return found

    async def snapshot(self) -> dict[str, Any]:
        """How it is doing."""
        found: dict[str, Any] = await finish(self._native.snapshot())
        return found
