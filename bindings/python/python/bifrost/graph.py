"""Microsoft Graph: ``ctx.graph``. Every call goes through the hub's client: its budget, retry and sign-in.

    for user in ctx.graph.users.list(filter=f"department eq {quote(department)}"):
        ctx.graph.licenses.assign_by_name(user.id, "SPE_E3")

:class:`Graph` blocks, :class:`AsyncGraph` is awaited; their methods are the same. Failures are raised as
:class:`bifrost.BifrostError`: ``NotFound``, ``Rejected``, ``Throttled``, ``Unavailable``, ``UnknownOutcome`` when the
answer to a write was lost, ``ReauthRequired`` when the connection needs a person.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from ._model import camel, write_time
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
    nothing,
    operation,
    optional,
    pages,
    typed,
)
from ._pages import AsyncPages, List, Page, Pages
from ._raw import BatchRequest, BatchRequests, Response
from ._secrets import Places, SecretHandle
from .graph_models import (
    UNSET,
    AssignedLicense,
    Change,
    DirectoryObject,
    Group,
    MembershipPlan,
    NewUser,
    PrepaidUnits,
    ServicePlan,
    SubscribedSku,
    Unset,
    User,
    UserUpdate,
)

__all__ = [
    "UNSET",
    "AssignedLicense",
    "AsyncGraph",
    "AsyncGroups",
    "AsyncLicenses",
    "AsyncPages",
    "AsyncUsers",
    "BatchRequest",
    "Change",
    "DirectoryObject",
    "Graph",
    "Group",
    "Groups",
    "Licenses",
    "MembershipPlan",
    "NewUser",
    "Page",
    "Pages",
    "PrepaidUnits",
    "Response",
    "ServicePlan",
    "SubscribedSku",
    "Unset",
    "User",
    "UserUpdate",
    "Users",
    "quote",
]


def quote(value: str | bool | int | datetime | None) -> str:
    """``value`` as a literal of a filter, so that it cannot break out of its quotes.

    >>> quote("O'Brien")
    "'O''Brien'"
    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, datetime):
        return write_time(value)
    doubled = value.replace("'", "''")
    return f"'{doubled}'"


def _list_args(
    filter: str | None,
    select: Iterable[str] | None,
    search: tuple[str, str] | None,
    order_by: str | None,
    expand: str | None,
    page_size: int | None,
    advanced: bool,
    count: bool,
) -> dict[str, Any]:
    args: dict[str, Any] = {"filter": filter, "order_by": order_by, "expand": expand, "page_size": page_size}
    args = {name: value for name, value in args.items() if value is not None}
    if select is not None:
        args["select"] = [camel(name) for name in ([select] if isinstance(select, str) else select)]
    if search is not None:
        args["search"] = [camel(search[0]), search[1]]
    if advanced:
        args["advanced"] = True
    if count:
        args["count"] = True
    return args


def _new_user(user: NewUser) -> tuple[dict[str, Any], Places]:
    own = ("upn", "display_name", "password", "keep_password", "extra")
    properties = {camel(name): value for name, value in given(user, but=own).items()}
    args: dict[str, Any] = {"upn": user.upn, "display_name": user.display_name, "set": properties}
    properties.update(user.extra or {})
    args["keep_password"] = user.keep_password
    if isinstance(user.password, SecretHandle):
        return args, [("/password", user.password.name)]
    if user.password is not None:
        args["password"] = user.password
    return args, []


def _changes(update: UserUpdate) -> dict[str, Any]:
    properties = {camel(name): value for name, value in given(update, but=("extra",), absent=UNSET).items()}
    if "businessPhones" in properties:
        properties["businessPhones"] = builtins.list(properties["businessPhones"])
    if not isinstance(update.extra, Unset):
        properties.update(update.extra)
    return properties


