//! What a simulated exchange comes to: an answer, or one of the ways a connection can fail to bring one.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bifrost_core::Clock;
use bytes::Bytes;
use futures_util::stream::{BoxStream, StreamExt};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};
use serde_json::Value;

/// How one exchange ends, after every delay before its first byte has passed.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum SimOutcome {
    /// An answer arrives. Its body may still be slow or break off: see [`SimBody`].
    Response(SimResponse),
    /// The connection is reset before any byte of an answer, and the request had no effect.
    ConnectionReset,
    /// The request took effect, then the connection closed without an answer.
    AnswerDropped,
}

impl SimOutcome {
    /// The status of the answer; `None` when there is no answer.
    pub fn status(&self) -> Option<StatusCode> {
        self.response().map(|response| response.status)
    }

    /// The answer, if there is one.
    pub fn response(&self) -> Option<&SimResponse> {
        match self {
            Self::Response(response) => Some(response),
            Self::ConnectionReset | Self::AnswerDropped => None,
        }
    }

    /// The body read as JSON; `Value::Null` when there is no answer or it is not JSON.
    pub fn json(&self) -> Value {
        self.response()
            .and_then(|response| serde_json::from_slice(&response.body.to_bytes()).ok())
            .unwrap_or(Value::Null)
    }
}

/// An answer: status, headers and a body in pieces.
#[derive(Debug, Clone, PartialEq)]
pub struct SimResponse {
    /// The status line's code.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: SimBody,
}

impl SimResponse {
    /// An answer without body and headers.
    pub fn empty(status: StatusCode) -> Self {
        Self { status, headers: HeaderMap::new(), body: SimBody::default() }
    }

    /// An answer whose whole body is `body`.
    pub fn new(status: StatusCode, content_type: &str, body: impl Into<Bytes>) -> Self {
        let mut response = Self::empty(status);
        response.set(CONTENT_TYPE, content_type);
        response.body = SimBody::full(body.into());
        response
    }

    /// A JSON answer.
    pub fn json(status: StatusCode, body: &Value) -> Self {
        Self::new(status, "application/json; charset=utf-8", body.to_string())
    }

    /// Sets a header; a value that cannot be one is left out.
    pub fn set(&mut self, name: HeaderName, value: &str) {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
    }

    /// The same with a header more; a value that cannot be one is left out.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: &str) -> Self {
        self.set(HeaderName::from_static(name), value);
        self
    }

    /// The answer as `http` knows it, its body a stream that keeps the pauses on `clock` and ends with an error where
    /// the body breaks off. This is what a transport adapter hands to its caller.
    pub fn into_http(mut self, clock: Arc<dyn Clock>) -> http::Response<BoxStream<'static, io::Result<Bytes>>> {
        let length = self.body.announced_length().to_string();
        if self.status != StatusCode::NO_CONTENT {
            self.set(CONTENT_LENGTH, &length);
        }
        let mut response = http::Response::new(self.body.into_stream(clock));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }
}

/// One piece of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimChunk {
    /// How long to wait before sending it.
    pub pause: Duration,
    /// Its bytes.
    pub bytes: Bytes,
}

/// A body in pieces, which may be slow and may break off.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SimBody {
    /// The pieces, in order.
    pub chunks: Vec<SimChunk>,
    /// How many announced bytes never arrive: more than zero means the connection closes after the last piece.
    pub missing: usize,
}

impl SimBody {
    /// A body that arrives at once.
    pub fn full(bytes: Bytes) -> Self {
        let chunks = if bytes.is_empty() { Vec::new() } else { vec![SimChunk { pause: Duration::ZERO, bytes }] };
        Self { chunks, missing: 0 }
    }

    /// The bytes that do arrive, joined.
    pub fn to_bytes(&self) -> Bytes {
        match self.chunks.as_slice() {
            [] => Bytes::new(),
            [only] => only.bytes.clone(),
            many => many.iter().flat_map(|chunk| chunk.bytes.iter().copied()).collect(),
        }
    }

    /// How many bytes the answer announces.
    pub fn announced_length(&self) -> usize {
        let sent: usize = self.chunks.iter().map(|chunk| chunk.bytes.len()).sum();
        sent + self.missing
    }

    /// The same body in about `pieces` pieces, each after `pause`.
    #[must_use]
    pub(super) fn slowed(self, pieces: usize, pause: Duration) -> Self {
        let whole = self.to_bytes();
        let size = whole.len().div_ceil(pieces.max(1)).max(1);
        let chunks = (0..whole.len())
            .step_by(size)
            .map(|start| SimChunk { pause, bytes: whole.slice(start..(start + size).min(whole.len())) })
            .collect();
        Self { chunks, missing: self.missing }
    }

    /// The same body, breaking off after `after` bytes. A body that short loses its last byte at least.
    #[must_use]
    pub(super) fn cut(self, after: usize) -> Self {
        let whole = self.to_bytes();
        let kept = after.min(whole.len().saturating_sub(1));
        let missing = (whole.len() - kept).max(1);
        Self { missing, ..Self::full(whole.slice(..kept)) }
    }

    fn into_stream(self, clock: Arc<dyn Clock>) -> BoxStream<'static, io::Result<Bytes>> {
        let broken = (self.missing > 0).then(|| Err(io::Error::from(io::ErrorKind::UnexpectedEof)));
        futures_util::stream::iter(self.chunks)
            .then(move |chunk| {
                let pause = (!chunk.pause.is_zero()).then(|| clock.sleep(chunk.pause));
                async move {
                    if let Some(pause) = pause {
                        pause.await;
                    }
                    Ok(chunk.bytes)
                }
            })
            .chain(futures_util::stream::iter(broken).then(|error| async {
                // Lets a server send what it holds: at once with the last piece the error would swallow it.
                tokio::task::yield_now().await;
                error
            }))
            .boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slowing_and_cutting_keep_the_announced_length() {
        let body = SimBody::full(Bytes::from_static(b"0123456789"));
        let slow = body.clone().slowed(3, Duration::from_secs(1));
        assert_eq!((slow.chunks.len(), slow.to_bytes().len()), (3, 10));
        for (after, kept) in [(0, 0), (4, 4), (99, 9)] {
            let cut = body.clone().cut(after);
            assert_eq!((cut.to_bytes().len(), cut.announced_length()), (kept, 10));
        }
        assert_eq!(SimBody::default().cut(5).announced_length(), 1);
    }
}
