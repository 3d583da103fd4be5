"""Graph calls with Microsoft's msgraph-sdk: see calls.py for the load.

Timed: `users.by_user_id(...).get()`, from the call until the user is there as an object, with the SDK's default
middleware: it retries a 429 three times, and waits as long as the answer says.
Not timed: making the clients (one per customer, all over the SDK's default HTTP client), tokens (given ready-made), a
warm-up.
"""

import asyncio
from typing import Any

from calls import User, measure, tokens
from kiota_abstractions.api_error import APIError
from kiota_abstractions.authentication import (
    AccessTokenProvider,
    AllowedHostsValidator,
    BaseBearerTokenAuthenticationProvider,
)
from load import arguments, tell
from msgraph import GraphRequestAdapter, GraphServiceClient
from msgraph_core import GraphClientFactory

ABOUT = "default middleware; retries a 429 three times, no budget"


class Ready(AccessTokenProvider):
    """A token that is there already."""

    def __init__(self, token: str) -> None:
        self.token = token

    async def get_authorization_token(self, uri: str, additional_authentication_context: Any = None) -> str:
        return self.token

    def get_allowed_hosts_validator(self) -> AllowedHostsValidator:
        return AllowedHostsValidator([])


async def main() -> None:
    given = arguments(__doc__)
    ready = tokens(given.simulators)
    http = GraphClientFactory.create_with_default_middleware()
    http.base_url = given.simulators["graph"]
    clients = {}
    for tenant, token in ready.items():
        adapter = GraphRequestAdapter(BaseBearerTokenAuthenticationProvider(Ready(token)), http)
        adapter.base_url = given.simulators["graph"]
        clients[tenant] = GraphServiceClient(request_adapter=adapter)

    async def get(user: User) -> bool:
        try:
            got = await clients[user.tenant].users.by_user_id(user.name).get()
        except APIError as error:
            if error.response_status_code != 429:
                raise
            return False
        assert got is not None
        assert got.id
        return True

    figures = await measure(given, get)
    await http.aclose()
    tell(figures, ABOUT, "msgraph-sdk")


asyncio.run(main())
