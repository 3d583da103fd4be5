"""Graph calls with bifrost's typed client: see calls.py for the load.

Timed: `tenant.graph.users.get`, from the call until the user is there as a dataclass. Each call passes the budget,
may be retried, uses a token the hub has fetched, and is recorded.
Not timed: opening the hub, connections and their tokens, a warm-up, closing.
"""

import asyncio

from calls import User, measure
from load import arguments, tell

from bifrost import Hub, Throttled

ABOUT = "typed client; budget, retry, token renewal and call records on"


async def main() -> None:
    given = arguments(__doc__)
    simulators = given.simulators
    async with Hub.open(given.folder) as hub:
        graphs = {}
        for domain in simulators["customers"]:
            tenant = await hub.create_tenant(domain.partition(".")[0])
            await tenant.connections.create(
                "graph",
                entra_tenant=domain,
                client_id=simulators["client_id"],
                client_secret=simulators["client_secret"],
                base_url=simulators["graph"],
                authority=simulators["identity"],
                allow_private_hosts=["127.0.0.1"],
            )
            await tenant.connections.test("graph")
            graphs[domain] = tenant.graph

        async def get(user: User) -> bool:
            try:
                got = await graphs[user.tenant].users.get(user.name)
            except Throttled:
                return False
            assert got.id
            return True

        figures = await measure(given, get)
    tell(figures, ABOUT, "bifrost-hub")


asyncio.run(main())
