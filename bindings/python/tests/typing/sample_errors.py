"""Mistakes that type checkers tell, each at its line, and nothing else."""

from typing import Any

from bifrost import AsyncContext, AsyncTenant, Context, Execution, Hub, Outcome, Table, Tenant, data_provider, workflow


def count(names: list[str]) -> int:
    """A step."""
    return len(names)


async def fetch(name: str) -> str:
    """An async step."""
    return name


workflow(timout=3)  # error: mypy[call-overload] pyright[reportCallIssue]


@data_provider(cache_ttl="long")  # error: mypy[call-overload,untyped-decorator] pyright[reportArgumentType]
def wrong_argument(ctx: Context) -> list[str]:
    """An argument of the wrong type."""
    return []


@workflow
async def wrong_results(ctx: AsyncContext) -> str:
    """What steps return keeps its type."""
    number: str = await ctx.step("count", count, ["a"])  # error: mypy[arg-type] pyright[reportAssignmentType]
    text: int = await ctx.step("fetch", fetch, "a")  # error: mypy[arg-type] pyright[reportAssignmentType]
    ctx.step("not awaited", fetch, "a")  # error: mypy[unused-coroutine] pyright[reportUnusedCoroutine]
    ctx.progress("1", 2)  # error: mypy[arg-type] pyright[reportArgumentType]
    await ctx.graph.users.get(7)  # error: mypy[arg-type] pyright[reportArgumentType]
    print(number, text)
    return ctx.now()  # error: mypy[return-value] pyright[reportReturnType]


@workflow
def wrong_context(ctx: Context) -> None:
    """A plain workflow awaits nothing, and a step takes a function."""
    total: str = ctx.step("count", count, ["a"])  # error: mypy[assignment] pyright[reportAssignmentType]
    ctx.step("count", 7)  # error: mypy[call-overload] pyright[reportArgumentType]
    ctx.lgo("said")  # error: mypy[attr-defined] pyright[reportAttributeAccessIssue,reportUnknownMemberType]
    print(total)


def misuse(tenant: Tenant, patient: AsyncTenant, execution: Execution) -> Any:
    """The twins are not each other."""
    execution.result(timeout="5")  # error: mypy[arg-type] pyright[reportArgumentType]
    outcome: Outcome = execution.result  # error: mypy[assignment] pyright[reportAssignmentType]
    patient.run("a").result()  # error: mypy[attr-defined] pyright[reportAttributeAccessIssue,reportUnknownMemberType]
    rows: Table = tenant.audit()  # error: mypy[assignment] pyright[reportAssignmentType]
    wrong_context()  # error: mypy[call-arg] pyright[reportCallIssue]
    Hub.open("./data", workers="many")  # error: mypy[arg-type] pyright[reportArgumentType]
    with Hub.open() as hub:
        hub.tenant(1)  # error: mypy[arg-type] pyright[reportArgumentType]
    return outcome, rows
