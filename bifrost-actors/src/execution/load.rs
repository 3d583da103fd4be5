//! Reading an execution back from the store.

use bifrost_core::event::Event;
use bifrost_core::execution::{ExecutionRecord, ExecutionState, StepRecord};
use bifrost_core::store::key::Kind;
use bifrost_core::store::records::TenantStore;
use bifrost_core::store::{Batch, Precondition};
use bifrost_core::{Error, ErrorKind, ExecutionId, Result};
use serde::de::DeserializeOwned;

use super::child;
use super::ledger::{Ledger, Stored};
use crate::tenant::shared::TenantShared;

/// The record alone.
pub(crate) async fn record(store: &TenantStore, id: ExecutionId) -> Result<ExecutionRecord> {
    let key = store.key(Kind::Execution, &[id.as_bytes()])?;
    match store.get::<ExecutionRecord>(&key).await? {
        Some(found) => Ok(found.value),
        None => Err(missing(store, id)),
    }
}

fn missing(store: &TenantStore, id: ExecutionId) -> Error {
    Error::new(ErrorKind::NotFound, "find execution", "no execution of this id")
        .with("tenant", store.scope())
        .with("execution", id)
}

/// What was found when a stored execution was claimed.
#[derive(Debug)]
pub(crate) enum Claim {
    /// It is this start's from now on.
    Taken(Box<Stored>),
    /// It has ended.
    Over(Box<Stored>),
}

/// Claims a stored execution for this start of the hub and reads it.
///
/// Claiming it by a commit also makes sure that whatever its former owner had queued is durable before it is read; and
/// the commit requires the record as it was read, so that it never undoes what was still on its way.
pub(crate) async fn claim(tenant: &TenantShared, id: ExecutionId) -> Result<Claim> {
    let store = &tenant.store;
    let key = store.key(Kind::Execution, &[id.as_bytes()])?;
    loop {
        let mut batch = Batch::new();
        let found = store.get::<ExecutionRecord>(&key).await?;
        match &found {
            Some(found) if found.value.state.is_terminal() => return over(tenant, id).await,
            Some(found) => {
                batch.require(Precondition::At(key.clone(), found.version));
                store.put(&mut batch, key.clone(), &owned(tenant, found.value.clone()))?;
            }
            // Its acceptance may still be on its way.
            None => drop(batch.require(Precondition::Absent(key.clone()))),
        }
        match store.commit(batch).await {
            Ok(_) if found.is_none() => return Err(missing(store, id)),
            Ok(_) => return everything(store, id).await.map(|stored| Claim::Taken(Box::new(stored))),
            Err(error) if error.kind() == ErrorKind::Conflict => {}
            Err(error) => return Err(error),
        }
    }
}

/// The record as its new owner keeps it.
fn owned(tenant: &TenantShared, mut record: ExecutionRecord) -> ExecutionRecord {
    record.epoch = tenant.hub.epoch;
    // After an orderly shutdown nobody is suspected of having brought the process down, and never one that ran no code.
    let waits = matches!(record.state, ExecutionState::Scheduled | ExecutionState::NeedsAttention);
    if !tenant.hub.clean_start && !waits {
        record.recoveries += 1;
        record.suspicions += u32::from(may_have_run(&record));
    }
    record
}

/// It has ended, perhaps before its owner had told its children.
async fn over(tenant: &TenantShared, id: ExecutionId) -> Result<Claim> {
    let stored = everything(&tenant.store, id).await?;
    let ledger = Ledger::new(stored.record.clone(), stored.steps.clone(), 0);
    child::cancel_all(tenant, id, ledger.open_children()).await?;
    Ok(Claim::Over(Box::new(stored)))
}

/// Whether it may have run when its process died. The first time nobody knows of one that waited: its move to `Running`
/// may not have become durable. One that is suspected makes it durable before it runs.
fn may_have_run(record: &ExecutionRecord) -> bool {
    record.state != ExecutionState::Pending || record.suspicions == 0
}

/// Record, steps and events.
pub(crate) async fn everything(store: &TenantStore, id: ExecutionId) -> Result<Stored> {
    let record = record(store, id).await?;
    let steps: Vec<StepRecord> = all_under(store, Kind::Step, id).await?;
    let pages: Vec<Vec<Event>> = all_under(store, Kind::Events, id).await?;
    let mut events = record.events.clone();
    events.extend(steps.iter().flat_map(|step| step.events.iter().cloned()));
    events.extend(pages.into_iter().flatten());
    events.sort_by_key(|event| event.seq);
    Ok(Stored { record, steps, events })
}

async fn all_under<T: DeserializeOwned>(store: &TenantStore, kind: Kind, id: ExecutionId) -> Result<Vec<T>> {
    let found = store.all(&store.scope().kind(kind).then(id.as_bytes())).await?;
    Ok(found.into_iter().map(|(_, entry)| entry.value).collect())
}
