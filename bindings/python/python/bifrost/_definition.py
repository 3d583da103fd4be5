"""The decorators `workflow` and `data_provider`, and what they note about a function.

A decorator returns the function unchanged and attaches a `Definition` as ``__bifrost__``. Definitions are kept by name
in this module; they hold no state of any hub, so any number of hubs may read them.
"""

from __future__ import annotations

import contextlib
import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any, TypeVar, overload

from ._checks import Isolation, Kind, checked_name, description, isolation
from ._encode import encode
from ._hints import UnresolvedHint
from ._option import Option, normalise
from ._registry import add, definitions
from ._retry import Retry, seconds
from ._signature import Compiled, Signature
from ._suggest import did_you_mean

__all__ = ["Definition", "Option", "Retry", "data_provider", "definition_of", "definitions", "workflow"]

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS: dict[Kind, tuple[str, ...]] = {
    "workflow": (
        "name", "description", "timeout", "queue_timeout", "step_timeout", "retry", "isolation", "schedule", "endpoint",
    ),
    "data_provider": ("name", "description", "cache_ttl"),
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Definition:
    """What is known of a decorated function without running it.

    Attributes:
        kind: ``"workflow"`` or ``"data_provider"``.
        name: The name it is run by.
        description: What it is for, in words.
        function: The function itself, as written.
        is_async: Whether calling it gives a coroutine.
        isolation: ``"task"`` (on the event loop) or ``"thread"`` (on the pool).
        timeout: Seconds from the first attempt to the end; ``None`` leaves it to the hub (30 minutes).
        queue_timeout: Seconds from acceptance to the first attempt; ``None`` leaves it to the hub (one hour).
        step_timeout: Seconds for one call of a step's function; ``None`` leaves it to the hub (five minutes).
        retry: The retry policy; ``None`` leaves it to the hub (three attempts).
        cache_ttl: Seconds for which a data provider's options are kept; 0 for a workflow.
        module, qualname, filename, line: Where the function stands.
    """

    kind: Kind
    name: str
    description: str
    function: Callable[..., Any]
    is_async: bool
    isolation: Isolation
    timeout: float | None
    queue_timeout: float | None
    step_timeout: float | None
    retry: Retry | None
    cache_ttl: float
    module: str
    qualname: str
    filename: str
    line: int
    _signature: Signature

    @cached_property
    def _compiled(self) -> Compiled:
        return self._signature.compile()

    @property
    def schema(self) -> dict[str, Any]:
        """JSON Schema of the parameters as one object. Not to be changed.

        Raises:
            TypeError: A hint names something that is still not defined, or that JSON cannot carry.
        """
        return self._compiled.schema

    @property
    def place(self) -> str:
        """Where it stands, such as ``onboard.py:12 (onboard)``."""
        return f"{self.filename}:{self.line} ({self.qualname})"

    def bind(self, params: dict[str, Any] | None) -> dict[str, Any]:
        """Return the keyword arguments of a call (the context comes first and is not among them).

        Args:
            params: Plain JSON that the schema has accepted; ``None`` for no parameters. It is not changed, but
                returned as it is when nothing has to be decoded.

        Raises:
            CodecError: A value cannot be built, for instance because a dataclass refuses it. Names the path.
        """
        return self._compiled.bind(params)

    def encode_result(self, result: Any) -> Any:
        """Return what the function returned as plain JSON; options in their one form for a data provider.

        Raises:
            CodecError: It has no form in JSON. Names path and type, never the value.
        """
        return normalise(result) if self.kind == "data_provider" else encode(result)

    def returned(self, result: Any) -> Any:
        """Return the result as the native module takes it: that encodes by itself, but knows nothing of options."""
        return normalise(result) if self.kind == "data_provider" else result

    def decode_result(self, value: Any) -> Any:
        """Return a stored result as what the function's return hint says; a data provider's options stay plain.

        Raises:
            CodecError: It does not fit the hint. Names the path.
        """
        decode = None if self.kind == "data_provider" else self._compiled.result
        return value if decode is None else decode(value)

    def compile_if_possible(self, localns: dict[str, Any] | None) -> None:
        """Evaluate the hints now if every name exists, so that a mistake is reported where it was made."""
        # Otherwise a forward reference, for all one can know: asked again on first use.
        with contextlib.suppress(UnresolvedHint):
            self.__dict__["_compiled"] = self._signature.compile(localns)


def definition_of(target: object) -> Definition:
    """Return the definition of a decorated function.

    Raises:
        TypeError: It is not decorated.
    """
    definition = getattr(target, "__bifrost__", None)
    if isinstance(definition, Definition):
        return definition
    name = getattr(target, "__qualname__", type(target).__qualname__)
    raise TypeError(f"{name} is no workflow; decorate it with @workflow")


@overload
def workflow(function: F, /) -> F: ...
@overload
def workflow(
    *,
    name: str | None = None,
    description: str | None = None,
    timeout: float | timedelta | None = None,
    queue_timeout: float | timedelta | None = None,
    step_timeout: float | timedelta | None = None,
    retry: int | bool | Retry | None = None,
    isolation: Isolation | None = None,
    schedule: None = None,
    endpoint: None = None,
) -> Callable[[F], F]: ...
def workflow(function: Any = None, /, **options: Any) -> Any:
    """Make a function a workflow. The function itself is returned: call and test it as before.

    Example::

        @workflow(timeout=600, retry=5)
        async def onboard(ctx: Context, first_name: str, seats: int = 1) -> str:
            \"\"\"Create the account of a new hire.\"\"\"

    The first parameter is the context, whatever its name; every other one needs a type hint and is passed by name.

    Args:
        name: ``[a-z0-9_]+``; the function's name unless given.
        description: What it is for; the first paragraph of the docstring unless given.
        timeout: Seconds or timedelta from the first attempt to the end, all attempts included; 30 minutes unless given.
        queue_timeout: The longest wait for the first attempt; one hour unless given.
        step_timeout: The longest a step's function may take per call; five minutes unless given.
        retry: Attempts in total, a `Retry`, or ``False`` for a single attempt; three attempts unless given.
        isolation: ``"task"`` runs an ``async def`` on the event loop, ``"thread"`` a plain ``def`` on the pool; the
            kind of function decides unless given.
        schedule: Reserved.
        endpoint: Reserved.

    Raises:
        TypeError: An unknown argument, a parameter without a hint, a hint that JSON cannot carry.
        ValueError: A value out of range, or another function of this name.
    """
    return _decorate("workflow", function, options, sys._getframe(1))


@overload
def data_provider(function: F, /) -> F: ...
@overload
def data_provider(
    *,
    name: str | None = None,
    description: str | None = None,
    cache_ttl: float | timedelta = 300.0,
) -> Callable[[F], F]: ...
def data_provider(function: Any = None, /, **options: Any) -> Any:
    """Make a function a data provider: it yields the choices of a form. The function itself is returned.

    Example::

        @data_provider(cache_ttl=60)
        async def licences(ctx: Context) -> list[Option]:
            return [Option(sku.id, sku.name) async for sku in ctx.graph.licenses.list()]

    It returns a list of `Option`, text, ``(value, label)`` or ``{"value": ..., "label": ...}``.

    Args:
        name: ``[a-z0-9_]+``; the function's name unless given.
        description: What it lists; the first paragraph of the docstring unless given.
        cache_ttl: Seconds or timedelta for which the options are kept per tenant; 0 keeps nothing; 300 unless given.

    Raises:
        TypeError: An unknown argument, a parameter without a hint, a hint that JSON cannot carry.
        ValueError: A value out of range, or another function of this name.
    """
    return _decorate("data_provider", function, options, sys._getframe(1))


def _decorate(kind: Kind, function: Any, options: dict[str, Any], frame: Any) -> Any:
    for option in options:
        if option not in _OPTIONS[kind]:
            hint = did_you_mean(option, _OPTIONS[kind])
            raise TypeError(f"@{kind} has no argument {option!r}{hint} (it takes {', '.join(_OPTIONS[kind])})")
    if function is not None:
        return _define(kind, function, options, frame)
    return lambda function: _define(kind, function, options, sys._getframe(1))


def _define(kind: Kind, function: Any, options: dict[str, Any], frame: Any) -> Any:
    _check_function(kind, function)
    name = checked_name(kind, function, options.get("name"))
    what = f"{kind.replace('_', ' ')} {name!r}"
    for reserved in ("schedule", "endpoint"):
        if options.get(reserved) is not None:
            raise TypeError(f"{what}: {reserved} is reserved for a later version; leave it out")
    is_async = inspect.iscoroutinefunction(function)
    unwrapped = inspect.unwrap(function)
    cache_ttl = seconds(f"{what}: cache_ttl", options.get("cache_ttl", 300.0), least=0.0)
    definition = Definition(
        kind=kind,
        name=name,
        description=description(what, function, options.get("description")),
        function=function,
        is_async=is_async,
        isolation=isolation(what, is_async, options.get("isolation")),
        retry=Retry.of(options.get("retry")),
        cache_ttl=cache_ttl if kind == "data_provider" else 0.0,
        module=function.__module__,
        qualname=function.__qualname__,
        filename=unwrapped.__code__.co_filename,
        line=unwrapped.__code__.co_firstlineno,
        _signature=Signature(what, function),
        **{
            deadline: None if options.get(deadline) is None else seconds(f"{what}: {deadline}", options[deadline])
            for deadline in ("timeout", "queue_timeout", "step_timeout")
        },
    )
    # Classes made in the same function are visible only here and now.
    definition.compile_if_possible(None if frame.f_locals is frame.f_globals else dict(frame.f_locals))
    add(definition)
    function.__bifrost__ = definition
    return function


def _check_function(kind: Kind, function: Any) -> None:
    if isinstance(function, str):
        raise TypeError(f"@{kind} takes the name by keyword: @{kind}(name={function!r})")
    if not inspect.isfunction(function):
        advice = "; put @staticmethod above it" if isinstance(function, (staticmethod, classmethod)) else ""
        raise TypeError(f"@{kind} decorates a function, not {type(function).__name__}{advice}")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(f"@{kind} {function.__name__!r} yields; return a list instead")
    existing = getattr(function, "__bifrost__", None)
    # functools.wraps copies the attribute to the wrapper, which is another function.
    if isinstance(existing, Definition) and existing.function is function and existing.kind != kind:
        raise TypeError(f"{function.__name__!r} already is a {existing.kind.replace('_', ' ')}")
