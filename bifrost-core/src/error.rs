//! One error type for the whole hub: what kind, during which operation, for whom, and what to do next.
//!
//! Whoever saw the failure decides kind and retryability together; whoever retries only reads them.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

/// The result of every fallible call of the hub.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, in the classes a caller branches on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorKind {
    /// The input is wrong; nothing was started.
    InvalidInput,
    /// No such thing, or not yours: both answer the same.
    NotFound,
    /// It exists already.
    AlreadyExists,
    /// It changed since it was read.
    Conflict,
    /// The caller may not do this.
    PermissionDenied,
    /// A value is larger than the limit names.
    TooLarge,
    /// A quota of the tenant is used up.
    QuotaExceeded,
    /// The hub has no room right now.
    Overloaded,
    /// The provider asked us to slow down.
    Throttled,
    /// A deadline passed.
    Timeout,
    /// Somebody cancelled it.
    Cancelled,
    /// The provider or the network is down; trying later can help.
    Unavailable,
    /// The provider understood and refused.
    Rejected,
    /// A write may or may not have been applied.
    UnknownOutcome,
    /// The connection needs a person: sign in, consent, renew a secret.
    ReauthRequired,
    /// A person must decide before the execution goes on.
    NeedsAttention,
    /// The tenant is suspended or disabled.
    Suspended,
    /// The hub, tenant or store is closed.
    Closed,
    /// The disk is full; reads go on, writes resume when there is room.
    StoreFull,
    /// The store saw a write or sync error and takes nothing more until it is reopened.
    StorePoisoned,
    /// Stored data does not read back as it was written.
    StoreCorrupt,
    /// Data that was acknowledged is not there.
    AcknowledgedDataMissing,
    /// Another process has the store open.
    StoreLocked,
    /// The workflow's own code ended with an error.
    WorkflowFailed,
    /// A defect of the hub or of code it runs: a panic, a broken invariant.
    Internal,
}

impl ErrorKind {
    /// The stable, user-visible name of the kind, as it appears in logs and JSON.
    pub fn code(self) -> &'static str {
        match self {
            Self::InvalidInput => "invalid_input",
            Self::NotFound => "not_found",
            Self::AlreadyExists => "already_exists",
            Self::Conflict => "conflict",
            Self::PermissionDenied => "permission_denied",
            Self::TooLarge => "too_large",
            Self::QuotaExceeded => "quota_exceeded",
            Self::Overloaded => "overloaded",
            Self::Throttled => "throttled",
            Self::Timeout => "timeout",
            Self::Cancelled => "cancelled",
            Self::Unavailable => "unavailable",
            Self::Rejected => "rejected",
            Self::UnknownOutcome => "unknown_outcome",
            Self::ReauthRequired => "reauth_required",
            Self::NeedsAttention => "needs_attention",
            Self::Suspended => "suspended",
            Self::Closed => "closed",
            Self::StoreFull => "store_full",
            Self::StorePoisoned => "store_poisoned",
            Self::StoreCorrupt => "store_corrupt",
            Self::AcknowledgedDataMissing => "acknowledged_data_missing",
            Self::StoreLocked => "store_locked",
            Self::WorkflowFailed => "workflow_failed",
            Self::Internal => "internal",
        }
    }
}

/// Whether trying again can help, as judged by who saw the failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Retry {
    /// The same call fails the same way.
    #[default]
    Never,
    /// The same call may succeed later.
    Later,
    /// The same call may succeed, but not before this much time has passed.
    After(Duration),
}

