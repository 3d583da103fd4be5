//! A peer whose behaviour is a function of time, and what it was sent.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bifrost::credential::{Token, TokenKey, TokenSource};
use bifrost::graph::GraphIntegration;
use bifrost::http::{Limits, StatusClassifier, Transport, TransportError};
use bifrost::integration::Outbound;
use bifrost::testing::{SeededEntropy, TokioClock};
use bifrost::{Clock, Connection, ConnectionId, ConnectionSettings, Result, Secret, TenantId, Timestamp};
use bytes::Bytes;
use tokio::time::{Instant, sleep};

pub(super) type Reply = std::result::Result<http::Response<Bytes>, TransportError>;

/// How long an answer takes.
pub(super) const LATENCY: Duration = Duration::from_millis(100);

/// What a peer does with a request at a time: `None` never answers.
pub(super) type Manner = Box<dyn Fn(Duration) -> Option<Reply> + Send + Sync>;

pub(super) struct Peer {
    clock: Arc<dyn Clock>,
    manner: Manner,
    /// When and over which connection it was asked.
    asked: Mutex<Vec<(Duration, String)>>,
}

impl Peer {
    pub(super) fn new(manner: impl FnOnce(Arc<dyn Clock>) -> Manner) -> Arc<Self> {
        let clock: Arc<dyn Clock> = Arc::new(TokioClock::starting_at("2026-01-01T00:00:00Z".parse().unwrap()));
        Arc::new(Self { manner: manner(Arc::clone(&clock)), clock, asked: Mutex::default() })
    }

    pub(super) fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// When it was asked, over `connection` or over any.
    pub(super) fn asked(&self, connection: Option<&str>) -> Vec<Duration> {
        let asked = self.asked.lock().unwrap();
        let of = |name: &String| connection.is_none_or(|wanted| wanted == name);
        asked.iter().filter(|(_, name)| of(name)).map(|(at, _)| *at).collect()
    }

    /// Connections over a stack of Graph's, with no limit known but what the peer says.
    pub(super) fn connections(self: &Arc<Self>, count: u64, seed: u64) -> Vec<Connection> {
        let entropy = Arc::new(SeededEntropy::new(seed));
        let stack = GraphIntegration::stack(Arc::clone(self) as _, Arc::clone(&self.clock), entropy).unwrap();
        let stack = stack.with_classifier(StatusClassifier).build().unwrap();
        let integration = Arc::new(GraphIntegration::new(stack));
        let connection = |number| {
            let name = format!("connection-{number}");
            let settings = ConnectionSettings::new("graph".parse().unwrap());
            Connection::new(
                TenantId::new(format!("tenant-{number}")).unwrap(),
                ConnectionId::new(&name).unwrap(),
                None,
                Arc::new(settings),
                Arc::new(Named(name)),
                Arc::clone(&integration) as _,
            )
        };
        (0..count).map(connection).collect()
    }
}

#[async_trait]
impl Transport for Peer {
    async fn send(&self, request: http::Request<Bytes>, _: Limits<'_>) -> Reply {
        let name = request.headers()["authorization"].to_str().unwrap().trim_start_matches("Bearer ").to_owned();
        let at = self.clock.monotonic();
        self.asked.lock().unwrap().push((at, name));
        let reply = (self.manner)(at);
        sleep(LATENCY).await;
        match reply {
            Some(reply) => reply,
            None => std::future::pending().await,
        }
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Peer")
    }
}

/// A token that names its connection.
#[derive(Debug)]
struct Named(String);

#[async_trait]
impl TokenSource for Named {
    async fn token(&self, _: &TokenKey) -> Result<Token> {
        let end = Timestamp::from_millis(i64::MAX);
        Ok(Token::new(Secret::new(self.0.as_str()), Timestamp::default(), end, 1))
    }

    async fn replace(&self, key: &TokenKey, _: &Token) -> Result<Token> {
        self.token(key).await
    }

    fn application(&self) -> Option<Arc<str>> {
        Some("app".into())
    }
}

pub(super) fn answer(status: u16, headers: &[(&str, &str)]) -> http::Response<Bytes> {
    let mut builder = http::Response::builder().status(status);
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    builder.body(Bytes::from_static(b"{}")).unwrap()
}

/// A read that is like no other, so that none is shared, or a write that may not be repeated blindly.
pub(super) fn call(number: u64, deadline: Duration) -> Outbound {
    let method = if number.is_multiple_of(3) { "POST" } else { "GET" };
    let request = http::Request::builder().method(method).uri(format!("/things/{number}"));
    Outbound::new(request.body(Bytes::new()).unwrap(), "/things/{id}").with_deadline(deadline)
}

/// Calls, and calls again as long as it is said that this helps, for at most `patience`: what a workflow does.
pub(super) async fn persist(connection: &Connection, number: u64, patience: Duration) -> Result<u32> {
    let begun = Instant::now();
    let mut tries = 1;
    loop {
        let left = patience.saturating_sub(begun.elapsed());
        match connection.send(call(number, left.min(Duration::from_secs(100)))).await {
            Ok(_) => return Ok(tries),
            // A write in doubt is for its probe to decide; this one was certainly not applied, or asks again.
            Err(error) if error.is_retryable() || error.kind() == bifrost::ErrorKind::UnknownOutcome => {
                let wait = error.retry_after().unwrap_or(Duration::from_secs(1)).max(Duration::from_millis(10));
                if begun.elapsed() + wait >= patience {
                    return Err(error);
                }
                sleep(wait).await;
            }
            Err(error) => return Err(error),
        }
        tries += 1;
    }
}