class _Users(Area):
    @operation
    def get(self, id_or_upn: str) -> Call[User]:
        """The user with this object id or sign-in name.

        >>> ctx.graph.users.get("zoe@contoso.com").display_name

        Raises:
            NotFound: There is none.
        """
        return typed("users.get", {"id": id_or_upn}, User.from_dict)

    @operation
    def get_opt(self, id_or_upn: str) -> Call[User | None]:
        """The user with this object id or sign-in name; ``None`` when there is none."""
        return typed("users.get_opt", {"id": id_or_upn}, optional(User.from_dict))

    @operation
    def find_by_upn(self, upn: str) -> Call[User | None]:
        """The user with this sign-in name: the probe for :meth:`create`, as sign-in names are unique."""
        return typed("users.find_by_upn", {"upn": upn}, optional(User.from_dict))

    @pages
    def list(
        self,
        *,
        filter: str | None = None,
        select: Iterable[str] | None = None,
        search: tuple[str, str] | None = None,
        order_by: str | None = None,
        expand: str | None = None,
        page_size: int | None = None,
        advanced: bool = False,
        count: bool = False,
        resume: str | None = None,
    ) -> List[User]:
        """Users, fetched page by page as the list is iterated.

        >>> for user in ctx.graph.users.list(filter="department eq 'Sales'", select=["id", "mail"]): ...

        ``filter`` is OData, sent as it is: put values in with :func:`quote`. ``advanced`` says that it needs Graph's
        advanced query mode (``ne``, ``not``, ``endsWith``). ``select`` takes Graph's names or ours; all that
        :class:`User` models unless given. ``search`` is a property and words. ``page_size`` is 1 to 999. ``count``
        fills :attr:`Pages.total`. ``resume`` goes on where :attr:`Pages.resume_token` of an earlier list stopped; the
        token holds the query.

        Raises:
            Rejected: Graph does not support the query, or the token has expired or leads to another host.
            InvalidInput: ``resume`` is no token.
        """
        args = _list_args(filter, select, search, order_by, expand, page_size, advanced, count)
        return listing("users.page", args, User.from_dict, resume)

    @operation
    def count(self, filter: str | None = None, *, advanced: bool = False) -> Call[int]:
        """How many users there are, or how many ``filter`` holds for; from an index that lags writes."""
        args = {"advanced": advanced} if filter is None else {"filter": filter, "advanced": advanced}
        return typed("users.count", args, int)

    @creation(NewUser)
    def create(self, user: NewUser) -> Call[User]:
        """Creates a user: takes a :class:`NewUser`, a dictionary, or its keywords.

        >>> ctx.graph.users.create(upn="zoe@contoso.com", display_name="Zoë Müller", usage_location="CH")

        Never repeated blindly: run it in ``ctx.effect`` with :meth:`find_by_upn` as the probe.

        Raises:
            AlreadyExists: The sign-in name is taken.
            UnknownOutcome: The answer was lost; ask :meth:`find_by_upn`.
        """
        args, secrets = _new_user(user)
        return typed("users.create", args, User.from_dict, secrets)

    @change(UserUpdate)
    def update(self, id_or_upn: str, changes: UserUpdate) -> Call[None]:
        """Changes what is named and nothing else: takes a :class:`UserUpdate`, a dictionary, or its keywords.

        >>> ctx.graph.users.update("zoe@contoso.com", department="Sales", office_location=None)

        Raises:
            NotFound: There is no such user.
            Rejected: Graph refuses a property, and names it.
        """
        return typed("users.update", {"id": id_or_upn, "set": _changes(changes)}, nothing)

    @operation
    def delete(self, id_or_upn: str) -> Call[Change]:
        """Moves a user to the deleted items, where it can be restored from for 30 days."""
        return typed("users.delete", {"id": id_or_upn}, _change)


class _Groups(Area):
    @operation
    def get(self, id: str) -> Call[Group]:
        """The group with this object id.

        Raises:
            NotFound: There is none.
        """
        return typed("groups.get", {"id": id}, Group.from_dict)

    @operation
    def get_opt(self, id: str) -> Call[Group | None]:
        """The group with this object id; ``None`` when there is none."""
        return typed("groups.get_opt", {"id": id}, optional(Group.from_dict))

    @operation
    def find_by_name(self, display_name: str) -> Call[builtins.list[Group]]:
        """All groups of this display name: names are not unique."""
        return typed("groups.find_by_name", {"name": display_name}, each(Group.from_dict))

    @operation
    def require_by_name(self, display_name: str) -> Call[Group]:
        """The one group of this display name.

        Raises:
            NotFound: No group bears it.
            Conflict: Several do.
        """
        return typed("groups.require_by_name", {"name": display_name}, Group.from_dict)

    @pages
    def list(
        self,
        *,
        filter: str | None = None,
        select: Iterable[str] | None = None,
        search: tuple[str, str] | None = None,
        order_by: str | None = None,
        expand: str | None = None,
        page_size: int | None = None,
        advanced: bool = False,
        count: bool = False,
        resume: str | None = None,
    ) -> List[Group]:
        """Groups, fetched page by page as the list is iterated; for the options see ``users.list``."""
        args = _list_args(filter, select, search, order_by, expand, page_size, advanced, count)
        return listing("groups.page", args, Group.from_dict, resume)

    @pages
    def members(self, group: str, *, resume: str | None = None) -> List[DirectoryObject]:
        """The direct members, fetched page by page as the list is iterated."""
        return listing("groups.members", {"id": group}, DirectoryObject.from_dict, resume)

    @operation
    def add_member(self, group: str, member: str) -> Call[Change]:
        """Makes a user or group, by its id, a member; ``"already_done"`` when it was one.

        Raises:
            NotFound: Group or member are unknown, which may pass some seconds after they were created.
        """
        return typed("groups.add_member", {"id": group, "object": member}, _change)

    @operation
    def remove_member(self, group: str, member: str) -> Call[Change]:
        """Ends a membership; ``"already_done"`` when there was none."""
        return typed("groups.remove_member", {"id": group, "object": member}, _change)

    @operation
    def plan_members(self, group: str, wanted: Iterable[str]) -> Call[MembershipPlan]:
        """What :meth:`set_members` would do; changes nothing.

        Raises:
            Rejected: The members of this group cannot be changed through Graph.
        """
        args = {"id": group, "wanted": builtins.list(wanted)}
        return typed("groups.plan_members", args, MembershipPlan.from_dict)

    @operation
    def apply_members(self, plan: MembershipPlan) -> Call[None]:
        """Makes the changes of a plan, additions first."""
        return typed("groups.apply_members", plan.to_dict(), nothing)

    @operation
    def set_members(self, group: str, wanted: Iterable[str]) -> Call[MembershipPlan]:
        """Makes the direct members exactly ``wanted``, in batches of up to 20 calls, and says what was changed.

        Raises:
            BifrostError: The first change that failed, after the others were made. Calling again goes on from there.
        """
        args = {"id": group, "wanted": builtins.list(wanted)}
        return typed("groups.set_members", args, MembershipPlan.from_dict)


