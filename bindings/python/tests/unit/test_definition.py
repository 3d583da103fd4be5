"""The decorators: what they note, what they leave alone, and what they refuse."""

from __future__ import annotations

import asyncio
import functools
import importlib
import inspect
import re
import sys
from collections.abc import Callable
from dataclasses import FrozenInstanceError, dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, List, NoReturn, Optional

import jsonschema
import pytest
import sample_models as m

from bifrost._codec import CodecError
from bifrost._definition import Definition, Option, Retry, data_provider, definition_of, definitions, workflow
from bifrost._params import Param

if TYPE_CHECKING:
    from bifrost import Context  # type: ignore[attr-defined]

ROOT = Path(__file__).parents[4]


@workflow
async def onboard(ctx: Context, first_name: str, start: date, seats: int = 1, *, mail: Optional[str] = None) -> date:
    """Create the account
    of a new hire.

    More words.

    Args:
        first_name: As in the passport.
        seats (int): How many licences.
    """
    return start + timedelta(days=seats)


ONBOARD = definition_of(onboard)


def test_bare_decorator_returns_the_function_itself() -> None:
    def plain(ctx: Any) -> str:
        return "done"

    before = dict(vars(plain))
    assert workflow(plain) is plain
    assert {key: value for key, value in vars(plain).items() if key != "__bifrost__"} == before
    assert plain(None) == "done"


def test_decorator_with_arguments_returns_the_function_itself() -> None:
    async def plain(ctx: Any, a: int) -> int:
        return a + 1

    assert workflow(name="other", timeout=5)(plain) is plain
    assert asyncio.run(plain(None, 1)) == 2
    assert inspect.iscoroutinefunction(plain)
    assert workflow()(plain) is plain


def test_a_decorated_function_is_called_without_a_hub() -> None:
    assert asyncio.run(onboard(None, "Zoë", date(2026, 3, 1), seats=2)) == date(2026, 3, 3)


def test_name_description_and_place_come_from_the_function() -> None:
    assert (ONBOARD.kind, ONBOARD.name, ONBOARD.description) == (
        "workflow", "onboard", "Create the account of a new hire.",
    )  # fmt: skip
    assert ONBOARD.function is onboard
    assert (ONBOARD.is_async, ONBOARD.isolation) == (True, "task")
    assert (ONBOARD.module, ONBOARD.qualname) == (__name__, "onboard")
    assert ONBOARD.filename == __file__
    assert ONBOARD.place == f"{__file__}:{ONBOARD.line} (onboard)"
    assert "@workflow" in Path(__file__).read_text(encoding="utf-8").splitlines()[ONBOARD.line - 1]


def test_unset_policies_are_left_to_the_hub() -> None:
    assert (ONBOARD.timeout, ONBOARD.queue_timeout, ONBOARD.step_timeout, ONBOARD.retry) == (None, None, None, None)


def test_the_schema_follows_the_parameters_without_the_context() -> None:
    schema = ONBOARD.schema
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["required"] == ["first_name", "start"]
    assert list(schema["properties"]) == ["first_name", "start", "seats", "mail"]
    assert schema["properties"]["first_name"]["description"] == "As in the passport."
    assert schema["properties"]["seats"] == {
        "type": "integer", "default": 1, "description": "How many licences.", "x-bifrost-order": 2,
    }  # fmt: skip
    assert schema["additionalProperties"] is False
    assert ONBOARD.schema is schema


def test_bind_decodes_what_needs_it() -> None:
    params = {"first_name": "Zoë", "start": "2026-03-01"}
    assert ONBOARD.bind(params) == {"first_name": "Zoë", "start": date(2026, 3, 1)}
    assert params["start"] == "2026-03-01"
    with pytest.raises(CodecError, match=r"^/start: not a date$"):
        ONBOARD.bind({"start": "soon"})


def test_bind_costs_nothing_where_nothing_is_decoded() -> None:
    @workflow
    def plain(ctx: Any, a: str, b: List[str], c: Optional[bool] = None) -> str:
        return a

    params = {"a": "x", "b": ["y"]}
    assert definition_of(plain).bind(params) is params
    assert definition_of(plain).decode_result("x") == "x"


