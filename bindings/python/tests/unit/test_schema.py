"""Hints to schemas. The package `jsonschema` judges, so that what we mean by a schema is not our own opinion."""

from __future__ import annotations

import collections.abc as abc
import sys
import typing
from dataclasses import dataclass, field, make_dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, Any, Dict, List, Literal, Optional, Set, Tuple, TypedDict, Union
from uuid import UUID

import jsonschema
import pytest
import sample_models as m

from bifrost._codec import encode
from bifrost._hints import UnsupportedHint
from bifrost._params import Param
from bifrost._schema import schema_of


def valid(hint: Any, value: Any) -> bool:
    schema = schema_of(hint, globals())
    jsonschema.Draft202012Validator.check_schema(schema)
    checker = jsonschema.FormatChecker()
    return jsonschema.Draft202012Validator(schema, format_checker=checker).is_valid(value)


def plain(hint: Any) -> dict[str, Any]:
    schema = schema_of(hint, globals())
    assert schema.pop("$schema").endswith("2020-12/schema")
    return schema


@pytest.mark.parametrize(
    ("hint", "right", "wrong"),
    [
        (str, ["", "ä"], [1, None, ["a"]]),
        (int, [0, -5, 2**40], [True, 1.5, "1", None]),
        (float, [0.5, 1], [True, "1.0", None]),
        (bool, [True, False], [0, "true", None]),
        (None, [None], [0, "", False]),
        (date, ["2026-03-01"], ["1.3.2026", "2026-13-01", 5]),
        (time, ["09:30", "09:30:15", "09:30:15.25", "09:30:00Z", "09:30+01:00"], ["9:30", "25:00", "09:60", 930]),
        (timedelta, [0, 1.5, -3], ["PT5M", None, True]),
        (UUID, ["0192f0c1-7a3b-7c00-8000-000000000001"], ["0192", 7]),
        (Decimal, ["12.50", "-3", "+1"], [12.5, "1e5", "", "NaN", "1."]),
        (Any, [1, None, {"a": []}], []),
        (object, [1, None, {"a": []}], []),
        (m.Role, ["user", "admin"], ["USER", "root", None]),
        (m.Level, [1, 2], [3, "1", True]),
        (m.UserId, ["x"], [1]),
        (Literal["a", 1, None], ["a", 1, None], ["b", 2, True]),
        (Literal["only"], ["only"], ["other", None]),
        (Optional[str], ["a", None], [1]),
        (Optional[m.Role], ["user", None], ["root"]),
        (Optional[Literal["x"]], ["x", None], ["y"]),
        (Union[int, str], [1, "a"], [None, 1.5]),
        (Union[int, List[int], None], [1, [1], None], ["a", ["a"]]),
        (List[int], [[], [1]], [["a"], {}, None, [True]]),
        (list, [[], [1, "a"]], [{}, None]),
        (list["m.Role"], [["user"]], [["root"]]),
        (abc.Sequence[str], [["a"]], ["a", [1]]),
        (abc.Iterable[str], [["a"]], ["a", [1]]),
        (Tuple[int, str], [[1, "a"]], [[1], [1, "a", 2], ["a", 1]]),
        (Tuple[int, ...], [[], [1, 2]], [["a"]]),
        (tuple, [[], [1, "a"]], ["a"]),
        (tuple[()], [[]], [[1]]),
        (Set[str], [[], ["a", "b"]], [["a", "a"], [1]]),
        (frozenset[int], [[1]], [[1, 1]]),
        (Dict[str, int], [{}, {"a": 1}], [{"a": "x"}, []]),
        (dict, [{}, {"a": "x"}], [[], None]),
        (abc.Mapping[str, Any], [{"a": 1}], [[]]),
        (m.Point, [{"x": 1}, {"x": 1, "y": 2}], [[1, 2], {"y": 1}, {"x": 1, "z": 1}]),
        (m.Address, [{}, {"street": "a", "since": "2026-01-01"}, {"other": 1}], [{"street": 1}, {"since": "never"}]),
        (
            m.Hire,
            [{"name": "Zoë", "start": "2026-03-01", "mail": None}],
            [{"name": "Zoë"}, {"name": "Z", "start": "x"}],
        ),
        (
            m.Node,
            [{"value": 1, "children": [{"value": 2, "parent": None}]}],
            [{"value": 1, "children": [{"value": "x"}]}],
        ),
        (m.Payment, [{"kind": "card", "number": "1"}], [{"kind": "card", "due": "2026-01-01"}, {"kind": "x"}]),
        (m.GraphUser, [{"Id": "1", "more": 2}], [[], None]),
    ],
)
def test_each_supported_hint_takes_what_it_says(hint: Any, right: list[Any], wrong: list[Any]) -> None:
    for value in right:
        assert valid(hint, value), value
    for value in wrong:
        assert not valid(hint, value), value


