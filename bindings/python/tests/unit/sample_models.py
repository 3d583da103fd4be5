"""Types that the tests share. Not postponed: the other test files are."""

import enum
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Dict, List, Literal, NamedTuple, NewType, Optional, TypedDict, Union


class Role(enum.Enum):
    USER = "user"
    ADMIN = "admin"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Rights(enum.Flag):
    READ = 1
    WRITE = 2


UserId = NewType("UserId", str)


class Point(NamedTuple):
    x: int
    y: int = 0


class Address(TypedDict, total=False):
    street: str
    since: date


@dataclass
class Hire:
    """A person who starts.

    Attributes:
        name: As HR wrote it.
    """

    name: str
    start: date
    role: Role = Role.USER
    groups: List[str] = field(default_factory=list)
    mail: Optional[str] = None
    derived: str = field(init=False, default="")

    def __post_init__(self) -> None:
        if self.name == "refused":
            raise ValueError("no such person")
        self.derived = self.name.upper()


@dataclass
class Node:
    value: int
    children: "list[Node]" = field(default_factory=list)
    parent: Optional["Node"] = None


@dataclass
class Card:
    kind: Literal["card"]
    number: str


@dataclass
class Invoice:
    kind: Literal["invoice"]
    due: date


Payment = Union[Card, Invoice]


@dataclass
class GraphUser:
    """Converts itself and keeps what it does not know."""

    id: str
    rest: Dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, data: Dict[str, Any]) -> "GraphUser":
        rest = dict(data)
        return cls(rest.pop("Id"), rest)

    def to_dict(self) -> Dict[str, Any]:
        return {"Id": self.id, **self.rest}


class OnlyOut:
    def to_dict(self) -> Dict[str, Any]:
        return {"out": True}