def test_results_go_to_json_and_back_by_the_return_hint() -> None:
    assert ONBOARD.encode_result(date(2026, 3, 1)) == "2026-03-01"
    assert ONBOARD.decode_result("2026-03-01") == date(2026, 3, 1)


def test_a_function_without_parameters_takes_null_or_an_empty_object() -> None:
    @workflow
    def nothing(ctx): ...  # type: ignore[no-untyped-def]

    definition = definition_of(nothing)
    judge = jsonschema.Draft202012Validator(definition.schema)
    assert judge.is_valid({}) and judge.is_valid(None)
    assert not judge.is_valid({"a": 1})
    assert definition.bind(None) == {} == definition.bind({})
    assert definition.decode_result({"a": 1}) == {"a": 1}


def test_keyword_arguments_take_what_is_not_named() -> None:
    @workflow
    def free(ctx: Any, a: str, **rest: date) -> None: ...

    @workflow
    def freer(ctx: Any, /, **rest) -> None: ...  # type: ignore[no-untyped-def]

    judge = jsonschema.Draft202012Validator(definition_of(free).schema)
    assert judge.is_valid({"a": "x", "b": "2026-03-01"})
    assert not judge.is_valid({"a": "x", "b": 1})
    assert not judge.is_valid({"a": "x", "ctx": "2026-03-01"})
    assert definition_of(free).bind({"a": "x", "b": "2026-03-01"}) == {"a": "x", "b": date(2026, 3, 1)}
    judge = jsonschema.Draft202012Validator(definition_of(freer).schema)
    assert judge.is_valid({"ctx": 1, "b": [None]})


def test_none_as_default_allows_null() -> None:
    @workflow
    def lax(ctx: Any, a: str = None, b: m.Hire = None) -> None: ...  # type: ignore[assignment]

    judge = jsonschema.Draft202012Validator(definition_of(lax).schema)
    assert judge.is_valid({}) and judge.is_valid({"a": None, "b": None})


def test_a_default_without_json_form_only_makes_it_optional() -> None:
    @workflow
    def odd(ctx: Any, a: Any = object()) -> None: ...

    assert "default" not in definition_of(odd).schema["properties"]["a"]
    assert "required" not in definition_of(odd).schema


def test_every_argument_is_noted() -> None:
    @workflow(
        name="n_1", description="d", timeout=timedelta(minutes=2), queue_timeout=3, step_timeout=0.5,
        isolation="thread", retry=Retry(5, timedelta(seconds=1), 30, only=["throttled"]),
    )  # fmt: skip
    def function(ctx: Any) -> None:
        """Not this."""

    definition = definition_of(function)
    assert (definition.name, definition.description, definition.isolation) == ("n_1", "d", "thread")
    assert (definition.timeout, definition.queue_timeout, definition.step_timeout) == (120.0, 3.0, 0.5)
    assert definition.retry == Retry(attempts=5, delay=1.0, max_delay=30.0, only=("throttled",))
    with pytest.raises(FrozenInstanceError):
        definition.name = "x"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("given", "expected"),
    [(None, None), (3, Retry(3)), (False, Retry(1)), (Retry(2, only="throttled"), Retry(2, only=("throttled",)))],
)
def test_retry_forms(given: Any, expected: Any) -> None:
    @workflow(retry=given)
    def function(ctx: Any) -> None: ...

    assert definition_of(function).retry == expected


@pytest.mark.parametrize(
    ("make", "kind", "words"),
    [
        (lambda: Retry(0), ValueError, "at least 1"),
        (lambda: Retry(True), TypeError, "not bool"),
        (lambda: Retry(2, delay=-1), ValueError, "not negative"),
        (lambda: Retry(2, max_delay=float("inf")), ValueError, "finite"),
        (lambda: Retry(2, delay="1"), TypeError, "timedelta"),  # type: ignore[arg-type]
        (lambda: Retry(2, only=["throtled"]), ValueError, "did you mean 'throttled'?"),
        (lambda: Retry(2, only=[3]), TypeError, "not int"),  # type: ignore[list-item]
        (lambda: Retry.of(True), TypeError, "how often"),
        (lambda: Retry.of("3"), TypeError, "not str"),  # type: ignore[arg-type]
    ],
)
def test_retry_refuses_nonsense(make: Callable[[], Any], kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=re.escape(words)):
        make()


