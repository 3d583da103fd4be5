//! Asking a tenant to run something: checked before anything is stored, started once, found again.

use std::sync::Arc;

use bifrost_core::execution::{ExecutionRecord, ExecutionState, MAX_NESTING};
use bifrost_core::store::key::Kind;
use bifrost_core::{
    Error, ErrorKind, ExecutionId, IdempotencyKey, Principal, Result, TenantId, Timestamp, WorkflowName,
};
use serde_json::Value;

use super::message::TenantMessage;
use super::shared::TenantShared;
use super::state::may_work;
use crate::execution::{IdempotencyRecord, idempotency_parts, load, request_hash};
use crate::live::{Ended, Live};
use crate::runtime::HubRuntime;
use crate::slots::Slot;
use crate::text::json_size;

/// Executions that are accepted at the same time, all tenants together. What is accepted shares its sync with what else
/// is: more of them would save little of it, and delay whoever comes next.
pub(crate) const TURNS: usize = 64;

/// Those of one tenant among them.
const TURNS_OF_ONE: u32 = 32;

/// What to run, and how.
pub(crate) struct Request {
    pub(crate) workflow: WorkflowName,
    pub(crate) params: Value,
    pub(crate) principal: Principal,
    pub(crate) idempotency_key: Option<IdempotencyKey>,
    pub(crate) starts_at: Option<Timestamp>,
    pub(crate) parent: Option<Parent>,
}

/// Who starts a child.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parent {
    pub(crate) id: ExecutionId,
    pub(crate) depth: u32,
}

/// Checks everything that can be checked before anything is stored.
pub(crate) fn check(hub: &HubRuntime, id: &TenantId, request: Request) -> Result<ExecutionRecord> {
    hub.check_open()?;
    let tenant = hub.directory.get(id)?;
    may_work(&tenant)?;
    let Request { workflow: name, params, principal, idempotency_key, starts_at, parent } = request;
    let workflow = hub.workflows.get(&name).ok_or_else(|| unknown_workflow(hub, &name))?;
    let named = |error: Error| error.with("tenant", id).with("workflow", &name);
    let depth = depth(parent).map_err(named)?;
    tenant.quota.check_params(json_size(&params)).map_err(named)?;
    workflow.spec().params().check(&params).map_err(named)?;
    workflow.admits().map_err(named)?;
    let now = hub.clock.now();
    let starts_at = starts_at.filter(|time| *time > now);
    Ok(ExecutionRecord {
        id: ExecutionId::generate(now, hub.entropy.as_ref()),
        queue_deadline: starts_at.unwrap_or(now).saturating_add(workflow.spec().deadlines().queue),
        workflow: name,
        params,
        principal,
        parent: parent.map(|parent| parent.id),
        depth,
        idempotency_key,
        state: if starts_at.is_some() { ExecutionState::Scheduled } else { ExecutionState::Pending },
        epoch: hub.epoch,
        attempt: 0,
        recoveries: 0,
        suspicions: 0,
        accepted_at: now,
        started_at: None,
        run_deadline: None,
        retry_at: starts_at,
        finished_at: None,
        attention: None,
        outcome: None,
        last_event: 0,
        events: Vec::new(),
    })
}

fn unknown_workflow(hub: &HubRuntime, name: &WorkflowName) -> Error {
    let known = hub.workflows.all();
    let known: Vec<&str> = known.names().map(WorkflowName::as_str).collect();
    Error::new(ErrorKind::NotFound, "find workflow", "no workflow of this name is registered")
        .with("workflow", name)
        .next_action(format!("register it with the builder or `hub.register(..)`; known are: {}", known.join(", ")))
}

fn depth(parent: Option<Parent>) -> Result<u32> {
    let depth = parent.map_or(0, |parent| parent.depth.saturating_add(1));
    if depth <= MAX_NESTING {
        return Ok(depth);
    }
    Err(Error::invalid("start child execution", "executions are nested too deeply").with("limit", MAX_NESTING))
}

