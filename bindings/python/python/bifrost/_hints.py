"""Type hints as written: evaluating them, showing them, refusing them."""

from __future__ import annotations

import inspect
import sys
import types
import typing
from collections.abc import Mapping
from typing import Any

SUPPORTED = (
    "str, int, float, bool, None, date, datetime, time, timedelta, UUID, Decimal, Enum, Literal, Optional, Union, "
    "list, tuple, set, Sequence, dict[str, ...], dataclass, TypedDict, NamedTuple, NewType, Annotated, Any, "
    "pydantic models, classes with from_dict"
)
_AT_RUN_TIME = " at run time (is it imported under TYPE_CHECKING only?)"


class UnsupportedHint(TypeError):
    """A type hint that has no form in JSON. Names the place, the hint, and what is supported."""

    def __init__(self, problem: str, where: str = "") -> None:
        self.problem = problem
        self.where = where
        super().__init__(f"{where}: {problem}" if where else problem)

    @classmethod
    def of(cls, hint: object, advice: str = "") -> UnsupportedHint:
        """Return the refusal of ``hint``, with advice on what to write instead."""
        return cls(f"{show(hint)} is not supported{f' ({advice})' if advice else ''}; supported are {SUPPORTED}")

    def within(self, where: str) -> UnsupportedHint:
        """Return the same refusal as seen from one level further out."""
        return type(self)(self.problem, f"{where}, {self.where}" if self.where else where)


class UnresolvedHint(UnsupportedHint):
    """A name in a hint is not defined (yet): the one refusal that time may cure."""


def show(hint: object) -> str:
    """Return a hint as its author wrote it, as far as Python still knows."""
    return repr(hint) if isinstance(hint, str) else inspect.formatannotation(hint)


def evaluate(hint: object, scope: Mapping[str, Any], localns: Mapping[str, Any] | None = None) -> Any:
    """Evaluate one hint, a string or not, in the globals ``scope``.

    One at a time, because the context parameter's hint is often imported under ``TYPE_CHECKING`` only and must not
    spoil the others.

    Raises:
        UnresolvedHint: A name is not defined.
        UnsupportedHint: The text is no hint.
    """
    holder = types.SimpleNamespace(__annotations__={"hint": hint})
    local = None if localns is None else dict(localns)
    try:
        return typing.get_type_hints(holder, dict(scope), local, include_extras=True)["hint"]
    except NameError as error:
        raise UnresolvedHint(f"{show(hint)} names {error.name!r}, which is not defined{_AT_RUN_TIME}") from error
    except (SyntaxError, TypeError, AttributeError) as error:
        raise UnsupportedHint(f"{show(hint)} is no type hint: {error}") from error


def class_hints(cls: type, localns: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the evaluated hints of a class and its bases.

    Raises:
        UnresolvedHint: A name is not defined.
    """
    try:
        return typing.get_type_hints(cls, include_extras=True)
    except NameError:
        pass
    # A class made inside a function is in no module's globals, not even under its own name.
    try:
        return typing.get_type_hints(cls, None, {**(localns or {}), cls.__name__: cls}, include_extras=True)
    except NameError as error:
        problem = f"a hint names {error.name!r}, which is not defined{_AT_RUN_TIME}"
        raise UnresolvedHint(problem, cls.__name__) from error


def globals_of(cls: type) -> dict[str, Any]:
    """Return the globals of the module that defined ``cls``."""
    module = sys.modules.get(cls.__module__)
    return {} if module is None else vars(module)
