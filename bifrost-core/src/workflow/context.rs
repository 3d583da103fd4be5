//! What a workflow sees: the only door to steps, effects, configuration, secrets, connections, progress and time.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::closures;
use super::effect::Effect;
use super::host::{ContextHost, RunInfo};
use crate::connection::Connection;
use crate::error::{Error, ErrorKind, Result};
use crate::event::{EventBody, LogLevel};
use crate::id::{ConfigKey, ConnectionId, SecretName};
use crate::secret::Secret;
use crate::tenant::EntityMapping;
use crate::time::{Clock, Timestamp};

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
        closures::step(self, name, f).await
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
        Effect::new(self, name)
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
        self.0.sleep(duration).await;
    }

    /// Resolves when somebody asks to cancel, for work that wants to stop by itself.
    pub async fn cancelled(&self) {
        self.0.cancelled().await;
    }

    pub(super) fn host(&self) -> &Arc<dyn ContextHost> {
        &self.0
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

    /// The secret, for the workflow's own code: for languages whose clients cannot be handed a [`Secret`]. The read is
    /// audited as `secret.reveal`, the refusal too.
    ///
    /// # Errors
    /// `PermissionDenied` unless the host allows it for the whole hub; `NotFound` naming the secret.
    pub async fn reveal(&self) -> Result<Secret> {
        self.host.reveal(&self.name).await
    }
}

impl std::fmt::Debug for SecretHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SecretHandle({})", self.name)
    }
}
