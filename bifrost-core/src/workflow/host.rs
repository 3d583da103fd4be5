//! The boundary between a running workflow and the system that runs it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;

use crate::connection::Connection;
use crate::error::{ErrorReport, Result};
use crate::event::EventBody;
use crate::execution::{Outcome, StepKind, StepState};
use crate::id::{ConfigKey, ConnectionId, ExecutionId, SecretName, TenantId, WorkflowName};
use crate::principal::Principal;
use crate::secret::Secret;
use crate::tenant::EntityMapping;
use crate::time::Clock;

/// Facts about the run that never change during it.
#[derive(Debug, Clone)]
pub struct RunInfo {
    /// Whose run.
    pub tenant: TenantId,
    /// Which execution.
    pub execution: ExecutionId,
    /// Of which workflow.
    pub workflow: WorkflowName,
    /// Which attempt, from 1.
    pub attempt: u32,
    /// Who asked for it.
    pub principal: Principal,
    /// How long one call of a step's function may take.
    pub step_deadline: Duration,
}

/// What the journal knows of a step that is asked for.
#[derive(Debug, Clone)]
pub struct StepTicket {
    /// Its place in the journal.
    pub ordinal: u32,
    /// The key for the provider: the same for every try of this step of this execution.
    pub idempotency_key: String,
    /// What is known; `None` when it was never begun. An effect that is begun now is `None` too: its intent has
    /// just become durable.
    pub known: Option<StepState>,
}

/// What a [`Context`](super::Context) stands on; implemented by the running system, once per attempt.
///
/// After the attempt has ended for the system, by deadline or cancellation, every call fails and nothing is stored:
/// code that runs on by itself cannot write any more.
#[async_trait]
pub trait ContextHost: Send + Sync + 'static {
    /// Facts about the run.
    fn info(&self) -> &RunInfo;

    /// The clock.
    fn clock(&self) -> &Arc<dyn Clock>;

    /// Looks `name` up in the journal, or begins it. For an effect, returns only after the intent is durable.
    async fn begin_step(&self, name: &str, kind: StepKind) -> Result<StepTicket>;

    /// Stores what became of a step; returns only after it is durable.
    async fn end_step(&self, ordinal: u32, state: StepState) -> Result<()>;

    /// Ends this attempt because a person must decide about the effect at `ordinal`; returns the error to pass on.
    async fn need_attention(&self, ordinal: u32) -> crate::Error;

    /// Hears that code which is not polled waits for nothing but steps.
    fn came_to_rest(&self);

    /// Waits; the attempt does not count as at rest meanwhile.
    async fn sleep(&self, duration: Duration);

    /// Tells something to whoever follows the execution.
    fn emit(&self, event: EventBody);

    /// Notes a problem the workflow lives with: the execution will end `CompletedWithErrors`.
    fn note_problem(&self, problem: ErrorReport);

    /// A configuration value: the tenant's own, else the provider tenant's.
    async fn config(&self, key: &ConfigKey) -> Result<Option<Value>>;

    /// A secret's text, for the moment of sending: the tenant's own, else the provider tenant's.
    async fn secret(&self, name: &SecretName) -> Result<Secret>;

    /// A secret's text for workflow code itself, where the host of the hub allows that.
    async fn reveal(&self, name: &SecretName) -> Result<Secret>;

    /// Starts a child execution, or finds the one that was started for the step of this idempotency key, and waits for
    /// its end.
    async fn run_child(&self, key: &str, workflow: &WorkflowName, params: &Value) -> Result<(ExecutionId, Outcome)>;

    /// A connection of the tenant.
    async fn connection(&self, id: &ConnectionId) -> Result<Connection>;

    /// The tenant's id at a provider.
    async fn mapping(&self, provider: &str) -> Result<Option<EntityMapping>>;

    /// Resolves when somebody asks to cancel.
    async fn cancelled(&self);
}
