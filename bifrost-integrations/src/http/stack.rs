//! The outbound stack: `deadline { retry { budget permit { auth { redact + trace { transport }}}}}`.
//!
//! One stack serves all connections of one integration in one hub. Each attempt takes a new permit and asks for a live
//! token, so that a retry never hammers a throttled provider and never repeats a dead token.

use std::fmt;
use std::sync::Arc;

use bifrost_core::integration::{CallObserver, IntegrationSnapshot, Outbound, ProviderDescriptor};
use bifrost_core::{Clock, Connection, Entropy, Error, Result};
use bytes::Bytes;

use super::classify::{Answer, Classified, Classifier, StatusClassifier};
use super::config::StackConfig;
use super::target;
use super::transport::{Limits, Transport};

/// Put into a request's extensions: redirects of this GET are followed, at most three, each host checked again, and
/// the credentials stay behind when the host changes.
#[derive(Debug, Clone, Copy)]
pub struct FollowRedirects;

/// Put into a request's extensions: no token is asked for nor sent, and links to any public host are allowed.
#[derive(Debug, Clone, Copy)]
pub struct Anonymous;

/// The stack of one integration. Clones share everything.
#[derive(Clone)]
pub struct HttpStack(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) descriptor: ProviderDescriptor,
    pub(super) config: StackConfig,
    pub(super) transport: Arc<dyn Transport>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) classifier: Arc<dyn Classifier>,
    pub(super) observer: Option<Arc<dyn CallObserver>>,
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
        let inner = &self.0;
        let base = target::base_url(connection, inner.config.base_url.as_ref())?;
        let url = target::resolve(base, outbound.request.uri())?;
        target::expect_same_origin(base, &url)?;
        let key = outbound.token.clone().unwrap_or_else(|| connection.default_token());
        let token = connection.tokens().token(&key).await?;
        let mut request = outbound.request.clone();
        *request.uri_mut() = url
            .as_str()
            .parse()
            .map_err(|_| Error::invalid("call provider", "no URI"))?;
        let bearer = http::HeaderValue::from_str(&format!("Bearer {}", token.access().expose()))
            .map_err(|_| Error::invalid("call provider", "the token holds characters no header may hold"))?;
        request.headers_mut().insert(http::header::AUTHORIZATION, bearer);
        let limits = Limits {
            max_body: inner.config.max_body,
            max_headers: inner.config.max_headers,
            max_header_bytes: inner.config.max_header_bytes,
            timeout: inner.config.attempt_timeout,
            private_hosts: &connection.settings().allow_private_hosts,
        };
        let method = request.method().clone();
        let response = match inner.transport.send(request, limits).await {
            Ok(response) => response,
            Err(error) => return Err(Classified::of_transport(&error).to_error().source(error)),
        };
        let answer = Answer {
            status: response.status(),
            headers: response.headers(),
            body: response.body(),
            method: &method,
            endpoint: outbound.endpoint,
            now: inner.clock.now(),
        };
        if inner.classifier.accepts(&answer) {
            return Ok(response);
        }
        Err(inner.classifier.classify(&answer).to_error())
    }

    /// What has been sent so far.
    pub fn snapshot(&self) -> IntegrationSnapshot {
        IntegrationSnapshot::default()
    }
}

impl fmt::Debug for HttpStack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpStack")
            .field("provider", &self.0.descriptor.id)
            .finish_non_exhaustive()
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
        Ok(HttpStack(Arc::new(Inner {
            descriptor: self.descriptor,
            config: self.config,
            transport: self.transport,
            clock: self.clock,
            entropy: self.entropy,
            classifier: self.classifier,
            observer: self.observer,
        })))
    }
}
