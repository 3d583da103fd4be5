//! What the workflow's context stands on, for one attempt.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bifrost_core::audit::{AuditOutcome, AuditRecord};
use bifrost_core::error::ErrorReport;
use bifrost_core::event::EventBody;
use bifrost_core::execution::{Outcome, StepKind, StepState};
use bifrost_core::tenant::EntityMapping;
use bifrost_core::workflow::host::{ContextHost, RunInfo, StepTicket};
use bifrost_core::{
    Clock, ConfigKey, Connection, ConnectionId, Error, ExecutionId, Principal, Result, Secret, SecretName, WorkflowName,
};
use ractor::ActorRef;
use serde_json::Value;

use super::cancel::Cancel;
use super::child;
use super::journal::{Asked, Journal};
use super::message::ExecutionMessage;
use super::place::Place;
use crate::settings;
use crate::tenant::shared::TenantShared;

/// See the module.
pub(crate) struct RunHost {
    pub(crate) info: RunInfo,
    pub(crate) tenant: Arc<TenantShared>,
    pub(crate) journal: Arc<Journal>,
    pub(crate) actor: ActorRef<ExecutionMessage>,
    pub(crate) cancel: Arc<Cancel>,
    pub(crate) place: Arc<Place>,
}

impl RunHost {
    fn principal(&self) -> Principal {
        Principal::Execution(self.info.execution)
    }

    /// An operation that cannot be audited does not happen.
    async fn read_secret(&self, name: &SecretName, action: &str) -> Result<Secret> {
        let _busy = self.journal.busy(self.attempt());
        let found = settings::inherited_secret(&self.tenant, name).await?;
        let outcome = if found.is_some() { AuditOutcome::Allowed } else { AuditOutcome::Failed };
        self.audit_secret(name, action, outcome).await?;
        found.ok_or_else(|| settings::secret_missing(&self.tenant.id, name))
    }

    async fn audit_secret(&self, name: &SecretName, action: &str, outcome: AuditOutcome) -> Result<()> {
        let _busy = self.journal.busy(self.attempt());
        let record = AuditRecord::new(self.clock().now(), self.principal(), action, name.as_str(), outcome)
            .on_behalf_of(self.info.principal.clone());
        self.tenant.audit(&record).await
    }

    fn attempt(&self) -> u32 {
        self.info.attempt
    }

    fn flush_soon(&self, needed: bool) {
        if needed {
            // An actor that is gone has flushed with its last commit.
            let _ = self.actor.cast(ExecutionMessage::FlushSoon);
        }
    }
}

#[async_trait]
impl ContextHost for RunHost {
    fn info(&self) -> &RunInfo {
        &self.info
    }

    fn clock(&self) -> &Arc<dyn Clock> {
        &self.tenant.hub.clock
    }

    async fn begin_step(&self, name: &str, kind: StepKind) -> Result<StepTicket> {
        let occurrence = self.journal.claim(self.attempt(), name)?;
        loop {
            match self.journal.ask(self.attempt(), name, occurrence, kind)? {
                Asked::Known(ticket) => return Ok(ticket),
                Asked::Started { ticket, flush } => {
                    self.flush_soon(flush);
                    return Ok(ticket);
                }
                Asked::Intended(ticket, intent) => {
                    self.journal.settle(intent).await?;
                    return Ok(ticket);
                }
                Asked::Gated => self.journal.wait_for_replay(self.attempt()).await?,
            }
        }
    }

    async fn end_step(&self, ordinal: u32, state: StepState) -> Result<()> {
        match self.journal.finish_step(self.attempt(), ordinal, state)? {
            Some(durable) => self.journal.settle(durable).await.map(drop),
            None => Ok(()),
        }
    }

    async fn need_attention(&self, ordinal: u32) -> Error {
        self.journal.doubt(self.attempt(), ordinal)
    }

    fn came_to_rest(&self) {
        self.journal.at_rest(self.attempt());
    }

    async fn sleep(&self, duration: Duration) {
        let _busy = self.journal.busy(self.attempt());
        self.clock().sleep(duration).await;
    }

    fn emit(&self, event: EventBody) {
        self.flush_soon(self.journal.emit(self.attempt(), event));
    }

    fn note_problem(&self, problem: ErrorReport) {
        self.journal.problem(self.attempt(), problem);
    }

    async fn config(&self, key: &ConfigKey) -> Result<Option<Value>> {
        let _busy = self.journal.busy(self.attempt());
        settings::inherited_config(&self.tenant, key).await
    }

    async fn secret(&self, name: &SecretName) -> Result<Secret> {
        self.read_secret(name, "secret.read").await
    }

    async fn reveal(&self, name: &SecretName) -> Result<Secret> {
        if self.tenant.hub.config.reveal_secrets {
            return self.read_secret(name, "secret.reveal").await;
        }
        self.audit_secret(name, "secret.reveal", AuditOutcome::Denied).await?;
        Err(settings::secret_not_revealed(&self.tenant.id, name))
    }

    async fn run_child(&self, key: &str, workflow: &WorkflowName, params: &Value) -> Result<(ExecutionId, Outcome)> {
        child::run(self, key, workflow, params).await
    }

    async fn connection(&self, id: &ConnectionId) -> Result<Connection> {
        let _busy = self.journal.busy(self.attempt());
        self.tenant.connection(id, Some(self.info.execution)).await
    }

    async fn mapping(&self, provider: &str) -> Result<Option<EntityMapping>> {
        Ok(self.tenant.record()?.mappings.get(provider).cloned())
    }

    async fn cancelled(&self) {
        // When the actor is gone, nobody can ask any more.
        self.cancel.asked().await;
    }
}
