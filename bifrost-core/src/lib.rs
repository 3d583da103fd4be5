//! Types, rules and the store of Bifrost Hub.
//!
//! This crate knows nothing of actors, HTTP or Python; the embedded store is its only I/O. `bifrost-actors` is the
//! running system over these types, `bifrost-integrations` the outside world, `bifrost-hub` joins them.

pub mod audit;
pub mod entropy;
pub mod error;
pub mod id;
pub mod principal;
pub mod secret;
pub mod store;
#[cfg(feature = "testing")]
pub mod testing;
pub mod time;

pub use entropy::{Entropy, SystemEntropy};
pub use error::{Error, ErrorKind, ErrorReport, Result, Retry};
pub use id::{ConfigKey, ConnectionId, ExecutionId, IdempotencyKey, ProviderId, SecretName, TenantId, WorkflowName};
pub use principal::Principal;
pub use secret::Secret;
pub use time::{Clock, SystemClock, Timestamp};
