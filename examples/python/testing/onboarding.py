"""The workflow under test: an account, a welcome after the weekend, and what happens when the provider is down."""

from __future__ import annotations

from bifrost import AsyncContext, Context, Retry, workflow


class Directory:
    """Stands for a service without a simulator: what was written to it stays, whatever happens to the hub."""

    def __init__(self) -> None:
        self.users: list[str] = []
        self.failures = 0

    def create(self, upn: str) -> str:
        if self.failures:
            self.failures -= 1
            raise ConnectionError("the directory does not answer")
        self.users.append(upn)
        return upn

    def find(self, upn: str) -> str | None:
        return upn if upn in self.users else None


directory = Directory()

DAY = 86_400


@workflow(timeout=7 * DAY, retry=Retry(attempts=5, delay=600, max_delay=3600))
async def onboard(ctx: AsyncContext, first_name: str) -> str:
    """Create an account, and welcome its owner three days later."""
    upn = f"{first_name.lower()}@contoso.com"
    await ctx.step("look up", directory.find, upn)
    await ctx.effect("create user", directory.create, upn, probe=lambda: directory.find(upn))
    ctx.progress(1, 2, "account created")
    await ctx.sleep(3 * DAY)
    greeting: str = await ctx.step("welcome", lambda: f"Welcome, {first_name}!")
    return greeting


@workflow
def count_users(ctx: Context) -> int:
    """How many accounts there are."""
    return ctx.step("count", lambda: len(directory.users))