def sync_function(ctx: Any) -> None: ...


async def async_function(ctx: Any) -> None: ...


@pytest.mark.parametrize(
    ("arguments", "kind", "words"),
    [
        ({"timout": 5}, TypeError, "@workflow has no argument 'timout'; did you mean 'timeout'?"),
        ({"zzz": 5}, TypeError, "@workflow has no argument 'zzz' (it takes name,"),
        ({"cache_ttl": 5}, TypeError, "no argument 'cache_ttl'"),
        ({"schedule": "0 9 * * *"}, TypeError, "schedule is reserved"),
        ({"endpoint": True}, TypeError, "endpoint is reserved"),
        ({"isolation": "process"}, ValueError, "comes with a later version"),
        ({"isolation": "task"}, ValueError, "isolation='task' is for 'async def', but this is 'def'"),
        ({"isolation": "treads"}, ValueError, "is unknown; did you mean 'thread'?"),
        ({"name": "Onboard User"}, ValueError, "use name='onboard_user'"),
        ({"name": ""}, ValueError, "a-z, 0-9 and _"),
        ({"name": "a\n"}, ValueError, "a-z, 0-9 and _"),
        ({"name": "a" * 65}, ValueError, "longer than 64"),
        ({"name": 3}, TypeError, "name is a str"),
        ({"description": 3}, TypeError, "description is a str"),
        ({"timeout": 0}, ValueError, "timeout is positive"),
        ({"timeout": timedelta(seconds=-1)}, ValueError, "timeout is positive"),
        ({"step_timeout": float("nan")}, ValueError, "step_timeout is positive and finite"),
        ({"queue_timeout": "5m"}, TypeError, "queue_timeout is a number of seconds or a timedelta, not str"),
        ({"timeout": True}, TypeError, "not bool"),
    ],
)
def test_wrong_arguments_are_refused(arguments: dict[str, Any], kind: type[Exception], words: str) -> None:
    with pytest.raises(kind) as caught:
        workflow(**arguments)(sync_function)
    assert words in str(caught.value)
    assert definitions() == {}


def test_thread_is_not_for_coroutines() -> None:
    with pytest.raises(ValueError, match="isolation='thread' is for 'def', but this is 'async def'"):
        workflow(isolation="thread")(async_function)


def test_an_unknown_argument_is_refused_before_the_function_is_seen() -> None:
    with pytest.raises(TypeError, match="did you mean 'retry'"):
        workflow(retrys=3)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="did you mean 'cache_ttl'"):
        data_provider(cache_tll=3)  # type: ignore[call-overload]


def generator(ctx: Any) -> Any:
    yield 1


async def async_generator(ctx: Any) -> Any:
    yield 1


def no_context() -> None: ...
def keyword_context(*, ctx: Any) -> None: ...
def star_context(*ctx: Any) -> None: ...
def star(ctx: Any, *names: str) -> None: ...
def positional(ctx: Any, name: str, /) -> None: ...
def untyped(ctx, name, seats: int = 1): ...  # type: ignore[no-untyped-def]
def raw(ctx: Any, data: bytes) -> None: ...
def nested_raw(ctx: Any, data: Optional[List[bytes]]) -> None: ...
def limited(ctx: Any, on: Annotated[bool, Param(min=1)]) -> None: ...
def raw_result(ctx: Any) -> bytes:
    return b""


def raw_rest(ctx: Any, **rest: bytes) -> None: ...