@pytest.mark.parametrize("hint", [str | None, int | str, list[str] | None])
def test_new_unions_read_like_the_old(hint: Any) -> None:
    assert plain(hint) == plain(Union[typing.get_args(hint)])


def test_dates_carry_their_format() -> None:
    assert plain(date)["format"] == "date"
    assert plain(datetime)["format"] == "date-time"
    assert plain(UUID)["format"] == "uuid"


def test_an_optional_stays_one_schema_so_that_violations_inside_keep_their_path() -> None:
    hint = Optional[List[Annotated[str, Param(pattern="^a")]]]
    assert plain(hint) == {"type": ["array", "null"], "items": {"type": "string", "pattern": "^a"}}
    error = jsonschema.Draft202012Validator(schema_of(hint)).iter_errors(["a", "b"]).__next__()
    assert list(error.absolute_path) == [1]


def test_records_are_closed_ordered_and_describe_themselves() -> None:
    hire = plain(m.Hire)["$defs"]["Hire"]
    assert hire["description"] == "A person who starts."
    assert hire["additionalProperties"] is False
    assert hire["required"] == ["name", "start"]
    properties = hire["properties"]
    assert properties["name"] == {"type": "string", "description": "As HR wrote it.", "x-bifrost-order": 0}
    assert properties["role"]["default"] == "user"
    assert properties["groups"]["default"] == []
    assert properties["mail"] == {"type": ["string", "null"], "default": None, "x-bifrost-order": 4}
    assert "derived" not in properties
    assert "description" not in plain(m.Node)["$defs"]["Node"]


def test_optional_choices_stay_one_list() -> None:
    assert plain(Optional[Literal["x"]]) == {"enum": ["x", None]}
    assert plain(Optional[m.Role]) == {"enum": ["user", "admin", None]}
    assert plain(Optional[Literal["x", None]]) == {"enum": ["x", None]}


def test_a_record_that_holds_itself_is_a_reference() -> None:
    schema = plain(m.Node)
    assert schema["$ref"] == "#/$defs/Node"
    assert schema["$defs"]["Node"]["properties"]["children"]["items"] == {"$ref": "#/$defs/Node"}


def test_only_factories_that_are_known_to_be_pure_are_asked_for_a_default() -> None:
    def impure() -> int:
        raise AssertionError("called while a schema was built")

    drawn = make_dataclass("Drawn", [("number", int, field(default_factory=impure))])
    definition = plain(drawn)["$defs"]["Drawn"]
    assert definition["properties"]["number"] == {"type": "integer", "x-bifrost-order": 0}
    assert "required" not in definition


def test_two_classes_of_one_name_have_two_definitions() -> None:
    first, second = make_dataclass("Thing", [("value", str)]), make_dataclass("Thing", [("value", int)])
    hint: Any = Tuple.__getitem__((first, second))
    schema = plain(hint)
    assert sorted(schema["$defs"]) == ["Thing", "Thing2"]
    assert valid(hint, [{"value": "a"}, {"value": 1}])
    assert not valid(hint, [{"value": 1}, {"value": 1}])


class Partial(TypedDict):
    needed: str


class Whole(Partial, total=False):
    maybe: int


def test_typed_dict_totality_is_inherited() -> None:
    assert plain(Whole)["$defs"]["Whole"]["required"] == ["needed"]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Required came with 3.11")
def test_required_and_not_required_overrule_totality() -> None:
    namespace: dict[str, Any] = {}
    for postponed in ("", "from __future__ import annotations\n"):
        source = postponed + (
            "from typing import TypedDict, Required, NotRequired, Annotated\n"
            "from bifrost._params import Param\n"
            "class T(TypedDict):\n    a: str\n    b: NotRequired[Annotated[int, Param(min=1)]]\n"
            "class U(TypedDict, total=False):\n    a: str\n    b: Required[int]\n"
        )
        module = type(sys)("typed_dicts")
        sys.modules["typed_dicts"] = module
        exec(source, module.__dict__)
        namespace = module.__dict__
        assert plain(namespace["T"])["$defs"]["T"]["required"] == ["a"]
        assert plain(namespace["T"])["$defs"]["T"]["properties"]["b"]["minimum"] == 1
        assert plain(namespace["U"])["$defs"]["U"]["required"] == ["b"]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="type statements came with 3.12")
def test_type_aliases_may_name_themselves() -> None:
    namespace: dict[str, Any] = {"__name__": __name__}
    exec("type Tree = dict[str, Tree] | int", namespace)
    assert valid(namespace["Tree"], {"a": {"b": 1}})
    assert not valid(namespace["Tree"], {"a": {"b": "x"}})


