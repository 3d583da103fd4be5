//! A tenant's handle: the capability to work for one tenant, and no other.

use bifrost_core::audit::{AuditEntry, Verdict};
use bifrost_core::execution::{ExecutionRecord, Resolution};
use bifrost_core::store::Scan;
use bifrost_core::store::chain::Head;
use bifrost_core::store::key::Kind;
use bifrost_core::time::within;
use bifrost_core::{
    Error, ErrorKind, ExecutionId, IdempotencyKey, Principal, Result, TenantId, TenantRecord, Timestamp, WorkflowName,
};
use ractor::{ActorRef, RpcReplyPort};
use serde::Serialize;
use serde_json::Value;
use std::time::Duration;

use super::connections::Connections;
use super::execution::ExecutionHandle;
use super::hub::Hub;
use super::settings::{Config, Secrets};
use super::snapshot::TenantSnapshot;
use crate::execution::load;
use crate::execution::message::ExecutionMessage;
use crate::tenant::admission::{self, Request};
use crate::tenant::shared::{InUse, TenantShared};
use crate::tenant::state::not_suspended;

/// Works for one tenant. No call takes a tenant again.
#[derive(Debug, Clone)]
pub struct Tenant {
    hub: Hub,
    id: TenantId,
    principal: Principal,
}

/// What to run, and how; see [`Tenant::start`].
#[derive(Debug, Clone)]
pub struct Run {
    workflow: String,
    params: Result<Value, String>,
    idempotency_key: Option<String>,
    starts_at: Option<Timestamp>,
}

impl Run {
    /// Runs `workflow` with `params`.
    pub fn new(workflow: impl Into<String>, params: impl Serialize) -> Self {
        Self {
            workflow: workflow.into(),
            params: serde_json::to_value(params).map_err(|error| error.to_string()),
            idempotency_key: None,
            starts_at: None,
        }
    }

    /// Starts it at this time instead of now. It is accepted now, and waits durably; if nobody is there at that time, it
    /// starts when the hub does. It goes by the wall clock: never before that shows the time, and within five seconds
    /// after the clock was set past it.
    #[must_use]
    pub fn starting_at(mut self, time: Timestamp) -> Self {
        self.starts_at = Some(time);
        self
    }

    /// Asking again with the same key answers with the execution that is there already.
    #[must_use]
    pub fn with_idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.idempotency_key = Some(key.into());
        self
    }
}

impl Tenant {
    pub(crate) fn new(hub: Hub, id: TenantId, principal: Principal) -> Self {
        Self { hub, id, principal }
    }

    /// The same on behalf of `principal`, whom executions and audit trail will name.
    #[must_use]
    pub fn acting_as(mut self, principal: Principal) -> Self {
        self.principal = principal;
        self
    }

    /// Its name.
    pub fn id(&self) -> &TenantId {
        &self.id
    }

    /// Its entry in the directory.
    ///
    /// # Errors
    /// `NotFound` when it was deleted.
    pub fn record(&self) -> Result<TenantRecord> {
        self.hub.runtime().directory.get(&self.id).map(|record| (*record).clone())
    }

    /// Starts `workflow` with `params`. The handle comes when the execution is durable: it will be run to an end,
    /// whatever happens to this process.
    ///
    /// # Errors
    /// As [`Tenant::start`].
    pub async fn run(&self, workflow: &str, params: impl Serialize) -> Result<ExecutionHandle> {
        self.start(Run::new(workflow, params)).await
    }

    /// Starts what `run` says.
    ///
    /// # Errors
    /// Before anything is stored: `NotFound` for an unknown workflow, `InvalidInput` with the exact path for
    /// parameters that do not fit, `TooLarge`, `Suspended`, `QuotaExceeded`, `Overloaded`, `Closed`, or what the
    /// workflow says in [`Workflow::admits`](bifrost_core::Workflow::admits). `Conflict` when the idempotency key was
    /// used for something else.
    pub async fn start(&self, run: Run) -> Result<ExecutionHandle> {
        let record = admission::check(self.hub.runtime(), &self.id, self.request(run)?)?;
        let guard = self.enter().await?;
        let live = match admission::existing(&guard.0, &record).await? {
            Some(existing) => existing,
            None => admission::start(&guard.0, record).await?,
        };
        Ok(ExecutionHandle::new(self.clone(), live))
    }

    /// What `run` asks for, as the hub understands it.
    fn request(&self, run: Run) -> Result<Request> {
        let named = |error: String| {
            Error::invalid("read parameters", error).with("tenant", &self.id).with("workflow", &run.workflow)
        };
        Ok(Request {
            workflow: WorkflowName::new(&run.workflow)?,
            params: run.params.map_err(named)?,
            principal: self.principal.clone(),
            idempotency_key: run.idempotency_key.map(IdempotencyKey::new).transpose()?,
            starts_at: run.starts_at,
            parent: None,
        })
    }

    /// The handle of an execution that was started before, in this process or an earlier one.
    ///
    /// # Errors
    /// `NotFound`, also when it is another tenant's.
    pub async fn execution(&self, id: ExecutionId) -> Result<ExecutionHandle> {
        let guard = self.enter().await?;
        let live = admission::attach(&guard.0, id).await?;
        Ok(ExecutionHandle::new(self.clone(), live))
    }

