//! One tenant: the gate in front of its executions and connections, and their supervisor.
//!
//! ```text
//! Tenant ─┬─ Connection "graph"     restarted when it fails
//!         └─ Execution 0198…        restarted from the store when it fails
//! ```
//! The tenant only decides: status, quota, who is started. It never waits for network or disk; each execution commits
//! its own acceptance and answers the caller, so a tenant's acceptances share one sync.

pub(crate) mod admission;
pub(crate) mod executions;
mod gate;
pub(crate) mod message;
pub(crate) mod shared;
pub(crate) mod state;

use std::sync::Arc;
use std::time::Duration;

use bifrost_core::execution::ExecutionRecord;
use bifrost_core::{ConnectionId, Error, ErrorKind, ExecutionId, Result};
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort, SupervisionEvent};

use crate::connection::message::ConnectionMessage;
use crate::connection::{ConnectionActor, ConnectionArgs};
use crate::execution::ledger::Stored;
use crate::execution::load::Claim;
use crate::execution::message::ExecutionMessage;
use crate::execution::{ExecutionActor, ExecutionArgs, LEFT, load};
use crate::hub::message::HubMessage;
use crate::live::{Ended, Live};
use crate::slots::Slot;
use crate::supervision::{RestartBudget, Verdict};
use crate::task::{after, report};
use message::TenantMessage;
use shared::TenantShared;
use state::{Child, TenantActorState, admit};

/// See the module.
pub(crate) struct TenantActor;

type Handled = Result<(), ActorProcessingErr>;

/// How long actors that are told to end may take for the message they are at.
pub(crate) const ENDING: Duration = Duration::from_secs(5);

impl Actor for TenantActor {
    type Msg = TenantMessage;
    type State = TenantActorState;
    type Arguments = Arc<TenantShared>;

    async fn pre_start(
        &self,
        myself: ActorRef<TenantMessage>,
        shared: Arc<TenantShared>,
    ) -> Result<TenantActorState, ActorProcessingErr> {
        let restarts = RestartBudget::new(shared.hub.config.child_restarts);
        shared.actor.store(Some(Arc::new(myself.clone())));
        let mut state = TenantActorState {
            _entry: shared.hub.roll.tenant(myself.get_id(), &shared.id),
            shared,
            children: Default::default(),
            executions: Default::default(),
            recovering: Default::default(),
            connections: Default::default(),
            restarts,
            restart_timers: Vec::new(),
            idle_timer: None,
            draining: false,
        };
        watch_idleness(&myself, &mut state);
        Ok(state)
    }

    async fn handle(
        &self,
        myself: ActorRef<TenantMessage>,
        message: TenantMessage,
        state: &mut TenantActorState,
    ) -> Handled {
        match message {
            TenantMessage::Start { record, live, turn, reply } => {
                start(&myself, state, *record, live, turn, reply).await;
            }
            TenantMessage::Recover(id) => recover(&myself, state, id),
            TenantMessage::Claimed { id, claim } => claimed(&myself, state, id, claim).await,
            TenantMessage::Connection { id, reply } => {
                // A caller that gave up needs no answer.
                let _ = reply.send(connection(&myself, state, &id).await);
            }
            TenantMessage::ConnectionDeleted(id) => {
                if let Some(actor) = state.connections.remove(&id) {
                    state.children.remove(&actor.get_id());
                    actor.stop(None);
                }
            }
            TenantMessage::IdleTick => rest_if_idle(&myself, state),
            TenantMessage::Drain => {
                drain(state);
                tell_all(state, || ExecutionMessage::Drain);
            }
            TenantMessage::Requeue => tell_all(state, || ExecutionMessage::Requeue),
        }
        Ok(())
    }