class Callable_:
    def __call__(self, ctx: Any) -> None: ...


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (no_context, "workflow 'no_context': the first parameter is the context"),
        (keyword_context, "the first parameter is the context"),
        (star_context, "the first parameter is the context"),
        (star, "*names has no name to pass it by"),
        (positional, "parameter 'name' is positional-only"),
        (untyped, "workflow 'untyped': parameter 'name' has no type hint; write for example name: str"),
        (raw, "workflow 'raw': parameter 'data': bytes is not supported (pass base64 text as str)"),
        (nested_raw, "workflow 'nested_raw': parameter 'data': bytes is not supported"),
        (limited, "workflow 'limited': parameter 'on': Param(min=...) applies to"),
        (raw_result, "workflow 'raw_result': result: bytes is not supported"),
        (raw_rest, "workflow 'raw_rest': parameter 'rest': bytes is not supported"),
        (generator, "yields; return a list"),
        (async_generator, "yields; return a list"),
        (Callable_(), "decorates a function, not Callable_"),
        (functools.partial(sync_function), "not partial"),
        (staticmethod(sync_function), "put @staticmethod above it"),
        (m.Hire, "not type"),
        (None, None),
        ("onboard", "@workflow(name='onboard')"),
        (3, "not int"),
    ],
)
def test_wrong_functions_are_refused_where_they_stand(function: Any, words: str | None) -> None:
    if words is None:
        assert callable(workflow(function))
        return
    with pytest.raises(TypeError) as caught:
        workflow(function)
    assert words in str(caught.value)
    assert definitions() == {}


def ahead(ctx: Any, node: Ahead) -> Ahead:
    return node


workflow(ahead)


@dataclass
class Ahead:
    when: date


def test_forward_references_are_resolved_on_first_use() -> None:
    definition = definition_of(ahead)
    assert definition.bind({"node": {"when": "2026-03-01"}}) == {"node": Ahead(date(2026, 3, 1))}
    assert definition.decode_result({"when": "2026-03-01"}) == Ahead(date(2026, 3, 1))


def test_a_name_that_never_appears_is_named() -> None:
    @workflow
    def lost(ctx: Any, node: Nowhere) -> None: ...  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(TypeError, match="workflow 'lost': parameter 'node': 'Nowhere' names 'Nowhere'"):
        _ = definition_of(lost).schema


def test_a_mistake_beside_a_forward_reference_is_still_told() -> None:
    def mixed(ctx: Any, raw: bytes, later: Nowhere) -> None: ...  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(TypeError, match="parameter 'raw'"):
        workflow(mixed)


def test_classes_of_the_enclosing_function_are_found() -> None:
    @dataclass
    class Local:
        value: date
        more: List[Local]

    @workflow
    def bare(ctx: Any, local: Local) -> Local:
        return local

    @workflow(name="with_arguments")
    def called(ctx: Any, local: Local) -> Local:
        return local

    plain = {"value": "2026-03-01", "more": [{"value": "2026-03-02", "more": []}]}
    for function in (bare, called):
        local = definition_of(function).bind({"local": plain})["local"]
        assert local == Local(date(2026, 3, 1), [Local(date(2026, 3, 2), [])])


def test_results_without_a_way_back_stay_plain() -> None:
    @workflow
    def out(ctx: Any) -> m.OnlyOut:
        return m.OnlyOut()

    @workflow
    def never(ctx: Any) -> NoReturn:
        raise RuntimeError

    definition = definition_of(out)
    assert definition.decode_result(definition.encode_result(m.OnlyOut())) == {"out": True}
    assert definition_of(never).decode_result(None) is None


def test_a_wrapper_is_another_function() -> None:
    @workflow
    def inner(ctx: Any, a: date) -> None: ...

    @functools.wraps(inner)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return inner(*args, **kwargs)

    assert workflow(wrapper) is wrapper
    provider: Any = data_provider(name="provider")(functools.wraps(inner)(lambda *args, **kwargs: []))
    assert definition_of(provider).kind == "data_provider"
    assert definition_of(wrapper).function is wrapper
    assert definition_of(inner).function is inner
    assert definition_of(wrapper).bind({"a": "2026-03-01"}) == {"a": date(2026, 3, 1)}


def test_hints_of_a_wrapper_are_looked_up_where_they_were_written() -> None:
    source = "from __future__ import annotations\nfrom datetime import date as day\ndef f(ctx, a: day): ...\n"
    function = run_cell(source, "elsewhere", "elsewhere.py")["f"]

    @workflow
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> None: ...

    assert definition_of(wrapper).bind({"a": "2026-03-01"}) == {"a": date(2026, 3, 1)}