class _Licenses(Area):
    @operation
    def subscribed_skus(self) -> Call[builtins.list[SubscribedSku]]:
        """What the tenant has bought, with the free licences in :attr:`SubscribedSku.free`."""
        return typed("licenses.subscribed_skus", {}, each(SubscribedSku.from_dict))

    @operation
    def require_sku(self, part_number: str) -> Call[SubscribedSku]:
        """The SKU of this name, such as ``SPE_E3``; case does not matter.

        Raises:
            NotFound: The tenant has no such SKU; names those it has.
        """
        return typed("licenses.require_sku", {"name": part_number}, SubscribedSku.from_dict)

    @operation
    def assign(self, user: str, sku_id: str, *, without_plans: Iterable[str] = ()) -> Call[User]:
        """Assigns a licence directly; a second time changes nothing. The user needs a usage location first.

        Raises:
            Rejected: With ``context["code"] == "no_license_left"`` when none is free.
        """
        args = {"user": user, "sku": sku_id, "without_plans": builtins.list(without_plans)}
        return typed("licenses.assign", args, User.from_dict)

    @operation
    def assign_by_name(self, user: str, part_number: str) -> Call[User]:
        """Assigns a licence of the SKU of this name.

        >>> ctx.graph.licenses.assign_by_name(user.id, "SPE_E3")

        Raises:
            NotFound: The tenant has no such SKU.
            Rejected: With ``context["code"] == "no_license_left"`` when none is free.
        """
        return typed("licenses.assign_by_name", {"user": user, "name": part_number}, User.from_dict)

    @operation
    def remove(self, user: str, sku_id: str) -> Call[Change]:
        """Takes a directly assigned licence away.

        Raises:
            Rejected: The licence comes through a group: leave the group then.
        """
        return typed("licenses.remove", {"user": user, "sku": sku_id}, _change)


def _change(data: Any) -> Change:
    return "made" if data == "made" else "already_done"


class Users(_Users, Blocking):
    """Calls about users."""


class AsyncUsers(_Users, Awaiting):
    """Calls about users."""


class Groups(_Groups, Blocking):
    """Calls about groups."""


class AsyncGroups(_Groups, Awaiting):
    """Calls about groups."""


class Licenses(_Licenses, Blocking):
    """Calls about licences."""


class AsyncLicenses(_Licenses, Awaiting):
    """Calls about licences."""


class Graph(BatchRequests, Blocking):
    """The Microsoft Graph client of one connection.

    >>> ctx.graph.users.get("zoe@contoso.com")
    """

    def __init__(self, opener: Callable[[], Any]) -> None:
        super().__init__(Door(opener))
        #: Users.
        self.users = Users(self._door)
        #: Groups and their members.
        self.groups = Groups(self._door)
        #: Licences.
        self.licenses = Licenses(self._door)


class AsyncGraph(BatchRequests, Awaiting):
    """The Microsoft Graph client of one connection.

    >>> await ctx.graph.users.get("zoe@contoso.com")
    """

    def __init__(self, opener: Callable[[], Any]) -> None:
        super().__init__(Door(opener))
        #: Users.
        self.users = AsyncUsers(self._door)
        #: Groups and their members.
        self.groups = AsyncGroups(self._door)
        #: Licences.
        self.licenses = AsyncLicenses(self._door)
