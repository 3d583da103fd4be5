"""Graph calls with bare aiohttp: see calls.py for the load.

Timed: a GET, from the call until its JSON is read. No retry, no budget, no token renewal, no records.
Not timed: making the client, tokens (given ready-made), a warm-up.
"""

import asyncio

import aiohttp
from calls import User, measure, tokens
from load import arguments, tell

ABOUT = "bare client; no retry, no budget"


async def main() -> None:
    given = arguments(__doc__)
    ready = tokens(given.simulators)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=given.in_flight)) as session:

        async def get(user: User) -> bool:
            address = f"{given.simulators['graph']}/users/{user.name}"
            async with session.get(address, headers={"Authorization": f"Bearer {ready[user.tenant]}"}) as answer:
                if answer.status == 429:
                    return False
                answer.raise_for_status()
                assert (await answer.json())["id"]
                return True

        figures = await measure(given, get)
    tell(figures, ABOUT, "aiohttp")


asyncio.run(main())
