"""A simulated MSP in the box: identity platform, Microsoft Graph and HaloPSA, without an account and without a network.

    simulators = Simulators(seed=7)
    with Hub.open(simulators=simulators) as hub:
        tenant = hub.create_tenant("contoso")
        tenant.connections.create("graph", **simulators.connection_options("contoso"))

The fakes are stateful (a user that was created is there), seeded (the same seed and requests give the same answers),
follow the clock they are given, and fail on command: see :meth:`Simulators.fault`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from . import _native
from ._calls import block

if TYPE_CHECKING:
    from .testing import Clock

__all__ = [
    "CLIENT_ID",
    "CLIENT_SECRET",
    "HALOPSA_CLIENT_ID",
    "HALOPSA_CLIENT_SECRET",
    "HALOPSA_INSTANCE",
    "Customer",
    "RequestRecord",
    "SignInError",
    "SimulatorServer",
    "Simulators",
]

#: The demo application at the identity platform. It opens nothing but simulators.
CLIENT_ID = _native.SIMULATOR_CLIENT_ID
#: Its secret.
CLIENT_SECRET = _native.SIMULATOR_CLIENT_SECRET
#: The demo application at HaloPSA.
HALOPSA_CLIENT_ID = _native.SIMULATOR_HALOPSA_CLIENT_ID
#: Its secret.
HALOPSA_CLIENT_SECRET = _native.SIMULATOR_HALOPSA_CLIENT_SECRET
#: The HaloPSA instance of the simulated world.
HALOPSA_INSTANCE = _native.SIMULATOR_HALOPSA_INSTANCE

#: What can be simulated.
Provider = Literal["identity", "graph", "halopsa"]

#: What goes wrong. ``lost_answer``, ``slow``, ``slow_body``, ``cut_body`` and ``garbage`` **take effect**: only the
#: answer suffers. All others have no effect.
FaultKind = Literal[
    "throttled", "unavailable", "status", "reset", "lost_answer", "hang", "slow", "slow_body", "cut_body", "garbage"
]

#: Why the token endpoint refuses.
SignInError = Literal[
    "wrong_secret",
    "expired_secret",
    "no_secret",
    "unknown_tenant",
    "app_not_in_tenant",
    "consent_required",
    "mfa_required",
    "conditional_access",
    "revoked",
    "refresh_expired",
    "tenant_alias",
    "invalid_scope",
    "unknown_resource",
    "invalid_grant",
    "missing_parameter",
    "unsupported_grant",
    "directory_unavailable",
    "loop_detected",
]


class RequestRecord(TypedDict, total=False):
    """One request as the simulators remember it, without tokens, secrets or bodies."""

    #: Counts from 1.
    number: int
    #: When it arrived.
    at: str
    #: Who was asked.
    provider: Provider
    #: The method.
    method: str
    #: The path after the provider's base address.
    path: str
    #: The query as sent.
    query: str
    #: The customer; ``None`` when nobody could tell.
    tenant: str | None
    #: The status of the answer; ``None`` when the caller got none.
    status: int | None
    #: Resource units charged by Graph.
    units: int | None
    #: The scripted fault that took part.
    fault: str
    #: True for a member of a batch.
    batched: bool


@dataclass(frozen=True)
class Customer:
    """A customer of the simulated world: an Entra tenant, and a client with site and general user in HaloPSA."""

    #: The short name, which the identity platform knows the tenant by.
    name: str
    #: The name to show; the name in HaloPSA.
    display_name: str
    #: The verified domain.
    domain: str
    #: Seats by product, such as ``{"SPE_E3": 25}``.
    licenses: Mapping[str, int] = field(default_factory=dict[str, int])
    #: Security groups; those every customer has unless given.
    groups: Sequence[str] | None = None
    #: People beside the administrator every customer has: names to show and mail aliases.
    users: Sequence[tuple[str, str]] = ()
    #: How many more users, without names of their own.
    more_users: int = 0

    def _described(self) -> dict[str, Any]:
        described: dict[str, Any] = {
            "name": self.name,
            "display_name": self.display_name,
            "domain": self.domain,
            "licenses": list(self.licenses.items()),
            "users": list(self.users),
            "more_users": self.more_users,
        }
        if self.groups is not None:
            described["groups"] = list(self.groups)
        return described


#: The customers of the demo world.
DEMO_CUSTOMERS = (
    Customer("contoso", "Contoso", "contoso.com", {"SPE_E3": 25, "O365_BUSINESS_PREMIUM": 10}),
    Customer(
        "fabrikam",
        "Fabrikam",
        "fabrikam.com",
        {"SPE_E3": 15, "O365_BUSINESS_PREMIUM": 10},
        users=[("Liam O'Connor", "liam.oconnor")],
    ),
    Customer("adatum", "Adatum", "adatum.com", {"SPE_E3": 10, "O365_BUSINESS_PREMIUM": 5}),
)


class Simulators:
    """A simulated world: one identity platform, one Graph, one HaloPSA.

    Args:
        seed: Everything random comes from this number.
        clock: The clock for expiry, limits and delays; give the hub the same one.
        customers: Who is there; Contoso, Fabrikam and Adatum unless given.
        graph_units: Graph's limit of resource units for each tenant, as an amount and seconds; Microsoft's published
            limits unless given.
        graph_writes: Graph's limit of writes for each tenant, as an amount and seconds.
        halopsa_requests: HaloPSA's limit, as an amount and seconds; 300 in 300 s unless given.
        token_lifetime: How many seconds access tokens work; about an hour unless given.
        refresh_lifetime: How many seconds unused refresh tokens work; 90 days unless given.
        reuse_detection: Whether using a refresh token a second time revokes it.
        replication_delay: For how many seconds references to a new user fail with 404.
    """

    def __init__(
        self,
        seed: int = 7,
        clock: Clock | None = None,
        *,
        customers: Sequence[Customer] | None = None,
        graph_units: tuple[int, float] | None = None,
        graph_writes: tuple[int, float] | None = None,
        halopsa_requests: tuple[int, float] | None = None,
        token_lifetime: float | None = None,
        refresh_lifetime: float | None = None,
        reuse_detection: bool = False,
        replication_delay: float | None = None,
    ) -> None:
        self._customers = list(DEMO_CUSTOMERS if customers is None else customers)
        options: dict[str, Any] = {
            "customers": [customer._described() for customer in self._customers],  # pyright: ignore[reportPrivateUsage]
            "graph_units": graph_units,
            "graph_writes": graph_writes,
            "halopsa_requests": halopsa_requests,
            "token_lifetime": token_lifetime,
            "refresh_lifetime": refresh_lifetime,
            "reuse_detection": reuse_detection,
            "replication_delay": replication_delay,
        }
        told = {name: value for name, value in options.items() if value is not None}
        self.native = _native.Simulators(seed, None if clock is None else clock.native, told)

    @property
    def customers(self) -> list[Customer]:
        """Who is there."""
        return list(self._customers)

    def add_customer(self, customer: Customer) -> None:
        """Adds a customer."""
        self.native.add_customer(customer._described())  # pyright: ignore[reportPrivateUsage]
        self._customers.append(customer)

    def connection_options(self, tenant: str, provider: Literal["graph", "halopsa"] = "graph") -> dict[str, Any]:
        """What ``tenant.connections.create(provider, ...)`` needs of a hub that was opened with these simulators.

        >>> tenant.connections.create("graph", **simulators.connection_options("contoso"))
        """
        return connection_options(tenant, provider)

    def serve(self, port: int = 0) -> SimulatorServer:
        """Serves the world over HTTP at this port of this machine, for other processes; 0 is any free one.

        >>> with simulators.serve() as server:
        ...     print(server.url)

        Raises:
            Unavailable: The port is taken.
        """
        return SimulatorServer(block(self.native.serve(port)))

    # What happened

    @property
    def request_count(self) -> int:
        """How many requests there were, members of batches included."""
        return self.native.request_count()

    @property
    def throttled_count(self) -> int:
        """How many of them were answered 429."""
        return self.native.throttled_count()

    def requests(self, provider: Provider | None = None) -> list[RequestRecord]:
        """The last requests (at most 10,000), oldest first."""
        found: list[RequestRecord] = self.native.requests()
        return found if provider is None else [record for record in found if record.get("provider") == provider]

    def state(self) -> dict[str, Any]:
        """Counts and log of the whole world."""
        found: dict[str, Any] = self.native.state()
        return found

    # What is there

    def users(self, tenant: str) -> list[dict[str, Any]]:
        """A tenant's users as Graph has them."""
        return self._look("users", tenant)

    def user(self, tenant: str, upn: str) -> dict[str, Any] | None:
        """The user with this sign-in name."""
        return next((user for user in self.users(tenant) if user.get("userPrincipalName") == upn), None)

    def groups(self, tenant: str) -> list[dict[str, Any]]:
        """A tenant's groups, with the ids of their members."""
        return self._look("groups", tenant)

    def licenses(self, tenant: str) -> list[dict[str, Any]]:
        """A tenant's products: ``sku_id``, ``part_number``, seats that are ``enabled`` and ``consumed``."""
        return self._look("licenses", tenant)

    def set_licenses(self, tenant: str, product: str, seats: int) -> None:
        """Sets how many seats of a product a tenant has."""
        self.native.set_licenses(tenant, product, seats)

    def tickets(self) -> list[dict[str, Any]]:
        """HaloPSA's tickets."""
        return self._look("tickets")

    def actions(self, ticket: int) -> list[dict[str, Any]]:
        """The actions of a ticket."""
        return self._look("actions", str(ticket))

    def clients(self) -> list[dict[str, Any]]:
        """HaloPSA's clients."""
        return self._look("clients")

    def _look(self, what: str, of: str = "") -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.native.look(what, of)
        return found

    # Making trouble

    def fault(
        self,
        kind: FaultKind,
        *,
        provider: Provider | None = None,
        method: str | None = None,
        path: str | None = None,
        tenant: str | None = None,
        after: int = 0,
        times: int | None = None,
        status: int = 500,
        retry_after: float | str | None = None,
        seconds: float = 1.0,
    ) -> None:
        """Lets requests fail: those that match, the first ``after`` of them not, then ``times`` of them or all.

        >>> simulators.fault("lost_answer", provider="graph", method="POST", path="/v1.0/users", times=1)
        >>> simulators.fault("throttled", provider="halopsa", retry_after=2.5, times=3)

        Args:
            kind: What goes wrong, see :data:`FaultKind`.
            path: After the provider's base address; ``*`` stands for any text: ``/v1.0/users/*``, ``/api/Tickets``,
                ``*/oauth2/v2.0/token``.
            tenant: Short name of the Entra tenant, or the HaloPSA instance.
            status: The status of ``status``.
            retry_after: Of ``throttled``, ``unavailable`` and ``status``: seconds, or the header's text as it is.
            seconds: Of ``slow`` and ``slow_body``, on the simulators' clock.
        """
        millis = round(seconds * 1000)
        faults: dict[str, dict[str, Any]] = {
            "throttled": {"kind": "status", "status": 429, "retry_after": _retry_after(retry_after)},
            "unavailable": {"kind": "status", "status": 503, "retry_after": _retry_after(retry_after)},
            "status": {"kind": "status", "status": status, "retry_after": _retry_after(retry_after)},
            "reset": {"kind": "reset"},
            "lost_answer": {"kind": "drop_answer"},
            "hang": {"kind": "hang"},
            "slow": {"kind": "delay", "millis": millis},
            "slow_body": {"kind": "slow_body", "pieces": 10, "pause_millis": millis // 10},
            "cut_body": {"kind": "cut_body", "after_bytes": 10},
            "garbage": {"kind": "malformed_json"},
        }
        if kind not in faults:
            raise ValueError(f"there is no fault {kind!r}; use one of: {', '.join(faults)}")
        rule = {
            "fault": faults[kind],
            "provider": provider,
            "method": method,
            "path": path,
            "tenant": tenant,
            "skip": after,
            "times": times,
        }
        self.native.fault(rule)

    def clear_faults(self) -> None:
        """Forgets all scripted faults."""
        self.native.clear_faults()

    def fail_sign_in(self, tenant: str, error: SignInError, *, always: bool = False) -> None:
        """Refuses the next token request for a tenant, or every one until :meth:`heal`."""
        self.native.identity("fail_always" if always else "fail_next", tenant, error)

    def heal(self, tenant: str) -> None:
        """Ends what :meth:`fail_sign_in` with ``always`` and :meth:`withdraw_consent` did."""
        self.native.identity("heal", tenant)
        self.native.identity("consent", tenant, CLIENT_ID)

    def withdraw_consent(self, tenant: str) -> None:
        """Takes the customer's consent to the demo application back: AADSTS65001 until :meth:`heal`."""
        self.native.identity("withdraw_consent", tenant, CLIENT_ID)

    def expire_secret(self) -> None:
        """Lets the demo application's secret expire now."""
        self.native.identity("expire_secrets", "", CLIENT_ID)

    def revoke_tokens(self, tenant: str) -> None:
        """Makes every access token for a tenant invalid at once; Graph then answers 401."""
        self.native.identity("revoke_access_tokens", tenant)

    def revoke_halopsa_tokens(self) -> None:
        """The same at HaloPSA."""
        self.native.revoke_halopsa_tokens()

    def revoke_sign_ins(self, tenant: str) -> None:
        """Revokes the refresh tokens of everyone who signed in at a tenant: AADSTS50173 from now on."""
        self.native.identity("revoke_sign_ins", tenant)

    def sign_in(self, tenant: str) -> str:
        """A refresh token for the demo application, as a person's sign-in at a tenant would have left it."""
        token = self.native.sign_in(tenant, CLIENT_ID)
        if token is None:
            raise LookupError(f"no simulated tenant is called {tenant!r}")
        return token

    def __repr__(self) -> str:
        names = ", ".join(customer.name for customer in self._customers[:5])
        more = f", … ({len(self._customers)})" if len(self._customers) > 5 else ""
        return f"<Simulators {names}{more}>"


class SimulatorServer:
    """A simulated world behind a socket; it ends when it is closed or collected."""

    def __init__(self, native: _native.SimulatorServer) -> None:
        self._native = native

    @property
    def url(self) -> str:
        """Its root, such as ``http://127.0.0.1:8080``."""
        return self._native.url

    @property
    def addresses(self) -> dict[str, str]:
        """The base addresses: ``identity``, ``graph``, ``halopsa``; ``state`` and ``faults`` of the world."""
        return self._native.addresses()

    def connection_options(self, tenant: str, provider: Literal["graph", "halopsa"] = "graph") -> dict[str, Any]:
        """What ``tenant.connections.create(provider, ...)`` needs of a hub that goes over the network."""
        options = connection_options(tenant, provider)
        options["allow_private_hosts"] = ["127.0.0.1"]
        addresses = self.addresses
        if provider == "graph":
            return {**options, "base_url": addresses["graph"], "authority": addresses["identity"]}
        root = addresses["halopsa"]
        return {**options, "resource_server": f"{root}/api", "authorisation_server": f"{root}/auth"}

    def close(self) -> None:
        """Stops it and closes every connection."""
        block(self._native.close())

    def __enter__(self) -> SimulatorServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<SimulatorServer {self.url}>"


def connection_options(tenant: str, provider: Literal["graph", "halopsa"] = "graph") -> dict[str, Any]:
    """What a connection to the simulated customer ``tenant`` is made of."""
    if provider == "graph":
        return {"entra_tenant": tenant, "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    return {
        "tenant": HALOPSA_INSTANCE,
        "client_id": HALOPSA_CLIENT_ID,
        "client_secret": HALOPSA_CLIENT_SECRET,
    }


def _retry_after(value: float | str | None) -> Any:
    if value is None:
        return "absent"
    if isinstance(value, str):
        return {"raw": value}
    return {"seconds": int(value)} if float(value).is_integer() else {"decimal": round(value * 1000)}
