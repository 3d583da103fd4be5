"""How a step's stored result becomes what its function promises to return."""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Callable
from typing import Any, get_type_hints

from ._codec import Decoder, decoder

#: By the plain function underneath, so that bound methods share an entry and closures can go.
_KNOWN: weakref.WeakKeyDictionary[Any, Decoder | None] = weakref.WeakKeyDictionary()


def decoder_of_result(function: Callable[..., Any]) -> Decoder | None:
    """Turns JSON into what the function's return hint says; ``None`` where JSON is right as it is.

    A hint that says nothing JSON knows, such as one that cannot be resolved, leaves the result plain.
    """
    # A call of a typed client wraps its declaration, which says something else than what comes of the call.
    plain = inspect.unwrap(getattr(function, "__func__", function), stop=lambda inner: hasattr(inner, "__signature__"))
    try:
        return _KNOWN[plain]
    except KeyError:
        made = _KNOWN[plain] = _make(plain)
        return made
    except TypeError:
        return _make(plain)


def _make(function: Callable[..., Any]) -> Decoder | None:
    try:
        hint = get_type_hints(function, include_extras=True).get("return")
        return None if hint is None else decoder(hint)
    except (TypeError, NameError, AttributeError):
        return None
