"""The simulated identity platform and Microsoft Graph, served by a process of their own to the scripts `graph_*.py`.

The first line printed is a JSON object: addresses, credentials, and what the customers' users are called. There are
many of both, so that no user is asked for twice at the same time (bifrost answers such calls with one request) and that
load on all customers stays clear of their limits. It runs until its standard input closes.
"""

import argparse
import json
import sys

from bifrost.simulators import CLIENT_ID, CLIENT_SECRET, Customer, Simulators

#: So many customers; so many users of each, and of the first, which the throttled bench asks alone.
CUSTOMERS, USERS, USERS_OF_FIRST = 40, 20, 1_000

#: Every customer's limit in resource units, published for the smallest tenants: an amount per ten seconds.
PUBLISHED = 3_500


def customer(number: int) -> Customer:
    name = f"customer{number}"
    return Customer(name, name.title(), f"{name}.com", more_users=USERS if number else USERS_OF_FIRST)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit", type=int, default=PUBLISHED, help="units per customer and ten seconds")
    given = parser.parse_args()
    customers = [customer(number) for number in range(CUSTOMERS)]
    world = Simulators(customers=customers, graph_units=(given.limit, 10))
    with world.serve() as server:
        told = {
            **server.addresses,
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "limit": given.limit,
            "customers": {
                one.domain: [user["userPrincipalName"] for user in world.users(one.name)] for one in customers
            },
        }
        print(json.dumps(told), flush=True)
        sys.stdin.read()


main()
