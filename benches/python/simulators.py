"""The simulated identity platform and Microsoft Graph, served by a process of their own to the scripts `graph_*.py`.

The first line printed is a JSON object: addresses, credentials, and what the customers' users are called. Forty
customers of twenty users, so that calls neither ask for the same user at the same time (bifrost answers such calls with
one) nor come near a customer's limit. It runs until its standard input closes.
"""

import argparse
import json
import sys

from bifrost.simulators import CLIENT_ID, CLIENT_SECRET, Customer, Simulators

CUSTOMERS, USERS = 40, 20

#: Every customer's limit in resource units, published for the smallest tenants: an amount per ten seconds.
PUBLISHED = 3_500


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit", type=int, default=PUBLISHED, help="units per customer and ten seconds")
    given = parser.parse_args()
    named = [(f"customer{number}", f"customer{number}.com") for number in range(CUSTOMERS)]
    customers = [Customer(name, name.title(), domain, more_users=USERS) for name, domain in named]
    world = Simulators(customers=customers, graph_units=(given.limit, 10))
    with world.serve() as server:
        told = {
            **server.addresses,
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "limit": given.limit,
            "customers": {domain: [user["userPrincipalName"] for user in world.users(name)] for name, domain in named},
        }
        print(json.dumps(told), flush=True)
        sys.stdin.read()


main()
