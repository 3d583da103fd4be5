//! Types, rules and the store of Bifrost Hub.
//!
//! This crate knows nothing of actors, HTTP or Python; the embedded store is its only I/O. `bifrost-actors` is the
//! running system over these types, `bifrost-integrations` the outside world, `bifrost-hub` joins them.

pub mod audit;
pub mod connection;
pub mod credential;
pub mod entropy;
pub mod error;
pub mod event;
pub mod execution;
pub mod id;
pub mod integration;
pub mod policy;
pub mod principal;
pub mod secret;
pub mod store;
#[cfg(feature = "embedded")]
mod sync;
pub mod tenant;
#[cfg(feature = "testing")]
pub mod testing;
pub mod time;
pub mod workflow;

pub use connection::{Connection, ConnectionSettings};
pub use credential::Credential;
pub use entropy::{Entropy, SystemEntropy};
pub use error::{Error, ErrorKind, ErrorReport, Result, Retry};
pub use event::{Event, EventBody, LogLevel};
pub use execution::{ExecutionState, Outcome};
pub use id::{ConfigKey, ConnectionId, ExecutionId, IdempotencyKey, ProviderId, SecretName, TenantId, WorkflowName};
pub use integration::{Integration, Registry};
pub use principal::Principal;
pub use secret::Secret;
pub use tenant::{TenantKind, TenantRecord, TenantStatus};
pub use time::{Clock, SystemClock, Timestamp};
pub use workflow::{Context, Probe, Workflow, workflow};
