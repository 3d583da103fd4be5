//! One call through the stack, from its first attempt to its answer.

use std::sync::Arc;
use std::time::Duration;

use bifrost_core::credential::{Token, TokenKey};
use bifrost_core::integration::{CallRecord, Outbound, Safety};
use bifrost_core::time::within;
use bifrost_core::{Connection, ConnectionId, Error, ErrorKind, Result, Retry, TenantId, Timestamp};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use url::Url;

use super::budget::{BudgetPath, Permit};
use super::classify::{Answer, Classified};
use super::redact::Scrubber;
use super::retry::{Progress, RetryDecision};
use super::sharing::Deadline;
use super::stack::{Anonymous, Carries, FollowRedirects, Inner};
use super::target;
use super::transport::{Limits, TransportErrorKind, answered_in_time};

/// The most redirects that are followed.
const MAX_REDIRECTS: u32 = 3;

/// A call and how it has gone so far.
pub(super) struct Call<'a> {
    stack: &'a Inner,
    connection: &'a Connection,
    outbound: &'a Outbound,
    key: TokenKey,
    peer: (TenantId, ConnectionId),
    path: BudgetPath,
    base: &'a Url,
    url: Arc<Url>,
    /// False once a redirect has led to another host, and for anonymous calls.
    authorized: bool,
    deadline: &'a Deadline,
    attempt: u32,
    redirects: u32,
    progress: Progress,
    /// The token that took the place of a refused one.
    replaced: Option<Token>,
    /// The status of the last answer, if the last attempt had one.
    status: Option<StatusCode>,
}

/// How an attempt ended.
enum Ended {
    Answered(Response<Bytes>),
    /// Go on at once: the URL or the token has changed.
    Again,
    Failed(Classified),
}

impl<'a> Call<'a> {
    pub(super) fn new(
        stack: &'a Inner,
        connection: &'a Connection,
        outbound: &'a Outbound,
        url: Arc<Url>,
        deadline: &'a Deadline,
    ) -> Result<Self> {
        let base = target::base_url(connection, stack.config.base_url.as_ref())?;
        let authorized = outbound.request.extensions().get::<Anonymous>().is_none();
        if authorized {
            target::expect_same_origin(base, &url)?;
        }
        let host = || base.host_str().unwrap_or_default().into();
        let app = connection.tokens().application().unwrap_or_else(host);
        let resource = outbound.resource.as_deref();
        Ok(Self {
            stack,
            connection,
            outbound,
            key: outbound.token.clone().unwrap_or_else(|| connection.default_token()),
            peer: (connection.tenant().clone(), connection.id().clone()),
            path: BudgetPath::new(&app, connection.tenant(), connection.id(), resource),
            base,
            url,
            authorized,
            deadline,
            attempt: 0,
            redirects: 0,
            progress: Progress::default(),
            replaced: None,
            status: None,
        })
    }

    /// Tries until there is an answer or a reason to stop.
    pub(super) async fn run(mut self) -> Result<Response<Bytes>> {
        loop {
            self.attempt += 1;
            match self.attempt().await? {
                Ended::Answered(response) => return Ok(response),
                Ended::Again => {}
                Ended::Failed(failure) => self.wait_or_give_up(&failure).await?,
            }
        }
    }

    /// One attempt: a new permit, a live token, one request.
    async fn attempt(&mut self) -> Result<Ended> {
        self.expect_peer(self.stack.health.paused(&self.peer, self.stack.clock.monotonic()))?;
        self.wait_for_turn().await?;
        let permit = self.permit().await?;
        let token = if self.authorized { Some(self.token().await?) } else { None };
        let request = self.request(token.as_ref())?;
        if self.remaining().is_zero() {
            return Err(too_late("the deadline passed before it was sent"));
        }
        let now = self.stack.clock.monotonic();
        let limit = self.stack.config.attempt_timeout;
        let admitted = self.stack.health.admit(&self.peer, self.attempt == 1, limit, now);
        self.expect_peer(admitted.err())?;
        let ended = self.send(request, permit, token.as_ref()).await;
        match (&ended, token) {
            (Ended::Again, Some(rejected)) if self.is_unauthorized() => self.replace(&rejected).await?,
            _ => {}
        }
        Ok(ended)
    }

