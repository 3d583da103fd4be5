//! What a workflow sees: the only door to steps, effects, configuration, secrets, connections, progress and time.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::host::{ContextHost, RunInfo, StepTicket};
use crate::connection::Connection;
use crate::error::{Error, ErrorKind, Result};
use crate::event::{EventBody, LogLevel};
use crate::execution::{StepKind, StepState};
use crate::id::{ConfigKey, ConnectionId, SecretName};
use crate::secret::Secret;
use crate::tenant::EntityMapping;
use crate::time::{Clock, Timestamp, within};

/// The context of one attempt of one execution. Cheap to clone.
#[derive(Clone)]
pub struct Context(Arc<dyn ContextHost>);

impl Context {
    /// A context that stands on `host`. The running system calls this.
    pub fn new(host: Arc<dyn ContextHost>) -> Self {
        Self(host)
    }

    /// Facts about the run: tenant, execution, workflow, attempt, principal.
    pub fn info(&self) -> &RunInfo {
        self.0.info()
    }

    /// Runs `f` once and stores its result before returning it; on resume the stored result is returned and `f` does
    /// not run. A step is known by its name and how often the name came before.
    ///
    /// `f` may run more than once if the process dies before its result is stored: for writes to the outside, use
    /// [`Context::effect`].
    ///
    /// # Errors
    /// What `f` returns; an error that trying again does not cure is stored like a result. `Timeout` when `f` takes
    /// longer than the workflow's step deadline.
    pub async fn step<T, F, Fut>(&self, name: &str, f: F) -> Result<T>
    where
        T: Serialize + DeserializeOwned,
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T>>,
    {
        let ticket = self.0.begin_step(name, StepKind::Step).await?;
        if let Some(known) = replay(name, &ticket) {
            return known;
        }
        let result = self.bounded(name, f()).await;
        let state = match &result {
            Ok(value) => StepState::Confirmed { result: to_json(name, value)? },
            Err(error) => refusal(error),
        };
        self.0.end_step(ticket.ordinal, state).await?;
        result
    }

    /// Prepares a write to the outside that must not be repeated blindly.
    ///
    /// ```no_run
    /// # use bifrost_core::{Result, workflow::{Context, Probe}};
    /// # async fn create(key: String) -> Result<u64> { Ok(1) }
    /// # async fn find(key: String) -> Result<Option<u64>> { Ok(None) }
    /// # async fn example(ctx: Context) -> Result<()> {
    /// let ticket: u64 = ctx
    ///     .effect("open ticket")
    ///     .with_probe(|key| async { find(key).await.map(Probe::from) })
    ///     .run(|key| create(key))
    ///     .await?;
    /// # Ok(()) }
    /// ```
    pub fn effect<'a>(&'a self, name: &'a str) -> Effect<'a> {
        Effect { ctx: self, name, keyed: false }
    }

    /// Tells whoever follows the execution how far it is.
    pub fn progress(&self, done: u64, total: u64, message: impl Into<String>) {
        self.0.emit(EventBody::Progress { done, total, message: message.into() });
    }

    /// Says something to whoever follows the execution.
    pub fn log(&self, level: LogLevel, message: impl Into<String>) {
        self.log_with(level, message, Value::Null);
    }

    /// Says something, with facts beside it. Never pass a secret.
    pub fn log_with(&self, level: LogLevel, message: impl Into<String>, fields: Value) {
        self.0.emit(EventBody::Log { level, message: message.into(), fields });
    }

    /// Reports a problem the workflow lives with: the execution goes on and will end `CompletedWithErrors`.
    pub fn problem(&self, error: &Error) {
        self.0.note_problem(error.to_report());
    }

    /// A configuration value of type `T`: the tenant's own, else what it inherits from the provider tenant.
    ///
    /// # Errors
    /// `NotFound` naming the key; `InvalidInput` when the value is no `T`.
    pub async fn config<T: DeserializeOwned>(&self, key: &str) -> Result<T> {
        let name = ConfigKey::new(key)?;
        let value = self.0.config(&name).await?.ok_or_else(|| {
            Error::new(ErrorKind::NotFound, "read configuration", "no value is set for this key")
                .with("tenant", &self.info().tenant)
                .with("key", key)
                .next_action("set it on the tenant or, for all customers, on the provider tenant")
        })?;
        serde_json::from_value(value).map_err(|error| {
            Error::invalid("read configuration", format!("the value has another type: {error}"))
                .with("tenant", &self.info().tenant)
                .with("key", key)
        })
    }

    /// A handle to a secret: the tenant's own, else what it inherits from the provider tenant. The text is read when
    /// it is sent.
    ///
    /// # Errors
    /// `InvalidInput` when `name` is no valid name.
    pub fn secret(&self, name: &str) -> Result<SecretHandle> {
        Ok(SecretHandle { name: SecretName::new(name)?, host: Arc::clone(&self.0) })
    }

