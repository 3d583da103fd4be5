"""Graph calls with bare httpx: see calls.py for the load.

Timed: a GET, from the call until its JSON is read. No retry, no budget, no token renewal, no records.
Not timed: making the client, tokens (given ready-made), a warm-up.
"""

import asyncio

import httpx
from calls import User, measure, tokens
from load import arguments, tell

ABOUT = "bare client; no retry, no budget"


async def main() -> None:
    given = arguments(__doc__)
    ready = tokens(given.simulators)
    limits = httpx.Limits(max_connections=given.in_flight, max_keepalive_connections=given.in_flight)
    async with httpx.AsyncClient(limits=limits, trust_env=False) as client:

        async def get(user: User) -> bool:
            address = f"{given.simulators['graph']}/users/{user.name}"
            answer = await client.get(address, headers={"Authorization": f"Bearer {ready[user.tenant]}"})
            if answer.status_code == 429:
                return False
            answer.raise_for_status()
            assert answer.json()["id"]
            return True

        figures = await measure(given, get)
    tell(figures, ABOUT, "httpx")


asyncio.run(main())
