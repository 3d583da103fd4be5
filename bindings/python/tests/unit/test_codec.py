"""Values to plain JSON and back."""

from __future__ import annotations

import json
import sys
from collections import OrderedDict
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from types import MappingProxyType
from typing import Annotated, Any, Dict, FrozenSet, List, Literal, Optional, Set, Tuple, TypedDict, Union
from uuid import UUID

import pytest
import sample_models as m

from bifrost._codec import MAX_DEPTH, CodecError, decoder, encode
from bifrost._params import Param

BERLIN = timezone(timedelta(hours=1))
CANARY = "canary-5f1d"


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (None, None),
        (True, True),
        (-3, -3),
        (2**64 - 1, 2**64 - 1),
        (1.5, 1.5),
        ("Zoë", "Zoë"),
        ([1, (2, [3])], [1, [2, [3]]]),
        ({"a": {"b": 1}}, {"a": {"b": 1}}),
        (OrderedDict([("a", 1)]), {"a": 1}),
        (MappingProxyType({"a": 1}), {"a": 1}),
        ({m.Role.USER: 1}, {"user": 1}),
        (range(3), [0, 1, 2]),
        ({"b", "a", "c"}, ["a", "b", "c"]),
        (frozenset({10, 9}), [9, 10]),
        (m.Role.ADMIN, "admin"),
        (m.Level.HIGH, 2),
        (date(2026, 3, 1), "2026-03-01"),
        (datetime(2026, 3, 1, 9, 30), "2026-03-01T09:30:00"),
        (datetime(2026, 3, 1, 9, 30, tzinfo=BERLIN), "2026-03-01T09:30:00+01:00"),
        (time(9, 30), "09:30:00"),
        (timedelta(minutes=1.5), 90.0),
        (UUID(int=7), "00000000-0000-0000-0000-000000000007"),
        (Decimal("1E+3"), "1000"),
        (Decimal("0.10"), "0.10"),
        (m.Point(1, 2), {"x": 1, "y": 2}),
        (m.OnlyOut(), {"out": True}),
        (m.GraphUser("1", {"more": [1]}), {"Id": "1", "more": [1]}),
        (m.Card("card", "4"), {"kind": "card", "number": "4"}),
    ],
)
def test_each_value_has_one_plain_form(value: Any, plain: Any) -> None:
    encoded = encode(value)
    assert encoded == plain
    assert type(encoded) is type(plain)
    json.dumps(encoded, allow_nan=False)


def test_a_mixed_set_has_the_same_order_each_time() -> None:
    assert encode({"a", 1, None}) == encode({None, 1, "a"})


def test_a_dataclass_gives_what_its_constructor_takes() -> None:
    hire = m.Hire("Zoë", date(2026, 3, 1))
    assert encode(hire) == {"name": "Zoë", "start": "2026-03-01", "role": "user", "groups": [], "mail": None}


class Text(str):
    def __str__(self) -> str:
        return "not this"


def test_subclasses_of_plain_types_become_plain() -> None:
    encoded = encode(Text("this"))
    assert (encoded, type(encoded)) == ("this", str)


class Opaque:
    def __repr__(self) -> str:
        return CANARY


@pytest.mark.parametrize(
    ("value", "path", "words"),
    [
        ({"groups": ["a", Opaque()]}, "/groups/1", "type Opaque has no form"),
        ({"a/b": {"c~d": Opaque()}}, "/a~1b/c~0d", "Opaque"),
        (m.Node(1, [m.Node(2), m.Node(Opaque())]), "/children/1/value", "Opaque"),  # type: ignore[arg-type]
        (m.Point(1, Opaque()), "/y", "Opaque"),  # type: ignore[arg-type]
        ([float("nan")], "/0", "NaN"),
        ([float("-inf")], "/0", "infinity"),
        ([Decimal("NaN")], "/0", "NaN"),
        ({"a": b"canary-5f1d"}, "/a", "base64"),
        ({"a": {1: "x"}}, "/a", "a key of type int"),
        ([2**64], "/0", "64 bits"),
        ([-(2**63) - 1], "/0", "64 bits"),
        (["\ud800"], "/0", "surrogate"),
        ({"a": {"\ud800": 1}}, "/a", "surrogate"),
        ((x for x in [1]), "", "in a list first"),
        (ValueError(CANARY), "", "raise it"),
        (m.Hire, "", "type type"),
        (m.GraphUser, "", "type type"),
    ],
)
def test_a_refusal_names_path_and_type_and_never_the_value(value: Any, path: str, words: str) -> None:
    with pytest.raises(CodecError) as caught:
        encode(value)
    assert caught.value.path == path
    assert words in str(caught.value)
    assert CANARY not in f"{caught.value} {caught.value!r}"


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def test_depth_is_bounded() -> None:
    assert encode(nested(MAX_DEPTH)) == nested(MAX_DEPTH)
    for value in (nested(MAX_DEPTH + 1), cyclic(), SelfDict()):
        with pytest.raises(CodecError, match=f"deeper than {MAX_DEPTH} levels"):
            encode(value)


