"""Directory objects as Microsoft Graph has them.

Any field but ``id`` may be missing: a call that selects others gets only those. What is not modelled is in ``extra``,
under Graph's names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Literal

from ._model import Model, camel, instant, one, several, unknown, wire
from ._secrets import SecretHandle
from ._unset import UNSET, Unset

__all__ = [
    "UNSET",
    "AssignedLicense",
    "Change",
    "DirectoryObject",
    "Group",
    "MembershipPlan",
    "NewUser",
    "PrepaidUnits",
    "ServicePlan",
    "SubscribedSku",
    "Unset",
    "User",
    "UserUpdate",
]

#: Whether a call that leads to a state had to change anything.
Change = Literal["made", "already_done"]


class _GraphModel(Model):
    __slots__ = ()

    @staticmethod
    def wire_name(name: str) -> str:
        return camel(name)


@dataclass(repr=False, slots=True)
class AssignedLicense(_GraphModel):
    """A licence on a user."""

    _shown: ClassVar[tuple[str, ...]] = ("sku_id",)

    #: The SKU.
    sku_id: str = ""
    #: Service plans switched off.
    disabled_plans: list[str] = several()


@dataclass(repr=False, slots=True)
class User(_GraphModel):
    """A user."""

    _shown: ClassVar[tuple[str, ...]] = ("id", "user_principal_name", "display_name")

    #: The object id.
    id: str = ""
    #: The name people see.
    display_name: str | None = None
    #: The first name.
    given_name: str | None = None
    #: The last name.
    surname: str | None = None
    #: The sign-in name.
    user_principal_name: str | None = None
    #: The primary mail address.
    mail: str | None = None
    #: The mail alias.
    mail_nickname: str | None = None
    #: Whether the user may sign in.
    account_enabled: bool | None = None
    #: The country licences are used in, ISO 3166 alpha-2.
    usage_location: str | None = None
    #: The job title.
    job_title: str | None = None
    #: The department.
    department: str | None = None
    #: The company.
    company_name: str | None = None
    #: The employee number.
    employee_id: str | None = None
    #: The office.
    office_location: str | None = None
    #: The mobile phone.
    mobile_phone: str | None = None
    #: At most one number.
    business_phones: list[str] = several()
    #: Such as ``de-CH``.
    preferred_language: str | None = None
    #: ``Member`` or ``Guest``.
    user_type: str | None = None
    #: When it was created.
    created_date_time: datetime | None = instant()
    #: True when it is mastered on premises: most properties are then read-only here.
    on_premises_sync_enabled: bool | None = None
    #: Licences, direct and through groups.
    assigned_licenses: list[AssignedLicense] = several(AssignedLicense)
    #: What is not modelled.
    extra: dict[str, Any] = unknown()

    def has_license(self, sku_id: str) -> bool:
        """Whether a licence of this SKU is assigned, directly or through a group."""
        return any(held.sku_id.lower() == sku_id.lower() for held in self.assigned_licenses)


@dataclass(repr=False, slots=True)
class Group(_GraphModel):
    """A group."""

    _shown: ClassVar[tuple[str, ...]] = ("id", "display_name")

    #: The object id.
    id: str = ""
    #: The name people see; not unique.
    display_name: str | None = None
    #: What it is for.
    description: str | None = None
    #: The mail address.
    mail: str | None = None
    #: Whether it receives mail.
    mail_enabled: bool | None = None
    #: The mail alias.
    mail_nickname: str | None = None
    #: Whether it can be given rights.
    security_enabled: bool | None = None
    #: ``Unified``, ``DynamicMembership``, both or neither.
    group_types: list[str] = several()
    #: The rule of a dynamic group.
    membership_rule: str | None = None
    #: When it was created.
    created_date_time: datetime | None = instant()
    #: True when it is mastered on premises: members are then read-only here.
    on_premises_sync_enabled: bool | None = None
    #: What is not modelled.
    extra: dict[str, Any] = unknown()


@dataclass(repr=False, slots=True)
class DirectoryObject(_GraphModel):
    """Any directory object, such as a member of a group."""

    _shown: ClassVar[tuple[str, ...]] = ("id", "kind", "display_name")

    #: The object id.
    id: str = ""
    #: Its type, such as ``#microsoft.graph.user``.
    kind: str | None = wire("@odata.type")
    #: The name people see.
    display_name: str | None = None
    #: The sign-in name of a user.
    user_principal_name: str | None = None
    #: What is not modelled.
    extra: dict[str, Any] = unknown()


@dataclass(repr=False, slots=True)
class PrepaidUnits(_GraphModel):
    """Licences bought, by state."""

    _shown: ClassVar[tuple[str, ...]] = ("enabled", "warning", "suspended", "locked_out")

    #: Paid for.
    enabled: int = 0
    #: Expired, within the grace period.
    warning: int = 0
    #: Cancelled.
    suspended: int = 0
    #: Locked.
    locked_out: int = 0


@dataclass(repr=False, slots=True)
class ServicePlan(_GraphModel):
    """A service within a SKU."""

    _shown: ClassVar[tuple[str, ...]] = ("service_plan_id", "service_plan_name")

    #: Its id.
    service_plan_id: str = ""
    #: Its name.
    service_plan_name: str = ""
    #: Such as ``Success``.
    provisioning_status: str | None = None
    #: ``User`` or ``Company``.
    applies_to: str | None = None


@dataclass(repr=False, slots=True)
class SubscribedSku(_GraphModel):
    """A SKU the tenant has bought, and how many licences of it."""

    _shown: ClassVar[tuple[str, ...]] = ("sku_part_number", "consumed_units", "free")

    #: The SKU.
    sku_id: str = ""
    #: Its name, such as ``SPE_E3``.
    sku_part_number: str = ""
    #: ``User`` or ``Company``; only the former is assigned.
    applies_to: str | None = None
    #: ``Enabled``, ``Warning``, ``Suspended``, ``Deleted`` or ``LockedOut``.
    capability_status: str | None = None
    #: Licences in use.
    consumed_units: int = 0
    #: Licences bought.
    prepaid_units: PrepaidUnits = one(PrepaidUnits)
    #: The service plans in it.
    service_plans: list[ServicePlan] = several(ServicePlan)
    #: What is not modelled.
    extra: dict[str, Any] = unknown()

    @property
    def free(self) -> int:
        """Licences that can still be assigned: enabled and warning ones less those in use, never below zero."""
        return max(self.prepaid_units.enabled + self.prepaid_units.warning - self.consumed_units, 0)


@dataclass(frozen=True, slots=True)
class MembershipPlan:
    """A change of a group's members, worked out and not made yet: the dry run."""

    #: The group.
    group: str
    #: Ids to add, sorted.
    add: list[str]
    #: Ids to remove, sorted.
    remove: list[str]
    #: Ids that are members and stay.
    keep: list[str]

    def __bool__(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.add or self.remove)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> MembershipPlan:
        """Reads what :meth:`to_dict` wrote."""
        return cls(data["group"], list(data["add"]), list(data["remove"]), list(data["keep"]))

    def to_dict(self) -> dict[str, Any]:
        """As plain values."""
        return {"group": self.group, "add": self.add, "remove": self.remove, "keep": self.keep}


