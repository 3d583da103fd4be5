//! A transport that answers from a script, for unit tests of integrations.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Request, Response};

use super::transport::{Limits, Transport, TransportError, TransportErrorKind};

/// What a scripted transport answers.
pub type Reply = Result<Response<Bytes>, TransportError>;

type Handler = Box<dyn FnMut(Request<Bytes>) -> BoxFuture<'static, Reply> + Send>;

/// Answers each request with the next step of its script, in order, and with the fallback once the script is used up.
/// Keeps every request it saw.
///
/// ```
/// use bifrost_integrations::http::scripted::{ScriptedTransport, json};
///
/// let transport = ScriptedTransport::new().then(|request| {
///     assert_eq!(request.uri().path(), "/v1.0/me");
///     Ok(json(200, r#"{"id":"1"}"#))
/// });
/// assert!(transport.requests().is_empty());
/// ```
#[derive(Clone)]
pub struct ScriptedTransport(Arc<Mutex<Script>>);

struct Script {
    steps: VecDeque<Handler>,
    fallback: Option<Handler>,
    requests: Vec<Request<Bytes>>,
}

impl ScriptedTransport {
    /// A transport that refuses every request: it has no script yet.
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(Script { steps: VecDeque::new(), fallback: None, requests: Vec::new() })))
    }

    /// Answers the next request with `step`.
    #[must_use]
    pub fn then(self, mut step: impl FnMut(Request<Bytes>) -> Reply + Send + 'static) -> Self {
        self.then_async(move |request| {
            let reply = step(request);
            Box::pin(async move { reply })
        })
    }

    /// Answers the next request with what `step` resolves to: it may wait on a clock.
    #[must_use]
    pub fn then_async(self, step: impl FnMut(Request<Bytes>) -> BoxFuture<'static, Reply> + Send + 'static) -> Self {
        self.lock().steps.push_back(Box::new(step));
        self
    }

    /// Answers everything beyond the script with `step`.
    #[must_use]
    pub fn otherwise(self, mut step: impl FnMut(Request<Bytes>) -> Reply + Send + 'static) -> Self {
        self.lock().fallback = Some(Box::new(move |request| {
            let reply = step(request);
            Box::pin(async move { reply })
        }));
        self
    }

    /// The requests so far, as they would have gone out: with credentials.
    pub fn requests(&self) -> Vec<Request<Bytes>> {
        self.lock().requests.clone()
    }

    /// True when every step of the script was used.
    pub fn is_done(&self) -> bool {
        self.lock().steps.is_empty()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Script> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reply(&self, request: Request<Bytes>) -> Option<BoxFuture<'static, Reply>> {
        let mut script = self.lock();
        script.requests.push(request.clone());
        if let Some(mut step) = script.steps.pop_front() {
            return Some(step(request));
        }
        script.fallback.as_mut().map(|step| step(request))
    }
}

impl Default for ScriptedTransport {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for ScriptedTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let script = self.lock();
        f.debug_struct("ScriptedTransport")
            .field("steps", &script.steps.len())
            .field("requests", &script.requests.len())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Transport for ScriptedTransport {
    async fn send(&self, request: Request<Bytes>, _limits: Limits<'_>) -> Reply {
        match self.reply(request) {
            Some(reply) => reply.await,
            None => Err(TransportError::new(TransportErrorKind::Blocked, "the script has no answer left")),
        }
    }
}

/// An answer with a JSON body.
pub fn json(status: u16, body: impl Into<Bytes>) -> Response<Bytes> {
    answer(status, &[("content-type", "application/json")], body)
}

/// An answer with these headers and this body. A status, name or value that is none is left out.
pub fn answer(status: u16, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Response<Bytes> {
    let mut response = Response::new(body.into());
    if let Ok(status) = http::StatusCode::from_u16(status) {
        *response.status_mut() = status;
    }
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (name.parse::<http::HeaderName>(), value.parse::<http::HeaderValue>()) {
            response.headers_mut().append(name, value);
        }
    }
    response
}