def cyclic() -> Any:
    value: dict[str, Any] = {}
    value["a long name of a key"] = value
    return value


class SelfDict:
    def to_dict(self) -> Any:
        return self


def test_a_long_path_is_cut_in_the_message() -> None:
    with pytest.raises(CodecError) as caught:
        encode(cyclic())
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    "hint",
    [
        str, bool, None, Any, object, list, dict, List[str], List[Dict[str, Any]], Dict[str, List[bool]], Optional[str],
        Union[str, bool, None], Literal["a", 1], Optional[Literal["x"]], m.UserId, Annotated[str, Param(min=1)],
    ],
)  # fmt: skip
def test_plain_hints_need_no_decoder(hint: Any) -> None:
    assert decoder(hint) is None


def test_a_typed_dict_of_plain_members_needs_no_decoder() -> None:
    assert decoder(PlainDict) is None


class PlainDict(TypedDict):
    a: str
    b: List[bool]


class NeedsDate(TypedDict):
    needed: date


ROUND_TRIPS: list[tuple[Any, Any]] = [
    (int, 5),
    (float, 1.25),
    (date, date(2026, 3, 1)),
    (datetime, datetime(2026, 3, 1, 9, 30, 15, 250)),
    (datetime, datetime(2026, 3, 1, 9, 30, tzinfo=BERLIN)),
    (time, time(9, 30, 15)),
    (timedelta, timedelta(days=-1, microseconds=1)),
    (UUID, UUID(int=7)),
    (Decimal, Decimal("12.50")),
    (m.Role, m.Role.ADMIN),
    (m.Level, m.Level.HIGH),
    (Literal[m.Role.ADMIN], m.Role.ADMIN),
    (Optional[date], None),
    (Optional[date], date(2026, 3, 1)),
    (List[date], [date(2026, 3, 1)]),
    (Tuple[int, date], (1, date(2026, 3, 1))),
    (Tuple[m.Role, ...], (m.Role.USER,)),
    (tuple, (1, "a")),
    (Set[UUID], {UUID(int=1), UUID(int=2)}),
    (FrozenSet[str], frozenset({"a", "b"})),
    (Dict[str, m.Role], {"a": m.Role.USER}),
    (m.Point, m.Point(1, 2)),
    (m.Address, {"since": date(2026, 3, 1), "street": "a"}),
    (m.Hire, m.Hire("Zoë", date(2026, 3, 1), m.Role.ADMIN, ["a"], "z@example.com")),
    (m.Node, m.Node(1, [m.Node(2, [m.Node(3)])], m.Node(4))),
    (m.Payment, m.Card("card", "1")),
    (m.Payment, m.Invoice("invoice", date(2026, 3, 1))),
    (List[m.Payment], [m.Invoice("invoice", date(2026, 3, 1)), m.Card("card", "1")]),
    (m.GraphUser, m.GraphUser("1", {"unknown": [1]})),
    (Union[m.Hire, m.Node, None], m.Node(5)),
    (Union[NeedsDate, m.Point], m.Point(1, 2)),
    (Literal[1, True, m.Role.ADMIN], 1),
    (Literal[1, True, m.Role.ADMIN], True),
    (Union[date, str], "not a date"),
    (Union[date, str], date(2026, 3, 1)),
    (Union[int, float], 3),
    (Union[int, float], 3.0),
    (Union[List[date], m.Point], [date(2026, 3, 1)]),
]


@pytest.mark.parametrize(("hint", "value"), ROUND_TRIPS)
def test_round_trip(hint: Any, value: Any) -> None:
    decode = decoder(hint)
    assert decode is not None
    back = decode(json.loads(json.dumps(encode(value))))
    assert back == value
    assert type(back) is type(value)


