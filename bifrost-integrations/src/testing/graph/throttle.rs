//! Resource units: what a request costs and who has how many.

use std::collections::HashMap;
use std::time::Duration;

use http::Method;

use crate::testing::call::Call;
use crate::testing::limits::{Rate, TokenBucket};

/// The limits of the identity and access area, as published in February 2026 at
/// <https://learn.microsoft.com/graph/throttling-limits#identity-and-access-service-limits>.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GraphLimits {
    /// Resource units of one application in one tenant with fewer than 50 users.
    pub small_tenant: Rate,
    /// The same with 50 to 500 users.
    pub medium_tenant: Rate,
    /// The same with more than 500 users.
    pub large_tenant: Rate,
    /// Resource units of one application in all tenants together.
    pub app: Rate,
    /// Writes of one application in one tenant.
    pub app_tenant_writes: Rate,
    /// Writes of one application in all tenants together.
    pub app_writes: Rate,
    /// Writes of all applications in one tenant.
    pub tenant_writes: Rate,
}

impl Default for GraphLimits {
    fn default() -> Self {
        Self {
            small_tenant: Rate::per_seconds(3_500, 10),
            medium_tenant: Rate::per_seconds(5_000, 10),
            large_tenant: Rate::per_seconds(8_000, 10),
            app: Rate::per_seconds(150_000, 20),
            app_tenant_writes: Rate::per_seconds(3_000, 150),
            app_writes: Rate::per_seconds(35_000, 300),
            tenant_writes: Rate::per_seconds(18_000, 300),
        }
    }
}

impl GraphLimits {
    /// The same limit of resource units for an application in every tenant, whatever its size.
    #[must_use]
    pub fn with_tenant_units(mut self, rate: Rate) -> Self {
        self.small_tenant = rate;
        self.medium_tenant = rate;
        self.large_tenant = rate;
        self
    }

    /// Another limit of writes for an application in a tenant.
    #[must_use]
    pub fn with_tenant_writes(mut self, rate: Rate) -> Self {
        self.app_tenant_writes = rate;
        self
    }

    fn tenant_units(&self, users: usize) -> Rate {
        match users {
            0..50 => self.small_tenant,
            50..=500 => self.medium_tenant,
            _ => self.large_tenant,
        }
    }
}

/// What a request costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cost {
    pub(crate) units: u32,
    pub(crate) writes: u32,
}

/// The published price of a request, never below one unit.
pub(crate) fn cost(call: &Call) -> Cost {
    let parts = call.parts();
    let path: &[&str] = match parts.split_first() {
        Some((_, rest)) => rest,
        None => &[],
    };
    let reading_post = call.method == Method::POST && post_read_units(path).is_some();
    let base = if reading_post {
        post_read_units(path).unwrap_or(1)
    } else if call.method == Method::GET {
        get_units(path)
    } else {
        1
    };
    let mut units = i64::from(base);
    units -= i64::from(call.parameter("$select").is_some());
    units += i64::from(call.parameter("$expand").is_some());
    let small_page = call.parameter("$top").and_then(|top| top.parse::<u32>().ok());
    units -= i64::from(small_page.is_some_and(|top| top < 20));
    Cost { units: u32::try_from(units.max(1)).unwrap_or(1), writes: u32::from(call.is_write() && !reading_post) }
}

fn get_units(path: &[&str]) -> u32 {
    match path {
        ["users" | "applications" | "oauth2PermissionGrants"] => 2,
        ["contracts" | "subscribedSkus"] => 3,
        ["groups", _, "members", ..] => 3,
        ["groups", _, "transitiveMembers", ..] => 5,
        ["users", _, "licenseDetails" | "memberOf" | "ownedObjects" | "transitiveMemberOf", ..] => 2,
        _ => 1,
    }
}

/// Posts that only read.
fn post_read_units(path: &[&str]) -> Option<u32> {
    match path {
        ["directoryObjects", "getByIds"] => Some(5),
        ["users", _, "checkMemberGroups" | "checkMemberObjects"] => Some(4),
        ["users", _, "getMemberGroups" | "getMemberObjects"] => Some(2),
        _ => None,
    }
}

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Refusal {
    pub(crate) scope: String,
    pub(crate) reason: &'static str,
    pub(crate) retry_after: Duration,
}

/// What the buckets say about a request.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Verdict {
    /// How full the fullest bucket is: 1 is the limit, 1.2 means a fifth of the requests is refused.
    pub(crate) used: f64,
    pub(crate) refusal: Option<Refusal>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Scope {
    AppTenant,
    App,
    AppTenantWrites,
    AppWrites,
    TenantWrites,
}