def test_param_becomes_title_limits_and_form_keywords() -> None:
    hint = Annotated[int, Param(label="Seats", help="How many.", min=1, max=9, options_from="sizes", step=2)]
    assert plain(hint) == {
        "type": "integer",
        "title": "Seats",
        "description": "How many.",
        "minimum": 1,
        "maximum": 9,
        "x-bifrost-options-from": "sizes",
        "x-bifrost-step": 2,
    }


@pytest.mark.parametrize(
    ("hint", "expected"),
    [
        (Annotated[str, Param(min=2, max=5, pattern="^a")], {"minLength": 2, "maxLength": 5, "pattern": "^a"}),
        (Annotated[List[str], Param(min=1, max=3)], {"minItems": 1, "maxItems": 3}),
        (Annotated[Set[str], Param(min=1)], {"minItems": 1}),
        (Annotated[float, Param(min=0.5)], {"minimum": 0.5}),
        (Annotated[Optional[int], Param(min=0)], {"minimum": 0, "type": ["integer", "null"]}),
        (Annotated[Union[int, float], Param(max=7)], {"maximum": 7}),
        (Optional[Annotated[int, Param(min=3)]], {"minimum": 3, "type": ["integer", "null"]}),
        (Annotated[m.Hire, Param(label="Who")], {"title": "Who", "$ref": "#/$defs/Hire"}),
        (Annotated[Annotated[int, Param(min=1, label="a")], Param(label="b")], {"minimum": 1, "title": "b"}),
    ],
)
def test_limits_mean_what_the_type_makes_of_them(hint: Any, expected: dict[str, Any]) -> None:
    assert expected.items() <= plain(hint).items()


@pytest.mark.parametrize(
    ("hint", "words"),
    [
        (bytes, "bytes is not supported (pass base64 text as str); supported are str,"),
        (complex, "complex is not supported"),
        (m.Rights, "list of an Enum"),
        (Dict[int, str], "dict[str, ...]"),
        (abc.Callable[[], int], "is not supported"),
        (Literal[b"x"], "not bytes"),
        (type, "type is not supported"),
        (List[bytes], "bytes is not supported"),
        (Annotated[int, Param(pattern="a")], "Param(pattern=...) applies to str, not to int"),
        (Annotated[List[str], Param(pattern="a")], "put it on the items"),
        (Annotated[bool, Param(min=1)], "Param(min=...) applies to numbers, str and lists, not to bool"),
        (Annotated[Union[int, str], Param(max=1)], "Param(max=...)"),
        (Annotated[str, Param(min=1.5)], "a length: a whole number"),
        (Annotated[int, Param], "with parentheses"),
        ("Missing", "names 'Missing', which is not defined"),
    ],
)
def test_an_unsupported_hint_says_what_to_write(hint: Any, words: str) -> None:
    with pytest.raises(TypeError) as caught:
        schema_of(hint, globals())
    assert words in str(caught.value)


@dataclass
class Holder:
    inner: Inner


@dataclass
class Inner:
    raw: bytes


def test_a_refusal_names_the_field_it_is_about() -> None:
    with pytest.raises(UnsupportedHint, match=r"field 'inner' of Holder|field 'raw' of Inner: bytes is not supported"):
        schema_of(Holder)


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        ({"min": 3, "max": 1}, ValueError),
        ({"min": float("nan")}, ValueError),
        ({"label": 3}, TypeError),
        ({"min": "1"}, TypeError),
        ({"max": True}, TypeError),
        ({"options_from": len}, TypeError),
        ({"step": 1.5}, TypeError),
    ],
)
def test_param_refuses_nonsense(arguments: dict[str, Any], kind: type[Exception]) -> None:
    with pytest.raises(kind, match="Param"):
        Param(**arguments)


@pytest.mark.parametrize(
    ("hint", "value"),
    [
        (m.Hire, m.Hire("Zoë", date(2026, 3, 1), m.Role.ADMIN, ["a"])),
        (m.Node, m.Node(1, [m.Node(2)], m.Node(3))),
        (m.Point, m.Point(1)),
        (time, time(9, 30, 15, 250)),
        (time, time(9)),
        (timedelta, timedelta(days=-1, microseconds=1)),
        (Decimal, Decimal("1E+5")),
        (UUID, UUID(int=7)),
        (Set[str], {"b", "a"}),
        (Tuple[int, str], (1, "a")),
    ],
)
def test_what_is_encoded_fits_the_schema_of_its_hint(hint: Any, value: Any) -> None:
    assert valid(hint, encode(value))
