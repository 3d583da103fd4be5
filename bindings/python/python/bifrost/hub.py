"""Opening a hub: ``async with Hub.open(...)`` on an event loop, ``with Hub.open(...)`` everywhere else."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ._calls import Inbox, finish, wait
from ._capture import Capture
from ._core import Core, Options, checked
from ._table import TENANTS, Table
from .tenant import AsyncTenant, Tenant

if TYPE_CHECKING:
    from . import _native
    from .simulators import Simulators
    from .testing import Clock

#: Options of a tenant; see :meth:`Hub.create_tenant`.
_TENANT = frozenset({"title", "provider", "quota", "mappings"})

#: Seconds a closing hub gives what runs.
CLOSE_TIMEOUT = 10.0


class Opening:
    """A hub to be opened: enter it with ``with`` or ``async with``."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._core: Core | None = None

    def __enter__(self) -> Hub:
        self._core = core = Core(self._options)
        try:
            core.opened(wait(core.open(None)))
        except BaseException:
            core.close_lanes()
            raise
        return Hub(core)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if self._core is not None:
            Hub(self._core).close(CLOSE_TIMEOUT if error is None else 0.0)

    async def __aenter__(self) -> AsyncHub:
        self._core = core = Core(self._options)
        try:
            core.opened(await finish(core.open(None if self._options.own_loop else Inbox.current())))
        except BaseException:
            core.close_lanes()
            raise
        return AsyncHub(core)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if self._core is not None:
            await AsyncHub(self._core).close(CLOSE_TIMEOUT if error is None else 0.0)


class _Base:
    def __init__(self, core: Core) -> None:
        self._core = core

    @property
    def core(self) -> Core:
        """What is beneath it; for the package itself."""
        return self._core

    def register(self, function: Callable[..., Any]) -> None:
        """Adds a workflow or data provider that was defined after the hub was opened, in place of one of its name.

        What runs goes on with the code it started with.
        """
        self._core.register(function)

    def tenants(self) -> Table:
        """All tenants' entries, by name."""
        return Table(self._core.native.tenants(), TENANTS)

    def health(self) -> dict[str, Any]:
        """How the hub is doing: store, tenants, executions, providers, and the lanes that run Python.

        A lane is ``stuck`` when its event loop or its threads hang in code that does not return; it admits nothing
        meanwhile.
        """
        return self._core.health()


class Hub(_Base):
    """An open hub, for callers that block.

    >>> with Hub.open("./data") as hub:
    ...     tenant = hub.create_tenant("contoso", exist_ok=True)
    ...     print(tenant.run("onboard_user", first_name="Zoë").result())
    """

    @staticmethod
    def open(
        path: str | os.PathLike[str] | None = None,
        *,
        workflows: Iterable[Callable[..., Any]] | None = None,
        simulators: Simulators | None = None,
        clock: Clock | None = None,
        store: _native.Store | None = None,
        workers: int = 16,
        loop: str = "caller",
        threads: int | None = None,
        max_running: int | None = None,
        cancel_grace: float | None = None,
        reveal_secrets: bool = False,
        capture: Iterable[str] = (),
        capture_level: int = logging.INFO,
        seed: int | None = None,
        look: bool = False,
    ) -> Opening:
        """A hub that keeps everything in the folder ``path``, or in memory without one.

        Args:
            path: The folder; one process at a time can have it open.
            workflows: The decorated functions it may run; all that are defined so far unless given.
            simulators: Simulated providers in place of the real ones.
            clock: A clock that moves when told, for tests.
            store: A store in memory that outlives the hub, for tests.
            workers: Threads for plain ``def`` workflows.
            loop: Where ``async def`` workflows run: ``"caller"`` is the loop that opens the hub with ``async with``,
                ``"own"`` a thread of the hub's own, as with plain ``with``.
            threads: Threads of the native runtime; by default one per core but the one Python keeps busy, at most 4.
            max_running: Executions that run at the same time; 256 unless given.
            cancel_grace: Seconds a cancelled workflow may take to stop by itself; 5 unless given.
            reveal_secrets: Lets workflows read the text of secrets, audited.
            capture: ``"logging"``, ``"print"`` or both: what workflows say that way is noted with their execution, as
                ``ctx.log`` does, and goes its usual way, too. Of log records, what the loggers' own levels let through.
            capture_level: Log records below this level are not noted.
            seed: Makes identifiers and jitter repeat, for tests.
            look: Leaves executions that had not ended where they are: for a look at a folder without running anything.

        Raises (on entering):
            StoreLocked: Another process has the folder open.
            StoreCorrupt, AcknowledgedDataMissing: What the store says of damage it cannot mend.
        """
        if loop not in ("caller", "own"):
            raise ValueError("loop is either 'caller' or 'own'")
        native = {
            "threads": threads,
            "max_running": max_running,
            "cancel_grace": cancel_grace,
            "reveal_secrets": reveal_secrets,
            "seed": seed,
            "look": look,
        }
        noted = Capture.of(capture, capture_level)
        return Opening(Options(path, workflows, simulators, clock, store, workers, loop == "own", noted, native))

    def tenant(self, name: str) -> Tenant:
        """The handle to work for one tenant. Raises ``NotFound``."""
        return Tenant(self._core, self._core.native.tenant(name))

    def create_tenant(self, name: str, *, exist_ok: bool = False, **options: Any) -> Tenant:
        """Makes a tenant; see :meth:`AsyncHub.create_tenant`."""
        checked(_TENANT, options, "create tenant")
        return Tenant(self._core, wait(self._core.native.create_tenant(name, options, exist_ok)))

    def set_quota(self, tenant: str, **quota: int) -> None:
        """Changes what a tenant may use: ``max_running``, ``max_in_flight``, ``max_steps``, ….

        What is not named goes back to its default.
        """
        wait(self._core.native.change_tenant(tenant, "set_quota", quota))

    def set_mapping(self, tenant: str, provider: str, entity: str) -> None:
        """Sets a tenant's id at a provider, such as its HaloPSA client id."""
        wait(self._core.native.change_tenant(tenant, "set_mapping", (provider, entity)))

    def disable_tenant(self, name: str) -> None:
        """Switches a tenant off: it starts nothing any more; what runs goes on to its end."""
        wait(self._core.native.change_tenant(name, "disable", None))

    def enable_tenant(self, name: str) -> None:
        """Switches a tenant on again, and takes up what it had not finished."""
        wait(self._core.native.change_tenant(name, "enable", None))

    def delete_tenant(self, name: str) -> None:
        """Deletes a disabled tenant with its data key; its audit trail stays, its name is never used again."""
        wait(self._core.native.change_tenant(name, "delete", None))

    def close(self, timeout: float = CLOSE_TIMEOUT) -> int:
        """Ends the hub: lets what runs end for ``timeout`` seconds, puts back the rest, and says how many that were."""
        requeued = wait(self._core.closing(timeout))
        self._core.close_lanes()
        return int(requeued or 0)