    /// Executions, newest first: at most `limit`, and 1,000, before the one `before`.
    ///
    /// # Errors
    /// As the store says.
    pub async fn executions(&self, before: Option<ExecutionId>, limit: usize) -> Result<Vec<ExecutionRecord>> {
        let guard = self.enter().await?;
        let store = &guard.0.store;
        let mut scan = Scan::prefix(store.scope().kind(Kind::Execution)).limit(limit).reverse();
        if let Some(before) = before {
            scan = scan.after(store.key(Kind::Execution, &[before.as_bytes()])?);
        }
        let page = store.scan(scan).await?;
        Ok(page.entries.into_iter().map(|(_, found)| found.value).collect())
    }

    /// Decides about an execution that needs attention.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` when there is nothing to decide; `InvalidInput` when the decision does not fit.
    pub async fn resolve(&self, id: ExecutionId, resolution: Resolution) -> Result<()> {
        let principal = self.principal.clone();
        self.tell(id, |reply| ExecutionMessage::Resolve { principal, resolution, reply }).await
    }

    /// Asks an execution to stop; one that has ended stays as it is.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn cancel(&self, id: ExecutionId, reason: &str) -> Result<()> {
        let principal = self.principal.clone();
        let reason = reason.to_owned();
        match self.tell(id, |reply| ExecutionMessage::Cancel { principal, reason, reply }).await {
            Err(error) if error.kind() == ErrorKind::Conflict => Ok(()),
            done => done,
        }
    }

    /// Tells an execution that has not ended.
    async fn tell(
        &self,
        id: ExecutionId,
        message: impl FnOnce(RpcReplyPort<Result<()>>) -> ExecutionMessage,
    ) -> Result<()> {
        let guard = self.enter().await?;
        match guard.0.live(id).map(|known| known.actor) {
            Some(Some(actor)) => self.hub.runtime().ask(&actor, message).await?,
            Some(None) => Err(Error::new(ErrorKind::Unavailable, "call execution", "it is being taken up again")
                .with("execution", id)
                .retry(bifrost_core::Retry::Later)),
            None => {
                let record = load::record(&guard.0.store, id).await?;
                if !record.state.is_terminal() {
                    if self.hub.runtime().takes_up {
                        // Nobody owns it while its tenant may not work; else somebody should, and will from now on.
                        not_suspended(&*guard.0.record()?)?;
                    }
                    let actor = self.take_up(&guard.0, id).await?;
                    return self.hub.runtime().ask(&actor, message).await?;
                }
                let message = format!("the execution is {}", record.state);
                Err(Error::new(ErrorKind::Conflict, "call execution", message).with("execution", id))
            }
        }
    }

    /// Takes up one execution in a hub that takes up nothing by itself.
    async fn take_up(&self, shared: &TenantShared, id: ExecutionId) -> Result<ActorRef<ExecutionMessage>> {
        const LOOK_AGAIN: Duration = Duration::from_millis(5);
        let runtime = self.hub.runtime();
        shared.take_up(id);
        let there = async {
            loop {
                match shared.live(id) {
                    Some(known) => match known.actor {
                        Some(actor) => return Some(actor),
                        None => runtime.clock.sleep(LOOK_AGAIN).await,
                    },
                    None => return None,
                }
            }
        };
        within(runtime.clock.as_ref(), runtime.config.call_deadline, there).await.flatten().ok_or_else(|| {
            Error::new(ErrorKind::Unavailable, "take up execution", "it could not be read in time")
                .with("execution", id)
        })
    }

    /// Its connections.
    pub fn connections(&self) -> Connections {
        Connections::new(self.clone())
    }

    /// Its configuration.
    pub fn config(&self) -> Config {
        Config::new(self.clone())
    }

    /// Its secrets.
    pub fn secrets(&self) -> Secrets {
        Secrets::new(self.clone())
    }

    /// A page of its audit trail: at most `limit` entries after number `after`.
    ///
    /// # Errors
    /// As the store says.
    pub async fn audit(&self, after: Option<u64>, limit: usize) -> Result<Vec<AuditEntry>> {
        self.enter().await?.0.audit_log.page(after, limit).await
    }

    /// Verifies its whole audit trail; the verdict names the first bad record.
    ///
    /// # Errors
    /// As the store says.
    pub async fn verify_audit(&self) -> Result<Verdict> {
        self.enter().await?.0.audit_log.verify(None).await
    }

    /// Writes its whole audit trail to `sink`, as lines that
    /// [`verify_export`](bifrost_core::audit::verify_export) checks without store or key; returns its head.
    ///
    /// # Errors
    /// As the store and the sink say.
    pub async fn export_audit(&self, sink: impl std::io::Write + Send + 'static) -> Result<Head> {
        self.enter().await?.0.audit_log.export(sink).await
    }

    /// How it is doing.
    ///
    /// # Errors
    /// As the store says.
    pub async fn snapshot(&self) -> Result<TenantSnapshot> {
        let guard = self.enter().await?;
        let connections = guard.0.lock_connections();
        Ok(TenantSnapshot {
            executions_in_flight: guard.0.executions.len(),
            connections: connections.values().filter_map(|c| c.status()).map(|status| (*status).clone()).collect(),
        })
    }

    pub(crate) async fn enter(&self) -> Result<InUse> {
        self.hub.enter(&self.id).await
    }

    pub(crate) fn hub(&self) -> &Hub {
        &self.hub
    }

    pub(crate) fn principal(&self) -> &Principal {
        &self.principal
    }
}
