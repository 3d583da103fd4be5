//! The outbound stack: `deadline { retry { budget permit { auth { redact + trace { transport }}}}}`.
//!
//! One stack serves all connections of one integration in one hub. Each attempt takes a new permit and asks for a live
//! token, so that a retry never hammers a throttled provider and never repeats a dead token. Identical reads that are
//! under way at the same time are one call.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bifrost_core::integration::{CallObserver, IntegrationSnapshot, Outbound, ProviderDescriptor};
use bifrost_core::{Clock, Connection, Entropy, Error, Result, Secret};
use bytes::Bytes;
use tracing::Instrument as _;
use url::Url;

use super::budget::Budget;
use super::call::Call;
use super::classify::{Classifier, StatusClassifier};
use super::config::StackConfig;
use super::counters::Counters;
use super::health::Health;
use super::request_ids::RequestIds;
use super::sharing::{Deadline, Flights, Key};
use super::target;
use super::transport::Transport;

/// Put into a request's extensions: redirects of this GET are followed, at most three, each host checked again, and
/// the credentials stay behind when the host changes.
#[derive(Debug, Clone, Copy)]
pub struct FollowRedirects;

/// Put into a request's extensions: no token is asked for nor sent, and links to any public host are allowed.
#[derive(Debug, Clone, Copy)]
pub struct Anonymous;

/// Put into a request's extensions: secrets in its body or headers. A provider that repeats them does not get them into
/// an error. An accepted answer carries it too, with the token that was sent, for whoever reads texts out of it.
#[derive(Debug, Clone, Default)]
pub struct Carries(pub Vec<Secret>);

#[cfg(any(feature = "graph", feature = "halopsa"))]
impl Carries {
    /// What takes the secrets of a request, or of the request an answer came to, out of texts.
    pub(crate) fn scrubber(extensions: &http::Extensions) -> super::redact::Scrubber {
        super::redact::Scrubber::new(extensions.get::<Self>().map(|carried| carried.0.as_slice()).unwrap_or_default())
    }
}

/// The stack of one integration. Clones share everything.
#[derive(Clone)]
pub struct HttpStack(pub(crate) Arc<Inner>);

/// The sizes of what an [`HttpStack`] remembers of those who call through it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remembered {
    /// Applications, tenants, connections and resources whose use of a limit counts still.
    pub budget_nodes: usize,
    /// Connections whose peer has failed of late, and some that were used of late.
    pub peers: usize,
    /// Reads under way that others may join.
    pub shared_reads: usize,
}

pub(crate) struct Inner {
    pub(crate) descriptor: ProviderDescriptor,
    pub(crate) config: StackConfig,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) classifier: Arc<dyn Classifier>,
    pub(crate) budget: Budget,
    pub(crate) health: Health,
    pub(crate) counters: Counters,
    pub(crate) flights: Flights,
    pub(super) ids: RequestIds,
}