    /// Nobody beneath it is left when it has ended: whoever is started in its place is alone.
    async fn post_stop(
        &self,
        myself: ActorRef<TenantMessage>,
        _state: &mut TenantActorState,
    ) -> Result<(), ActorProcessingErr> {
        myself.get_cell().stop_children_and_wait(None, Some(ENDING)).await;
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<TenantMessage>,
        event: SupervisionEvent,
        state: &mut TenantActorState,
    ) -> Handled {
        match event {
            SupervisionEvent::ActorTerminated(cell, _, reason) => match state.forget(&cell) {
                Some(Child::Execution(id)) if reason.as_deref() == Some(LEFT) => {
                    state.shared.executions.left(id, Ended::Dropped);
                }
                // It found that there is no such connection.
                Some(Child::Connection(id)) if reason.as_deref() == Some(LEFT) => {
                    drop(state.shared.lock_connections().remove(&id));
                }
                // Ended from outside: that is a failure, not an end.
                Some(child) => failed(&myself, state, child, "it was killed"),
                None => {}
            },
            SupervisionEvent::ActorFailed(cell, error) => {
                if let Some(child) = state.forget(&cell) {
                    child_failed(&myself, state, child, &error);
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// Admits an execution and starts its actor, which answers the caller.
async fn start(
    myself: &ActorRef<TenantMessage>,
    state: &mut TenantActorState,
    record: ExecutionRecord,
    live: Arc<Live>,
    turn: Slot,
    reply: RpcReplyPort<Result<()>>,
) {
    let admitted = state.shared.record().and_then(|tenant| admit(&tenant, state.in_flight(), state.draining));
    let started = match admitted {
        Ok(()) => spawn_execution(myself, state, Stored::new(record), live).await,
        Err(error) => Err(error),
    };
    match started {
        Ok(actor) => {
            if actor.cast(ExecutionMessage::Accept { turn, reply }).is_err() {
                tracing::warn!(tenant = %state.shared.id, "an execution ended before it was accepted");
            }
        }
        // A caller that gave up needs no answer.
        Err(error) => drop(reply.send(Err(error))),
    }
}

async fn spawn_execution(
    myself: &ActorRef<TenantMessage>,
    state: &mut TenantActorState,
    stored: Stored,
    live: Arc<Live>,
) -> Result<ActorRef<ExecutionMessage>> {
    let id = stored.record.id;
    let args = ExecutionArgs { tenant: Arc::clone(&state.shared), live: Arc::clone(&live), stored };
    let (actor, _) = ExecutionActor::spawn_linked(None, ExecutionActor, args, myself.get_cell())
        .await
        .map_err(|error| Error::internal("start execution", error.to_string()))?;
    state.children.insert(actor.get_id(), Child::Execution(id));
    state.executions.insert(id, actor.clone());
    state.shared.executions.started(live, actor.clone());
    Ok(actor)
}

/// Takes up a stored execution, unless that is done or under way. A task claims and reads it.
fn recover(myself: &ActorRef<TenantMessage>, state: &mut TenantActorState, id: ExecutionId) {
    if state.executions.contains_key(&id) || state.recovering.contains_key(&id) {
        return;
    }
    if state.draining {
        return state.shared.executions.left(id, Ended::Requeued);
    }
    state.shared.executions.show(id);
    let shared = Arc::clone(&state.shared);
    let claim = async move { load::claim(&shared, id).await };
    let task = report(myself, claim, move |claim| TenantMessage::Claimed { id, claim: claim.and_then(|claim| claim) });
    state.recovering.insert(id, task);
}

/// A stored execution was read: its actor goes on with it.
async fn claimed(
    myself: &ActorRef<TenantMessage>,
    state: &mut TenantActorState,
    id: ExecutionId,
    claim: Result<Claim>,
) {
    state.recovering.remove(&id);
    let executions = &state.shared.executions;
    match claim {
        Ok(Claim::Over(stored)) => {
            let live = executions.show(id);
            live.publish(stored.events);
            executions
                .left(id, stored.record.outcome.map_or(Ended::Dropped, |outcome| Ended::Outcome(Arc::new(outcome))));
        }
        _ if state.draining => executions.left(id, Ended::Requeued),
        Ok(Claim::Taken(stored)) => {
            let live = executions.show(id);
            match spawn_execution(myself, state, *stored, live).await {
                // One that is gone is started again when its end is heard of.
                Ok(actor) => drop(actor.cast(ExecutionMessage::Resume)),
                Err(error) => failed(myself, state, Child::Execution(id), &error.to_string()),
            }
        }
        Err(error) => not_claimed(myself, state, id, &error),
    }
}

/// What does not get better by itself is left where it is: each start of the hub tries once. All else is never given
/// up, because an execution without an owner would be lost.
fn not_claimed(myself: &ActorRef<TenantMessage>, state: &mut TenantActorState, id: ExecutionId, error: &Error) {
    let (tenant, executions) = (&state.shared.id, &state.shared.executions);
    match error.kind() {
        ErrorKind::NotFound => {
            tracing::error!(%tenant, execution = %id, "an execution to take up is not in the store");
            executions.left(id, Ended::Dropped);
        }
        ErrorKind::StoreCorrupt | ErrorKind::StorePoisoned | ErrorKind::Closed => {
            tracing::error!(%tenant, execution = %id, %error, "an execution cannot be taken up");
            executions.left(id, Ended::Requeued);
        }
        _ => {
            tracing::warn!(%tenant, execution = %id, %error, "an execution could not be taken up yet");
            let wait = state.shared.hub.config.child_restarts.max_delay;
            recover_later(myself, state, id, wait);
        }
    }
}

/// The hub shuts down: what nobody runs now goes on at the next start.
fn drain(state: &mut TenantActorState) {
    state.draining = true;
    state.recovering.clear();
    state.restart_timers.clear();
    for id in state.shared.executions.ids() {
        if !state.executions.contains_key(&id) {
            state.shared.executions.left(id, Ended::Requeued);
        }
    }
}

async fn connection(
    myself: &ActorRef<TenantMessage>,
    state: &mut TenantActorState,
    id: &ConnectionId,
) -> Result<ActorRef<ConnectionMessage>> {
    if let Some(actor) = state.connections.get(id) {
        return Ok(actor.clone());
    }
    let args = ConnectionArgs { tenant: Arc::clone(&state.shared), id: id.clone() };
    let (actor, _) = ConnectionActor::spawn_linked(None, ConnectionActor, args, myself.get_cell())
        .await
        .map_err(|error| Error::internal("start connection", error.to_string()))?;
    state.children.insert(actor.get_id(), Child::Connection(id.clone()));
    state.connections.insert(id.clone(), actor.clone());
    Ok(actor)
}

fn child_failed(
    myself: &ActorRef<TenantMessage>,
    state: &mut TenantActorState,
    child: Child,
    error: &ActorProcessingErr,
) {
    let kind = error.downcast_ref::<Error>().map(Error::kind);
    match (kind, &child) {
        // The store takes nothing until it is opened again: what is stored goes on then.
        (Some(ErrorKind::StorePoisoned | ErrorKind::Closed), Child::Execution(id)) => {
            state.shared.executions.left(*id, Ended::Requeued);
        }
        // The disk is full: no fault of the tenant. Try again until there is room.
        (Some(ErrorKind::StoreFull), _) if !state.draining => {
            let wait = state.shared.hub.config.child_restarts.max_delay;
            restart(myself, state, child, wait);
        }
        _ => failed(myself, state, child, &error.to_string()),
    }
}

/// A child failed: restart it, or, when that happens too often, ask the hub to suspend the tenant.
fn failed(myself: &ActorRef<TenantMessage>, state: &mut TenantActorState, child: Child, cause: &str) {
    tracing::error!(tenant = %state.shared.id, ?child, cause, "an actor failed");
    if state.draining {
        // Nothing starts again in a hub that shuts down.
        if let Child::Execution(id) = child {
            state.shared.executions.left(id, Ended::Requeued);
        }
        return;
    }
    match state.restarts.record(state.shared.hub.clock.monotonic()) {
        Verdict::Restart(delay) => restart(myself, state, child, delay),
        Verdict::Meltdown => {
            let message = HubMessage::Meltdown { tenant: state.shared.id.clone(), cause: cause.to_owned() };
            // Without a hub there is nothing left to suspend.
            let _ = state.shared.hub.root().map(|root| root.cast(message));
        }
    }
}

fn restart(myself: &ActorRef<TenantMessage>, state: &mut TenantActorState, child: Child, delay: Duration) {
    match child {
        Child::Execution(id) => recover_later(myself, state, id, delay),
        // It is started again by whoever asks for it next.
        Child::Connection(_) => {}
    }
}

fn recover_later(myself: &ActorRef<TenantMessage>, state: &mut TenantActorState, id: ExecutionId, delay: Duration) {
    state.shared.executions.lost(id);
    let timer = after(&state.shared.hub.clock, delay, myself, TenantMessage::Recover(id));
    state.restart_timers.retain(|timer| !timer.is_finished());
    state.restart_timers.push(timer);
}

fn watch_idleness(myself: &ActorRef<TenantMessage>, state: &mut TenantActorState) {
    let wait = state.shared.hub.config.idle_after;
    state.idle_timer = Some(after(&state.shared.hub.clock, wait, myself, TenantMessage::IdleTick));
}

/// Puts the tenant to rest when nobody used it: the hub forgets it, and its actors end.
fn rest_if_idle(myself: &ActorRef<TenantMessage>, state: &mut TenantActorState) {
    if state.executions.is_empty() && state.recovering.is_empty() && state.shared.try_rest() {
        // What is still in the mailbox was sent by nobody who waits for it: nothing may begin here any more.
        state.draining = true;
        // The hub's map is cleared before the actors end, so nobody finds them.
        let message = HubMessage::Rested(Arc::clone(&state.shared));
        let _ = state.shared.hub.root().map(|root| root.cast(message));
        return;
    }
    watch_idleness(myself, state);
}

fn tell_all(state: &TenantActorState, message: impl Fn() -> ExecutionMessage) {
    for actor in state.executions.values() {
        // One that is gone has heard the end already.
        let _ = actor.cast(message());
    }
}
