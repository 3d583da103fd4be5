//! What a host may set.

use std::time::Duration;

use crate::supervision::RestartPolicy;

/// Limits and times of a hub. Every field has a default that suits a service with a few hundred customers.
#[derive(Debug, Clone)]
pub struct HubConfig {
    /// Executions that run at the same time, all tenants together.
    pub max_running: usize,
    /// Calls that may wait for an answer of the hub at the same time, and those that may wait in each tenant's line until
    /// it is their turn to be accepted; more are refused as `Overloaded`.
    pub max_waiting_calls: usize,
    /// How long a handle waits for an answer of the hub.
    pub call_deadline: Duration,
    /// How long a cancelled workflow may take to stop by itself before it is dropped.
    pub cancel_grace: Duration,
    /// How long one token exchange may take.
    pub exchange_deadline: Duration,
    /// A tenant that nobody used for this long is put to rest.
    pub idle_after: Duration,
    /// A refresh token that was idle for this long is spent, so that it does not lapse. Entra's do after 90 days.
    pub exercise_after: Duration,
    /// Progress and log events become durable, and visible, at least this often.
    pub event_flush: Duration,
    /// Whether workflow code may read the text of secrets, with
    /// [`SecretHandle::reveal`](bifrost_core::workflow::SecretHandle::reveal). For workflows in languages whose clients
    /// cannot be handed a sealed one; what they read is out of the hub's hands.
    pub reveal_secrets: bool,
    /// How often an execution is taken up again after its process or actor died while it ran, without getting a step
    /// further, before a person must look.
    pub max_recoveries: u32,
    /// How often a tenant's connections and executions may fail before the tenant is suspended.
    pub child_restarts: RestartPolicy,
    /// How often a tenant's own actor may fail before the tenant is suspended.
    pub tenant_restarts: RestartPolicy,
}

impl Default for HubConfig {
    fn default() -> Self {
        Self {
            max_running: 256,
            max_waiting_calls: 4_096,
            call_deadline: Duration::from_secs(30),
            cancel_grace: Duration::from_secs(5),
            exchange_deadline: Duration::from_secs(30),
            idle_after: Duration::from_secs(5 * 60),
            exercise_after: Duration::from_secs(14 * 86_400),
            event_flush: Duration::from_millis(100),
            reveal_secrets: false,
            max_recoveries: 10,
            child_restarts: RestartPolicy::default(),
            tenant_restarts: RestartPolicy::default(),
        }
    }
}
