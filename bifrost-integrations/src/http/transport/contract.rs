//! The way to the network: one trait, so that tests and simulators can stand in for it.
//!
//! A transport sends a request exactly once. It retries nothing, follows no redirect, adds no credential and knows no
//! proxy; all of that is decided above it, in the [stack](crate::http::stack).

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bifrost_core::Clock;
use bifrost_core::time::within;
use bytes::Bytes;
use url::Url;

/// What a peer may cost us, per request.
#[derive(Debug, Clone, Copy)]
pub struct Limits<'a> {
    /// Bytes of the body, counted after decompression.
    pub max_body: usize,
    /// Number of header fields in the answer.
    pub max_headers: usize,
    /// Bytes of all header names and values together.
    pub max_header_bytes: usize,
    /// Time from the first byte sent to the last byte read, connecting included.
    pub timeout: Duration,
    /// Hosts that may be reached although they resolve to private addresses, and without TLS.
    pub private_hosts: &'a [String],
}

/// Sends requests.
#[async_trait]
pub trait Transport: Send + Sync + fmt::Debug + 'static {
    /// Sends `request`, whose URI is absolute, once, and reads the answer whatever its status.
    ///
    /// # Errors
    /// [`TransportError`], which says whether the peer may have received the request.
    async fn send(
        &self,
        request: http::Request<Bytes>,
        limits: Limits<'_>,
    ) -> Result<http::Response<Bytes>, TransportError>;

    /// The same when the request's URI was made of `url`, for transports that would read it as a URL again: that costs
    /// more than all the stack does besides.
    ///
    /// # Errors
    /// As [`Transport::send`].
    async fn send_to(
        &self,
        url: &Url,
        request: http::Request<Bytes>,
        limits: Limits<'_>,
    ) -> Result<http::Response<Bytes>, TransportError> {
        let _ = url;
        self.send(request, limits).await
    }
}

/// Holds what a transport's `sending` gives to `timeout`, whether or not the transport does so itself.
///
/// # Errors
/// As [`Transport::send`].
pub(crate) async fn answered_in_time(
    clock: &dyn Clock,
    timeout: Duration,
    sending: impl Future<Output = Result<http::Response<Bytes>, TransportError>>,
) -> Result<http::Response<Bytes>, TransportError> {
    within(clock, timeout, sending).await.unwrap_or_else(|| {
        let message = format!("no complete answer within {:.1} s", timeout.as_secs_f64());
        Err(TransportError::new(TransportErrorKind::TimedOut, message))
    })
}

/// How sending failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TransportErrorKind {
    /// We refused to send it: the address, the scheme or the URL is not allowed.
    Blocked,
    /// The peer was not reached: no such name, refused, no TLS.
    NotSent,
    /// No complete answer in time.
    TimedOut,
    /// The connection broke or the answer was garbage.
    Lost,
    /// The answer is larger than the limits allow.
    TooLarge,
}

impl TransportErrorKind {
    /// True when the peer may have received the request and acted on it.
    pub fn maybe_received(self) -> bool {
        matches!(self, Self::TimedOut | Self::Lost | Self::TooLarge)
    }
}

/// Why no answer came. Neither URL nor header is in it.
#[derive(Debug)]
pub struct TransportError {
    kind: TransportErrorKind,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl TransportError {
    /// A failure of `kind`.
    pub fn new(kind: TransportErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    /// Keeps the error underneath.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// How it failed.
    pub fn kind(&self) -> TransportErrorKind {
        self.kind
    }

    /// True when the peer may have received the request and acted on it.
    pub fn maybe_received(&self) -> bool {
        self.kind.maybe_received()
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for TransportError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_ref().map(|source| source.as_ref() as _)
    }
}
