//! The root: starts tenants, restarts them within the policy, suspends the ones that melt down.

pub(crate) mod message;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError};

use bifrost_core::{Error, Principal, Result, TenantId, TenantStatus};
use ractor::{Actor, ActorId, ActorProcessingErr, ActorRef, SupervisionEvent};

use crate::exercise;
use crate::live::Ended;
use crate::runtime::HubRuntime;
use crate::supervision::{RestartBudget, Verdict};
use crate::task::{Task, after, report, spawn};
use crate::tenant::TenantActor;
use crate::tenant::message::TenantMessage;
use crate::tenant::shared::TenantShared;
use message::HubMessage;

/// See the module.
pub(crate) struct HubActor;

/// What the root holds.
pub(crate) struct HubActorState {
    hub: Arc<HubRuntime>,
    tenants: BTreeMap<TenantId, Awake>,
    by_actor: HashMap<ActorId, TenantId>,
    restarts: HashMap<TenantId, RestartBudget>,
    timers: Vec<Task>,
    sweep: Task,
    _alarms: Task,
    draining: bool,
}

struct Awake {
    shared: Arc<TenantShared>,
    actor: ActorRef<TenantMessage>,
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
        Ok(HubActorState {
            hub,
            tenants: BTreeMap::new(),
            by_actor: HashMap::new(),
            restarts: HashMap::new(),
            timers: Vec::new(),
            sweep,
            _alarms: alarms,
            draining: false,
        })
    }

    async fn handle(&self, myself: ActorRef<HubMessage>, message: HubMessage, state: &mut HubActorState) -> Handled {
        match message {
            HubMessage::Wake { shared, reply } => {
                // A caller that gave up needs no answer.
                let _ = reply.send(wake(&myself, state, shared).await);
            }
            HubMessage::Rested(shared) => retire(state, &shared.id),
            HubMessage::Meltdown { tenant, cause } => meltdown(state, &tenant, cause),
            HubMessage::Restart(tenant) => restart(&myself, state, &tenant).await?,
            HubMessage::Retire { tenant, reply } => {
                retire(state, &tenant);
                let _ = reply.send(());
            }
            HubMessage::Sweep => {
                let sweep = exercise::sweep(Arc::clone(&state.hub));
                state.sweep = report(&myself, sweep, |_| HubMessage::Swept);
            }
            HubMessage::Swept => state.sweep = next_sweep(&state.hub, &myself),
            HubMessage::Drain => {
                state.draining = true;
                tell_all(state, || TenantMessage::Drain);
            }
            HubMessage::Requeue => tell_all(state, || TenantMessage::Requeue),
        }
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
        // One that was retired is off the books already: whoever is still on them ended against our will.
        if let Some(tenant) = state.by_actor.remove(&cell.get_id()) {
            tenant_failed(&myself, state, &tenant, cause);
        }
        Ok(())
    }
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
        return Err(Error::new(bifrost_core::ErrorKind::Closed, "wake tenant", "the hub is shutting down"));
    }
    start(myself, state, Arc::clone(&shared)).await?;
    Ok(shared)
}

async fn start(myself: &ActorRef<HubMessage>, state: &mut HubActorState, shared: Arc<TenantShared>) -> Result<()> {
    let (actor, _) = TenantActor::spawn_linked(None, TenantActor, Arc::clone(&shared), myself.get_cell())
        .await
        .map_err(|error| Error::internal("start tenant", error.to_string()).with("tenant", &shared.id))?;
    let id = shared.id.clone();
    state.by_actor.insert(actor.get_id(), id.clone());
    tenants(&state.hub).insert(id.clone(), Arc::clone(&shared));
    state.tenants.insert(id, Awake { shared, actor });
    Ok(())
}

/// Takes a tenant off the books and ends its actors; what it runs goes on when it is woken again.
fn retire(state: &mut HubActorState, id: &TenantId) {
    tenants(&state.hub).remove(id);
    if let Some(awake) = state.tenants.remove(id) {
        state.by_actor.remove(&awake.actor.get_id());
        awake.shared.actor.store(None);
        awake.actor.stop(None);
        for published in awake.shared.lock_connections().values() {
            published.withdraw();
        }
        let executions = std::mem::take(&mut *awake.shared.lock_executions());
        for execution in executions.into_values() {
            execution.live.end(Ended::Requeued);
        }
    }
}

/// A tenant's own actor ended against our will. Its children ended with it; they are taken up again from the store.
fn tenant_failed(myself: &ActorRef<HubMessage>, state: &mut HubActorState, id: &TenantId, cause: String) {
    tracing::error!(tenant = %id, cause, "a tenant's actor failed");
    if let Some(awake) = state.tenants.get(id) {
        awake.shared.actor.store(None);
    }
    let policy = state.hub.config.tenant_restarts;
    let budget = state.restarts.entry(id.clone()).or_insert_with(|| RestartBudget::new(policy));
    match budget.record(state.hub.clock.monotonic()) {
        Verdict::Restart(delay) => {
            let timer = after(&state.hub.clock, delay, myself, HubMessage::Restart(id.clone()));
            state.timers.retain(|timer| !timer.is_finished());
            state.timers.push(timer);
        }
        Verdict::Meltdown => meltdown(state, id, cause),
    }
}

async fn restart(myself: &ActorRef<HubMessage>, state: &mut HubActorState, id: &TenantId) -> Handled {
    let Some(awake) = state.tenants.remove(id) else {
        return Ok(());
    };
    let shared = awake.shared;
    start(myself, state, Arc::clone(&shared)).await?;
    let ids: Vec<_> = shared.lock_executions().keys().copied().collect();
    if let Some(awake) = state.tenants.get(id) {
        for execution in ids {
            awake.actor.cast(TenantMessage::Recover(execution))?;
        }
    }
    Ok(())
}

/// Suspends a tenant: ends its actors now and writes the cause into the directory beside the mailbox.
fn meltdown(state: &mut HubActorState, id: &TenantId, cause: String) {
    tracing::error!(tenant = %id, cause, "a tenant melted down and is suspended");
    retire(state, id);
    state.restarts.remove(id);
    let hub = Arc::clone(&state.hub);
    let id = id.clone();
    state.timers.retain(|timer| !timer.is_finished());
    state.timers.push(spawn(async move {
        let suspend = |record: &mut bifrost_core::TenantRecord| {
            record.status = TenantStatus::Suspended { cause: cause.clone() };
            Ok(())
        };
        if let Err(error) = hub.directory.change(&id, "tenant.suspend", &Principal::System, suspend).await {
            tracing::error!(tenant = %id, %error, "the suspension could not be stored");
        }
    }));
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
