"""Where in a value something went wrong: JSON Pointers, and the error that carries one."""

from __future__ import annotations

_LONGEST = 200


class CodecError(ValueError):
    """A value cannot become JSON, or JSON does not fit a type hint.

    The message names the place and the types, never the value: values may be personal or secret.

    Attributes:
        path: JSON Pointer to the place, such as ``/groups/1``; empty for the value as a whole.
        reason: What is wrong there.
    """

    def __init__(self, reason: str, path: str = "") -> None:
        self.reason = reason
        self.path = path
        super().__init__(reason, path)

    def __str__(self) -> str:
        path = self.path or "/"
        if len(path) > _LONGEST:
            path = f"{path[:_LONGEST]}…"
        return f"{path}: {self.reason}"

    def within(self, segment: str | int) -> CodecError:
        """Return the error as seen from one level further out; raise it ``from`` the cause of this one."""
        escaped = str(segment).replace("~", "~0").replace("/", "~1")
        return CodecError(self.reason, f"/{escaped}{self.path}")
