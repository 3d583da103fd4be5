//! The running system of Bifrost Hub: hub, tenants, connections and executions as supervised actors.
//!
//! ```text
//! Hub                       root supervisor; any number of hubs live in one process
//! └─ Tenant "contoso"       started on first use, put to rest when idle; the one gate
//!    ├─ Connection "graph"  sole owner of its tokens
//!    └─ Execution 0198…     sole writer of its record, steps and events
//! ```
//! Callers hold handles ([`Hub`], [`Tenant`], [`ExecutionHandle`]); actors and mailboxes stay inside. This crate knows
//! the traits of `bifrost-core` and no provider.
//!
//! | feature | what it adds |
//! |---|---|
//! | `embedded` | [`HubBuilder::with_data_dir`]: the durable store on local disk |
//! | `testing` | `Hub::actors`: the actors of a hub, for tests that end them |

mod config;
mod connection;
mod directory;
mod execution;
mod exercise;
mod handle;
mod hub;
mod live;
mod probe;
mod runtime;
mod settings;
mod slots;
pub mod supervision;
mod sync;
mod task;
mod tenant;
mod text;
mod waits;
mod workflows;

pub use config::HubConfig;
pub use handle::builder::HubBuilder;
pub use handle::connections::Connections;
pub use handle::execution::ExecutionHandle;
pub use handle::hub::{Hub, Shutdown};
pub use handle::settings::{Config, Secrets};
pub use handle::snapshot::{HubSnapshot, TenantSnapshot};
pub use handle::tenant::{Run, Tenant};
pub use handle::tenants::{NewTenant, Tenants};
#[cfg(feature = "testing")]
pub use probe::{ActorKind, ActorProbe};