class AsyncHub(_Base):
    """An open hub, for callers on an event loop.

    >>> async with Hub.open("./data") as hub:
    ...     tenant = await hub.create_tenant("contoso", exist_ok=True)
    ...     execution = await tenant.run("onboard_user", first_name="Zoë")
    ...     print(await execution)
    """

    def tenant(self, name: str) -> AsyncTenant:
        """The handle to work for one tenant. Raises ``NotFound``."""
        return AsyncTenant(self._core, self._core.native.tenant(name))

    async def create_tenant(self, name: str, *, exist_ok: bool = False, **options: Any) -> AsyncTenant:
        """Makes a tenant.

        Args:
            name: Its name within the hub, never used again after it was deleted.
            exist_ok: Answer with the tenant of this name if there is one, unchanged.
            options: ``title``; ``provider=True`` for the MSP itself, whose configuration and secrets all customers
                inherit; ``quota`` and ``mappings`` as dictionaries.

        Raises:
            AlreadyExists: The name is or was in use.
        """
        checked(_TENANT, options, "create tenant")
        return AsyncTenant(self._core, await finish(self._core.native.create_tenant(name, options, exist_ok)))

    async def set_quota(self, tenant: str, **quota: int) -> None:
        """Changes what a tenant may use; see :meth:`Hub.set_quota`."""
        await finish(self._core.native.change_tenant(tenant, "set_quota", quota))

    async def set_mapping(self, tenant: str, provider: str, entity: str) -> None:
        """Sets a tenant's id at a provider, such as its HaloPSA client id."""
        await finish(self._core.native.change_tenant(tenant, "set_mapping", (provider, entity)))

    async def disable_tenant(self, name: str) -> None:
        """Switches a tenant off: it starts nothing any more; what runs goes on to its end."""
        await finish(self._core.native.change_tenant(name, "disable", None))

    async def enable_tenant(self, name: str) -> None:
        """Switches a tenant on again, and takes up what it had not finished."""
        await finish(self._core.native.change_tenant(name, "enable", None))

    async def delete_tenant(self, name: str) -> None:
        """Deletes a disabled tenant with its data key; its audit trail stays, its name is never used again."""
        await finish(self._core.native.change_tenant(name, "delete", None))

    async def close(self, timeout: float = CLOSE_TIMEOUT) -> int:
        """Ends the hub; see :meth:`Hub.close`."""
        requeued = await finish(self._core.closing(timeout))
        lane = self._core.close_lanes()
        if lane is not None:
            await lane.settle()
        return int(requeued or 0)
