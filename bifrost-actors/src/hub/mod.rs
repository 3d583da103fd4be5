//! The root: starts tenants, restarts them within the policy, suspends the ones that melt down.

pub(crate) mod message;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use bifrost_core::{Error, ErrorKind, Principal, Result, TenantId, TenantStatus};
use ractor::{Actor, ActorId, ActorProcessingErr, ActorRef, SupervisionEvent};

use crate::exercise;
use crate::runtime::HubRuntime;
use crate::supervision::{RestartBudget, Verdict};
use crate::task::{Task, after, report, spawn};
use crate::tenant::message::TenantMessage;
use crate::tenant::shared::TenantShared;
use crate::tenant::state::suspended;
use crate::tenant::{ENDING, TenantActor};
use message::HubMessage;

/// See the module.
pub(crate) struct HubActor;

/// What the root holds. However the root ends, whoever waits is told when this is dropped.
pub(crate) struct HubActorState {
    hub: Arc<HubRuntime>,
    tenants: BTreeMap<TenantId, Awake>,
    by_actor: HashMap<ActorId, TenantId>,
    /// Tenants whose actors were told to end, and what is wanted of them once they have: there is never more than one
    /// actor of a tenant.
    ending: HashMap<TenantId, Vec<HubMessage>>,
    restarts: HashMap<TenantId, RestartBudget>,
    /// Tenants that melted down, until the directory says so.
    suspending: HashMap<TenantId, Suspending>,
    take_ups: Vec<Task>,
    sweep: Task,
    _alarms: Task,
    _countdowns: Task,
    draining: bool,
}

struct Awake {
    shared: Arc<TenantShared>,
    actor: ActorRef<TenantMessage>,
    /// The actor has failed, and is started again then.
    restart: Option<Task>,
}

struct Suspending {
    cause: String,
    _task: Task,
}

type Handled = Result<(), ActorProcessingErr>;

impl Actor for HubActor {
    type Msg = HubMessage;
    type State = HubActorState;
    type Arguments = Arc<HubRuntime>;

    async fn pre_start(
        &self,
        myself: ActorRef<HubMessage>,
        hub: Arc<HubRuntime>,
    ) -> Result<HubActorState, ActorProcessingErr> {
        let sweep = next_sweep(&hub, &myself);
        let alarms = spawn(Arc::clone(&hub.alarms).mind());
        let countdowns = spawn(Arc::clone(&hub.countdowns).mind());
        Ok(HubActorState {
            hub,
            tenants: BTreeMap::new(),
            by_actor: HashMap::new(),
            ending: HashMap::new(),
            restarts: HashMap::new(),
            suspending: HashMap::new(),
            take_ups: Vec::new(),
            sweep,
            _alarms: alarms,
            _countdowns: countdowns,
            draining: false,
        })
    }

    async fn handle(&self, myself: ActorRef<HubMessage>, message: HubMessage, state: &mut HubActorState) -> Handled {
        match message {
            HubMessage::Wake { shared, reply } => match state.ending.get_mut(&shared.id) {
                Some(later) => later.push(HubMessage::Wake { shared, reply }),
                // A caller that gave up needs no answer.
                None => drop(reply.send(wake(&myself, state, shared).await)),
            },
            // Another may be awake by now under the same name.
            HubMessage::Rested(shared) if !is_awake(state, &shared) => {}
            HubMessage::Rested(shared) => retire(state, &shared.id),
            HubMessage::Meltdown { tenant, cause } => meltdown(&myself, state, &tenant, cause),
            HubMessage::Suspended(tenant) => drop(state.suspending.remove(&tenant)),
            HubMessage::Restart(shared) => restart(&myself, state, shared).await,
            HubMessage::Retire { tenant, reply } => {
                retire(state, &tenant);
                match state.ending.get_mut(&tenant) {
                    Some(later) => later.push(HubMessage::Retire { tenant, reply }),
                    None => drop(reply.send(())),
                }
            }
            HubMessage::TakeUp(unfinished) => {
                let take_up = HubRuntime::take_up_in_time(Arc::clone(&state.hub), unfinished);
                state.take_ups.retain(|task| !task.is_finished());
                state.take_ups.push(spawn(take_up));
            }
            HubMessage::Sweep => {
                let sweep = exercise::sweep(Arc::clone(&state.hub));
                state.sweep = report(&myself, sweep, |_| HubMessage::Swept);
            }
            HubMessage::Swept => state.sweep = next_sweep(&state.hub, &myself),
            HubMessage::Drain => drain(state),
            HubMessage::Requeue => tell_all(state, || TenantMessage::Requeue),
        }
        Ok(())
    }

