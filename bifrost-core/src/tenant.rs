//! Tenants as they are stored.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::id::TenantId;
use crate::policy::quota::Quota;
use crate::time::Timestamp;

/// What a tenant is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TenantKind {
    /// The MSP itself. What it configures is inherited by all customers.
    Provider,
    /// A customer organisation.
    Customer,
}

/// Whether a tenant may work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum TenantStatus {
    /// It may.
    Active,
    /// A person has switched it off.
    Disabled,
    /// The hub has stopped it: its actors failed too often.
    Suspended {
        /// What failed.
        cause: String,
    },
}

/// A tenant's entry in the hub's directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantRecord {
    /// Its name.
    pub id: TenantId,
    /// Its name for people.
    pub title: String,
    /// Provider or customer.
    pub kind: TenantKind,
    /// Whether it may work.
    #[serde(flatten)]
    pub status: TenantStatus,
    /// What it may use.
    #[serde(default)]
    pub quota: Quota,
    /// Its id at each provider, such as the Entra tenant id or the HaloPSA client id.
    #[serde(default)]
    pub mappings: BTreeMap<String, EntityMapping>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A tenant's id at a provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntityMapping {
    /// The id there.
    pub entity: String,
    /// Its name there, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
}
