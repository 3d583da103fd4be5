"""What a form should know of one parameter beyond its type."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True)
class Param:
    """Label, help and limits of a parameter, written inside ``Annotated``.

    Example::

        @workflow
        async def onboard(
            ctx: Context,
            upn: Annotated[str, Param(label="Sign-in name", pattern="^[^@]+@[^@]+$")],
            licence: Annotated[str, Param(options_from=licences)],
            seats: Annotated[int, Param(min=1, max=500)] = 1,
        ) -> None: ...

    Args:
        label: What the form calls it.
        help: One sentence below the field.
        pattern: A regular expression for text. The hub judges it in linear time, so look-around and back-references
            are refused when the workflow is registered; it matches anywhere unless anchored with ``^`` and ``$``.
        min: The least number; the least length of text in characters; the fewest items of a list.
        max: The same upwards.
        options_from: The data provider that yields the choices: the decorated function or its name.
        step: The page of a form in several steps, by number (from 1) or title.

    Raises:
        TypeError: A value has the wrong type, or ``options_from`` is a function that is no data provider.
        ValueError: ``min`` is greater than ``max``, or not finite.
    """

    label: str | None = None
    help: str | None = None
    pattern: str | None = None
    min: int | float | None = None
    max: int | float | None = None
    options_from: str | Callable[..., Any] | None = None
    step: int | str | None = None

    def __post_init__(self) -> None:
        for name in ("label", "help", "pattern"):
            _expect(name, getattr(self, name), str)
        for name in ("min", "max"):
            _expect(name, getattr(self, name), (int, float))
        _expect("step", self.step, (int, str))
        for bound in (self.min, self.max):
            if bound is not None and not math.isfinite(bound):
                raise ValueError("Param: min and max are finite numbers")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"Param: min={self.min} is greater than max={self.max}")
        # Resolved here, not when a form is drawn: a wrong provider is a mistake of the line that names it.
        object.__setattr__(self, "options_from", _provider_name(self.options_from))

    def over(self, inner: Param) -> Param:
        """Join two on one hint: what ``self``, the outer one, leaves open is taken from ``inner``."""
        chosen = {}
        for field in fields(self):
            own = getattr(self, field.name)
            chosen[field.name] = getattr(inner, field.name) if own is None else own
        return Param(**chosen)


def _expect(name: str, value: object, kinds: type | tuple[type, ...]) -> None:
    # bool is an int to isinstance, but never a bound or a page.
    if value is not None and (isinstance(value, bool) or not isinstance(value, kinds)):
        raise TypeError(f"Param: {name} cannot be a value of type {type(value).__name__}")


def _provider_name(source: object) -> str | None:
    if source is None or isinstance(source, str):
        return source
    definition: Any = getattr(source, "__bifrost__", None)
    if getattr(definition, "kind", None) != "data_provider":
        name = getattr(source, "__qualname__", type(source).__name__)
        raise TypeError(f"Param: options_from={name} is no data provider; decorate it with @data_provider")
    return str(definition.name)
