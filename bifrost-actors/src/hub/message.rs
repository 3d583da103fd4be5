//! What the root is told.

use std::sync::Arc;

use bifrost_core::{Result, TenantId};
use ractor::RpcReplyPort;

use crate::runtime::Unfinished;
use crate::tenant::shared::TenantShared;

/// Messages of the [`HubActor`](super::HubActor).
#[derive(Debug)]
pub(crate) enum HubMessage {
    /// Start a tenant whose part of the store was opened, unless somebody was faster.
    Wake {
        /// The tenant.
        shared: Arc<TenantShared>,
        /// Answered with the one that is awake.
        reply: RpcReplyPort<Result<Arc<TenantShared>>>,
    },
    /// A tenant has put itself to rest.
    Rested(Arc<TenantShared>),
    /// A tenant's actors failed too often.
    Meltdown {
        /// Which.
        tenant: TenantId,
        /// What failed.
        cause: String,
    },
    /// The directory says by now that this tenant is suspended.
    Suspended(TenantId),
    /// Start a tenant's actor again after its delay.
    Restart(Arc<TenantShared>),
    /// End a tenant's actors: it was disabled, suspended or deleted.
    Retire {
        /// Which.
        tenant: TenantId,
        /// Answered once its actors have ended.
        reply: RpcReplyPort<()>,
    },
    /// Take up executions that could not be taken up at once.
    TakeUp(Unfinished),
    /// Look for grants that have been idle.
    Sweep,
    /// That is done.
    Swept,
    /// Start nothing new.
    Drain,
    /// Put back what still runs.
    Requeue,
}