/// The error of the hub. Cheap to move; branch on [`Error::kind`].
///
/// ```
/// use bifrost_core::{Error, ErrorKind};
///
/// let error = Error::new(ErrorKind::NotFound, "find tenant", "no tenant of this name")
///     .with("tenant", "contoso")
///     .next_action("create it with `hub.tenants().create(..)`");
/// assert_eq!(
///     error.to_string(),
///     "find tenant: no tenant of this name (not_found; tenant=contoso); next: create it with `hub.tenants().create(..)`",
/// );
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    // Borrowed where the error arose, owned where it came back from the store.
    operation: Cow<'static, str>,
    message: String,
    context: Vec<(Cow<'static, str>, String)>,
    retry: Retry,
    next_action: Option<String>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error of `kind`, seen during `operation`, that trying again does not cure.
    pub fn new(kind: ErrorKind, operation: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            operation: operation.into(),
            message: message.into(),
            context: Vec::new(),
            retry: Retry::Never,
            next_action: None,
            source: None,
        }))
    }

    /// Bad input: the caller must change it.
    pub fn invalid(operation: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidInput, operation, message)
    }

    /// A defect of the hub itself.
    pub fn internal(operation: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, operation, message)
    }

    /// Adds one fact, such as `tenant` or `path`. Never pass a secret.
    #[must_use]
    pub fn with(mut self, key: impl Into<Cow<'static, str>>, value: impl fmt::Display) -> Self {
        self.0.context.push((key.into(), value.to_string()));
        self
    }

    /// Adds one fact unless there is one of this name.
    #[must_use]
    pub fn or_with(self, key: &'static str, value: impl fmt::Display) -> Self {
        if self.context(key).is_some() { self } else { self.with(key, value) }
    }

    /// Sets whether trying again can help.
    #[must_use]
    pub fn retry(mut self, retry: Retry) -> Self {
        self.0.retry = retry;
        self
    }

    /// Says what a person can do about it.
    #[must_use]
    pub fn next_action(mut self, action: impl Into<String>) -> Self {
        self.0.next_action = Some(action.into());
        self
    }

    /// Keeps the error underneath. Its text is shown only by `Debug` and by walking the sources.
    #[must_use]
    pub fn source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// What went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What was attempted.
    pub fn operation(&self) -> &str {
        &self.0.operation
    }

    /// What was found, without operation and context.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Whether trying again can help.
    pub fn retryability(&self) -> Retry {
        self.0.retry
    }

    /// True unless the same call fails the same way.
    pub fn is_retryable(&self) -> bool {
        self.0.retry != Retry::Never
    }

    /// The least time to wait before trying again, where the provider named one.
    pub fn retry_after(&self) -> Option<Duration> {
        match self.0.retry {
            Retry::After(delay) => Some(delay),
            _ => None,
        }
    }

    /// What a person can do about it, where that is known.
    pub fn suggested_action(&self) -> Option<&str> {
        self.0.next_action.as_deref()
    }

    /// The value noted under `key`.
    pub fn context(&self, key: &str) -> Option<&str> {
        self.0.context.iter().find(|(name, _)| *name == key).map(|(_, value)| value.as_str())
    }

    /// The same error again, without its source: for several callers who share one failure.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        self.to_report().to_error()
    }

    /// The error as data: what an execution keeps of it.
    pub fn to_report(&self) -> ErrorReport {
        ErrorReport {
            kind: self.0.kind,
            operation: self.0.operation.clone().into_owned(),
            message: self.0.message.clone(),
            context: self.0.context.iter().map(|(key, value)| (key.clone().into_owned(), value.clone())).collect(),
            retry: self.0.retry,
            next_action: self.0.next_action.clone(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &self.0;
        write!(f, "{}: {} ({}", inner.operation, inner.message, inner.kind.code())?;
        for (key, value) in &inner.context {
            write!(f, "; {key}={value}")?;
        }
        f.write_str(")")?;
        match &inner.next_action {
            Some(action) => write!(f, "; next: {action}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")?;
        let mut source = StdError::source(self);
        while let Some(error) = source {
            write!(f, "\n  caused by: {error}")?;
            source = error.source();
        }
        Ok(())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_ref().map(|source| source.as_ref() as _)
    }
}

/// An [`Error`] as data, without its source: stored with executions and steps, shown by portals.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ErrorReport {
    /// What went wrong.
    pub kind: ErrorKind,
    /// What was attempted.
    pub operation: String,
    /// What was found.
    pub message: String,
    /// Facts, in the order they were noted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub context: Vec<(String, String)>,
    /// Whether trying again can help.
    #[serde(default)]
    pub retry: Retry,
    /// What a person can do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_action: Option<String>,
}

impl ErrorReport {
    /// The error again, as it is returned to whoever waits for the execution or replays the step.
    pub fn to_error(&self) -> Error {
        let mut error = Error::new(self.kind, self.operation.clone(), self.message.clone()).retry(self.retry);
        for (key, value) in &self.context {
            error = error.with(key.clone(), value);
        }
        match &self.next_action {
            Some(action) => error.next_action(action.clone()),
            None => error,
        }
    }
}

impl fmt::Display for ErrorReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({})", self.operation, self.message, self.kind.code())?;
        match &self.next_action {
            Some(action) => write!(f, "; next: {action}"),
            None => Ok(()),
        }
    }
}