def test_definitions_are_a_snapshot_in_order() -> None:
    workflow(async_function)
    first = definitions()
    workflow(sync_function)
    assert list(first) == ["async_function"]
    assert list(definitions()) == ["async_function", "sync_function"]
    assert isinstance(definitions()["sync_function"], Definition)
    first.clear()
    assert len(definitions()) == 2


def run_cell(source: str, module: str, filename: str) -> Any:
    namespace: dict[str, Any] = {"__name__": module, "workflow": workflow}
    exec(compile(source, filename, "exec"), namespace)
    return namespace


CELL = "@workflow(name='same')\ndef {0}(ctx): return {1}\n"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        # The same cell again, a module reloaded, a cell whose function was renamed, a script that is also imported.
        (("a", "__main__", "<cell 1>"), ("a", "__main__", "<cell 2>")),
        (("a", "jobs", "jobs.py"), ("a", "jobs", "jobs.py")),
        (("a", "__main__", "<cell 1>"), ("b", "__main__", "<cell 2>")),
        (("a", "__main__", "jobs.py"), ("a", "jobs", "jobs.py")),
    ],
)
def test_the_same_function_again_replaces_itself(first: tuple[str, ...], second: tuple[str, ...]) -> None:
    run_cell(CELL.format(first[0], 1), *first[1:])
    run_cell(CELL.format(second[0], 2), *second[1:])
    assert definitions()["same"].function(None) == 2


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("a", "jobs", "jobs.py"), ("b", "jobs", "jobs.py")),
        (("a", "jobs", "jobs.py"), ("a", "more", "more.py")),
        (("a", "__main__", "run.py"), ("a", "jobs", "jobs.py")),
        (("a", "__main__", "run.py"), ("b", "__main__", "run.py")),
    ],
)
def test_two_functions_of_one_name_are_refused_with_both_places(first: Any, second: Any) -> None:
    run_cell(CELL.format(first[0], 1), *first[1:])
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        run_cell(CELL.format(second[0], 2), *second[1:])
    assert f"{first[2]}:1 ({first[0]})" in str(caught.value)
    assert f"{second[2]}:1 ({second[0]})" in str(caught.value)
    assert definitions()["same"].function(None) == 1


def test_a_workflow_inside_a_function_reserves_no_name() -> None:
    for result in (1, 2):

        def make(result: int = result) -> None:
            @workflow
            def inside(ctx: Any) -> int:
                return result

        make()
    workflow(name="inside")(sync_function)
    assert definitions()["inside"].function is sync_function
    with pytest.raises(ValueError, match="is taken"):
        make()


def test_one_function_is_one_kind() -> None:
    def function(ctx: Any) -> List[str]:
        return []

    workflow(function)
    with pytest.raises(TypeError, match="already is a workflow"):
        data_provider(name="other")(function)


def test_definition_of_what_is_not_decorated() -> None:
    with pytest.raises(TypeError, match="test_one_function_is_one_kind is no workflow; decorate it with @workflow"):
        definition_of(test_one_function_is_one_kind)
    with pytest.raises(TypeError, match="int is no workflow"):
        definition_of(3)


def test_a_data_provider_keeps_its_options_for_a_while() -> None:
    @data_provider
    async def bare(ctx: Any) -> List[str]:
        """Lists them."""
        return ["a"]

    @data_provider(name="other", cache_ttl=timedelta(minutes=1))
    def called(ctx: Any, country: str) -> List[Option]:
        return [Option("a", country)]

    definition = definition_of(bare)
    assert (definition.kind, definition.cache_ttl, definition.description) == ("data_provider", 300.0, "Lists them.")
    assert definition_of(called).cache_ttl == 60.0
    assert definition_of(called).schema["required"] == ["country"]
    for refused in (-1, float("nan")):
        with pytest.raises(ValueError, match="cache_ttl is not negative"):
            data_provider(name="refused", cache_ttl=refused)(lambda ctx: [])