/// Starts what was checked. Whoever is faster with the same idempotency key is found instead.
pub(crate) async fn start(tenant: &Arc<TenantShared>, record: ExecutionRecord) -> Result<Arc<Live>> {
    let live = Live::new(record.id);
    let keyed = record.idempotency_key.is_some().then(|| record.clone());
    match tenant.hub.answered(accept(tenant, record, &live)).await? {
        Ok(()) => Ok(live),
        Err(error) => match keyed.filter(|_| error.kind() == ErrorKind::Conflict) {
            Some(record) => existing(tenant, &record).await?.ok_or(error),
            None => Err(error),
        },
    }
}

/// Has `record` accepted when it is its turn.
async fn accept(tenant: &TenantShared, record: ExecutionRecord, live: &Arc<Live>) -> Result<Result<()>> {
    let turn = turn(tenant).await?;
    let (record, live) = (Box::new(record), Arc::clone(live));
    tenant.hub.tell(&*tenant.actor()?, |reply| TenantMessage::Start { record, live, turn, reply }).await
}

/// Waits for the turn to be accepted. Few are accepted at a time, and tenants take turns: whoever calls a thousand times
/// at once stands in a line of its own, instead of filling the one that all stand in for the disk.
async fn turn(tenant: &TenantShared) -> Result<Slot> {
    let turns = &tenant.hub.turns;
    if let Some(turn) = turns.take(&tenant.id, TURNS_OF_ONE) {
        return Ok(turn);
    }
    if turns.waiting(&tenant.id) >= tenant.hub.config.max_waiting_calls {
        return Err(tenant.hub.overloaded().with("tenant", &tenant.id));
    }
    let turn = turns.request(&tenant.id, TURNS_OF_ONE);
    let turn = turn.await.map_err(|_| Error::internal("admit execution", "the line was given up"))?;
    // Meanwhile it may have become clear that nobody is accepted any more.
    tenant.hub.check_open()?;
    may_work(&*tenant.record()?)?;
    Ok(turn)
}

/// The execution that the idempotency key of `record` led to before.
pub(crate) async fn existing(tenant: &TenantShared, record: &ExecutionRecord) -> Result<Option<Arc<Live>>> {
    let Some(key) = &record.idempotency_key else {
        return Ok(None);
    };
    let Some(found) = by_key(tenant, key).await? else {
        return Ok(None);
    };
    // A child is known by its step alone: what its parent passes may depend on the time of the attempt.
    if record.parent.is_none() && found.request != request_hash(record) {
        return Err(Error::new(
            ErrorKind::Conflict,
            "admit execution",
            "the idempotency key was used for another workflow or other parameters",
        )
        .with("tenant", &tenant.id)
        .with("execution", found.execution));
    }
    attach(tenant, found.execution).await.map(Some)
}

/// What an idempotency key led to.
pub(crate) async fn by_key(tenant: &TenantShared, key: &IdempotencyKey) -> Result<Option<IdempotencyRecord>> {
    let stored = tenant.store.key(Kind::Idempotency, &[&idempotency_parts(key)])?;
    Ok(tenant.store.get::<IdempotencyRecord>(&stored).await?.map(|found| found.value))
}

/// The public face of an execution that was started before, in this process or an earlier one.
pub(crate) async fn attach(tenant: &TenantShared, id: ExecutionId) -> Result<Arc<Live>> {
    if let Some(known) = tenant.live(id) {
        return Ok(known.live);
    }
    let stored = load::everything(&tenant.store, id).await?;
    if !stored.record.state.is_terminal() && tenant.goes_on() {
        return Ok(tenant.take_up(id));
    }
    let live = Live::new(id);
    live.publish(stored.events);
    live.end(stored.record.outcome.map_or(Ended::Requeued, |outcome| Ended::Outcome(Arc::new(outcome))));
    Ok(live)
}
