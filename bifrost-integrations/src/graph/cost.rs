//! What a call costs in Graph's resource units.
//!
//! Numbers: <https://learn.microsoft.com/graph/throttling-limits#identity-and-access-service-limits>, read 2026-02.

use bifrost_core::integration::Cost;
use http::Method;

use crate::call::Query;

/// Reads that cost other than one unit, by endpoint.
const READS: &[(&str, u32)] = &[
    ("/groups/{group-id}/members", 3),
    ("/groups/{group-id}/transitiveMembers", 5),
    ("/subscribedSkus", 3),
    ("/users", 2),
    ("/users/{user-id}/licenseDetails", 2),
    ("/users/{user-id}/memberOf", 2),
    ("/users/{user-id}/transitiveMemberOf", 2),
];

/// POST calls that only read, with their units.
const READING_POSTS: &[(&str, u32)] = &[
    ("/directoryObjects/getByIds", 5),
    ("/users/{user-id}/checkMemberGroups", 4),
    ("/users/{user-id}/checkMemberObjects", 4),
    ("/users/{user-id}/getMemberGroups", 2),
    ("/users/{user-id}/getMemberObjects", 2),
];

/// Pages below this size cost one unit less.
const SMALL_PAGE: u32 = 20;

/// The cost of a call: the table's units, one less with `$select`, one more with `$expand`, one less for small pages,
/// never below one; one write unless it only reads.
pub fn cost(method: &Method, endpoint: &str, query: &Query) -> Cost {
    let reading_post = listed(READING_POSTS, endpoint).filter(|_| method == Method::POST);
    let base = reading_post.or_else(|| listed(READS, endpoint).filter(|_| method == Method::GET)).unwrap_or(1);
    let less = u32::from(query.get("$select").is_some()) + u32::from(is_small_page(query));
    let more = u32::from(query.get("$expand").is_some());
    Cost {
        units: (base + more).saturating_sub(less).max(1),
        writes: u32::from(!method.is_safe() && reading_post.is_none()),
    }
}

fn listed(table: &[(&str, u32)], endpoint: &str) -> Option<u32> {
    table.iter().find(|(name, _)| *name == endpoint).map(|(_, units)| *units)
}

fn is_small_page(query: &Query) -> bool {
    let top = query.get("$top").and_then(|top| top.parse::<u32>().ok());
    top.is_some_and(|top| top < SMALL_PAGE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn units(method: &Method, endpoint: &str, query: &[(&str, &str)]) -> (u32, u32) {
        let query = query.iter().fold(Query::new(), |query, (name, value)| query.with(*name, value));
        let cost = cost(method, endpoint, &query);
        (cost.units, cost.writes)
    }

    #[test]
    fn costs_follow_the_published_table() {
        let members = "/groups/{group-id}/members";
        for (endpoint, query, expected) in [
            ("/users", &[][..], 2),
            ("/users", &[("$select", "id")], 1),
            ("/users", &[("$expand", "manager")], 3),
            ("/users", &[("$select", "id"), ("$top", "5")], 1),
            ("/users/{user-id}", &[], 1),
            (members, &[], 3),
            (members, &[("$select", "id"), ("$top", "19")], 1),
            (members, &[("$select", "id"), ("$top", "20")], 2),
            ("/subscribedSkus", &[], 3),
        ] {
            assert_eq!(units(&Method::GET, endpoint, query), (expected, 0), "{endpoint} {query:?}");
        }
        assert_eq!(units(&Method::POST, "/users", &[]), (1, 1));
        assert_eq!(units(&Method::PATCH, "/users/{user-id}", &[]), (1, 1));
        assert_eq!(units(&Method::POST, "/users/{user-id}/getMemberGroups", &[]), (2, 0));
    }
}
