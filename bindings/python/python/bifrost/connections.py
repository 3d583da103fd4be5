"""A tenant's connections to providers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import _native
from ._calls import finish, wait
from ._table import CONNECTIONS, Table

_CREDENTIAL = ("client_id", "client_secret", "refresh_token")


def _parts(options: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the connection is set to, and what it presents to obtain tokens."""
    credential = {name: options.pop(name) for name in _CREDENTIAL if name in options}
    return options, credential


class Connections:
    """A tenant's connections, for callers that block; see :class:`AsyncConnections`."""

    def __init__(self, native: _native.Tenant) -> None:
        self._native = native

    def create(self, name: str, *, provider: str | None = None, **options: Any) -> None:
        """Makes a connection; see :meth:`AsyncConnections.create`."""
        settings, credential = _parts(options)
        wait(self._native.create_connection(name, provider or name, settings, credential, False))

    def update(self, name: str, *, provider: str | None = None, **options: Any) -> None:
        """Replaces settings and credential; tokens of before are dropped."""
        settings, credential = _parts(options)
        wait(self._native.create_connection(name, provider or name, settings, credential, True))

    def list(self) -> Table:
        """All connections' settings, by name; no secret is in them."""
        return Table(wait(self._native.connections()), CONNECTIONS)

    def status(self, name: str) -> Mapping[str, Any]:
        """How a connection is doing, without asking the provider: state, cause, next action."""
        found: dict[str, Any] = wait(self._native.connection_status(name))
        return found

    def test(self, name: str) -> None:
        """Obtains a token the way a call would; raises what keeps it from working."""
        wait(self._native.change_connection(name, "test"))

    def disable(self, name: str) -> None:
        """Switches it off: calls through it are refused from now on."""
        wait(self._native.change_connection(name, "disable"))

    def enable(self, name: str) -> None:
        """Switches it on again."""
        wait(self._native.change_connection(name, "enable"))

    def delete(self, name: str) -> None:
        """Deletes it with its credential and tokens."""
        wait(self._native.change_connection(name, "delete"))


class AsyncConnections:
    """A tenant's connections, for callers on an event loop."""

    def __init__(self, native: _native.Tenant) -> None:
        self._native = native

    async def create(self, name: str, *, provider: str | None = None, **options: Any) -> None:
        """Makes a connection. Nothing is sent yet; :meth:`test` does.

        >>> await tenant.connections.create(
        ...     "graph", entra_tenant="contoso.com", client_id="…", client_secret=os.environ["GRAPH_SECRET"]
        ... )

        Args:
            name: ``graph`` and ``halopsa`` are what ``ctx.graph`` and ``ctx.halopsa`` use.
            provider: ``graph`` or ``halopsa``; the name unless given.
            options: ``client_id`` with ``client_secret`` or ``refresh_token``. For Graph: ``entra_tenant``, ``cloud``
                (``global``, ``us_government``, ``us_dod``, ``china``). For HaloPSA: ``tenant``, or
                ``resource_server`` and ``authorisation_server``. For both: ``scopes``, ``allow_private_hosts``.

        Raises:
            InvalidInput: Something does not fit.
            AlreadyExists: There is one of this name.
        """
        settings, credential = _parts(options)
        await finish(self._native.create_connection(name, provider or name, settings, credential, False))

    async def update(self, name: str, *, provider: str | None = None, **options: Any) -> None:
        """Replaces settings and credential; tokens of before are dropped."""
        settings, credential = _parts(options)
        await finish(self._native.create_connection(name, provider or name, settings, credential, True))

    async def list(self) -> list[dict[str, Any]]:
        """All connections' settings, by name; no secret is in them."""
        return Table(await finish(self._native.connections()), CONNECTIONS)

    async def status(self, name: str) -> Mapping[str, Any]:
        """How a connection is doing, without asking the provider: state, cause, next action."""
        found: dict[str, Any] = await finish(self._native.connection_status(name))
        return found

    async def test(self, name: str) -> None:
        """Obtains a token the way a call would; raises what keeps it from working."""
        await finish(self._native.change_connection(name, "test"))

    async def disable(self, name: str) -> None:
        """Switches it off: calls through it are refused from now on."""
        await finish(self._native.change_connection(name, "disable"))

    async def enable(self, name: str) -> None:
        """Switches it on again."""
        await finish(self._native.change_connection(name, "enable"))

    async def delete(self, name: str) -> None:
        """Deletes it with its credential and tokens."""
        await finish(self._native.change_connection(name, "delete"))
