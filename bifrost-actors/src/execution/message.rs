//! What an execution is told.

use bifrost_core::execution::Resolution;
use bifrost_core::{Error, Principal, Result};
use ractor::RpcReplyPort;

use super::attempt::AttemptEnd;
use crate::slots::Slot;

/// Messages of an [`ExecutionActor`](super::ExecutionActor).
#[derive(Debug)]
pub(crate) enum ExecutionMessage {
    /// Make the acceptance durable, answer, and get in line.
    Accept {
        /// Given back once the caller is answered.
        turn: Slot,
        /// Answered once it is durable.
        reply: RpcReplyPort<Result<()>>,
    },
    /// Go on from the stored state.
    Resume,
    /// A place to run is there.
    SlotGranted(Slot),
    /// The workflow's code has returned.
    AttemptEnded {
        /// Which attempt.
        attempt: u32,
        /// How.
        end: Result<AttemptEnd, Error>,
    },
    /// The time to start, or the end of the delay before the next attempt, has come.
    RetryDue,
    /// It waited too long for a place.
    QueueDeadline,
    /// It has run too long.
    RunDeadline,
    /// Stop the workflow.
    Cancel {
        /// Who asks.
        principal: Principal,
        /// Why.
        reason: String,
        /// Answered once the wish is durable.
        reply: RpcReplyPort<Result<()>>,
    },
    /// The workflow did not stop by itself in time.
    CancelGraceOver,
    /// A person has decided.
    Resolve {
        /// Who.
        principal: Principal,
        /// What.
        resolution: Resolution,
        /// Answered once the decision is durable.
        reply: RpcReplyPort<Result<()>>,
    },
    /// The workflow whose absence set it aside was registered.
    WorkflowRegistered,
    /// Make pending events durable, soon.
    FlushSoon,
    /// Make pending events durable, now.
    Flush,
    /// The hub shuts down: start nothing new.
    Drain,
    /// The hub's deadline is over: put back what still runs.
    Requeue,
}
