//! What a tenant is told.

use std::sync::Arc;

use bifrost_core::execution::ExecutionRecord;
use bifrost_core::{ConnectionId, ExecutionId, Result};
use ractor::{ActorRef, RpcReplyPort};

use crate::connection::message::ConnectionMessage;
use crate::execution::load::Claim;
use crate::live::Live;
use crate::slots::Slot;

/// Messages of a [`TenantActor`](super::TenantActor).
#[derive(Debug)]
pub(crate) enum TenantMessage {
    /// Admit an execution. The answer comes from the execution, once it is durable.
    Start {
        /// What to run; checked by the handle.
        record: Box<ExecutionRecord>,
        /// Its public face.
        live: Arc<Live>,
        /// Given back once the caller is answered.
        turn: Slot,
        /// Answered once it is durable, or refused.
        reply: RpcReplyPort<Result<()>>,
    },
    /// Take up a stored execution.
    Recover(ExecutionId),
    /// A stored execution was claimed and read.
    Claimed {
        /// Which.
        id: ExecutionId,
        /// What was found.
        claim: Result<Claim>,
    },
    /// The actor of a connection, started if need be.
    Connection {
        /// Which.
        id: ConnectionId,
        /// Answered with the actor.
        reply: RpcReplyPort<Result<ActorRef<ConnectionMessage>>>,
    },
    /// A connection was deleted.
    ConnectionDeleted(ConnectionId),
    /// Look whether anybody uses the tenant.
    IdleTick,
    /// The hub shuts down: start nothing new.
    Drain,
    /// The hub waits no longer.
    Requeue,
}
