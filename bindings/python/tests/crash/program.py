"""The process that ``test_sigkill.py`` kills: workflows of both kinds in two tenants, from several threads at once.

The outside world is a folder that outlives every process. Each thing that the hub has acknowledged is said on standard
output, one line of JSON in one write: what is killed in the middle of it has not said it. The first argument is the
number of the life, or ``last``: then everything is asked for again, waited for and written to ``found.json``.
"""

import contextlib
import itertools
import json
import os
import secrets
import sys
import threading
import time
from typing import Any

from bifrost import AsyncContext, Context, Hub, workflow

TENANTS = ("contoso", "fabrikam")

#: Threads that start executions in each tenant.
STARTERS = 2


def say(said: str, **fact: Any) -> None:
    os.write(1, (json.dumps({"said": said, **fact}) + "\n").encode())


def append(label: str, value: int) -> None:
    file = os.open("outside/probed", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(file, f"{label} {value}\n".encode())
    os.close(file)


def draw() -> int:
    """No two runs of a step answer alike: one that ran again after its end gives itself away."""
    return secrets.randbits(48)


def once(label: str, idempotency_key: str) -> int:
    # A peer that honours keys: the first write of a key is applied, at once and whole, and whoever repeats it is told
    # of that one.
    draft = f"outside/drafts/{secrets.token_hex(8)}"
    with open(draft, "w") as file:
        print(label, draw(), file=file)
    applied = f"outside/keyed/{idempotency_key}"
    with contextlib.suppress(FileExistsError):
        os.link(draft, applied)
    with open(applied) as file:
        return int(file.read().split()[1])


def create(label: str) -> int:
    value = draw()
    append(label, value)
    return value


def find(label: str) -> int | None:
    """What a peer that knows no keys shows of a write."""
    try:
        with open("outside/probed") as file:
            found = [line.split()[1] for line in file if line.startswith(f"{label} ")]
    except FileNotFoundError:
        return None
    return int(found[0]) if found else None


class Done:
    """What the steps of an execution came to; each is said as soon as it is acknowledged."""

    def __init__(self, ctx: AsyncContext | Context) -> None:
        self.id = ctx.execution
        self.results: dict[str, int] = {}

    def __call__(self, name: str, value: int) -> None:
        say("step", id=self.id, name=name, value=value)
        self.results[name] = value


@workflow
async def leaf(ctx: AsyncContext, label: str) -> int:
    return await ctx.effect("leaf", create, label, probe=lambda: find(label))


@workflow
async def mixed_async(ctx: AsyncContext, number: str, nests: bool) -> dict[str, int]:
    done, label = Done(ctx), f"{ctx.tenant}/{number}"
    done("one", await ctx.step("one", draw))
    done("keyed", await ctx.effect("keyed", once, f"{label}/keyed"))
    if nests:
        done("leaf", await ctx.run(leaf, label=f"{label}/leaf"))
    done("probed", await ctx.effect("probed", create, f"{label}/probed", probe=lambda: find(f"{label}/probed")))
    done("last", await ctx.step("last", draw))
    return done.results


@workflow
def mixed_plain(ctx: Context, number: str, nests: bool) -> dict[str, int]:
    done, label = Done(ctx), f"{ctx.tenant}/{number}"
    done("one", ctx.step("one", draw))
    done("keyed", ctx.effect("keyed", once, f"{label}/keyed"))
    if nests:
        done("leaf", ctx.run(leaf, label=f"{label}/leaf"))
    done("probed", ctx.effect("probed", create, f"{label}/probed", probe=lambda: find(f"{label}/probed")))
    done("last", ctx.step("last", draw))
    return done.results


def start(tenant: Any, number: str, nests: bool) -> Any:
    kind = mixed_async if int(number.rpartition(".")[2]) % 2 else mixed_plain
    return tenant.start(kind, {"number": number, "nests": nests}, idempotency_key=number)


def start_executions(tenant: Any, life: int, which: int) -> None:
    for index in itertools.count():
        number, nests = f"{life}.{which}.{index}", index % 3 == 0
        say("trying", tenant=tenant.name, number=number, nests=nests)
        execution = start(tenant, number, nests)
        say("accepted", tenant=tenant.name, number=number, id=execution.id)
        if index % 2:
            say("finished", id=execution.id, output=execution.result(timeout=60))


def change_settings(tenant: Any, life: int) -> None:
    for index in itertools.count(1):
        version = life * 1_000_000 + index
        say("setting", tenant=tenant.name, version=version)
        tenant.config.set("version", version)
        say("set", tenant=tenant.name, version=version)
        time.sleep(0.005)


def watched(function: Any, *args: Any) -> None:
    try:
        function(*args)
    except BaseException as error:
        say("wrong", what=f"{function.__name__}{args}: {error!r}")


def live(hub: Hub, life: int) -> None:
    threads = []
    for name in TENANTS:
        tenant = hub.create_tenant(name, exist_ok=True)
        threads += [(start_executions, tenant, life, which) for which in range(STARTERS)]
        threads.append((change_settings, tenant, life))
    for thread in threads:
        threading.Thread(target=watched, args=thread, daemon=True).start()
    threading.Event().wait()


def records(tenant: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while page := list(tenant.executions(before=found[-1]["id"] if found else None, limit=1000)):
        found += page
    return found


def trail(tenant: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while page := tenant.audit(after=found[-1]["number"] if found else None, limit=1000):
        found += page
    return found


def torn(tenant: Any) -> list[str]:
    """What is there without what became durable with it."""
    there = {record["id"]: record for record in records(tenant)}
    audited: dict[tuple[str, str], int] = {}
    for entry in trail(tenant):
        which = entry["record"]["action"], entry["record"]["target"]
        audited[which] = audited.get(which, 0) + 1
    wrong = []
    for id, record in there.items():
        for action in ("execution.accept", "execution.finish"):
            if audited.pop((action, id), 0) != 1:
                wrong.append(f"{id} is {record['state']}, and its {action} is not audited once")
        if record["state"] != "succeeded":
            wrong.append(f"{id} ended {record['state']}: {record}")
    wrong += [
        f"{target} is not there, but audited: {action}" for action, target in audited if action.startswith("exec")
    ]
    parents = [record["parent"] for record in there.values() if record["workflow"] == "leaf"]
    nesting = [id for id, record in there.items() if record["params"].get("nests")]
    if sorted(parents) != sorted(nesting):
        wrong.append(f"{len(nesting)} executions nest, {len(parents)} children: {set(parents) ^ set(nesting)}")
    fault = tenant.verify_audit()["fault"]
    return wrong if fault is None else [*wrong, f"the audit trail is broken: {fault}"]


def finish(hub: Hub) -> None:
    with open("tried.json") as file:
        tried = json.load(file)
    tenants = {name: hub.create_tenant(name, exist_ok=True) for name in TENANTS}
    executions = []
    for name, number, nests in tried:
        # One that was there is found under its key; one that was not is started.
        execution = start(tenants[name], number, nests)
        executions.append([name, number, execution.id, execution.result(timeout=60)])
    found = {
        "executions": executions,
        "versions": {name: _version(tenant) for name, tenant in tenants.items()},
        "torn": [text for tenant in tenants.values() for text in torn(tenant)],
    }
    with open("found.json", "w") as file:
        json.dump(found, file)


def _version(tenant: Any) -> int:
    return tenant.config.get("version") if "version" in tenant.config.keys() else 0  # noqa: SIM118


def main() -> None:
    for folder in ("drafts", "keyed"):
        os.makedirs(f"outside/{folder}", exist_ok=True)
    begun = time.monotonic()
    with Hub.open("data", workflows=[mixed_async, mixed_plain, leaf]) as hub:
        say("open", seconds=time.monotonic() - begun)
        if sys.argv[1] == "last":
            finish(hub)
        else:
            live(hub, int(sys.argv[1]))


main()
