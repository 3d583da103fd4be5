//! What providers allow, as data with a source and a date.

use std::time::Duration;

use serde::Serialize;

/// What a limit is counted on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitScope {
    /// One application over all tenants: shared by every connection with the same client id.
    App,
    /// One application at one tenant.
    AppTenant,
    /// One tenant over all applications.
    Tenant,
    /// One resource of a tenant, such as a mailbox.
    Resource,
    /// One connection.
    Connection,
}

/// What a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitUnit {
    /// Requests.
    Requests,
    /// The provider's own cost units.
    Units,
    /// Requests that change something.
    Writes,
}

/// How a limit is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitShape {
    /// A bucket of the full amount that refills evenly: after a pause the whole amount may go at once.
    Bucket,
    /// No stretch of the given length may hold more than the amount.
    Window,
}

/// One published limit.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RateLimit {
    /// What it is counted on.
    pub scope: LimitScope,
    /// What it counts.
    pub unit: LimitUnit,
    /// How many are allowed …
    pub amount: u32,
    /// … in this time.
    pub per: Duration,
    /// How it is counted.
    pub shape: LimitShape,
    /// Where the number is published.
    pub source: &'static str,
    /// When it was read there, as `YYYY-MM`.
    pub as_of: &'static str,
}
