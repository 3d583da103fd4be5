//! Reading an execution back from the store.

use bifrost_core::event::Event;
use bifrost_core::execution::{ExecutionRecord, ExecutionState, StepRecord};
use bifrost_core::store::Batch;
use bifrost_core::store::key::Kind;
use bifrost_core::store::records::TenantStore;
use bifrost_core::{Error, ErrorKind, ExecutionId, Result};
use serde::de::DeserializeOwned;

use super::ledger::Stored;
use crate::tenant::shared::TenantShared;

/// The record alone.
pub(crate) async fn record(store: &TenantStore, id: ExecutionId) -> Result<ExecutionRecord> {
    let key = store.key(Kind::Execution, &[id.as_bytes()])?;
    match store.get::<ExecutionRecord>(&key).await? {
        Some(found) => Ok(found.value),
        None => Err(Error::new(ErrorKind::NotFound, "find execution", "no execution of this id")
            .with("tenant", store.scope())
            .with("execution", id)),
    }
}

/// Claims a stored execution for this start of the hub and reads it; `None` when it has ended.
///
/// Claiming it by a commit also makes sure that whatever its former owner had queued is durable before it is read.
pub(crate) async fn claim(tenant: &TenantShared, id: ExecutionId) -> Result<Option<Stored>> {
    let store = &tenant.store;
    let mut claimed = record(store, id).await?;
    if claimed.state.is_terminal() {
        return Ok(None);
    }
    claimed.epoch = tenant.hub.epoch;
    // After an orderly shutdown nobody is suspected of having brought the process down, nor is one whose code did not
    // run.
    let suspect = claimed.state != ExecutionState::Scheduled && claimed.state != ExecutionState::NeedsAttention;
    if suspect && !tenant.hub.clean_start {
        claimed.recoveries += 1;
        claimed.suspicions += u32::from(may_have_run(&claimed));
    }
    let mut batch = Batch::new();
    let key = store.key(Kind::Execution, &[id.as_bytes()])?;
    store.put(&mut batch, key, &claimed)?;
    store.commit(batch).await?;
    everything(store, id).await.map(Some)
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
