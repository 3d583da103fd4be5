//! Integrations: what the hub needs to know of a provider, and the door through which requests leave.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde::Serialize;

use crate::connection::{Connection, ConnectionSettings};
use crate::credential::{Credential, ExchangeFailure, ExchangeRequest, TokenKey, TokenSet};
use crate::error::{Error, ErrorKind, Result};
use crate::id::{ConnectionId, ExecutionId, ProviderId, TenantId};
use crate::policy::rate::RateLimit;
use crate::time::Timestamp;

/// What can be said of a provider as data.
#[derive(Debug, Clone, Serialize)]
pub struct ProviderDescriptor {
    /// Its name.
    pub id: ProviderId,
    /// Its name for people.
    pub title: &'static str,
    /// Its published limits, each with source and date.
    pub limits: Vec<RateLimit>,
}

/// A provider the hub can connect to. Implement it to bring your own; it then looks the same as ours.
#[async_trait]
pub trait Integration: Send + Sync + fmt::Debug + 'static {
    /// What can be said of the provider as data.
    fn descriptor(&self) -> &ProviderDescriptor;

    /// Checks settings and credential before anything is stored.
    ///
    /// # Errors
    /// `InvalidInput` naming the field.
    fn validate(&self, settings: &ConnectionSettings, credential: &Credential) -> Result<()>;

    /// The token a call uses unless it names another.
    fn default_token(&self, settings: &ConnectionSettings) -> TokenKey;

    /// Obtains a token over the network. Called by one connection at a time for one key, with a deadline around it.
    async fn exchange(&self, request: ExchangeRequest) -> Result<TokenSet, ExchangeFailure>;

    /// Sends a request for `connection`.
    ///
    /// # Errors
    /// As [`Connection::send`].
    async fn send(&self, connection: &Connection, request: Outbound) -> Result<http::Response<Bytes>>;

    /// What has been sent so far.
    fn snapshot(&self) -> IntegrationSnapshot;
}

/// What an integration has sent since the hub started.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct IntegrationSnapshot {
    /// Requests sent, every attempt counted, token exchanges too.
    pub calls: u64,
    /// Answered 429.
    pub throttled: u64,
    /// Attempts beyond the first.
    pub retries: u64,
    /// Cost in the provider's units.
    pub units: u64,
    /// Time calls waited for the budget, summed.
    pub budget_wait: Duration,
    /// The fullest node of the budget and how full it is, `0.0..=1.0`, by name.
    pub budget_used: BTreeMap<String, f64>,
}

/// Whether a request may be sent again when its answer is lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Safety {
    /// Doing it twice is doing it once: reads, full replacements, deletes.
    Idempotent,
    /// The provider honours this key: it applies requests with the same key once.
    Keyed {
        /// The header that carries the key.
        header: http::HeaderName,
        /// The key.
        key: String,
    },
    /// A write that must not be repeated blindly.
    Once,
}

/// What a request costs in the provider's terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Units of the provider, such as Graph resource units; plain requests count 1.
    pub units: u32,
    /// Writes, where the provider limits them apart; 0 for a read.
    pub writes: u32,
}

impl Cost {
    /// A read of one unit.
    pub const READ: Self = Self { units: 1, writes: 0 };
    /// A write of one unit.
    pub const WRITE: Self = Self { units: 1, writes: 1 };
}

/// A request as an integration's typed calls build it, without I/O: its URI is relative to the connection's base URL,
/// or absolute where a provider hands out links.
#[derive(Clone)]
pub struct Outbound {
    /// Method, URI, headers, body; no credentials.
    pub request: http::Request<Bytes>,
    /// The path with its parameters named, such as `/users/{id}`: what logs and statistics show.
    pub endpoint: &'static str,
    /// Whether it may be repeated.
    pub safety: Safety,
    /// What it costs.
    pub cost: Cost,
    /// The token to send, if not the integration's default one.
    pub token: Option<TokenKey>,
    /// The longest all attempts together may take; the integration's default if `None`.
    pub deadline: Option<Duration>,
    /// The resource a limit is counted on apart, such as a mailbox.
    pub resource: Option<String>,
}

