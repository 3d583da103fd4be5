"""HaloPSA: ``ctx.halopsa``. Every call goes through the hub's client: its budget, retry and sign-in.

    client = ctx.halopsa.clients.require_by_name("Contoso")
    ticket = ctx.halopsa.tickets.create(summary="Onboard Zoë Müller", client_id=client.id, reference=key)
    ctx.halopsa.actions.add(ticket_id=ticket.id, hours=0.5, note="Account and licence set up")

:class:`HaloPsa` blocks, :class:`AsyncHaloPsa` is awaited; their methods are the same. HaloPSA honours no idempotency
key: creates carry a ``reference`` by which a probe finds them again. Failures are raised as
:class:`bifrost.BifrostError`; ``UnknownOutcome`` when the answer to a write was lost.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from ._model import write_time
from ._operations import (
    Area,
    Awaiting,
    Blocking,
    Call,
    Door,
    change,
    creation,
    each,
    given,
    listing,
    operation,
    optional,
    pages,
    typed,
)
from ._pages import AsyncPages, List, Page, Pages
from ._raw import Requests, Response
from .halopsa_models import (
    UNSET,
    Action,
    Agent,
    Client,
    HaloUser,
    NewAction,
    NewClient,
    NewHaloUser,
    NewSite,
    NewTicket,
    Outcome,
    Site,
    Status,
    Ticket,
    TicketType,
    TicketUpdate,
    Unset,
)

__all__ = [
    "UNSET",
    "Action",
    "Actions",
    "Agent",
    "Agents",
    "AsyncActions",
    "AsyncAgents",
    "AsyncClients",
    "AsyncHaloPsa",
    "AsyncLookups",
    "AsyncPages",
    "AsyncSites",
    "AsyncTickets",
    "AsyncUsers",
    "Client",
    "Clients",
    "HaloPsa",
    "HaloUser",
    "Lookups",
    "NewAction",
    "NewClient",
    "NewHaloUser",
    "NewSite",
    "NewTicket",
    "Outcome",
    "Page",
    "Pages",
    "Response",
    "Site",
    "Sites",
    "Status",
    "Ticket",
    "TicketType",
    "TicketUpdate",
    "Tickets",
    "Unset",
    "Users",
]


def _args(**values: Any) -> dict[str, Any]:
    """What was given, as the native module reads it."""
    told = {name: value for name, value in values.items() if value is not None and value is not False}
    return {name: write_time(value) if isinstance(value, datetime) else value for name, value in told.items()}


def _new(record: Any, *own: str) -> dict[str, Any]:
    """A record to create: what the client has a word for, and the other fields beside it."""
    args = {name: getattr(record, name) for name in own}
    fields = given(record, but=(*own, "extra"))
    return {**_args(**args), "set": {**fields, **(record.extra or {})}}


class _Clients(Area):
    @operation
    def get(self, id: int) -> Call[Client]:
        """The customer with this id.

        Raises:
            NotFound: There is none.
        """
        return typed("clients.get", {"id": id}, Client.from_dict)

    @pages
    def list(
        self,
        *,
        search: str | None = None,
        names_only: bool = False,
        top_level: int | None = None,
        include_inactive: bool = False,
        updated_since: datetime | None = None,
        resume: str | None = None,
    ) -> List[Client]:
        """Active customers, by id, fetched page by page as the list is iterated.

        >>> for client in ctx.halopsa.clients.list(search="contoso", names_only=True): ...

        ``resume`` goes on where :attr:`Pages.resume_token` of an earlier list with the same filters stopped.
        """
        args = _args(
            search=search,
            names_only=names_only,
            top_level=top_level,
            include_inactive=include_inactive,
            updated_since=updated_since,
        )
        return listing("clients.page", args, Client.from_dict, resume)

    @operation
    def find_by_name(self, name: str) -> Call[builtins.list[Client]]:
        """All active customers of this name: the probe for :meth:`create` where names are unique."""
        return typed("clients.find_by_name", {"name": name}, each(Client.from_dict))

    @operation
    def require_by_name(self, name: str) -> Call[Client]:
        """The one active customer of this name.

        Raises:
            NotFound: None bears it.
            Conflict: Several do.
        """
        return typed("clients.require_by_name", {"name": name}, Client.from_dict)

    @creation(NewClient)
    def create(self, client: NewClient) -> Call[Client]:
        """Creates a customer: takes a :class:`NewClient`, a dictionary, or its keywords. Never repeated blindly.

        Raises:
            Rejected: HaloPSA refuses a field, and names it.
            UnknownOutcome: The answer was lost; ask :meth:`find_by_name`.
        """
        return typed("clients.create", _new(client, "name"), Client.from_dict)


class _Sites(Area):
    @operation
    def get(self, id: int) -> Call[Site]:
        """The site with this id.

        Raises:
            NotFound: There is none.
        """
        return typed("sites.get", {"id": id}, Site.from_dict)

    @pages
    def list(self, client_id: int, *, resume: str | None = None) -> List[Site]:
        """Active sites of a customer, by id, fetched page by page as the list is iterated."""
        return listing("sites.page", {"client_id": client_id}, Site.from_dict, resume)

    @creation(NewSite)
    def create(self, site: NewSite) -> Call[Site]:
        """Creates a site: takes a :class:`NewSite`, a dictionary, or its keywords. Never repeated blindly."""
        return typed("sites.create", _new(site, "client_id", "name"), Site.from_dict)


class _Users(Area):
    @operation
    def get(self, id: int) -> Call[HaloUser]:
        """The contact with this id.

        Raises:
            NotFound: There is none.
        """
        return typed("users.get", {"id": id}, HaloUser.from_dict)

    @pages
    def list(
        self,
        *,
        client_id: int | None = None,
        site_id: int | None = None,
        search: str | None = None,
        include_inactive: bool = False,
        updated_since: datetime | None = None,
        resume: str | None = None,
    ) -> List[HaloUser]:
        """Active contacts, by id, fetched page by page as the list is iterated."""
        args = _args(
            client_id=client_id,
            site_id=site_id,
            search=search,
            include_inactive=include_inactive,
            updated_since=updated_since,
        )
        return listing("users.page", args, HaloUser.from_dict, resume)

    @operation
    def find_by_email(self, client_id: int, address: str) -> Call[HaloUser | None]:
        """The first contact of a customer with this mail address: the probe for :meth:`create`."""
        args = {"client_id": client_id, "address": address}
        return typed("users.find_by_email", args, optional(HaloUser.from_dict))

    @creation(NewHaloUser)
    def create(self, user: NewHaloUser) -> Call[HaloUser]:
        """Creates a contact: takes a :class:`NewHaloUser`, a dictionary, or its keywords. Never repeated blindly.

        >>> ctx.halopsa.users.create(site_id=4, first_name="Zoë", last_name="Müller", emailaddress="zoe@contoso.com")

        Raises:
            UnknownOutcome: The answer was lost; ask :meth:`find_by_email`.
        """
        return typed("users.create", _new(user, "site_id", "first_name", "last_name"), HaloUser.from_dict)


class _Tickets(Area):
    @operation
    def get(self, id: int) -> Call[Ticket]:
        """The ticket with this id, with all its fields.

        Raises:
            NotFound: There is none.
        """
        return typed("tickets.get", {"id": id}, Ticket.from_dict)

    @pages
    def list(
        self,
        *,
        client_id: int | None = None,
        site_id: int | None = None,
        user_id: int | None = None,
        agent_id: int | None = None,
        statuses: Iterable[int] | None = None,
        types: Iterable[int] | None = None,
        open: bool = False,
        closed: bool = False,
        search: str | None = None,
        updated_since: datetime | None = None,
        occurred_between: tuple[datetime, datetime] | None = None,
        newest_first: bool = False,
        resume: str | None = None,
    ) -> List[Ticket]:
        """Tickets, by id, fetched page by page as the list is iterated. Rows carry less than :meth:`get`.

        >>> for ticket in ctx.halopsa.tickets.list(client_id=client.id, open=True): ...

        With ``newest_first``, tickets opened meanwhile move others to later pages, where they come again; none is
        missed.
        """
        args = _args(
            client_id=client_id,
            site_id=site_id,
            user_id=user_id,
            agent_id=agent_id,
            statuses=None if statuses is None else builtins.list(statuses),
            types=None if types is None else builtins.list(types),
            open=open,
            closed=closed,
            search=search,
            updated_since=updated_since,
            occurred_between=None if occurred_between is None else [write_time(time) for time in occurred_between],
            newest_first=newest_first,
        )
        return listing("tickets.page", args, Ticket.from_dict, resume)

    @creation(NewTicket)
    def create(self, ticket: NewTicket) -> Call[Ticket]:
        """Opens a ticket: takes a :class:`NewTicket`, a dictionary, or its keywords. Never repeated blindly.

        >>> ctx.halopsa.tickets.create(summary="Onboard Zoë Müller", client_id=client.id, reference=idempotency_key)

        Raises:
            Rejected: The ticket type demands a field, and names it.
            UnknownOutcome: The answer was lost; ask :meth:`find_by_reference`.
        """
        args = _new(ticket, "summary", "details", "details_html", "reference")
        return typed("tickets.create", args, Ticket.from_dict)

    @operation
    def find_by_reference(
        self, client_id: int, reference: str, *, since: datetime | None = None
    ) -> Call[Ticket | None]:
        """The ticket of a customer that carries this reference: the probe for :meth:`create`.

        Give the time the execution began as ``since``: then only tickets that changed since are read, not all of the
        customer's.
        """
        args = _args(client_id=client_id, reference=reference, since=since)
        return typed("tickets.find_by_reference", args, optional(Ticket.from_dict))

    @change(TicketUpdate)
    def update(self, id: int, changes: TicketUpdate) -> Call[Ticket]:
        """Changes what is named and nothing else: takes a :class:`TicketUpdate`, a dictionary, or its keywords.

        >>> ctx.halopsa.tickets.update(ticket.id, status_id=2)

        Raises:
            Rejected: HaloPSA refuses a field, and names it.
        """
        fields = given(changes, but=("extra",), absent=UNSET)
        if not isinstance(changes.extra, Unset):
            fields.update(changes.extra)
        return typed("tickets.update", {"id": id, "set": fields}, Ticket.from_dict)

    @operation
    def assign(self, id: int, *, agent_id: int, team: str) -> Call[Ticket]:
        """Assigns a ticket, past the rules that would assign it elsewhere."""
        return typed("tickets.assign", {"id": id, "agent_id": agent_id, "team": team}, Ticket.from_dict)

    @operation
    def resolve(
        self, id: int, *, status: int | None = None, outcome_id: int | None = None, note: str = ""
    ) -> Call[Ticket]:
        """Resolves a ticket, and answers it as it is then.

        By setting the status ``Closed``, or ``status``; mails and closing rules do not run then. With ``outcome_id``
        by an action with this outcome, with the rules and mails that hang on it; the customer sees ``note``.

        >>> ctx.halopsa.tickets.resolve(ticket.id)

        Raises:
            Rejected: Such as for an outcome the ticket's workflow does not offer.
            UnknownOutcome: The answer to an action was lost; ask :attr:`Ticket.is_closed` of :meth:`get`.
        """
        args = {"id": id, "note": note, **_args(status=status, outcome_id=outcome_id)}
        return typed("tickets.resolve", args, Ticket.from_dict)


class _Actions(Area):
    @operation
    def list(self, ticket_id: int) -> Call[builtins.list[Action]]:
        """All actions of a ticket; the list has no pages.

        Raises:
            NotFound: There is no such ticket.
        """
        return typed("actions.of_ticket", {"ticket_id": ticket_id}, each(Action.from_dict))

    @operation
    def get(self, ticket_id: int, id: int) -> Call[Action]:
        """One action of a ticket.

        Raises:
            NotFound: There is none.
        """
        return typed("actions.get", {"ticket_id": ticket_id, "id": id}, Action.from_dict)

    @creation(NewAction)
    def add(self, action: NewAction) -> Call[Action]:
        """Adds a note or a time entry: takes a :class:`NewAction`, a dictionary, or its keywords.

        >>> ctx.halopsa.actions.add(ticket_id=ticket.id, hours=0.25, note="Password reset", reference=key)

        Never repeated blindly.

        Raises:
            InvalidInput: The hours are no time entry.
            Rejected: Such as for an outcome the ticket's workflow does not offer.
            UnknownOutcome: The answer was lost; ask :meth:`find`.
        """
        args = {**given(action, but=("extra",)), "set": {**(action.extra or {})}}
        return typed("actions.add", args, Action.from_dict)

    @operation
    def find(self, ticket_id: int, reference: str) -> Call[Action | None]:
        """The action of a ticket that carries this reference: the probe for :meth:`add`."""
        return typed("actions.find", {"ticket_id": ticket_id, "reference": reference}, optional(Action.from_dict))


class _Agents(Area):
    @operation
    def get(self, id: int) -> Call[Agent]:
        """The agent with this id.

        Raises:
            NotFound: There is none.
        """
        return typed("agents.get", {"id": id}, Agent.from_dict)

    @operation
    def me(self) -> Call[Agent]:
        """The agent the application works as: also the best way to see whether a connection works."""
        return typed("agents.me", {}, Agent.from_dict)

    @operation
    def list(self) -> Call[builtins.list[Agent]]:
        """All agents that may sign in; the list has no pages."""
        return typed("agents.list", {}, each(Agent.from_dict))


class _Lookups(Area):
    @operation
    def statuses(self) -> Call[list[Status]]:
        """All statuses."""
        return typed("lookups.statuses", {}, each(Status.from_dict))

    @operation
    def require_status(self, name: str) -> Call[Status]:
        """The status of this name, such as ``Closed``; ``NotFound``, or ``Conflict`` when several bear it."""
        return typed("lookups.require_status", {"name": name}, Status.from_dict)

    @operation
    def ticket_types(self) -> Call[list[TicketType]]:
        """All ticket types."""
        return typed("lookups.ticket_types", {}, each(TicketType.from_dict))

    @operation
    def require_ticket_type(self, name: str) -> Call[TicketType]:
        """The ticket type of this name, such as ``Service Request``; ``NotFound`` or ``Conflict`` otherwise."""
        return typed("lookups.require_ticket_type", {"name": name}, TicketType.from_dict)

    @operation
    def outcomes(self) -> Call[list[Outcome]]:
        """All outcomes."""
        return typed("lookups.outcomes", {}, each(Outcome.from_dict))

    @operation
    def require_outcome(self, name: str) -> Call[Outcome]:
        """The outcome of this name, such as ``Private Note``; ``NotFound`` or ``Conflict`` otherwise."""
        return typed("lookups.require_outcome", {"name": name}, Outcome.from_dict)


class Clients(_Clients, Blocking):
    """Calls about customers."""


class AsyncClients(_Clients, Awaiting):
    """Calls about customers."""


class Sites(_Sites, Blocking):
    """Calls about places of customers."""


class AsyncSites(_Sites, Awaiting):
    """Calls about places of customers."""


class Users(_Users, Blocking):
    """Calls about contacts of customers."""


class AsyncUsers(_Users, Awaiting):
    """Calls about contacts of customers."""


class Tickets(_Tickets, Blocking):
    """Calls about tickets."""


class AsyncTickets(_Tickets, Awaiting):
    """Calls about tickets."""


class Actions(_Actions, Blocking):
    """Calls about notes and time on tickets."""


class AsyncActions(_Actions, Awaiting):
    """Calls about notes and time on tickets."""


class Agents(_Agents, Blocking):
    """Calls about the provider's own people."""


