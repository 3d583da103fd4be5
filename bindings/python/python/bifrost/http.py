"""Calls over any connection: ``ctx.http("name")``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ._operations import Awaiting, Blocking, Call, Door, operation
from ._raw import QueryValue, Requests, Response, describe, read_response
from ._secrets import SecretHandle

__all__ = ["AsyncHttp", "Http", "Response"]

_Headers = Mapping[str, str | SecretHandle]
_Query = Mapping[str, QueryValue]


def _call(
    method: str,
    path: str,
    query: _Query | None,
    headers: _Headers | None,
    json: Any = None,
    content: bytes | None = None,
    **options: Any,
) -> Call[Response]:
    described, secrets = describe(method, path, query, headers, json, **options)
    return Call(lambda connection: connection.request(described, content, secrets), read_response)


class _Http(Requests):
    """A short form for each method; see :meth:`request` for what they share."""

    @operation
    def get(
        self, path: str, *, query: _Query | None = None, headers: _Headers | None = None, timeout: float | None = None
    ) -> Call[Response]:
        """Reads.

        >>> ctx.http("halopsa").get("/Asset/5").json()
        """
        return _call("GET", path, query, headers, timeout=timeout)

    @operation
    def head(
        self, path: str, *, query: _Query | None = None, headers: _Headers | None = None, timeout: float | None = None
    ) -> Call[Response]:
        """Reads the headers alone."""
        return _call("HEAD", path, query, headers, timeout=timeout)

    @operation
    def post(
        self,
        path: str,
        *,
        json: Any = None,
        content: bytes | None = None,
        query: _Query | None = None,
        headers: _Headers | None = None,
        idempotent: bool | None = None,
        idempotency_key: str | None = None,
        timeout: float | None = None,
    ) -> Call[Response]:
        """Writes; never repeated blindly, unless it is idempotent or carries a key the provider honours.

        >>> ctx.http("halopsa").post("/Asset", json=[{"inventory_number": "PC-17"}])
        """
        options = {"idempotent": idempotent, "idempotency_key": idempotency_key, "timeout": timeout}
        return _call("POST", path, query, headers, json, content, **options)

    @operation
    def put(
        self,
        path: str,
        *,
        json: Any = None,
        content: bytes | None = None,
        query: _Query | None = None,
        headers: _Headers | None = None,
        timeout: float | None = None,
    ) -> Call[Response]:
        """Replaces; repeated when its answer is lost."""
        return _call("PUT", path, query, headers, json, content, timeout=timeout)

    @operation
    def patch(
        self,
        path: str,
        *,
        json: Any = None,
        content: bytes | None = None,
        query: _Query | None = None,
        headers: _Headers | None = None,
        idempotent: bool | None = None,
        idempotency_key: str | None = None,
        timeout: float | None = None,
    ) -> Call[Response]:
        """Changes; never repeated blindly, unless it is idempotent or carries a key the provider honours."""
        options = {"idempotent": idempotent, "idempotency_key": idempotency_key, "timeout": timeout}
        return _call("PATCH", path, query, headers, json, content, **options)

    @operation
    def delete(
        self, path: str, *, query: _Query | None = None, headers: _Headers | None = None, timeout: float | None = None
    ) -> Call[Response]:
        """Deletes; repeated when its answer is lost."""
        return _call("DELETE", path, query, headers, timeout=timeout)


class Http(_Http, Blocking):
    """Any call over one connection, within its budget and with its sign-in.

    >>> ctx.http("halopsa").get("/Asset", query={"search": "PC-17"}).json()
    """

    def __init__(self, opener: Callable[[], Any]) -> None:
        super().__init__(Door(opener))


class AsyncHttp(_Http, Awaiting):
    """Any call over one connection, within its budget and with its sign-in.

    >>> response = await ctx.http("halopsa").get("/Asset", query={"search": "PC-17"})
    """

    def __init__(self, opener: Callable[[], Any]) -> None:
        super().__init__(Door(opener))
