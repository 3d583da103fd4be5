"""HaloPSA's records, under HaloPSA's field names.

Everything but the id may be missing: list rows carry less than single records. What is not modelled (a ticket alone has
some 890 fields) is in ``extra``.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from ._model import Model, instant, unknown
from ._unset import UNSET, Unset

__all__ = [
    "UNSET",
    "Action",
    "Agent",
    "Client",
    "HaloUser",
    "NewAction",
    "NewClient",
    "NewHaloUser",
    "NewSite",
    "NewTicket",
    "Outcome",
    "Site",
    "Status",
    "Ticket",
    "TicketType",
    "TicketUpdate",
    "Unset",
]

#: The built-in status that means closed. Others may mean it too: see ``lookups.statuses``.
CLOSED = 9


@dataclass(repr=False, slots=True)
class Client(Model):
    """A customer (``/Client``)."""

    _shown: ClassVar[tuple[str, ...]] = ("id", "name")

    #: The id; 0 when the answer had none.
    id: int = 0
    #: The name.
    name: str | None = None
    #: The group of clients it belongs to.
    toplevel_id: int | None = None
    #: True when it is no customer any more.
    inactive: bool | None = None
    #: The site everything without a site belongs to.
    main_site_id: int | None = None
    #: The website.
    website: str | None = None
    #: Its Entra tenant, where one is set.
    azure_tenant_id: str | None = None
    #: When it was made.
    datecreated: dt.datetime | None = instant()
    #: What is not modelled.
    extra: dict[str, Any] = unknown()


@dataclass(repr=False, slots=True)
class Site(Model):
    """A place of a customer (``/Site``)."""

    _shown: ClassVar[tuple[str, ...]] = ("id", "name", "client_id")

    #: The id; 0 when the answer had none.
    id: int = 0
    #: The name.
    name: str | None = None
    #: The customer.
    client_id: int | None = None
    #: The customer's name.
    client_name: str | None = None
    #: True when it is not used any more.
    inactive: bool | None = None
    #: What is not modelled.
    extra: dict[str, Any] = unknown()


@dataclass(repr=False, slots=True)
class HaloUser(Model):
    """A contact of a customer (``/Users``)."""

    _shown: ClassVar[tuple[str, ...]] = ("id", "name", "emailaddress")

    #: The id; 0 when the answer had none.
    id: int = 0
    #: The full name.
    name: str | None = None
    #: The first name.
    firstname: str | None = None
    #: The last name.
    surname: str | None = None
    #: The mail address.
    emailaddress: str | None = None
    #: The second mail address.
    email2: str | None = None
    #: The third mail address.
    email3: str | None = None
    #: The site.
    site_id: int | None = None
    #: The customer.
    client_id: int | None = None
    #: True when it is not used any more.
    inactive: bool | None = None
    #: The Entra object id.
    azureoid: str | None = None
    #: What is not modelled.
    extra: dict[str, Any] = unknown()


@dataclass(repr=False, slots=True)
class Ticket(Model):
    """A ticket (``/Tickets``)."""

    _shown: ClassVar[tuple[str, ...]] = ("id", "summary", "status_id")

    #: The id; 0 when the answer had none.
    id: int = 0
    #: The summary.
    summary: str | None = None
    #: The description as plain text.
    details: str | None = None
    #: The customer.
    client_id: int | None = None
    #: The customer's name.
    client_name: str | None = None
    #: The site.
    site_id: int | None = None
    #: The contact.
    user_id: int | None = None
    #: The contact's name.
    user_name: str | None = None
    #: The contact's mail address.
    user_email: str | None = None
    #: The ticket type.
    tickettype_id: int | None = None
    #: The status.
    status_id: int | None = None
    #: The priority.
    priority_id: int | None = None
    #: The agent it is assigned to.
    agent_id: int | None = None
    #: The team, by name.
    team: str | None = None
    #: The first category.
    category_1: str | None = None
    #: When it happened.
    dateoccurred: dt.datetime | None = instant()
    #: When it was closed.
    dateclosed: dt.datetime | None = instant()
    #: When it last changed.
    last_update: dt.datetime | None = instant()
    #: Whether it has ever been closed.
    hasbeenclosed: bool | None = None
    #: Time spent, in hours.
    timetaken: float | None = None
    #: The id another system knows it by.
    third_party_id_string: str | None = None
    #: What is not modelled.
    extra: dict[str, Any] = unknown()

    @property
    def is_closed(self) -> bool:
        """Whether it is closed: by the built-in status, or by the date it was closed at."""
        return self.status_id == CLOSED or self.dateclosed is not None


@dataclass(repr=False, slots=True)
class Action(Model):
    """Something that happened to a ticket: a note, a mail, time spent (``/Actions``).

    Its key is the pair of ``ticket_id`` and ``id``; ``id`` counts per ticket.
    """

    _shown: ClassVar[tuple[str, ...]] = ("ticket_id", "id", "outcome")

    #: The id within the ticket; 0 when the answer had none.
    id: int = 0
    #: The ticket.
    ticket_id: int | None = None
    #: What kind of action, by name.
    outcome: str | None = None
    #: What kind of action.
    outcome_id: int | None = None
    #: Who did it.
    who: str | None = None
    #: When it was done.
    datetime: dt.datetime | None = instant()
    #: The text, plain.
    note: str | None = None
    #: The text as HTML.
    note_html: str | None = None
    #: True for what the customer does not see.
    hiddenfromuser: bool | None = None
    #: Time spent, in hours.
    timetaken: float | None = None
    #: The status it set.
    new_status: int | None = None
    #: What is not modelled.
    extra: dict[str, Any] = unknown()


@dataclass(repr=False, slots=True)
class Agent(Model):
    """Somebody of the provider who works on tickets (``/Agent``)."""

    _shown: ClassVar[tuple[str, ...]] = ("id", "name")

    #: The id; 0 when the answer had none.
    id: int = 0
    #: The full name.
    name: str | None = None
    #: The mail address.
    email: str | None = None
    #: The team, by name.
    team: str | None = None
    #: True when it may not sign in.
    isdisabled: bool | None = None
    #: True for agents that exist for applications only.
    isapiagent: bool | None = None
    #: What is not modelled.
    extra: dict[str, Any] = unknown()


@dataclass(repr=False, slots=True)
class Status(Model):
    """A status of tickets (``/Status``)."""

    _shown: ClassVar[tuple[str, ...]] = ("id", "name")

    #: The id; 0 when the answer had none.
    id: int = 0
    #: The name.
    name: str | None = None
    #: The short name.
    shortname: str | None = None
    #: Its place in lists.
    sequence: int | None = None
    #: What is not modelled.
    extra: dict[str, Any] = unknown()


@dataclass(repr=False, slots=True)
class TicketType(Model):
    """A type of tickets (``/TicketType``)."""

    _shown: ClassVar[tuple[str, ...]] = ("id", "name")

    #: The id; 0 when the answer had none.
    id: int = 0
    #: The name.
    name: str | None = None
    #: What it is used for, such as ``ticket`` or ``project``.
    use: str | None = None
    #: What is not modelled.
    extra: dict[str, Any] = unknown()


@dataclass(repr=False, slots=True)
class Outcome(Model):
    """A kind of action, which decides what it does to the ticket (``/Outcome``)."""

    _shown: ClassVar[tuple[str, ...]] = ("id", "outcome")

    #: The id; 0 when the answer had none.
    id: int = 0
    #: The name.
    outcome: str | None = None
    #: What its button says.
    buttonname: str | None = None
    #: True when it is not offered.
    hidden: bool | None = None
    #: The status it sets, where it sets one.
    newstatus: int | None = None
    #: What is not modelled.
    extra: dict[str, Any] = unknown()


@dataclass(kw_only=True, slots=True)
class NewClient:
    """A customer to create, with a main site."""

    #: The name.
    name: str
    #: The group of clients it belongs to; which one is the default differs between instances.
    toplevel_id: int | None = None
    #: The name of its main site.
    newclient_sitename: str | None = None
    #: The website.
    website: str | None = None
    #: Any other field, by HaloPSA's name.
    extra: Mapping[str, Any] | None = None


@dataclass(kw_only=True, slots=True)
class NewSite:
    """A site to create."""

    #: The customer.
    client_id: int
    #: The name.
    name: str
    #: Any other field, by HaloPSA's name.
    extra: Mapping[str, Any] | None = None


@dataclass(kw_only=True, slots=True)
class NewHaloUser:
    """A contact to create."""

    #: The site.
    site_id: int
    #: The first name.
    first_name: str
    #: The last name.
    last_name: str
    #: The mail address.
    emailaddress: str | None = None
    #: The Entra object id.
    azureoid: str | None = None
    #: Any other field, by HaloPSA's name.
    extra: Mapping[str, Any] | None = None


@dataclass(kw_only=True, slots=True)
class NewTicket:
    """A ticket to open. Which fields are mandatory is decided by the ticket type; a refusal names them."""

    #: The summary.
    summary: str
    #: The description.
    details: str | None = None
    #: The description as HTML.
    details_html: str | None = None
    #: What ``tickets.find_by_reference`` finds it by: 8 to 128 characters, such as the key of an effect.
    reference: str | None = None
    #: The customer.
    client_id: int | None = None
    #: The contact; HaloPSA wants the contact's site too.
    user_id: int | None = None
    #: The site.
    site_id: int | None = None
    #: The ticket type.
    tickettype_id: int | None = None
    #: The priority.
    priority_id: int | None = None
    #: The agent it is assigned to.
    agent_id: int | None = None
    #: The team it is assigned to, by name.
    team: str | None = None
    #: Any other field, by HaloPSA's name.
    extra: Mapping[str, Any] | None = None


@dataclass(kw_only=True, slots=True)
class TicketUpdate:
    """Changes to a ticket: what is left out stays."""

    #: The summary.
    summary: str | Unset = UNSET
    #: The status.
    status_id: int | Unset = UNSET
    #: The priority.
    priority_id: int | Unset = UNSET
    #: The ticket type.
    tickettype_id: int | Unset = UNSET
    #: The agent; rules may assign it elsewhere, ``tickets.assign`` goes past them.
    agent_id: int | Unset | None = UNSET
    #: The team, by name.
    team: str | Unset | None = UNSET
    #: The first category.
    category_1: str | Unset | None = UNSET
    #: Any other field, by HaloPSA's name.
    extra: Mapping[str, Any] | Unset = UNSET


@dataclass(kw_only=True, slots=True)
class NewAction:
    """A note, or a time entry when it has ``hours``. The customer sees nothing of it unless it is ``visible``."""

    #: The ticket.
    ticket_id: int
    #: The text.
    note: str | None = None
    #: The text as HTML, in place of ``note``.
    note_html: str | None = None
    #: Time spent: 0.25 is a quarter of an hour. More than 0, at most 24.
    hours: float | None = None
    #: The kind of action; an internal note unless given.
    outcome_id: int | None = None
    #: Lets the customer see it.
    visible: bool = False
    #: The status it sets.
    new_status: int | None = None
    #: What ``actions.find`` finds it by: 8 to 128 characters, such as the key of an effect.
    reference: str | None = None
    #: Any other field, by HaloPSA's name.
    extra: Mapping[str, Any] | None = None
