//! One execution: the sole writer of its record, steps and events. A leaf: it may wait for the store.
//!
//! ```text
//! Accept ─ durable ─► in line for a slot ─ SlotGranted ─► attempt (a task) ─ AttemptEnded ─► end | retry | attention
//! ```
//! The workflow's code runs in a task beside the actor, so deadlines and cancellation are kept even when the code does
//! not cooperate: the attempt is closed in the journal, the record is finished, and what the code does later is
//! refused.

pub(crate) mod attempt;
mod attention;
pub(crate) mod cancel;
mod child;
pub(crate) mod host;
pub(crate) mod journal;
mod leaving;
pub(crate) mod ledger;
pub(crate) mod load;
pub(crate) mod message;
pub(crate) mod place;
mod running;
pub(crate) mod state;

use std::sync::Arc;

use bifrost_core::execution::ExecutionRecord;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use sha2::{Digest, Sha256};

use crate::live::Live;
use crate::tenant::shared::TenantShared;
use crate::text::hex;
use ledger::Stored;
use message::ExecutionMessage;
use running::Running;
use state::{ExecutionActorState, Timers};

/// See the module.
pub(crate) struct ExecutionActor;

/// What an execution actor starts from.
pub(crate) struct ExecutionArgs {
    pub(crate) tenant: Arc<TenantShared>,
    pub(crate) live: Arc<Live>,
    pub(crate) stored: Stored,
}

/// What an idempotency key leads to.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct IdempotencyRecord {
    pub(crate) execution: bifrost_core::ExecutionId,
    /// Of workflow and parameters: the same key for something else is refused.
    pub(crate) request: String,
}

/// The hash that tells whether two requests ask for the same.
pub(crate) fn request_hash(record: &ExecutionRecord) -> String {
    let mut hasher = Sha256::new();
    hasher.update(record.workflow.as_str().as_bytes());
    hasher.update([0]);
    hasher.update(record.params.to_string().as_bytes());
    hex(&hasher.finalize()[..16])
}

/// Where an idempotency key is kept; the key itself may be personal and is hashed.
pub(crate) fn idempotency_parts(key: &bifrost_core::IdempotencyKey) -> [u8; 32] {
    Sha256::digest(key.as_str().as_bytes()).into()
}

/// Why the actor of an execution stops that has ended, was put back or was never accepted.
pub(crate) const LEFT: &str = "left";

type Handled = Result<(), ActorProcessingErr>;

impl Actor for ExecutionActor {
    type Msg = ExecutionMessage;
    type State = ExecutionActorState;
    type Arguments = ExecutionArgs;

    async fn pre_start(
        &self,
        myself: ActorRef<ExecutionMessage>,
        args: ExecutionArgs,
    ) -> Result<ExecutionActorState, ActorProcessingErr> {
        let journal = args.tenant.journal(args.stored, &args.live);
        Ok(ExecutionActorState {
            _entry: args.tenant.hub.roll.execution(myself.get_id(), &args.tenant.id, &args.live.id()),
            tenant: args.tenant,
            live: args.live,
            journal,
            workflow: None,
            attempt: None,
            place: None,
            timers: Timers::default(),
            run_until: None,
            cancel: Arc::default(),
            draining: false,
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<ExecutionMessage>,
        message: ExecutionMessage,
        state: &mut ExecutionActorState,
    ) -> Handled {
        let mut run = Running { myself: &myself, state };
        match message {
            // A caller that gave up has its answer in the store.
            ExecutionMessage::Accept { turn, reply } => match run.accept().await {
                Ok(()) => {
                    let _ = reply.send(Ok(()));
                    drop(turn);
                    run.accepted().await?;
                }
                Err(error) => {
                    let _ = reply.send(Err(error));
                    myself.stop(Some(LEFT.to_owned()));
                    return Ok(());
                }
            },
            ExecutionMessage::Resume => run.go_on().await?,
            ExecutionMessage::SlotGranted(slot) => run.start_attempt(slot).await?,
            ExecutionMessage::AttemptEnded { attempt, end } => run.attempt_ended(attempt, end).await?,
            ExecutionMessage::RetryDue => run.due().await?,
            ExecutionMessage::QueueDeadline => run.queue_deadline().await?,
            ExecutionMessage::RunDeadline => run.run_deadline().await?,
            ExecutionMessage::Cancel { principal, reason, reply } => {
                let _ = reply.send(run.cancel(principal, reason).await);
            }
            ExecutionMessage::CancelGraceOver => run.grace_over().await?,
            ExecutionMessage::Resolve { principal, resolution, reply } => {
                let _ = reply.send(run.resolve(principal, resolution).await);
            }
            ExecutionMessage::WorkflowRegistered => run.workflow_registered().await?,
            ExecutionMessage::FlushSoon => run.flush_soon(),
            ExecutionMessage::Flush => run.flush().await?,
            ExecutionMessage::Drain => run.drain(),
            ExecutionMessage::Requeue => run.requeue().await?,
        }
        // After a commit that failed, what is in memory is ahead of the disk: start again from there.
        match state.journal.broken() {
            Some(error) => Err(error.into()),
            None => Ok(()),
        }
    }
}
