//! **Bifrost Hub**: an embeddable, actor-based integration hub for Managed Service Providers.
//!
//! One process holds thousands of customer organisations, each with its own connections, secrets, workflows, limits,
//! history and audit trail. Workflows are async functions that reach Microsoft Graph, HaloPSA or any REST API through
//! clients that share one rate budget, and that survive a crash.
//!
//! ```
//! use bifrost::{Context, Hub, NewTenant, Result, workflow};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<()> {
//! let greet = workflow("greet", |ctx: Context, name: String| async move {
//!     ctx.step("greet", || async { Ok(format!("Hello, {name}!")) }).await
//! })?;
//! let hub = Hub::builder().with_workflow(greet).start().await?;
//! let contoso = hub.tenants().create(NewTenant::customer("contoso")).await?;
//! let outcome = contoso.run("greet", "Zoë").await?.wait().await?;
//! assert_eq!(outcome.into_output()?, "Hello, Zoë!");
//! # Ok(()) }
//! ```
//!
//! The hub runs in the host's tokio runtime and installs nothing global: no subscriber, no registry, no panic hook.
//! Two hubs in one process do not know of each other.
//!
//! | feature | default | what it adds |
//! |---|---|---|
//! | `embedded` | yes | [`HubBuilder::with_data_dir`]: the durable store on local disk |
//! | `graph` | yes | [`graph`]: typed Microsoft Graph client, Microsoft identity platform |
//! | `halopsa` | yes | [`halopsa`]: typed HaloPSA client |
//! | `testing` | no | [`testing`]: simulated providers, clocks and behaviour suites for tests |

mod providers;

pub use bifrost_actors::supervision;
pub use bifrost_actors::{
    Config, Connections, ExecutionHandle, Hub, HubBuilder, HubConfig, HubSnapshot, NewTenant, Run, Secrets, Shutdown,
    Tenant, TenantSnapshot, Tenants,
};
pub use bifrost_core::{
    Clock, ConfigKey, Connection, ConnectionId, ConnectionSettings, Context, Credential, Entropy, Error, ErrorKind,
    ErrorReport, Event, EventBody, ExecutionId, ExecutionState, IdempotencyKey, Integration, LogLevel, Outcome,
    Principal, Probe, ProviderId, Registry, Result, Retry, Secret, SecretName, SystemClock, SystemEntropy, TenantId,
    TenantKind, TenantRecord, TenantStatus, Timestamp, Workflow, WorkflowName, workflow,
};
pub use bifrost_core::{
    audit, connection, credential, event, execution, integration, policy, secret, store, tenant, time,
};
#[cfg(any(feature = "graph", feature = "halopsa"))]
pub use bifrost_integrations::call;
#[cfg(feature = "graph")]
pub use bifrost_integrations::graph;
#[cfg(feature = "halopsa")]
pub use bifrost_integrations::halopsa;
pub use bifrost_integrations::{http, oauth};
pub use providers::{providers, providers_over};

/// Workflow traits and specifications beneath [`workflow`](fn@workflow).
pub mod workflows {
    pub use bifrost_core::workflow::*;
}

/// For tests, yours as much as ours: simulated providers, clocks that move when told, randomness that repeats, and the
/// behaviour suites that stores and integrations pass.
#[cfg(feature = "testing")]
pub mod testing {
    pub use bifrost_actors::{ActorKind, ActorProbe};
    pub use bifrost_core::testing::*;
    pub use bifrost_integrations::testing::*;

    pub use crate::providers::simulated;

    /// Bodies of the fuzz targets: each takes noise and panics when a property of what reads it does not hold.
    pub mod fuzz {
        pub use bifrost_core::testing::fuzz as core;
        pub use bifrost_integrations::testing::fuzz as integrations;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_send_sync<T: Send + Sync>() {}

    #[test]
    fn handles_can_be_shared_between_threads() {
        is_send_sync::<Hub>();
        is_send_sync::<Tenant>();
        is_send_sync::<ExecutionHandle>();
        is_send_sync::<Connection>();
        is_send_sync::<Context>();
        is_send_sync::<Error>();
    }
}
