"""Changes of many users, from a CSV file: `python examples/python/bulk_update.py`.

One execution takes the whole file, twenty rows per step: killed in the middle and run again, it goes on with the batch
it was at. A row that cannot be changed is reported and does not stop the others.
"""

import csv
import io
from dataclasses import dataclass

from bifrost import AsyncContext, Hub, Simulators, Tenant, testing, workflow
from bifrost.graph import BatchRequest

#: As many as Graph takes in one batch.
AT_A_TIME = 20


@dataclass(frozen=True)
class Change:
    """A row of the file."""

    upn: str
    department: str
    office: str


@dataclass(frozen=True)
class Result:
    """What came of a row."""

    upn: str
    changed: bool
    reason: str = ""


@workflow(timeout=3600)
async def update_users(ctx: AsyncContext, changes: list[Change]) -> list[Result]:
    """Set department and office of many users."""
    results: list[Result] = []
    for start in range(0, len(changes), AT_A_TIME):
        batch = changes[start : start + AT_A_TIME]
        # Doing it twice is doing it once: a step will do.
        results += await ctx.step("update batch", update, ctx, batch)
        ctx.progress(len(results), len(changes), f"{batch[-1].upn} and before")
    for failed in (result for result in results if not result.changed):
        ctx.problem(f"{failed.upn}: {failed.reason}")
    return results


async def update(ctx: AsyncContext, batch: list[Change]) -> list[Result]:
    """One round trip for twenty users."""
    requests = [
        BatchRequest(
            method="PATCH",
            path=f"/users/{change.upn}",
            json={"department": change.department, "officeLocation": change.office},
            # The same change again is no other change.
            idempotent=True,
        )
        for change in batch
    ]
    answers = await ctx.graph.batch(requests)
    return [outcome(change, answer) for change, answer in zip(batch, answers, strict=True)]


def outcome(change: Change, answer: object) -> Result:
    """Answers and exceptions come in the order of the requests."""
    if isinstance(answer, Exception):
        return Result(change.upn, False, getattr(answer, "message", str(answer)))
    return Result(change.upn, True)


def read(source: io.TextIOBase) -> list[Change]:
    """The file: columns `upn`, `department`, `office`."""
    return [Change(row["upn"], row["department"], row["office"]) for row in csv.DictReader(source)]


def prepare(tenant: Tenant, people: int) -> io.StringIO:
    """Fills the simulated customer; answers a file of changes, one of them for somebody who is not there."""
    testing.connect(tenant)
    file = io.StringIO("upn,department,office\n")
    file.seek(0, io.SEEK_END)
    for number in range(people):
        upn = f"user{number:03}@contoso.com"
        tenant.graph.users.create(upn=upn, display_name=f"User {number}")
        file.write(f"{upn},Sales,Floor {number % 5}\n")
    file.write("nobody@contoso.com,Sales,Floor 1\n")
    file.seek(0)
    return file


def main() -> None:
    """Changes everyone, and shows how far it is."""
    with Hub.open(simulators=Simulators()) as hub:
        contoso = hub.create_tenant("contoso")
        changes = read(prepare(contoso, people=50))
        run = contoso.run(update_users, changes=changes)
        for event in run.events():
            if event.kind == "progress":
                print(f"{event.data['done']}/{event.data['total']}  {event.data['message']}")
        results = run.result()
        for result in results:
            if not result.changed:
                print(f"{result.upn}: {result.reason}")
        print(f"{sum(result.changed for result in results)} of {len(results)} users changed: {run.outcome().state}")


if __name__ == "__main__":
    main()