    /// A connection of the tenant, to send requests through.
    ///
    /// # Errors
    /// `NotFound` naming the connection; `InvalidInput` when `id` is no valid name.
    pub async fn connection(&self, id: &str) -> Result<Connection> {
        self.0.connection(&ConnectionId::new(id)?).await
    }

    /// The tenant's id at a provider, such as its HaloPSA client id.
    ///
    /// # Errors
    /// `NotFound` when the tenant is not mapped there.
    pub async fn mapping(&self, provider: &str) -> Result<EntityMapping> {
        self.0.mapping(provider).await?.ok_or_else(|| {
            Error::new(ErrorKind::NotFound, "read entity mapping", "the tenant is not mapped at this provider")
                .with("tenant", &self.info().tenant)
                .with("provider", provider)
                .next_action("set the mapping on the tenant")
        })
    }

    /// The wall-clock time. It differs between attempts: read it inside a step if the workflow branches on it.
    pub fn now(&self) -> Timestamp {
        self.0.clock().now()
    }

    /// The clock underneath, for clients that wait by themselves.
    pub fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(self.0.clock())
    }

    /// Waits. The wait itself is not stored: a resumed execution waits again.
    pub async fn sleep(&self, duration: Duration) {
        self.0.clock().sleep(duration).await;
    }

    /// Resolves when somebody asks to cancel, for work that wants to stop by itself.
    pub async fn cancelled(&self) {
        self.0.cancelled().await;
    }

    /// Runs `future` for at most the step deadline.
    async fn bounded<T>(&self, name: &str, future: impl Future<Output = Result<T>>) -> Result<T> {
        let limit = self.info().step_deadline;
        let clock = self.0.clock();
        match within(clock.as_ref(), limit, future).await {
            Some(result) => result,
            None => Err(Error::new(ErrorKind::Timeout, "run step", "the step took longer than its deadline")
                .with("step", name)
                .with("limit", format!("{}s", limit.as_secs_f64()))
                .retry(crate::Retry::Later)),
        }
    }
}

/// Errors of the hub itself, which say nothing about the step: never stored as the step's result.
fn transient_here(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::Cancelled
            | ErrorKind::Closed
            | ErrorKind::NeedsAttention
            | ErrorKind::StoreFull
            | ErrorKind::StorePoisoned
            | ErrorKind::UnknownOutcome
            | ErrorKind::ReauthRequired
    )
}

/// The stored end of a step, if it has ended.
fn replay<T: DeserializeOwned>(name: &str, ticket: &StepTicket) -> Option<Result<T>> {
    match ticket.known.as_ref()? {
        StepState::Confirmed { result } => Some(from_json(name, result.clone())),
        StepState::Refused { error } => Some(Err(error.to_error())),
        StepState::Intended | StepState::Unknown | StepState::NotApplied { .. } => None,
    }
}

fn to_json<T: Serialize>(name: &str, value: &T) -> Result<Value> {
    serde_json::to_value(value).map_err(|error| {
        Error::new(ErrorKind::WorkflowFailed, "run step", "the result does not serialize as JSON")
            .with("step", name)
            .source(error)
    })
}

fn from_json<T: DeserializeOwned>(name: &str, value: Value) -> Result<T> {
    serde_json::from_value(value).map_err(|error| {
        Error::new(ErrorKind::WorkflowFailed, "run step", "the recorded result has another type than the code expects")
            .with("step", name)
            .next_action("deploy the code that recorded it, or give the step a new name")
            .source(error)
    })
}

/// What a probe found out about a write.
#[derive(Debug, Clone, PartialEq)]
pub enum Probe<T> {
    /// It was applied; this is its result.
    Done(T),
    /// It was not applied.
    NotDone,
    /// The probe cannot tell: a person must.
    Unknown,
}

impl<T> From<Option<T>> for Probe<T> {
    /// Found is done, not found is not done: for providers that show a write at once.
    fn from(found: Option<T>) -> Self {
        found.map_or(Self::NotDone, Self::Done)
    }
}

/// A write to the outside, being prepared; see [`Context::effect`].
///
/// Its ledger goes `Intended → Confirmed | Unknown`. After a crash, or an answer that never came, the probe is asked;
/// without one, or if it cannot tell, the execution becomes `NeedsAttention`.
#[must_use]
pub struct Effect<'a> {
    ctx: &'a Context,
    name: &'a str,
    keyed: bool,
}