class AsyncAgents(_Agents, Awaiting):
    """Calls about the provider's own people."""


class Lookups(_Lookups, Blocking):
    """Statuses, ticket types and outcomes, which each instance sets up its own way. The lists have no pages."""


class AsyncLookups(_Lookups, Awaiting):
    """Statuses, ticket types and outcomes, which each instance sets up its own way. The lists have no pages."""


class HaloPsa(Requests, Blocking):
    """The HaloPSA client of one connection.

    >>> ctx.halopsa.tickets.get(2000).summary
    """

    def __init__(self, opener: Callable[[], Any]) -> None:
        super().__init__(Door(opener))
        #: Customers.
        self.clients = Clients(self._door)
        #: Places of customers.
        self.sites = Sites(self._door)
        #: Contacts of customers.
        self.users = Users(self._door)
        #: Tickets.
        self.tickets = Tickets(self._door)
        #: Notes and time on tickets.
        self.actions = Actions(self._door)
        #: The provider's own people.
        self.agents = Agents(self._door)
        #: Statuses, ticket types and outcomes.
        self.lookups = Lookups(self._door)


class AsyncHaloPsa(Requests, Awaiting):
    """The HaloPSA client of one connection.

    >>> (await ctx.halopsa.tickets.get(2000)).summary
    """

    def __init__(self, opener: Callable[[], Any]) -> None:
        super().__init__(Door(opener))
        #: Customers.
        self.clients = AsyncClients(self._door)
        #: Places of customers.
        self.sites = AsyncSites(self._door)
        #: Contacts of customers.
        self.users = AsyncUsers(self._door)
        #: Tickets.
        self.tickets = AsyncTickets(self._door)
        #: Notes and time on tickets.
        self.actions = AsyncActions(self._door)
        #: The provider's own people.
        self.agents = AsyncAgents(self._door)
        #: Statuses, ticket types and outcomes.
        self.lookups = AsyncLookups(self._door)
