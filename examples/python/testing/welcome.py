"""The workflow under test: a user, an hour's wait for the mailbox, a ticket."""

from bifrost import Context, workflow


@workflow(timeout=7200)
def welcome(ctx: Context, name: str, alias: str) -> str:
    """Create a user, wait for the mailbox, and say so in a ticket."""
    users = ctx.graph.users
    upn = sign_in_name(alias, ctx.tenant)
    user = ctx.effect("create user", users.create, upn=upn, display_name=name, probe=lambda: users.find_by_upn(upn))
    ctx.sleep(3600)
    ctx.step("write department", users.update, user.id, department="Sales")
    return upn


def sign_in_name(alias: str, tenant: str) -> str:
    """The sign-in name, as Entra wants it."""
    return f"{alias.strip().lower().replace(' ', '.')}@{tenant}.com"
