"""Events of an execution as lines."""

from __future__ import annotations

import json
from typing import Any

from bifrost import Event

#: States that no execution leaves.
ENDED = frozenset({"succeeded", "completed_with_errors", "failed", "timed_out", "cancelled"})


def line(event: Event) -> str:
    """An event for people."""
    return f"{event.at:%H:%M:%S}  {_said(event.kind, event.data)}"


def _said(kind: str, data: dict[str, Any]) -> str:
    if kind == "state":
        reason = f": {data['reason']}" if data.get("reason") else ""
        return f"{data['state']}{reason}"
    if kind == "progress":
        message = f"  {data['message']}" if data.get("message") else ""
        return f"{data['done']}/{data['total']}{message}"
    if kind == "log":
        fields = "".join(f"  {key}={value}" for key, value in (data.get("fields") or {}).items())
        return f"{data.get('level', 'info')}: {data['message']}{fields}"
    if kind.startswith("step_") and "name" in data:
        error = _error(data.get("error"))
        return f"{kind.replace('_', ' ')}: {data['name']}{error}"
    rest = json.dumps(data, ensure_ascii=False, default=str)
    return kind.replace("_", " ") + (f": {rest}" if data else "")


def _error(error: Any) -> str:
    return f": {error['message']}" if isinstance(error, dict) and "message" in error else ""