impl HttpStack {
    /// Starts a stack for the provider `descriptor` names.
    pub fn builder(
        descriptor: ProviderDescriptor,
        transport: Arc<dyn Transport>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> HttpStackBuilder {
        HttpStackBuilder {
            descriptor,
            transport,
            clock,
            entropy,
            config: StackConfig::default(),
            classifier: Arc::new(StatusClassifier),
            observer: None,
        }
    }

    /// Sends `outbound` over `connection` and returns the first answer the classifier accepts.
    ///
    /// # Errors
    /// As [`Connection::send`].
    pub async fn send(&self, connection: &Connection, outbound: Outbound) -> Result<http::Response<Bytes>> {
        let span = tracing::debug_span!(
            "call",
            tenant = %connection.tenant(),
            connection = %connection.id(),
            provider = %self.0.descriptor.id,
            endpoint = outbound.endpoint,
        );
        let (endpoint, outbound) = (outbound.endpoint, Arc::new(outbound));
        let call = async {
            let mut answer = self.answer(connection, &outbound).await?;
            // Whoever reads the body has to know what an unreadable one leaves in doubt.
            answer.extensions_mut().insert(outbound.request.method().clone());
            Ok(answer)
        };
        call.instrument(span).await.map_err(|error| self.located(error, connection, endpoint))
    }

    /// Joins an identical read that is under way, or calls.
    async fn answer(&self, connection: &Connection, outbound: &Arc<Outbound>) -> Result<http::Response<Bytes>> {
        let until = self.0.until(outbound);
        let base = target::base_url(connection, self.0.config.base_url.as_ref())?;
        let url = Arc::new(target::resolve(base, outbound.request.uri())?);
        if let Some(key) = Key::of(connection, outbound, &url) {
            return self.share(key, connection, outbound, url, until).await;
        }
        let _writing = (!outbound.request.method().is_safe()).then(|| self.0.flights.writing(connection));
        Call::new(&self.0, connection, outbound, url, &Deadline::at(until))?.run().await
    }

    async fn share(
        &self,
        key: Key,
        connection: &Connection,
        outbound: &Arc<Outbound>,
        url: Arc<Url>,
        until: Duration,
    ) -> Result<http::Response<Bytes>> {
        let clock = self.0.clock.as_ref();
        let start = |deadline: Arc<Deadline>| {
            let (stack, connection, outbound) = (Arc::clone(&self.0), connection.clone(), Arc::clone(outbound));
            // Whoever drives the call, its attempts belong to the span of the caller who started it.
            async move { Call::new(&stack, &connection, &outbound, url, &deadline)?.run().await }.in_current_span()
        };
        let joined = self.0.flights.join(key, clock, until, start);
        if !joined.is_first() {
            self.0.counters.shared();
        }
        joined.answer(clock).await
    }

    /// How many calls were answered by an identical one that was under way already.
    pub fn shared(&self) -> u64 {
        self.0.counters.shared_so_far()
    }

    /// What has been sent so far, token exchanges included.
    pub fn snapshot(&self) -> IntegrationSnapshot {
        let mut snapshot = self.0.counters.snapshot();
        snapshot.budget_used = self.0.budget.used();
        snapshot
    }

    /// How much it remembers. None of it grows with how many tenants there ever were.
    pub fn remembered(&self) -> Remembered {
        Remembered {
            budget_nodes: self.0.budget.nodes(),
            peers: self.0.health.peers(),
            shared_reads: self.0.flights.underway(),
        }
    }

    /// What can be said of the provider as data.
    pub fn descriptor(&self) -> &ProviderDescriptor {
        &self.0.descriptor
    }

    /// Says in the error where it happened.
    fn located(&self, error: Error, connection: &Connection, endpoint: &'static str) -> Error {
        error
            .or_with("provider", &self.0.descriptor.id)
            .or_with("tenant", connection.tenant())
            .or_with("connection", connection.id())
            .or_with("endpoint", endpoint)
    }
}

impl Inner {
    /// When a call that starts now ends at the latest.
    fn until(&self, outbound: &Outbound) -> Duration {
        self.clock.monotonic().saturating_add(outbound.deadline.unwrap_or(self.config.deadline))
    }
}

impl fmt::Debug for HttpStack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpStack").field("provider", &self.0.descriptor.id).finish_non_exhaustive()
    }
}

/// Collects the parts of an [`HttpStack`].
#[derive(Debug)]
pub struct HttpStackBuilder {
    descriptor: ProviderDescriptor,
    transport: Arc<dyn Transport>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    config: StackConfig,
    classifier: Arc<dyn Classifier>,
    observer: Option<Arc<dyn CallObserver>>,
}

impl HttpStackBuilder {
    /// Sets limits, timeouts and retries.
    #[must_use]
    pub fn with_config(mut self, config: StackConfig) -> Self {
        self.config = config;
        self
    }

    /// Sets who reads the provider's answers.
    #[must_use]
    pub fn with_classifier(mut self, classifier: impl Classifier) -> Self {
        self.classifier = Arc::new(classifier);
        self
    }

    /// Sets who hears of every attempt.
    #[must_use]
    pub fn with_observer(mut self, observer: Arc<dyn CallObserver>) -> Self {
        self.observer = Some(observer);
        self
    }

    /// Checks the settings and joins the parts.
    ///
    /// # Errors
    /// `InvalidInput` naming the setting.
    pub fn build(self) -> Result<HttpStack> {
        self.check()?;
        let limits = self.descriptor.limits.clone();
        let (clock, entropy) = (Arc::clone(&self.clock), Arc::clone(&self.entropy));
        let budget = Budget::new(limits, &self.config.retry, clock, entropy);
        let ids = RequestIds::new(Arc::clone(&self.entropy));
        Ok(HttpStack(Arc::new(Inner {
            descriptor: self.descriptor,
            config: self.config,
            transport: self.transport,
            clock: self.clock,
            entropy: self.entropy,
            classifier: self.classifier,
            budget,
            health: Health::default(),
            counters: Counters::new(self.observer),
            flights: Flights::default(),
            ids,
        })))
    }

    fn check(&self) -> Result<()> {
        let config = &self.config;
        let zero = [
            ("deadline", config.deadline.is_zero()),
            ("attempt_timeout", config.attempt_timeout.is_zero()),
            ("max_body", config.max_body == 0),
            ("max_headers", config.max_headers == 0),
            ("max_header_bytes", config.max_header_bytes == 0),
            ("retry.max_attempts", config.retry.max_attempts == 0),
        ];
        if let Some((name, _)) = zero.iter().find(|(_, is_zero)| *is_zero) {
            return Err(Error::invalid("build stack", "the setting must not be zero").with("name", name));
        }
        let limit = self.descriptor.limits.iter().find(|limit| limit.amount == 0 || limit.per.is_zero());
        match limit {
            Some(limit) => Err(Error::invalid("build stack", "a limit of the descriptor allows nothing")
                .with("name", format!("{:?} {:?}", limit.scope, limit.unit))),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
pub(in crate::http) mod tests;