def test_options_take_one_form() -> None:
    @data_provider
    def options(ctx: Any) -> Any: ...

    definition = definition_of(options)
    given = ["a", 5, ("b", "B"), {"value": "c", "label": "C"}, {"value": True}, Option("d"), m.Role.ADMIN]
    encoded = definition.encode_result(given)
    assert encoded == [
        {"value": "a", "label": "a"},
        {"value": 5, "label": "5"},
        {"value": "b", "label": "B"},
        {"value": "c", "label": "C"},
        {"value": True, "label": "True"},
        {"value": "d", "label": "d"},
        {"value": "admin", "label": "ADMIN"},
    ]
    assert definition.decode_result(encoded) == encoded


@pytest.mark.parametrize(
    ("result", "path", "words"),
    [
        (None, "", "returns a list of options, not NoneType"),
        ("abc", "", "not str"),
        ({"a": "b"}, "", "not dict"),
        (["a", None], "/1", "an option is"),
        (["a", ("b",)], "/1", "an option is"),
        ([("b", 3)], "/0/label", "is text, not int"),
        ([{"value": ["x"], "label": "x"}], "/0/value", "not list"),
        ([{"value": "x", "name": "x"}], "/0", "an option is"),
    ],
)
def test_wrong_options_are_named_by_position(result: Any, path: str, words: str) -> None:
    @data_provider
    def options(ctx: Any) -> Any: ...

    with pytest.raises(CodecError) as caught:
        definition_of(options).encode_result(result)
    assert caught.value.path == path
    assert words in str(caught.value)


def test_a_parameter_takes_its_choices_from_a_data_provider() -> None:
    @data_provider
    def sizes(ctx: Any) -> List[str]:
        return ["s"]

    @workflow
    def order(ctx: Any, size: Annotated[str, Param(options_from=sizes)]) -> None: ...

    assert definition_of(order).schema["properties"]["size"]["x-bifrost-options-from"] == "sizes"
    with pytest.raises(TypeError, match="order is no data provider"):
        Param(options_from=order)


def test_error_codes_and_name_length_are_those_of_the_hub() -> None:
    from bifrost import _checks, _retry

    source = ROOT / "bifrost-core" / "src"
    if not source.is_dir():
        pytest.skip("the Rust sources are not here")
    codes = re.findall(r'Self::\w+ => "(\w+)"', (source / "error.rs").read_text(encoding="utf-8"))
    assert sorted(codes) == sorted(_retry.KINDS)
    longest = re.search(r'WorkflowName, "name workflow", (\d+)', (source / "id.rs").read_text(encoding="utf-8"))
    assert longest is not None and int(longest[1]) == _checks.MAX_NAME


@pytest.mark.parametrize("module", ["_suggest", "_docs", "_encode", "_decode", "_option", "_schema"])
def test_examples_in_docstrings_hold(module: str) -> None:
    import doctest

    outcome = doctest.testmod(importlib.import_module(f"bifrost.{module}"))
    assert outcome.attempted > 0 and outcome.failed == 0


def test_docstring_arguments_in_both_styles() -> None:
    from bifrost._docs import arguments

    doc = """Do it.

        Args:
            a: First
                line two.
            b (int): Second: with colon.

            c: Third.

        Returns:
            d: not an argument.

        :param e: Fifth.
        :param int f: Sixth.
        """
    assert arguments(doc) == {
        "a": "First line two.", "b": "Second: with colon.", "c": "Third.", "e": "Fifth.", "f": "Sixth.",
    }  # fmt: skip
    assert arguments(None) == {}


def test_python_before_postponed_annotations_reads_the_same() -> None:
    source = "from typing import Any\nfrom datetime import date\n"
    source += "def f(ctx: Any, a: date, b: 'list[date]' = []) -> date: ...\n"
    schemas = []
    for head in ("", "from __future__ import annotations\n"):
        namespace: dict[str, Any] = {"__name__": "postponed"}
        exec(compile(head + source, "postponed.py", "exec", dont_inherit=True), namespace)
        schemas.append(definition_of(workflow(namespace["f"])).schema)
    assert schemas[0] == schemas[1]
    assert sys.version_info >= (3, 10)
