"""The door for calls that have no type: any request below a connection's base URL, with its budget and sign-in."""

from __future__ import annotations

import json as _json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ._operations import Area, Call, operation
from ._secrets import Places, SecretHandle, extract

#: A value in a query: flags are written ``true`` and ``false``.
QueryValue = str | int | float | bool


@dataclass(frozen=True)
class Response:
    """What a provider answered. Failures do not come as one: they are raised."""

    #: The status code, 200 to 299.
    status: int
    #: The headers, by lower-case name; repeated ones are joined by a comma.
    headers: Mapping[str, str] = field(repr=False)
    #: The body as it came.
    content: bytes = field(repr=False)

    @property
    def text(self) -> str:
        """The body as text."""
        return self.content.decode("utf-8", "replace")

    def json(self) -> Any:
        """The body read as JSON; ``None`` when there is no body. Raises ``ValueError`` when it is no JSON."""
        return _json.loads(self.content) if self.content else None


def read_response(answer: tuple[int, dict[str, str], bytes]) -> Response:
    """The answer as the native module gives it."""
    return Response(*answer)


def describe(
    method: str,
    path: str,
    query: Mapping[str, QueryValue] | None,
    headers: Mapping[str, str | SecretHandle] | None,
    json: Any,
    **options: Any,
) -> tuple[dict[str, Any], Places]:
    """A request as the native module reads it, and where secrets belong in it."""
    secrets: Places = []
    described: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    described["method"] = method
    described["path"] = path
    if query:
        described["query"] = [[name, _query_text(value)] for name, value in query.items()]
    if headers:
        described["headers"] = extract([[name, value] for name, value in headers.items()], "/headers", secrets)
        for place, _ in secrets:
            # A secret's place holds text until it is filled in.
            described["headers"][int(place.split("/")[2])][1] = ""
    if json is not None:
        described["json"] = extract(json, "/json", secrets)
    return described, secrets


def _query_text(value: QueryValue) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


class Requests(Area):
    """What every client can send."""

    @operation
    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, QueryValue] | None = None,
        headers: Mapping[str, str | SecretHandle] | None = None,
        json: Any = None,
        content: bytes | None = None,
        idempotent: bool | None = None,
        idempotency_key: str | None = None,
        idempotency_header: str | None = None,
        timeout: float | None = None,
    ) -> Call[Response]:
        """Sends any request below the connection's base URL, through the same budget, retry and sign-in.

        >>> ctx.graph.request("GET", "/organization").json()["value"][0]["displayName"]

        A request whose answer was lost is sent again when its method is idempotent (GET, HEAD, OPTIONS, PUT, DELETE),
        when ``idempotent=True`` says so, or when it carries an ``idempotency_key``, which the provider must honour
        (header ``Idempotency-Key`` unless ``idempotency_header`` names another). Secrets of the workflow may stand in
        ``json`` and as values of ``headers``. ``timeout`` is in seconds, over all attempts.

        Raises:
            InvalidInput: The path is not relative, or something cannot be sent.
            NotFound, Rejected, PermissionDenied, Throttled, Unavailable: What the provider answered.
            UnknownOutcome: The answer to a write was lost.
        """
        described, secrets = describe(
            method,
            path,
            query,
            headers,
            json,
            idempotent=idempotent,
            idempotency_key=idempotency_key,
            idempotency_header=idempotency_header,
            timeout=timeout,
        )
        return Call(lambda connection: connection.request(described, content, secrets), read_response)


@dataclass(frozen=True, kw_only=True)
class BatchRequest:
    """One request of a batch; see :meth:`bifrost.graph.Graph.batch`."""

    #: The method.
    method: str
    #: The path below the connection's base URL.
    path: str
    #: Query parameters.
    query: Mapping[str, QueryValue] | None = None
    #: Headers; values may be secrets.
    headers: Mapping[str, str | SecretHandle] | None = None
    #: The body; secrets may stand in it.
    json: Any = None
    #: Whether it may be repeated; by its method unless said.
    idempotent: bool | None = None


class BatchRequests(Requests):
    """What clients with batches can send."""

    @operation
    def batch(self, requests: Sequence[BatchRequest]) -> Call[list[Response | Exception]]:
        """Sends many requests in batches of up to 20; answers and exceptions come in the order of the requests.

        >>> ctx.graph.batch([BatchRequest(method="GET", path=f"/users/{upn}") for upn in upns])

        Each request keeps its own retry and its own outcome. A batch saves round trips, not budget.
        """
        described = [_described(request) for request in requests]
        return Call(lambda connection: connection.batch(described), _read_batch)


def _described(request: BatchRequest) -> tuple[dict[str, Any], Places]:
    return describe(
        request.method, request.path, request.query, request.headers, request.json, idempotent=request.idempotent
    )


def _read_batch(answers: list[Any]) -> list[Response | Exception]:
    return [answer if isinstance(answer, Exception) else Response(*answer) for answer in answers]