    /// Nobody beneath it is left when it has ended.
    async fn post_stop(
        &self,
        myself: ActorRef<HubMessage>,
        _state: &mut HubActorState,
    ) -> Result<(), ActorProcessingErr> {
        myself.get_cell().stop_children_and_wait(None, Some(2 * ENDING)).await;
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<HubMessage>,
        event: SupervisionEvent,
        state: &mut HubActorState,
    ) -> Handled {
        let (cell, cause) = match event {
            SupervisionEvent::ActorFailed(cell, error) => (cell, error.to_string()),
            SupervisionEvent::ActorTerminated(cell, _, reason) => {
                (cell, reason.unwrap_or_else(|| "it stopped".to_owned()))
            }
            _ => return Ok(()),
        };
        let Some(tenant) = state.by_actor.remove(&cell.get_id()) else {
            return Ok(());
        };
        let Some(later) = state.ending.remove(&tenant) else {
            tenant_failed(&myself, state, &tenant, cause);
            return Ok(());
        };
        for message in later {
            self.handle(myself.clone(), message, state).await?;
        }
        Ok(())
    }
}

impl Drop for HubActorState {
    fn drop(&mut self) {
        self.hub.closed.store(true, Ordering::Release);
        tenants(&self.hub).clear();
        for awake in self.tenants.values() {
            part(awake);
        }
    }
}

fn is_awake(state: &HubActorState, shared: &Arc<TenantShared>) -> bool {
    state.tenants.get(&shared.id).is_some_and(|awake| Arc::ptr_eq(&awake.shared, shared))
}

/// Idle grants are looked for several times within the time they may be idle.
fn next_sweep(hub: &HubRuntime, myself: &ActorRef<HubMessage>) -> Task {
    after(&hub.clock, hub.config.exercise_after / 7, myself, HubMessage::Sweep)
}

async fn wake(
    myself: &ActorRef<HubMessage>,
    state: &mut HubActorState,
    shared: Arc<TenantShared>,
) -> Result<Arc<TenantShared>> {
    if let Some(awake) = state.tenants.get(&shared.id) {
        return Ok(Arc::clone(&awake.shared));
    }
    if state.draining {
        return Err(Error::new(ErrorKind::Closed, "wake tenant", "the hub is shutting down"));
    }
    if let Some(suspending) = state.suspending.get(&shared.id) {
        return Err(suspended(&shared.id, &suspending.cause));
    }
    start(myself, state, Arc::clone(&shared)).await?;
    Ok(shared)
}

async fn start(
    myself: &ActorRef<HubMessage>,
    state: &mut HubActorState,
    shared: Arc<TenantShared>,
) -> Result<ActorRef<TenantMessage>> {
    let args = Arc::clone(&shared);
    let (actor, _) = TenantActor::spawn_linked(None, TenantActor, args, myself.get_cell())
        .await
        .map_err(|error| Error::internal("start tenant", error.to_string()).with("tenant", &shared.id))?;
    let id = shared.id.clone();
    state.by_actor.insert(actor.get_id(), id.clone());
    tenants(&state.hub).insert(id.clone(), Arc::clone(&shared));
    state.tenants.insert(id, Awake { shared, actor: actor.clone(), restart: None });
    Ok(actor)
}

/// Takes a tenant off the books and ends its actors; what it runs goes on when it is taken up again.
fn retire(state: &mut HubActorState, id: &TenantId) {
    tenants(&state.hub).remove(id);
    state.restarts.remove(id);
    if let Some(awake) = state.tenants.remove(id) {
        if awake.restart.is_none() {
            state.ending.insert(id.clone(), Vec::new());
        }
        awake.actor.stop(None);
        part(&awake);
    }
}

