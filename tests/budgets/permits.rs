//! A permit of the budget that need not be waited for.

use std::sync::Arc;
use std::time::Duration;

use bifrost::http::{Budget, BudgetPath, RetryConfig};
use bifrost::integration::Cost;
use bifrost::policy::rate::{LimitScope, LimitShape, LimitUnit, RateLimit};
use bifrost::{ConnectionId, SystemClock, SystemEntropy, TenantId};
use futures_util::FutureExt as _;

use crate::each;

fn limit(scope: LimitScope, shape: LimitShape) -> RateLimit {
    let (unit, per) = (LimitUnit::Units, Duration::from_secs(10));
    RateLimit { scope, unit, amount: 1_000_000, per, shape, source: "made up", as_of: "2026-08" }
}

#[test]
fn a_permit_that_nobody_else_waits_for_costs_no_allocation() {
    let limits = vec![limit(LimitScope::App, LimitShape::Bucket), limit(LimitScope::AppTenant, LimitShape::Bucket)];
    let (clock, entropy) = (Arc::new(SystemClock::new()), Arc::new(SystemEntropy));
    let budget = Budget::new(limits, &RetryConfig::default(), clock, entropy);
    let (tenant, connection) = (TenantId::new("contoso").unwrap(), ConnectionId::new("graph").unwrap());
    let path = BudgetPath::new(&"application".into(), &tenant, &connection, None);
    let take = || {
        let permit = budget.acquire(&path, Cost::READ, Duration::from_secs(1)).now_or_never();
        permit.unwrap().unwrap().answered();
    };
    take();
    let allocations = each(100, || (0..100).for_each(|_| take()));
    assert!(allocations <= 0.0, "{allocations} allocations for each permit");
}
