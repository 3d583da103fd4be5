//! What a hub and its tenants show of themselves.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use bifrost_core::ProviderId;
use bifrost_core::integration::IntegrationSnapshot;
use bifrost_core::store::StoreHealth;
use serde::Serialize;

use crate::runtime::HubRuntime;

/// A look at a hub.
#[derive(Debug, Clone, Serialize)]
pub struct HubSnapshot {
    /// How often a hub was started on this store.
    pub epoch: u64,
    /// Tenants in the directory.
    pub tenants: usize,
    /// Tenants that are awake.
    pub tenants_awake: usize,
    /// Executions that have not ended.
    pub executions_in_flight: usize,
    /// Executions that run right now.
    pub executions_running: u32,
    /// How the store is doing.
    pub store: StoreHealth,
    /// What was sent, by provider.
    pub providers: BTreeMap<ProviderId, IntegrationSnapshot>,
}

/// A look at a tenant that is awake.
#[derive(Debug, Clone, Serialize)]
pub struct TenantSnapshot {
    /// Executions that have not ended.
    pub executions_in_flight: usize,
    /// Connections that were used since it woke.
    pub connections: Vec<bifrost_core::connection::ConnectionStatus>,
}

impl HubSnapshot {
    pub(crate) fn take(runtime: &HubRuntime) -> Self {
        let (awake, in_flight) = {
            let tenants = runtime.tenants.lock().unwrap_or_else(PoisonError::into_inner);
            let in_flight = tenants.values().map(|tenant| tenant.executions.len()).sum();
            (tenants.len(), in_flight)
        };
        Self {
            epoch: runtime.epoch,
            tenants: runtime.directory.list().len(),
            tenants_awake: awake,
            executions_in_flight: in_flight,
            executions_running: runtime.slots.running(),
            store: runtime.store.health(),
            providers: runtime.registry.iter().map(|(id, integration)| (id.clone(), integration.snapshot())).collect(),
        }
    }
}
