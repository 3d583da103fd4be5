"""Licences that cost money and serve nobody, over all tenants: `python examples/python/licence_report.py`.

Reading needs no workflow: outside of one, the same clients work on the same budget. Each finding is a line with what it
costs per month; the last one is the sum.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from bifrost import Hub, Simulators, Tenant, testing

#: What a licence costs per month, by SKU.
PRICES = {"SPE_E3": 36.0, "O365_BUSINESS_PREMIUM": 12.5}
#: The SKU on the left contains everything in those on the right: nobody needs both.
CONTAINS = {"SPE_E3": {"O365_BUSINESS_PREMIUM"}}
CUSTOMERS = ("contoso", "fabrikam", "adatum")


@dataclass(frozen=True)
class Finding:
    """Money that is spent for nothing."""

    tenant: str
    sku: str
    reason: str
    seats: int

    @property
    def cost(self) -> float:
        """Per month."""
        return self.seats * PRICES.get(self.sku, 0.0)


def look_at(tenant: Tenant) -> Iterator[Finding]:
    """Seats nobody has, licences of people who cannot sign in, and licences that another one contains."""
    names = {}
    for sku in tenant.graph.licenses.subscribed_skus():
        names[sku.sku_id] = sku.sku_part_number
        if sku.free:
            yield Finding(tenant.name, sku.sku_part_number, "bought, and assigned to nobody", sku.free)
    fields = ["id", "user_principal_name", "account_enabled", "assigned_licenses"]
    for user in tenant.graph.users.list(select=fields, page_size=100):
        held = {names[licence.sku_id] for licence in user.assigned_licenses}
        if user.account_enabled is False:
            for sku_name in sorted(held):
                yield Finding(tenant.name, sku_name, f"{user.user_principal_name} cannot sign in", 1)
            continue
        for sku_name in sorted(held):
            for contained in sorted(CONTAINS.get(sku_name, set()) & held):
                yield Finding(tenant.name, contained, f"{user.user_principal_name} has {sku_name} too", 1)


def prepare(tenant: Tenant) -> None:
    """Gives the simulated customer something to find: a user with both licences, and one who has left."""
    testing.connect(tenant)
    graph = tenant.graph
    double = graph.users.create(upn=f"ada@{tenant.name}.com", display_name="Ada", usage_location="CH")
    leaver = graph.users.create(upn=f"bob@{tenant.name}.com", display_name="Bob", usage_location="CH")
    graph.licenses.assign_by_name(double.id, "SPE_E3")
    graph.licenses.assign_by_name(double.id, "O365_BUSINESS_PREMIUM")
    graph.licenses.assign_by_name(leaver.id, "SPE_E3")
    graph.users.update(leaver.id, account_enabled=False)


def main() -> None:
    """Looks at every tenant."""
    total = 0.0
    with Hub.open(simulators=Simulators()) as hub:
        for name in CUSTOMERS:
            tenant = hub.create_tenant(name)
            prepare(tenant)
            for finding in look_at(tenant):
                total += finding.cost
                what = f"{finding.seats} {finding.sku}: {finding.reason}"
                print(f"{finding.tenant:10} {what:60} {finding.cost:>9.2f}")
    print(f"{total:.2f} per month for nothing")


if __name__ == "__main__":
    main()
