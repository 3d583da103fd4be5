//! A provider made of noise: the real stack and clients over a transport that answers whatever it is told.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a body speaks by panicking")]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use bifrost_core::testing::fuzz::Noise;
use bifrost_core::testing::{ManualClock, SeededEntropy};
use bifrost_core::{Clock, Connection, ConnectionSettings, Credential, Entropy, Error, Integration, Result};
use bytes::Bytes;
use http::{Request, Response};

use crate::http::scripted::{ScriptedTransport, answer, json};
use crate::http::{Transport, TransportError, TransportErrorKind};
use crate::testing::DirectTokens;

/// The token every peer issues.
pub(super) const TOKEN: &str = "tk-canary-2b1f77ad90c3";
/// The secret every connection signs in with.
pub(super) const CLIENT_SECRET: &str = "sc-canary-77ad90c32b1f";
/// The refresh token of those that have one.
pub(super) const REFRESH_TOKEN: &str = "rt-canary-90c32b1f77ad";
/// What stands in a body where somebody's data would.
pub(super) const PERSONAL: &str = "canary-7f3e9d";

const STATUSES: [u16; 24] = [
    200, 200, 200, 200, 200, 200, 201, 204, 206, 304, 301, 302, 400, 401, 403, 404, 409, 410, 424, 429, 500, 502, 503,
    504,
];
const HEADERS: [(&str, &str); 12] = [
    ("content-type", "application/json"),
    ("content-type", "text/html"),
    ("retry-after", "7"),
    ("retry-after", "0.25"),
    ("retry-after", "-1"),
    ("retry-after", "Fri, 31 Dec 9999 23:59:59 GMT"),
    ("location", "https://evil.example/v1.0/users"),
    ("location", "/elsewhere"),
    ("www-authenticate", "Bearer error=\"insufficient_claims\", claims=\"e30=\""),
    ("x-ms-throttle-scope", "Tenant_Application/ReadWrite/a/b"),
    ("x-ms-throttle-limit-percentage", "1.8"),
    ("x-ms-resource-unit", "4294967295"),
];
/// More than any call may send, retries and pages included.
const MOST_REQUESTS: usize = 400;
/// More waits than any call may have.
const MOST_WAITS: usize = 10_000;

/// The answers in `data`: between zero bytes one each, of a status, headers and a body.
pub(super) fn answers(data: &[u8]) -> VecDeque<Response<Bytes>> {
    let parts = data.split(|byte| *byte == 0).take(12);
    parts
        .map(|part| {
            let mut noise = Noise::new(part);
            let status = noise.pick(&STATUSES);
            let headers = [noise.pick(&HEADERS), noise.pick(&HEADERS)];
            answer(status, &headers, Bytes::copy_from_slice(noise.rest()))
        })
        .collect()
}

/// A provider that answers these, then that there is nothing; and a connection to it.
pub(super) struct Peer {
    pub(super) transport: ScriptedTransport,
    pub(super) clock: ManualClock,
    pub(super) entropy: Arc<dyn Entropy>,
}

impl Peer {
    pub(super) fn answering(answers: VecDeque<Response<Bytes>>) -> Self {
        let answers = Mutex::new(answers);
        let transport = ScriptedTransport::new().otherwise(move |request: Request<Bytes>| {
            if request.uri().path().ends_with("/token") {
                let body = format!(r#"{{"access_token":"{TOKEN}","token_type":"Bearer","expires_in":3599}}"#);
                return Ok(json(200, body));
            }
            match answers.lock().unwrap_or_else(PoisonError::into_inner).pop_front() {
                Some(answer) if answer.status() == 206 => {
                    Err(TransportError::new(TransportErrorKind::Lost, "the answer broke off"))
                }
                Some(answer) => Ok(answer),
                None => Ok(json(404, r#"{"error":{"code":"itemNotFound","message":"no"}}"#)),
            }
        });
        let clock = ManualClock::starting_at("2026-08-01T10:00:00Z".parse().unwrap());
        Self { transport, clock, entropy: Arc::new(SeededEntropy::new(1)) }
    }

    pub(super) fn parts(&self) -> (Arc<dyn Transport>, Arc<dyn Clock>, Arc<dyn Entropy>) {
        (Arc::new(self.transport.clone()), Arc::new(self.clock.clone()), Arc::clone(&self.entropy))
    }

    /// A connection over `integration`.
    pub(super) fn connect(&self, integration: impl Integration, settings: ConnectionSettings) -> Connection {
        let credential = Credential::client_secret("app", CLIENT_SECRET);
        let clock = Arc::new(self.clock.clone());
        Arc::new(DirectTokens::new(Arc::new(integration), clock, settings, credential).unwrap()).connection()
    }

    /// Runs `work` to its end, letting time pass whenever it waits. It must end.
    pub(super) fn run<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        let mut context = Context::from_waker(Waker::noop());
        for _ in 0..MOST_WAITS {
            if let Poll::Ready(done) = work.as_mut().poll(&mut context) {
                let requests = self.transport.requests().len();
                assert!(requests <= MOST_REQUESTS, "{requests} requests were sent");
                return done;
            }
            if let Some(due) = self.clock.next_due() {
                self.clock.advance(due);
            }
        }
        panic!("a call does not end");
    }

    /// Every request went to one of these hosts, and the token to the first alone.
    pub(super) fn went_to(&self, api: &str, login: &str) {
        for request in self.transport.requests() {
            let host = request.uri().host().unwrap_or_default();
            assert_eq!(request.uri().scheme_str(), Some("https"));
            assert!(host == api || host == login, "a request went to {}", request.uri());
            let authorised = request.headers().get("authorization").is_some();
            assert!(!authorised || host == api, "the token went to {host}");
            assert!(!request.uri().to_string().contains(TOKEN));
        }
    }
}

/// An error says what happened, and nothing that must stay secret.
pub(super) fn discreet(error: &Error) {
    let shown = format!("{error:?}\n{error}\n{:?}", error.to_report());
    for secret in [TOKEN, CLIENT_SECRET, REFRESH_TOKEN] {
        assert!(!shown.contains(secret), "{shown}");
    }
    assert!(!error.message().is_empty());
    assert!(error.message().chars().count() <= 1_000, "{} characters", error.message().len());
    assert!(error.retry_after().is_none_or(|wait| wait <= crate::http::retry_after::MAX_RETRY_AFTER.mul_f64(1.1)));
}

/// The outcome's error, if it is one, says nothing it must not.
pub(super) fn checked<T>(outcome: Result<T>) -> Option<T> {
    outcome.inspect_err(discreet).ok()
}