@dataclass(kw_only=True, slots=True)
class NewUser:
    """A user to create, who may sign in and must change the password when first doing so.

    Without a ``password`` one of 20 characters is made at send time, which nobody sees: the user signs in with a
    temporary access pass or after a reset. With ``ctx.secret("name")`` the secret's text is filled in at send time.
    """

    #: The sign-in name.
    upn: str
    #: The name people see.
    display_name: str
    #: The first password.
    password: str | SecretHandle | None = field(default=None, repr=False)
    #: Lets the user keep the password it was given.
    keep_password: bool = False
    #: The first name.
    given_name: str | None = None
    #: The last name.
    surname: str | None = None
    #: The mail alias; made from the sign-in name unless given.
    mail_nickname: str | None = None
    #: The country licences are used in, ISO 3166 alpha-2: needed before a licence is assigned.
    usage_location: str | None = None
    #: The department.
    department: str | None = None
    #: The job title.
    job_title: str | None = None
    #: The company.
    company_name: str | None = None
    #: The employee number.
    employee_id: str | None = None
    #: The office.
    office_location: str | None = None
    #: The mobile phone.
    mobile_phone: str | None = None
    #: Such as ``de-CH``.
    preferred_language: str | None = None
    #: Whether the user may sign in.
    account_enabled: bool | None = None
    #: Any other property, by Graph's name.
    extra: Mapping[str, Any] | None = None


@dataclass(kw_only=True, slots=True)
class UserUpdate:
    """Changes to a user: what is left out stays, ``None`` empties a property."""

    #: The name people see.
    display_name: str | Unset = UNSET
    #: The first name.
    given_name: str | Unset | None = UNSET
    #: The last name.
    surname: str | Unset | None = UNSET
    #: The country licences are used in, ISO 3166 alpha-2.
    usage_location: str | Unset | None = UNSET
    #: The department.
    department: str | Unset | None = UNSET
    #: The job title.
    job_title: str | Unset | None = UNSET
    #: The company.
    company_name: str | Unset | None = UNSET
    #: The employee number.
    employee_id: str | Unset | None = UNSET
    #: The office.
    office_location: str | Unset | None = UNSET
    #: The mobile phone.
    mobile_phone: str | Unset | None = UNSET
    #: At most one number.
    business_phones: Iterable[str] | Unset = UNSET
    #: Such as ``de-CH``.
    preferred_language: str | Unset | None = UNSET
    #: Allows or forbids to sign in.
    account_enabled: bool | Unset = UNSET
    #: Any other property, by Graph's name.
    extra: Mapping[str, Any] | Unset = UNSET