impl Outbound {
    /// A request that is safe to repeat exactly when its method is (GET, HEAD, PUT, DELETE, OPTIONS; RFC 9110 9.2.2),
    /// at the plain cost of its method.
    pub fn new(request: http::Request<Bytes>, endpoint: &'static str) -> Self {
        let idempotent = request.method().is_idempotent();
        let read = request.method().is_safe();
        Self {
            request,
            endpoint,
            safety: if idempotent { Safety::Idempotent } else { Safety::Once },
            cost: if read { Cost::READ } else { Cost::WRITE },
            token: None,
            deadline: None,
            resource: None,
        }
    }

    /// Says whether it may be repeated.
    #[must_use]
    pub fn with_safety(mut self, safety: Safety) -> Self {
        self.safety = safety;
        self
    }

    /// Says what it costs.
    #[must_use]
    pub fn with_cost(mut self, cost: Cost) -> Self {
        self.cost = cost;
        self
    }

    /// Limits all attempts together.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }
}

impl fmt::Debug for Outbound {
    /// Shows the size of the body and neither it nor headers: a request that creates a user holds a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbound")
            .field("method", self.request.method())
            .field("endpoint", &self.endpoint)
            .field("body_bytes", &self.request.body().len())
            .field("safety", &self.safety)
            .field("cost", &self.cost)
            .finish_non_exhaustive()
    }
}

/// One attempt of a call, as statistics and logs see it; neither payload nor secret is in it.
#[derive(Debug, Clone, Serialize)]
pub struct CallRecord {
    /// When it was sent.
    pub at: Timestamp,
    /// For whom.
    pub tenant: TenantId,
    /// Over which connection.
    pub connection: ConnectionId,
    /// For which execution, if for one.
    pub execution: Option<ExecutionId>,
    /// To which provider.
    pub provider: ProviderId,
    /// With which method.
    pub method: String,
    /// The path with its parameters named.
    pub endpoint: &'static str,
    /// The status, unless no answer came.
    pub status: Option<u16>,
    /// The class of failure, if it failed.
    pub failure: Option<ErrorKind>,
    /// 1 for the first attempt.
    pub attempt: u32,
    /// What it cost.
    pub units: u32,
    /// How long it waited for the budget, in milliseconds.
    pub budget_wait_ms: u64,
    /// How long the answer took, in milliseconds.
    pub latency_ms: u64,
}

/// Hears of every attempt. Called on the path of the call: return at once.
pub trait CallObserver: Send + Sync + fmt::Debug + 'static {
    /// An attempt has ended.
    fn observe(&self, call: &CallRecord);
}

/// The providers a hub knows.
#[derive(Debug, Clone, Default)]
pub struct Registry(BTreeMap<ProviderId, Arc<dyn Integration>>);

impl Registry {
    /// Adds an integration, in place of one with the same provider.
    pub fn register(&mut self, integration: Arc<dyn Integration>) -> &mut Self {
        self.0.insert(integration.descriptor().id.clone(), integration);
        self
    }

    /// The integration for `provider`.
    ///
    /// # Errors
    /// `InvalidInput` naming the providers that are known.
    pub fn get(&self, provider: &ProviderId) -> Result<Arc<dyn Integration>> {
        self.0.get(provider).cloned().ok_or_else(|| {
            let known: Vec<&str> = self.0.keys().map(ProviderId::as_str).collect();
            Error::invalid("find provider", "no integration is registered for this provider")
                .with("provider", provider)
                .next_action(format!("register one; known are: {}", known.join(", ")))
        })
    }

    /// All integrations, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&ProviderId, &Arc<dyn Integration>)> {
        self.0.iter()
    }
}
