"""A tenant's configuration and secrets."""

from __future__ import annotations

from typing import Any

from . import _native
from ._calls import finish, wait


class Config:
    """A tenant's configuration, for callers that block. Set on the provider tenant, a value holds for every customer
    that has none of its own."""

    def __init__(self, native: _native.Tenant) -> None:
        self._native = native

    def set(self, key: str, value: Any) -> None:
        """Sets a value."""
        wait(self._native.set_config(key, value))

    def get(self, key: str) -> Any:
        """A value as the tenant sees it: its own, else the provider tenant's, else ``None``."""
        return wait(self._native.config(key))

    def keys(self) -> list[str]:
        """The tenant's own keys, sorted."""
        found: list[str] = wait(self._native.config_keys())
        return found

    def delete(self, key: str) -> None:
        """Removes the tenant's own value; what it inherits shows again."""
        wait(self._native.delete_config(key))


class AsyncConfig:
    """A tenant's configuration, for callers on an event loop; see :class:`Config`."""

    def __init__(self, native: _native.Tenant) -> None:
        self._native = native

    async def set(self, key: str, value: Any) -> None:
        """Sets a value."""
        await finish(self._native.set_config(key, value))

    async def get(self, key: str) -> Any:
        """A value as the tenant sees it: its own, else the provider tenant's, else ``None``."""
        return await finish(self._native.config(key))

    async def keys(self) -> list[str]:
        """The tenant's own keys, sorted."""
        found: list[str] = await finish(self._native.config_keys())
        return found

    async def delete(self, key: str) -> None:
        """Removes the tenant's own value; what it inherits shows again."""
        await finish(self._native.delete_config(key))


class Secrets:
    """A tenant's secrets, for callers that block. Their text never comes back: workflows hold handles."""

    def __init__(self, native: _native.Tenant) -> None:
        self._native = native

    def set(self, name: str, text: str) -> None:
        """Stores a secret, sealed with the tenant's data key."""
        wait(self._native.set_secret(name, text))

    def names(self) -> list[str]:
        """The names of the tenant's own secrets, sorted."""
        found: list[str] = wait(self._native.secret_names())
        return found

    def delete(self, name: str) -> None:
        """Removes the tenant's own secret."""
        wait(self._native.delete_secret(name))


class AsyncSecrets:
    """A tenant's secrets, for callers on an event loop; see :class:`Secrets`."""

    def __init__(self, native: _native.Tenant) -> None:
        self._native = native

    async def set(self, name: str, text: str) -> None:
        """Stores a secret, sealed with the tenant's data key."""
        await finish(self._native.set_secret(name, text))

    async def names(self) -> list[str]:
        """The names of the tenant's own secrets, sorted."""
        found: list[str] = await finish(self._native.secret_names())
        return found

    async def delete(self, name: str) -> None:
        """Removes the tenant's own secret."""
        await finish(self._native.delete_secret(name))