    /// Sends one request, and tells budget, statistics and logs how it ended.
    async fn send(&mut self, request: Request<Bytes>, permit: Permit, token: Option<&Token>) -> Ended {
        let (clock, limits) = (self.stack.clock.as_ref(), self.limits());
        let (sent_at, started, waited) = (clock.now(), clock.monotonic(), permit.waited());
        let sending = self.stack.transport.send_to(&self.url, request, limits);
        let answered = answered_in_time(clock, limits.timeout, sending).await;
        let latency = clock.monotonic().saturating_sub(started);
        let mut record = self.record(sent_at, waited, latency);
        self.status = answered.as_ref().ok().map(Response::status);
        record.status = self.status.map(|status| status.as_u16());
        let ended = match answered {
            Err(error) => {
                drop(permit);
                self.note_failure(error.kind());
                Ended::Failed(self.scrubbed(Classified::of_transport(&error), token))
            }
            Ok(response) => {
                let signals = self.stack.classifier.signals(response.headers());
                permit.learn(&signals);
                record.units = signals.units.unwrap_or(record.units);
                let read = self.read(&response, permit, token);
                read.unwrap_or_else(|| {
                    let mut response = response;
                    response.extensions_mut().insert(self.carried(token));
                    Ended::Answered(response)
                })
            }
        };
        record.failure = match &ended {
            Ended::Failed(failure) => Some(failure.kind),
            Ended::Again if self.is_unauthorized() => Some(ErrorKind::PermissionDenied),
            _ => None,
        };
        self.stack.counters.record(&record, waited);
        ended
    }

    /// Reads an answer and tells the budget; `None` when the answer is what was asked for.
    fn read(&mut self, response: &Response<Bytes>, permit: Permit, token: Option<&Token>) -> Option<Ended> {
        let request = &self.outbound.request;
        let answer = Answer {
            status: response.status(),
            headers: response.headers(),
            body: response.body(),
            method: request.method(),
            endpoint: self.outbound.endpoint,
            now: self.stack.clock.now(),
        };
        // A 500 can be the fault of one request, and says that somebody is there.
        self.note_health(!matches!(answer.status.as_u16(), 502..=504));
        if self.stack.classifier.accepts(&answer) {
            permit.accepted(&self.stack.classifier.closures(&answer));
            return None;
        }
        if answer.status == StatusCode::UNAUTHORIZED && token.is_some() && self.replaced.is_none() {
            permit.answered();
            return Some(Ended::Again);
        }
        if self.may_follow(answer.status) {
            permit.answered();
            return Some(self.follow(answer.headers));
        }
        let failure = self.stack.classifier.classify(&answer);
        match &failure.close {
            Some(closure) => drop(permit.closed(closure, failure.learned.as_ref())),
            None if answer.status.is_server_error() => drop(permit),
            None => permit.answered(),
        }
        Some(Ended::Failed(self.scrubbed(failure, token)))
    }

    /// Refuses while the connection's peer is left alone.
    fn expect_peer(&self, paused: Option<Duration>) -> Result<()> {
        let Some(wait) = paused else { return Ok(()) };
        let message = "the provider has failed many times in a row and is left alone for a while";
        Err(Error::new(ErrorKind::Unavailable, "call provider", message).retry(Retry::After(wait)))
    }

    /// Stands in line where the peer was down and many wait for it; not where that would take most of the time left.
    async fn wait_for_turn(&self) -> Result<()> {
        let now = self.stack.clock.monotonic();
        match self.stack.health.turn(&self.peer, self.remaining() / 2, now) {
            Ok(Duration::ZERO) => Ok(()),
            Ok(wait) => {
                self.stack.clock.sleep(wait).await;
                Ok(())
            }
            Err(wait) => {
                let message = "the provider was down, and those who waited for it come one after the other";
                Err(Error::new(ErrorKind::Unavailable, "call provider", message).retry(Retry::After(wait)))
            }
        }
    }

    fn note_health(&self, answered: bool) {
        let now = self.stack.clock.monotonic();
        self.stack.health.record(&self.peer, answered, now);
    }

