"""pydantic models as parameters and results, where pydantic is installed."""

from datetime import date
from decimal import Decimal
from typing import Annotated, Any, List, Optional, Tuple

import jsonschema
import pytest

from bifrost._codec import CodecError, decoder, encode
from bifrost._definition import definition_of, workflow
from bifrost._schema import schema_of

pydantic = pytest.importorskip("pydantic", minversion="2")


class Hire(pydantic.BaseModel):  # type: ignore[name-defined,misc]
    name: str = pydantic.Field(alias="displayName", min_length=1)
    start: date
    manager: Optional["Hire"] = None
    budget: Decimal = Decimal(0)


class Team(pydantic.BaseModel):  # type: ignore[name-defined,misc]
    members: List[Hire]


def other_hire() -> Any:
    class Hire(pydantic.BaseModel):  # type: ignore[name-defined,misc]
        number: int

    return Hire


def valid(hint: Any, value: Any) -> bool:
    schema = schema_of(hint)
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema).is_valid(value)


GOOD = {"displayName": "Zoë", "start": "2026-03-01", "manager": {"displayName": "Ann", "start": "2020-01-01"}}


def test_its_own_schema_is_taken_over() -> None:
    assert valid(Team, {"members": [GOOD]})
    assert not valid(Team, {"members": [{**GOOD, "manager": {"displayName": ""}}]})
    assert sorted(schema_of(Team)["$defs"]) == ["Hire", "Team"]


def test_definitions_of_one_name_do_not_mix() -> None:
    hint: Any = Tuple.__getitem__((other_hire(), Hire, Team))
    assert valid(hint, [{"number": 1}, GOOD, {"members": [GOOD]}])
    assert not valid(hint, [GOOD, GOOD, {"members": [GOOD]}])
    assert not valid(hint, [{"number": 1}, GOOD, {"members": [{"number": 1}]}])


class Price(pydantic.BaseModel):  # type: ignore[name-defined,misc]
    # As some pydantic 2 releases write for a Decimal.
    amount: str = pydantic.Field(json_schema_extra={"pattern": r"^(?!^[-+.]*$)[+-]?0*\\d*\\.?\\d*$"})
    code: str = pydantic.Field(pattern="^[A-Z]+$")


def test_patterns_with_look_around_are_dropped_and_others_kept() -> None:
    properties = schema_of(Price)["$defs"]["Price"]["properties"]
    assert "pattern" not in properties["amount"]
    assert properties["code"]["pattern"] == "^[A-Z]+$"


def test_round_trip() -> None:
    decode = decoder(List[Hire])
    assert decode is not None
    people = [Hire.model_validate(GOOD)]
    assert decode(encode(people)) == people
    assert encode(people)[0]["displayName"] == "Zoë"


def test_a_refusal_names_the_path_and_not_the_value() -> None:
    decode = decoder(List[Hire])
    assert decode is not None
    with pytest.raises(CodecError) as caught:
        decode([GOOD, {**GOOD, "manager": {"displayName": "canary", "start": "canary"}}])
    assert caught.value.path == "/1/manager/start"
    assert "canary" not in repr(caught.getrepr(chain=True).reprcrash)
    assert caught.value.__cause__ is None


def test_a_pydantic_dataclass_refuses_without_the_value() -> None:
    from pydantic.dataclasses import dataclass

    @dataclass
    class Seat:
        number: Annotated[int, pydantic.Field(gt=0)]

    decode = decoder(Seat)
    assert decode is not None
    with pytest.raises(CodecError, match="Seat refuses these values") as caught:
        decode({"number": -1})
    assert caught.value.__cause__ is None and caught.value.__suppress_context__


def test_a_workflow_is_given_a_model() -> None:
    @workflow
    def onboard(ctx: object, hire: Hire) -> Hire:
        return hire

    definition = definition_of(onboard)
    bound = definition.bind({"hire": GOOD})
    assert isinstance(bound["hire"], Hire)
    assert definition.decode_result(definition.encode_result(bound["hire"])) == bound["hire"]
