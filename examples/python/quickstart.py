"""A durable workflow as a plain function, on simulated providers: `python examples/python/quickstart.py`.

Kill it while it waits, and run it again: it finishes, and the user is not created a second time.
"""

# --8<-- readme
import time

from bifrost import Context, Hub, Simulators, testing, workflow


@workflow
def onboard_user(ctx: Context, name: str, upn: str) -> str:
    users = ctx.graph.users
    user = ctx.effect("create user", users.create, upn=upn, display_name=name, probe=lambda: users.find_by_upn(upn))
    ctx.step("wait for the mailbox", time.sleep, 3)  # kill it here, and run it again
    return ctx.step("welcome", lambda: f"Welcome, {user.display_name}!")


with Hub.open("data/quickstart", simulators=Simulators()) as hub:
    contoso = hub.create_tenant("contoso", exist_ok=True)
    testing.connect(contoso)
    zoe = {"name": "Zoë Müller", "upn": "zoe.mueller@contoso.com"}
    run = contoso.start(onboard_user, zoe, idempotency_key="onboard zoe.mueller")
    for event in run.events():
        print(event.seq, event.kind, event.data.get("name") or event.data.get("state", ""))
    print(run.result())