    fn note_failure(&self, kind: TransportErrorKind) {
        match kind {
            TransportErrorKind::Blocked => {}
            TransportErrorKind::TooLarge => self.note_health(true),
            TransportErrorKind::NotSent | TransportErrorKind::TimedOut | TransportErrorKind::Lost => {
                self.note_health(false);
            }
        }
    }

    fn remaining(&self) -> Duration {
        self.deadline.get().saturating_sub(self.stack.clock.monotonic())
    }

    /// Waits for the budget; longer when a caller who has more time joins the call meanwhile.
    async fn permit(&self) -> Result<Permit> {
        loop {
            let until = self.deadline.get();
            let permit = self.stack.budget.acquire(&self.path, self.outbound.cost, self.remaining()).await;
            if permit.is_ok() || self.deadline.get() == until {
                return permit;
            }
        }
    }

    async fn token(&self) -> Result<Token> {
        // A call may wait for the budget for longer than a token lives.
        let now = self.stack.clock.now();
        let replaced = self.replaced.as_ref().filter(|token| token.is_live(now)).cloned();
        match replaced.or_else(|| self.connection.tokens().live(&self.key)) {
            Some(token) => Ok(token),
            None => self.patiently(|| self.connection.tokens().token(&self.key)).await,
        }
    }

    /// The provider refused the token: one forced refresh, however often the call is tried.
    async fn replace(&mut self, rejected: &Token) -> Result<()> {
        let replaced = self.patiently(|| self.connection.tokens().replace(&self.key, rejected)).await?;
        self.replaced = Some(replaced);
        Ok(())
    }

    /// Asks for a token until there is one. The connection tries again by itself and says when: worth waiting for while
    /// the call still can.
    async fn patiently<F: Future<Output = Result<Token>>>(&self, ask: impl Fn() -> F) -> Result<Token> {
        loop {
            let error = match self.in_time(ask()).await {
                Ok(token) => return Ok(token),
                Err(error) => error,
            };
            match error.retry_after().filter(|wait| !wait.is_zero() && *wait < self.remaining()) {
                Some(wait) => self.stack.clock.sleep(wait).await,
                None => return Err(error),
            }
        }
    }

