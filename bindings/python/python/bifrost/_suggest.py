"""Suggestions for misspelt names, so that every refusal of a name ends the same way."""

from __future__ import annotations

from collections.abc import Iterable


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'timeout'?"``, or an empty string when nothing is near.

    >>> did_you_mean("timout", ["timeout", "retry"])
    "; did you mean 'timeout'?"
    """
    # Imported when something is refused, not by everybody who imports the package.
    import difflib

    near = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
