"""Starting one durable execution per person, and following all of them to their ends."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from bifrost import AsyncExecution, AsyncTenant, BifrostError, Conflict

from .onboarding import Person, onboard_user

#: The effects that create something, and what they create.
_CREATES = {"create user": "users", "open ticket": "tickets", "book time": "time_entries"}


class Display(Protocol):
    """Shows how far everyone is."""

    def step(self, person: Person, step: str) -> None:
        """Somebody is at this step."""

    def ended(self, person: Person, outcome: str) -> None:
        """Somebody is through."""


@dataclass
class Finished:
    """How it went for one person."""

    person: Person
    outcome: str
    result: dict[str, Any] | None = None
    seconds: float | None = None
    problems: list[dict[str, Any]] = field(default_factory=list)
    #: It had ended before this run began.
    earlier: bool = False


class Watch:
    """Sees every event: counts and shows."""

    def __init__(self, display: Display, since: datetime.datetime) -> None:
        self.display = display
        #: Events from before belong to an earlier run.
        self.since = since
        #: What this run created, counted as the steps become durable.
        self.created = dict.fromkeys(_CREATES.values(), 0)

    async def onboard(self, tenants: Mapping[str, AsyncTenant], people: Sequence[Person]) -> list[Finished]:
        """Onboards everyone, each by an execution of its own."""
        return list(await asyncio.gather(*(self._one(tenants[person.customer], person) for person in people)))

    async def _one(self, tenant: AsyncTenant, person: Person) -> Finished:
        # The key is the person: whoever was onboarded before, or is half-way, is found and not started again.
        key = f"onboard:{person.hire.upn}"
        try:
            execution = await tenant.start(onboard_user, {"hire": person.hire}, idempotency_key=key)
        except BifrostError as error:
            return self._refused(person, error)
        await self._follow(person, execution)
        finished = self._finished(person, await execution.record())
        self.display.ended(person, finished.outcome)
        return finished

    async def _follow(self, person: Person, execution: AsyncExecution) -> None:
        async for event in execution.events():
            if event.kind == "step_started":
                self.display.step(person, event.data["name"])
            elif event.kind == "step_finished" and event.at >= self.since and event.data["name"] in _CREATES:
                self.created[_CREATES[event.data["name"]]] += 1
            # An old event: somebody may have decided since.
            elif event.data.get("state") == "needs_attention" and await _waits(execution):
                return

    def _finished(self, person: Person, record: dict[str, Any]) -> Finished:
        outcome: dict[str, Any] | None = record.get("outcome")
        finished = Finished(person, words(record["state"]))
        if outcome is None:
            finished.problems.append(_unfinished(record))
        else:
            finished.result = outcome.get("output")
            finished.problems += outcome.get("problems") or []
            if outcome.get("error"):
                finished.problems.append(outcome["error"])
        if record.get("finished_at"):
            end = _time(record["finished_at"])
            finished.seconds = (end - _time(record["started_at"])).total_seconds() if record.get("started_at") else None
            finished.earlier = end < self.since
        return finished

    def _refused(self, person: Person, error: BifrostError) -> Finished:
        """Somebody the hub took no order for."""
        message, action = error.message, error.next_action
        if isinstance(error, Conflict):
            message = "the row has changed since it was begun"
            action = "put the row back as it was, and make the change at the provider"
        self.display.ended(person, "Refused")
        return Finished(person, "Refused", problems=[{"kind": error.code, "message": message, "next_action": action}])


async def _waits(execution: AsyncExecution) -> bool:
    return bool((await execution.record())["state"] == "needs_attention")


def words(state: str) -> str:
    """A state as the document spells it, the same from Rust and from Python."""
    return "".join(word.title() for word in state.split("_"))


def _unfinished(record: dict[str, Any]) -> dict[str, Any]:
    """Why an execution was left although it has not ended."""
    action = "run this again: it goes on where it was"
    if record["state"] == "needs_attention":
        action = f"find out at the provider what was done, then: bifrost runs resolve {record['id']}"
    return {"kind": "needs_attention", "message": f"it is {record['state']}", "next_action": action}


def _time(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
