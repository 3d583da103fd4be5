"""What came of it: a table and totals for people, one JSON document for programs."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from .onboarding import InvalidRow
from .people import Finished

COLUMNS = ("person", "customer", "user principal name", "licence", "groups", "ticket", "outcome", "duration")


def rows(people: Sequence[Finished]) -> Iterator[list[str]]:
    """The table's rows."""
    for finished in people:
        hire, result = finished.person.hire, finished.result or {}
        yield [
            hire.name,
            finished.person.customer,
            hire.upn,
            result.get("licence") or "",
            ", ".join(result.get("groups", ())),
            str(result.get("ticket_id", "")),
            finished.outcome + (" (user was there)" if result.get("adopted") else ""),
            "" if finished.seconds is None else f"{finished.seconds:.2f} s",
        ]


def problems(people: Sequence[Finished]) -> Iterator[str]:
    """What is left to do."""
    for finished in people:
        for problem in finished.problems:
            action = f"; next: {problem['next_action']}" if problem.get("next_action") else ""
            yield f"{finished.person.hire.upn}: {problem['message']}{action}"


def summary(people: Sequence[Finished], created: dict[str, int]) -> str:
    """The totals."""
    total, earlier = len(people), sum(finished.earlier for finished in people)
    if earlier == total:
        return f"nothing to do: all {total} people were onboarded before, and nothing was created twice"
    outcomes = ", ".join(f"{count} {outcome}" for outcome, count in sorted(Counter(p.outcome for p in people).items()))
    before = f" ({earlier} of them were onboarded before)" if earlier else ""
    made = f"created {created['users']} users, {created['tickets']} tickets, {created['time_entries']} time entries"
    return f"{total} people: {outcomes}{before}; {made}"


def document(
    people: Sequence[Finished], invalid: Sequence[InvalidRow], created: dict[str, int], providers: dict[str, Any]
) -> dict[str, Any]:
    """Everything; the same fields as those of the example in Rust."""
    return {
        "people": [_person(finished) for finished in people],
        "invalid_rows": [dataclasses.asdict(row) for row in invalid],
        "created": created,
        "providers": {
            name: {"calls": sent["calls"], "throttled": sent["throttled"]} for name, sent in providers.items()
        },
    }


def _person(finished: Finished) -> dict[str, Any]:
    result = finished.result or {}
    return {
        "row": finished.person.row,
        "tenant": finished.person.customer,
        "upn": finished.person.hire.upn,
        "outcome": finished.outcome,
        "user_id": result.get("user_id"),
        "licence": result.get("licence"),
        "groups": result.get("groups", []),
        "ticket_id": result.get("ticket_id"),
        "time_entry_id": result.get("time_entry_id"),
        "duration_ms": None if finished.seconds is None else round(finished.seconds * 1000),
        "error": _error(finished.problems),
    }


def _error(found: list[dict[str, Any]]) -> dict[str, Any] | None:
    """All problems of a person as one."""
    if not found:
        return None
    actions = [problem["next_action"] for problem in found if problem.get("next_action")]
    message = "; ".join(problem["message"] for problem in found)
    return {"code": found[0]["kind"], "message": message, "next_action": "; ".join(actions) or None}