impl Scope {
    fn label(self) -> &'static str {
        match self {
            Self::AppTenant => "Tenant_Application/ReadWrite",
            Self::App => "Application/ReadWrite",
            Self::AppTenantWrites => "Tenant_Application/Write",
            Self::AppWrites => "Application/Write",
            Self::TenantWrites => "Tenant/Write",
        }
    }

    fn counts_writes(self) -> bool {
        matches!(self, Self::AppTenantWrites | Self::AppWrites | Self::TenantWrites)
    }
}

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caller<'a> {
    pub(crate) app: &'a str,
    pub(crate) tenant: &'a str,
    /// How many users the tenant has: the limit grows with it.
    pub(crate) users: usize,
}

/// All buckets.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    buckets: HashMap<(Scope, String, String), TokenBucket>,
}

impl Throttle {
    /// Charges a request. A refused one is charged too, as the service does: hammering makes it worse.
    pub(crate) fn charge(&mut self, limits: &GraphLimits, caller: Caller<'_>, cost: Cost, now: Duration) -> Verdict {
        let Caller { app, tenant, users } = caller;
        let mut verdict = Verdict { used: 0.0, refusal: None };
        for (scope, rate, app_key, tenant_key) in [
            (Scope::AppTenant, limits.tenant_units(users), app, tenant),
            (Scope::App, limits.app, app, ""),
            (Scope::AppTenantWrites, limits.app_tenant_writes, app, tenant),
            (Scope::AppWrites, limits.app_writes, app, ""),
            (Scope::TenantWrites, limits.tenant_writes, "", tenant),
        ] {
            let amount = if scope.counts_writes() { cost.writes } else { cost.units };
            if amount == 0 {
                continue;
            }
            let key = (scope, app_key.to_owned(), tenant_key.to_owned());
            let bucket = self.buckets.entry(key).or_insert_with(|| TokenBucket::full(rate, now));
            bucket.refill(rate, now);
            let fits = bucket.fits(amount);
            bucket.take(amount);
            verdict.used = verdict.used.max(bucket.used());
            let wait = bucket.wait_for(amount);
            let longest = verdict.refusal.as_ref().map_or(Duration::ZERO, |refusal| refusal.retry_after);
            if !fits && (verdict.refusal.is_none() || wait > longest) {
                verdict.refusal = Some(Refusal {
                    scope: format!("{}/{app}/{tenant}", scope.label()),
                    reason: if scope.counts_writes() { "WriteLimitExceeded" } else { "ResourceUnitLimitExceeded" },
                    retry_after: wait,
                });
            }
        }
        verdict
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::Request;

    use super::*;

    #[test]
    fn prices_follow_the_published_table() {
        for (method, path, units, writes) in [
            ("GET", "/users", 2, 0),
            ("GET", "/users?$select=id", 1, 0),
            ("GET", "/users?$select=id&$top=5", 1, 0),
            ("GET", "/users?$top=20", 2, 0),
            ("GET", "/users/a@b.com", 1, 0),
            ("GET", "/users/1?$expand=manager", 2, 0),
            ("GET", "/groups/1/members", 3, 0),
            ("GET", "/groups/1/members?$top=19&$select=id", 1, 0),
            ("GET", "/subscribedSkus", 3, 0),
            ("POST", "/users", 1, 1),
            ("PATCH", "/users/1", 1, 1),
            ("POST", "/users/1/getMemberGroups", 2, 0),
            ("POST", "/users/1/assignLicense", 1, 1),
        ] {
            let uri = format!("https://graph.microsoft.com/v1.0{path}");
            let request = Request::builder().method(method).uri(uri).body(Bytes::new()).unwrap();
            let call = Call::read(request).unwrap();
            assert_eq!(cost(&call), Cost { units, writes }, "{method} {path}");
        }
    }

    #[test]
    fn the_tightest_bucket_refuses_and_names_itself() {
        let limits = GraphLimits::default().with_tenant_writes(Rate::per_seconds(2, 10));
        let caller = Caller { app: "app", tenant: "tenant", users: 1 };
        let write = Cost { units: 1, writes: 1 };
        let mut throttle = Throttle::default();
        let mut charge = |now| throttle.charge(&limits, caller, write, Duration::from_secs(now));
        assert!(charge(0).refusal.is_none());
        assert!(charge(0).refusal.is_none());
        let verdict = charge(0);
        assert!(verdict.used > 1.0);
        let refusal = verdict.refusal.unwrap();
        assert_eq!(refusal.scope, "Tenant_Application/Write/app/tenant");
        assert_eq!(refusal.reason, "WriteLimitExceeded");
        assert_eq!(refusal.retry_after, Duration::from_secs(10));
        assert!(charge(10).refusal.is_none());
    }
}
