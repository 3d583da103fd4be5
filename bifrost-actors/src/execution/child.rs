//! Child executions, from both sides: starting one and waiting for it, and ending with the parent.
//!
//! A child is found by an idempotency key that is derived from its parent's step. It cannot outlive its parent: a
//! parent that ends tells the children it finds, and a child looks for its parent once it is accepted, and whenever it
//! is taken up. Both look after their own commit, so at least one sees the other.

use std::sync::Arc;

use bifrost_core::event::EventBody;
use bifrost_core::execution::{ExecutionState, Outcome};
use bifrost_core::workflow::host::ContextHost;
use bifrost_core::{Error, ErrorKind, ExecutionId, IdempotencyKey, Principal, Result, Retry, WorkflowName};
use futures_util::future::pending;
use ractor::RpcReplyPort;
use serde_json::Value;

use super::host::RunHost;
use super::load;
use super::message::ExecutionMessage;
use super::running::Running;
use crate::live::{Ended, Live};
use crate::tenant::admission::{self, Parent, Request};
use crate::tenant::shared::TenantShared;

/// Why a child is cancelled.
pub(super) const PARENT_ENDED: &str = "its parent has ended";

/// Starts the child of `key`, or finds it, and waits for its end.
pub(super) async fn run(
    host: &RunHost,
    key: &str,
    workflow: &WorkflowName,
    params: &Value,
) -> Result<(ExecutionId, Outcome)> {
    let id = match begin(host, key, workflow, params).await {
        Ok(id) => id,
        Err(error) if error.kind() == ErrorKind::Closed => return put_back(host).await,
        Err(error) => return Err(error),
    };
    host.emit(EventBody::ChildStarted { workflow: workflow.clone(), child: id });
    let away = host.place.leave();
    match end(&host.tenant, id).await? {
        Some(outcome) => {
            away.come_back().await;
            Ok((id, outcome))
        }
        None => put_back(host).await,
    }
}

async fn begin(host: &RunHost, key: &str, workflow: &WorkflowName, params: &Value) -> Result<ExecutionId> {
    let tenant = &host.tenant;
    let key = IdempotencyKey::new(key)?;
    if let Some(found) = admission::by_key(tenant, &key).await? {
        return Ok(found.execution);
    }
    let parent = host.journal.with_record(|record| Parent { id: record.id, depth: record.depth });
    let request = Request {
        workflow: workflow.clone(),
        params: params.clone(),
        principal: host.info().principal.clone(),
        idempotency_key: Some(key),
        starts_at: None,
        parent: Some(parent),
    };
    let record = admission::check(&tenant.hub, &tenant.id, request)?;
    let started = admission::start(tenant, record).await.map_err(|error| match error.kind() {
        // Whether it was accepted is no mystery: the next attempt finds it by its key.
        ErrorKind::Timeout => Error::new(ErrorKind::Unavailable, "start child execution", error.message().to_owned())
            .with("workflow", workflow)
            .retry(Retry::Later),
        _ => error,
    })?;
    Ok(started.id())
}

/// The child's end; `None` when it comes at another start of the hub.
async fn end(tenant: &Arc<TenantShared>, id: ExecutionId) -> Result<Option<Outcome>> {
    while tenant.hub.check_open().is_ok() || tenant.live(id).is_some() {
        let live = take_up(tenant, id).await?;
        match live.end_shown().await {
            Ended::Outcome(outcome) => return Ok(Some(Outcome::clone(&outcome))),
            // It had ended when it was taken up: its outcome is in the store.
            Ended::Dropped => {}
            Ended::Requeued => return Ok(None),
        }
    }
    Ok(None)
}

/// The child's public face. After a start of the hub, the parent may be faster than whoever takes up the child.
async fn take_up(tenant: &Arc<TenantShared>, id: ExecutionId) -> Result<Arc<Live>> {
    if let Some(known) = tenant.live(id) {
        return Ok(known.live);
    }
    let record = load::record(&tenant.store, id).await?;
    if let Some(outcome) = record.outcome {
        let live = Live::new(id);
        live.end(Ended::Outcome(Arc::new(outcome)));
        return Ok(live);
    }
    Ok(tenant.take_up(id))
}

/// The hub shuts down, and the child goes on at its next start: so does this execution.
async fn put_back<T>(host: &RunHost) -> T {
    // An actor that is gone has been put back already.
    let _ = host.actor.cast(ExecutionMessage::Requeue);
    pending().await
}

/// Cancels the children of `parent` that these keys led to. One that is not found now finds its parent ended itself.
pub(super) async fn cancel_all(tenant: &TenantShared, parent: ExecutionId, keys: Vec<String>) -> Result<()> {
    for key in keys {
        let Some(found) = admission::by_key(tenant, &IdempotencyKey::new(key)?).await? else {
            continue;
        };
        if let Some(actor) = tenant.live(found.execution).and_then(|known| known.actor) {
            let (sender, _nobody_waits) = ractor::concurrency::oneshot();
            let principal = Principal::Execution(parent);
            let reply = RpcReplyPort::from(sender);
            let _ = actor.cast(ExecutionMessage::Cancel { principal, reason: PARENT_ENDED.to_owned(), reply });
        }
    }
    Ok(())
}

impl Running<'_> {
    /// Cancels the children that may not have ended.
    pub(super) async fn cancel_children(&self) -> Result<()> {
        cancel_all(&self.state.tenant, self.state.live.id(), self.state.journal.open_children()).await
    }

    /// False when this is a child whose parent has ended, or is being cancelled.
    pub(super) async fn parent_goes_on(&self) -> Result<bool> {
        let Some(parent) = self.state.journal.with_record(|record| record.parent) else {
            return Ok(true);
        };
        match load::record(&self.state.tenant.store, parent).await {
            Ok(parent) => Ok(!parent.state.is_terminal() && parent.state != ExecutionState::Cancelling),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}