    async fn in_time<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        futures_util::pin_mut!(work);
        loop {
            let until = self.deadline.get();
            if let Some(done) = within(self.stack.clock.as_ref(), self.remaining(), work.as_mut()).await {
                return done;
            }
            if self.deadline.get() == until {
                return Err(too_late("no token could be had before the call's deadline"));
            }
        }
    }

    fn is_unauthorized(&self) -> bool {
        self.status == Some(StatusCode::UNAUTHORIZED)
    }

    fn limits(&self) -> Limits<'a> {
        let config = &self.stack.config;
        Limits {
            max_body: config.max_body,
            max_headers: config.max_headers,
            max_header_bytes: config.max_header_bytes,
            timeout: config.attempt_timeout.min(self.remaining()),
            private_hosts: &self.connection.settings().allow_private_hosts,
        }
    }

    /// The request as it goes out.
    fn request(&self, token: Option<&Token>) -> Result<Request<Bytes>> {
        let mut request = self.outbound.request.clone();
        *request.uri_mut() = to_uri(&self.url)?;
        let headers = request.headers_mut();
        // Credentials are the stack's alone.
        headers.remove(header::AUTHORIZATION);
        headers.remove(header::COOKIE);
        if let Some(token) = token {
            headers.insert(header::AUTHORIZATION, bearer(token)?);
        }
        if let Safety::Keyed { header, key } = &self.outbound.safety {
            headers.insert(header.clone(), visible(key.clone(), "the idempotency key")?);
        }
        if let Some(name) = &self.stack.config.request_id {
            let id = self.stack.ids.next().hyphenated().to_string();
            headers.insert(name.clone(), visible(id, "the request id")?);
        }
        Ok(request)
    }

    fn may_follow(&self, status: StatusCode) -> bool {
        let request = &self.outbound.request;
        let redirects = matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308);
        redirects
            && request.method() == Method::GET
            && request.extensions().get::<FollowRedirects>().is_some()
            && self.redirects < MAX_REDIRECTS
    }

    /// Goes where the provider points; another host gets no credentials.
    fn follow(&mut self, headers: &HeaderMap) -> Ended {
        let location = headers.get(header::LOCATION).and_then(|location| location.to_str().ok());
        let next = match target::follow(&self.url, location.unwrap_or_default()) {
            Ok(next) if location.is_some() => next,
            _ => {
                let message = "the provider redirects to something that is no URL we call";
                return Ended::Failed(Classified::refused(ErrorKind::Rejected, message));
            }
        };
        self.redirects += 1;
        self.authorized &= target::same_origin(self.base, &next);
        self.url = Arc::new(next);
        Ended::Again
    }

    /// Waits for the next attempt, or returns the failure.
    async fn wait_or_give_up(&mut self, failure: &Classified) -> Result<()> {
        match failure.close {
            Some(_) => self.progress.throttled += 1,
            None => self.progress.failures += 1,
        }
        self.progress.remaining = self.remaining();
        let repeatable = self.outbound.safety != Safety::Once;
        let (config, jitter) = (&self.stack.config.retry, self.stack.entropy.fraction());
        let mut decision = config.decide(failure, repeatable, self.progress, true, jitter);
        if failure.close.is_none() && matches!(decision, RetryDecision::Again(_)) {
            let allowance = self.stack.health.take_retry(&self.peer, self.stack.clock.monotonic());
            decision = config.decide(failure, repeatable, self.progress, allowance, jitter);
        }
        match decision {
            RetryDecision::Again(delay) => {
                self.stack.clock.sleep(delay).await;
                Ok(())
            }
            RetryDecision::GiveUp => Err(self.with_attempt(failure.to_error())),
            RetryDecision::UnknownOutcome => Err(self.with_attempt(unknown_outcome(failure))),
        }
    }

    fn with_attempt(&self, error: Error) -> Error {
        let error = error.with("attempt", self.attempt);
        match self.status {
            Some(status) => error.with("status", status.as_u16()),
            None => error,
        }
    }

    /// What was sent and must not be told.
    fn carried(&self, token: Option<&Token>) -> Carries {
        let extensions = self.outbound.request.extensions();
        let mut secrets = extensions.get::<Carries>().cloned().unwrap_or_default().0;
        secrets.extend(token.map(|token| token.access().clone()));
        if let Safety::Keyed { key, .. } = &self.outbound.safety {
            secrets.push(key.as_str().into());
        }
        Carries(secrets)
    }

    /// A provider may repeat what it was sent: no secret must come back in an error.
    fn scrubbed(&self, failure: Classified, token: Option<&Token>) -> Classified {
        failure.scrubbed(&Scrubber::new(&self.carried(token).0))
    }

    fn record(&self, at: Timestamp, waited: Duration, latency: Duration) -> CallRecord {
        CallRecord {
            at,
            tenant: self.peer.0.clone(),
            connection: self.peer.1.clone(),
            execution: self.connection.execution(),
            provider: self.stack.descriptor.id.clone(),
            method: self.outbound.request.method().to_string(),
            endpoint: self.outbound.endpoint,
            status: None,
            failure: None,
            attempt: self.attempt,
            units: self.outbound.cost.units,
            budget_wait_ms: millis(waited),
            latency_ms: millis(latency),
        }
    }
}

fn too_late(message: &str) -> Error {
    Error::new(ErrorKind::Timeout, "call provider", message).retry(Retry::Later)
}

fn unknown_outcome(failure: &Classified) -> Error {
    let message = format!("the request was sent and may or may not have been applied: {}", failure.message);
    let mut error = Error::new(ErrorKind::UnknownOutcome, "call provider", message);
    if let Some(id) = &failure.request_id {
        error = error.with("request_id", id);
    }
    error.next_action("look at the provider whether the change was made before repeating it")
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn to_uri(url: &Url) -> Result<http::Uri> {
    let parsed = url.as_str().parse();
    parsed.map_err(|_| Error::invalid("call provider", "the request's URL is not a URI of RFC 3986"))
}

fn bearer(token: &Token) -> Result<HeaderValue> {
    let mut value = visible(["Bearer ", token.access().expose()].concat(), "the access token")?;
    value.set_sensitive(true);
    Ok(value)
}

fn visible(text: String, what: &str) -> Result<HeaderValue> {
    HeaderValue::try_from(text)
        .map_err(|_| Error::invalid("call provider", format!("{what} holds characters that no header may hold")))
}
