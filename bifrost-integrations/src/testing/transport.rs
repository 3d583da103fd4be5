//! The simulators as a transport: the whole outbound stack above them, no socket below.

use async_trait::async_trait;
use bifrost_core::time::within;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use http::{HeaderMap, Request, Response};

use super::outcome::SimOutcome;
use super::simulators::Simulators;
use crate::http::{Limits, Transport, TransportError, TransportErrorKind};

/// Sends requests to simulators in this process, at the addresses of the real services. Time passes on the
/// simulators' clock.
///
/// ```
/// use std::sync::Arc;
/// use bifrost_integrations::http::Transport;
/// use bifrost_integrations::testing::{SimulatorTransport, Simulators};
///
/// let sims = Simulators::builder().with_seed(1).build();
/// let transport: Arc<dyn Transport> = Arc::new(SimulatorTransport::new(sims));
/// ```
#[derive(Debug, Clone)]
pub struct SimulatorTransport {
    sims: Simulators,
}

impl SimulatorTransport {
    /// The way to `sims`.
    pub fn new(sims: Simulators) -> Self {
        Self { sims }
    }

    async fn exchange(&self, request: Request<Bytes>, limits: Limits<'_>) -> Result<Response<Bytes>, TransportError> {
        let answer = match self.sims.handle(request).await {
            SimOutcome::Response(answer) => answer,
            // To the caller both look the same.
            SimOutcome::ConnectionReset | SimOutcome::AnswerDropped => {
                return Err(failure(TransportErrorKind::Lost, "the connection closed without an answer"));
            }
        };
        let (parts, mut pieces) = answer.into_http(self.sims.clock().clone()).into_parts();
        check_headers(&parts.headers, limits)?;
        let mut body = BytesMut::new();
        while let Some(piece) = pieces.next().await {
            let piece =
                piece.map_err(|error| failure(TransportErrorKind::Lost, "the answer broke off").caused_by(error))?;
            if body.len() + piece.len() > limits.max_body {
                return Err(failure(TransportErrorKind::TooLarge, "the body of the answer is too large"));
            }
            body.extend_from_slice(&piece);
        }
        Ok(Response::from_parts(parts, body.freeze()))
    }
}

#[async_trait]
impl Transport for SimulatorTransport {
    async fn send(&self, request: Request<Bytes>, limits: Limits<'_>) -> Result<Response<Bytes>, TransportError> {
        let clock = self.sims.clock();
        let answer = within(clock.as_ref(), limits.timeout, self.exchange(request, limits)).await;
        answer.unwrap_or_else(|| Err(failure(TransportErrorKind::TimedOut, "no complete answer in time")))
    }
}

fn check_headers(headers: &HeaderMap, limits: Limits<'_>) -> Result<(), TransportError> {
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if headers.len() > limits.max_headers || bytes > limits.max_header_bytes {
        return Err(failure(TransportErrorKind::TooLarge, "the headers of the answer are too large"));
    }
    Ok(())
}

fn failure(kind: TransportErrorKind, message: &str) -> TransportError {
    TransportError::new(kind, message)
}