impl<'a> Effect<'a> {
    /// Declares how to find out whether the write was applied. The probe is given the same idempotency key as the
    /// write, for providers that keep a reference of the caller's.
    pub fn with_probe<P>(self, probe: P) -> ProbedEffect<'a, P> {
        ProbedEffect { ctx: self.ctx, name: self.name, probe }
    }

    /// Says that the provider honours the idempotency key that `run` is given: an unknown outcome is sent again.
    pub fn keyed(mut self) -> Self {
        self.keyed = true;
        self
    }

    /// Does it; `f` is given the idempotency key of this effect.
    ///
    /// # Errors
    /// What `f` returns; `NeedsAttention` when the outcome is unknown.
    pub async fn run<T, F, Fut>(self, f: F) -> Result<T>
    where
        T: Serialize + DeserializeOwned,
        F: FnMut(String) -> Fut,
        Fut: Future<Output = Result<T>>,
    {
        let keyed = self.keyed;
        let probe = move |_key| async move { Ok(if keyed { Probe::NotDone } else { Probe::Unknown }) };
        run_effect(self.ctx, self.name, probe, f).await
    }
}

/// An effect that can tell whether it was applied; see [`Effect::with_probe`].
#[must_use]
pub struct ProbedEffect<'a, P> {
    ctx: &'a Context,
    name: &'a str,
    probe: P,
}

impl<P> ProbedEffect<'_, P> {
    /// Does it, asking the probe where the outcome is unknown; `f` is given the idempotency key of this effect.
    ///
    /// # Errors
    /// What `f` returns; `NeedsAttention` when the probe cannot tell.
    pub async fn run<T, F, Fut, PFut>(self, f: F) -> Result<T>
    where
        T: Serialize + DeserializeOwned,
        F: FnMut(String) -> Fut,
        Fut: Future<Output = Result<T>>,
        P: Fn(String) -> PFut,
        PFut: Future<Output = Result<Probe<T>>>,
    {
        run_effect(self.ctx, self.name, self.probe, f).await
    }
}

/// How often one call sends an effect whose probe says that it was not applied.
const MAX_SENDS: u32 = 3;

async fn run_effect<T, F, Fut, P, PFut>(ctx: &Context, name: &str, probe: P, mut f: F) -> Result<T>
where
    T: Serialize + DeserializeOwned,
    F: FnMut(String) -> Fut,
    Fut: Future<Output = Result<T>>,
    P: Fn(String) -> PFut,
    PFut: Future<Output = Result<Probe<T>>>,
{
    let ticket = ctx.0.begin_step(name, StepKind::Effect).await?;
    if let Some(known) = replay(name, &ticket) {
        return known;
    }
    let mut in_doubt = matches!(ticket.known, Some(StepState::Intended | StepState::Unknown));
    for _ in 0..MAX_SENDS {
        if in_doubt {
            match ctx.bounded(name, probe(ticket.idempotency_key.clone())).await? {
                Probe::Done(value) => return confirm(ctx, name, ticket.ordinal, value).await,
                Probe::NotDone => {}
                Probe::Unknown => return Err(ctx.0.need_attention(ticket.ordinal).await),
            }
        }
        let error = match ctx.bounded(name, f(ticket.idempotency_key.clone())).await {
            Ok(value) => return confirm(ctx, name, ticket.ordinal, value).await,
            Err(error) => error,
        };
        // The step deadline cuts `f` off at any point: what it had sent may have arrived.
        in_doubt = matches!(error.kind(), ErrorKind::UnknownOutcome | ErrorKind::Timeout);
        if !in_doubt {
            ctx.0.end_step(ticket.ordinal, refusal(&error)).await?;
            return Err(error);
        }
        ctx.0.end_step(ticket.ordinal, StepState::Unknown).await?;
    }
    Err(ctx.0.need_attention(ticket.ordinal).await)
}

async fn confirm<T: Serialize>(ctx: &Context, name: &str, ordinal: u32, value: T) -> Result<T> {
    let result = to_json(name, &value)?;
    ctx.0.end_step(ordinal, StepState::Confirmed { result }).await?;
    Ok(value)
}

/// A failure that leaves no doubt: it was not applied. It is stored for good unless it may pass.
fn refusal(error: &Error) -> StepState {
    if error.is_retryable() || transient_here(error.kind()) {
        StepState::NotApplied { error: error.to_report() }
    } else {
        StepState::Refused { error: error.to_report() }
    }
}

/// A secret by name. It can be passed around and printed; its text is read only where it is sent.
#[derive(Clone)]
pub struct SecretHandle {
    name: SecretName,
    host: Arc<dyn ContextHost>,
}

impl SecretHandle {
    /// Its name.
    pub fn name(&self) -> &SecretName {
        &self.name
    }

    /// The secret, for an integration at the moment of sending. The read is audited.
    ///
    /// # Errors
    /// `NotFound` naming the secret.
    pub async fn resolve(&self) -> Result<Secret> {
        self.host.secret(&self.name).await
    }
}

impl std::fmt::Debug for SecretHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SecretHandle({})", self.name)
    }
}