@pytest.mark.parametrize(
    ("hint", "plain", "value"),
    [
        (int, 3.0, 3),
        (Optional[int], 3.0, 3),
        (Union[int, str], 3.0, 3),
        (float, 3, 3.0),
        (Decimal, 12, Decimal(12)),
        (datetime, "2026-03-01T09:30:00Z", datetime(2026, 3, 1, 9, 30, tzinfo=timezone.utc)),
        (datetime, "2026-03-01t09:30:00.5z", datetime(2026, 3, 1, 9, 30, 0, 500_000, timezone.utc)),
        (datetime, "2026-03-01T09:30:00.1234567+01:00", datetime(2026, 3, 1, 9, 30, 0, 123_456, BERLIN)),
        (time, "09:30:00.25Z", time(9, 30, 0, 250_000, timezone.utc)),
        (m.Hire, {"name": "Z", "start": "2026-03-01"}, m.Hire("Z", date(2026, 3, 1))),
        (m.Address, {"since": "2026-03-01", "more": 1}, {"since": date(2026, 3, 1), "more": 1}),
    ],
)
def test_other_spellings_of_the_same_value_are_read(hint: Any, plain: Any, value: Any) -> None:
    decode = decoder(hint)
    assert decode is not None
    back = decode(plain)
    assert back == value
    assert type(back) is type(value)


def test_what_is_decoded_is_left_as_it_was() -> None:
    plain = {"since": "2026-03-01", "street": "a"}
    decode = decoder(m.Address)
    assert decode is not None
    decode(plain)
    assert plain == {"since": "2026-03-01", "street": "a"}


@pytest.mark.parametrize(
    ("hint", "plain", "path", "words"),
    [
        (List[date], ["2026-03-01", CANARY], "/1", "not a date"),
        (List[date], {"a": 1}, "", "expected a list, found an object"),
        (m.Hire, {"name": "Z", "start": CANARY}, "/start", "not a date"),
        (m.Hire, {"name": "Z", "start": "2026-03-01", "bogus": CANARY}, "/bogus", "no such field of Hire"),
        (m.Hire, {"start": "2026-03-01"}, "", "Hire needs the field 'name'"),
        (m.Hire, {"name": "refused", "start": "2026-03-01"}, "", "Hire refuses these values: ValueError"),
        (m.Hire, CANARY, "", "expected an object, found text"),
        (Optional[m.Hire], {"name": "Z", "start": 5}, "/start", "expected a date, found a number"),
        (m.Node, {"value": 1, "children": [{"value": 1}, {"value": CANARY}]}, "/children/1/value", "a whole number"),
        (m.GraphUser, {}, "", "GraphUser.from_dict refuses these values: KeyError"),
        (m.Role, CANARY, "", "none of the choices"),
        (m.Role, [CANARY], "", "none of the choices"),
        (m.Level, True, "", "none of the choices"),
        (Union[date, m.Point], CANARY, "", "text fits no branch of the union"),
        (Dict[str, date], {"a": True}, "/a", "expected a date, found a boolean"),
        (Dict[str, date], None, "", "expected an object, found null"),
        (Tuple[int, date], [1, CANARY], "/1", "not a date"),
        (Tuple[int, date], [1], "", "a list of 2"),
        (Set[Any], [[1]], "", "a set"),
        (int, 1.5, "", "not a whole number"),
        (int, True, "", "expected a whole number"),
        (float, 10**400, "", "not a number"),
        (timedelta, 1e300, "", "not a number of seconds"),
        (Decimal, "NaN", "", "not a decimal"),
        (UUID, CANARY, "", "not a UUID"),
        (datetime, "2026-03-01", "", "not a date and time"),
    ],
)
def test_what_cannot_be_built_is_refused_at_its_path(hint: Any, plain: Any, path: str, words: str) -> None:
    decode = decoder(hint)
    assert decode is not None
    with pytest.raises(CodecError) as caught:
        decode(plain)
    assert caught.value.path == path
    assert words in str(caught.value)
    assert CANARY not in f"{caught.value} {caught.value!r}"


def test_a_class_made_inside_a_function_may_hold_itself() -> None:
    @dataclass
    class Local:
        more: List[Local]

    decode = decoder(Local)
    assert decode is not None
    assert decode({"more": [{"more": []}]}) == Local([Local([])])


def test_the_reason_of_a_refusing_class_is_kept_as_cause() -> None:
    decode = decoder(List[m.Hire])
    assert decode is not None
    with pytest.raises(CodecError) as caught:
        decode([{"name": "refused", "start": "2026-03-01"}])
    assert caught.value.path == "/0"
    assert str(caught.value.__cause__) == "no such person"


def test_pydantic_is_not_imported_for_its_own_sake() -> None:
    import subprocess
    from pathlib import Path

    import bifrost._codec

    root = Path(bifrost._codec.__file__).parents[1]
    code = "import sys, bifrost._definition; sys.exit('pydantic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0