/// Nobody finds the tenant's actors any more, and whoever waits for its executions hears that they go on later.
fn part(awake: &Awake) {
    awake.shared.actor.store(None);
    for published in awake.shared.lock_connections().values() {
        published.withdraw();
    }
    awake.shared.executions.close();
}

/// A tenant's own actor ended against our will. Its children ended with it; they are taken up again from the store.
fn tenant_failed(myself: &ActorRef<HubMessage>, state: &mut HubActorState, id: &TenantId, cause: String) {
    tracing::error!(tenant = %id, cause, "a tenant's actor failed");
    let Some(awake) = state.tenants.get_mut(id) else {
        return;
    };
    awake.shared.actor.store(None);
    let policy = state.hub.config.tenant_restarts;
    let budget = state.restarts.entry(id.clone()).or_insert_with(|| RestartBudget::new(policy));
    let verdict = budget.record(state.hub.clock.monotonic());
    let delay = match verdict {
        Verdict::Restart(delay) => delay,
        Verdict::Meltdown => Duration::ZERO,
    };
    let message = HubMessage::Restart(Arc::clone(&awake.shared));
    awake.restart = Some(after(&state.hub.clock, delay, myself, message));
    if state.draining {
        retire(state, id);
    } else if verdict == Verdict::Meltdown {
        meltdown(myself, state, id, cause);
    }
}

async fn restart(myself: &ActorRef<HubMessage>, state: &mut HubActorState, shared: Arc<TenantShared>) {
    let waits = |awake: &Awake| Arc::ptr_eq(&awake.shared, &shared) && awake.restart.is_some();
    if !state.tenants.get(&shared.id).is_some_and(waits) {
        return;
    }
    match start(myself, state, Arc::clone(&shared)).await {
        Ok(actor) => {
            for execution in shared.executions.ids() {
                // One that is gone is started again, and takes up all that is shown then.
                let _ = actor.cast(TenantMessage::Recover(execution));
            }
        }
        Err(error) => tenant_failed(myself, state, &shared.id, error.to_string()),
    }
}

/// Suspends a tenant: ends its actors now and writes the cause into the directory beside the mailbox. Until that is
/// stored, nobody wakes it.
fn meltdown(myself: &ActorRef<HubMessage>, state: &mut HubActorState, id: &TenantId, cause: String) {
    tracing::error!(tenant = %id, cause, "a tenant melted down and is suspended");
    retire(state, id);
    let (hub, tenant) = (Arc::clone(&state.hub), id.clone());
    let suspend = suspend(hub, id.clone(), cause.clone());
    let task = report(myself, suspend, |_| HubMessage::Suspended(tenant));
    state.suspending.insert(id.clone(), Suspending { cause, _task: task });
}

async fn suspend(hub: Arc<HubRuntime>, id: TenantId, cause: String) {
    let suspend = |record: &mut bifrost_core::TenantRecord| {
        record.status = TenantStatus::Suspended { cause: cause.clone() };
        Ok(())
    };
    loop {
        match hub.directory.change(&id, "tenant.suspend", &Principal::System, suspend).await {
            Ok(_) => return,
            Err(error) if error.kind() == ErrorKind::NotFound => return,
            Err(error) => tracing::error!(tenant = %id, %error, "the suspension could not be stored yet"),
        }
        hub.clock.sleep(hub.config.tenant_restarts.max_delay).await;
    }
}

/// The hub shuts down: nothing starts any more. A tenant that waits to be started again has nothing that runs.
fn drain(state: &mut HubActorState) {
    state.draining = true;
    state.take_ups.clear();
    let failed: Vec<_> = state.tenants.iter().filter(|(_, awake)| awake.restart.is_some()).collect();
    let failed: Vec<TenantId> = failed.into_iter().map(|(id, _)| id.clone()).collect();
    for id in failed {
        retire(state, &id);
    }
    tell_all(state, || TenantMessage::Drain);
}

fn tell_all(state: &HubActorState, message: impl Fn() -> TenantMessage) {
    for awake in state.tenants.values() {
        // One that is gone has nothing left to drain.
        let _ = awake.actor.cast(message());
    }
}

fn tenants(hub: &HubRuntime) -> std::sync::MutexGuard<'_, HashMap<TenantId, Arc<TenantShared>>> {
    hub.tenants.lock().unwrap_or_else(PoisonError::into_inner)
}
