//! OAuth 2.0 token exchanges: the network half of a connection's credential.
//!
//! An exchange is sent exactly once. Who asks when, single flight, retries and what happens to a rotated refresh token
//! are the connection's business; here is only one request, its answer, and the name of its failure.

mod client_credentials;
pub mod endpoint;
pub mod entra;
pub mod error;
mod refresh_token;
#[cfg(test)]
mod tests;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use bifrost_core::connection::Cause;
use bifrost_core::credential::{Credential, ExchangeFailure, ExchangeRequest, TokenSet};
use bifrost_core::integration::{CallRecord, Cost};
use bifrost_core::policy::rate::{LimitScope, LimitShape, LimitUnit, RateLimit};
use bifrost_core::{Error, ErrorKind, Retry, Secret};
use http::StatusCode;
use oauth2::basic::BasicErrorResponse;
use oauth2::{RequestTokenError, TokenResponse as _};

use self::wire::{Seen, TokenAnswer, Wire};
use crate::http::budget::{Budget, BudgetPath};
use crate::http::classify::Closure;
use crate::http::redact::Scrubber;
use crate::http::retry_after::retry_after;
use crate::http::signals::Direction;
use crate::http::stack::HttpStack;
use crate::http::transport::TransportError;

pub use self::endpoint::{ClientAuth, Dialect, TokenEndpoint};

/// How many exchanges of one application may be sent per second. No provider publishes a number; this one keeps ten
/// thousand connections that expire together from arriving together.
pub const EXCHANGES_PER_SECOND: u32 = 50;
/// The longest an exchange waits for its turn. Whoever asks for it counts this wait too: what is left of their time must
/// be enough for a slow answer, or a rotated refresh token would be lost for having stood in line.
const MAX_WAIT: Duration = Duration::from_secs(10);
/// What logs and statistics show in place of a path.
const ENDPOINT: &str = "/token";

type TokenResult = Result<TokenAnswer, RequestTokenError<TransportError, BasicErrorResponse>>;

/// Exchanges credentials for tokens. Shares transport, clock and counters with a stack; its budget is its own, so that
/// calls that are throttled never keep a connection from signing in, nor the reverse.
#[derive(Debug, Clone)]
pub struct OAuthExchange {
    stack: HttpStack,
    budget: Budget,
}

impl OAuthExchange {
    /// Exchanges over `stack`'s transport.
    pub fn over(stack: &HttpStack) -> Self {
        Self::with_rate(stack, EXCHANGES_PER_SECOND)
    }

    /// The same with another rate, in exchanges per second, application and kind of grant.
    pub fn with_rate(stack: &HttpStack, per_second: u32) -> Self {
        let inner = &stack.0;
        let limit = RateLimit {
            scope: LimitScope::App,
            unit: LimitUnit::Requests,
            amount: per_second.max(1),
            per: Duration::from_secs(1),
            // A bucket would let twice as many go in the first second.
            shape: LimitShape::Window,
            source: "a bound of our own: no provider publishes one",
            as_of: "2026-08",
        };
        let (clock, entropy) = (Arc::clone(&inner.clock), Arc::clone(&inner.entropy));
        Self { budget: Budget::new(vec![limit], &inner.config.retry, clock, entropy), stack: stack.clone() }
    }

    /// Sends one exchange.
    ///
    /// # Errors
    /// The failure with its cause; no secret of the request is in it.
    pub async fn exchange(
        &self,
        request: &ExchangeRequest,
        endpoint: &TokenEndpoint,
    ) -> Result<TokenSet, ExchangeFailure> {
        let exchanged = self.send(request, endpoint).await;
        exchanged.map_err(|failure| self.located(failure, request))
    }

    async fn send(&self, request: &ExchangeRequest, endpoint: &TokenEndpoint) -> Result<TokenSet, ExchangeFailure> {
        let host = endpoint.url.host_str().unwrap_or_default();
        let app: Arc<str> = format!("{}@{host} {}", request.credential.client_id(), kind(&request.credential)).into();
        let path = BudgetPath::new(&app, &request.tenant, &request.connection, None);
        let clock = &self.stack.0.clock;
        let asked = clock.monotonic();
        let permit = self.budget.acquire(&path, Cost::READ, MAX_WAIT).await;
        let permit = permit.map_err(|error| down(&error, clock.monotonic().saturating_sub(asked)))?;
        let (sent_at, started) = (clock.now(), clock.monotonic());
        let wire = Arc::new(Wire::new(&self.stack, &request.settings.allow_private_hosts));
        let result = grant(&wire, request, endpoint).await?;
        let latency = clock.monotonic().saturating_sub(started);
        let seen = wire.seen();
        let outcome = match result {
            Ok(answer) => accepted(&answer, request),
            Err(error) => Err(refused(error, seen.as_ref(), request, endpoint)),
        };
        let waited = permit.waited();
        match seen.as_ref().filter(|seen| seen.status == StatusCode::TOO_MANY_REQUESTS) {
            Some(seen) => drop(permit.closed(&closure(seen), None)),
            None => permit.answered(),
        }
        let failure = outcome.as_ref().err().map(|failure: &ExchangeFailure| failure.error.kind());
        let record = CallRecord {
            at: sent_at,
            tenant: request.tenant.clone(),
            connection: request.connection.clone(),
            execution: None,
            provider: self.stack.0.descriptor.id.clone(),
            method: "POST".to_owned(),
            endpoint: ENDPOINT,
            status: seen.map(|seen| seen.status.as_u16()),
            failure,
            attempt: 1,
            units: 0,
            budget_wait_ms: millis(waited),
            latency_ms: millis(latency),
        };
        self.stack.0.counters.record(&record, waited);
        outcome
    }

    /// Says in the error where it happened.
    fn located(&self, mut failure: ExchangeFailure, request: &ExchangeRequest) -> ExchangeFailure {
        failure.error = failure
            .error
            .with("provider", &self.stack.0.descriptor.id)
            .with("tenant", &request.tenant)
            .with("connection", &request.connection);
        failure
    }
}

async fn grant(
    wire: &Arc<Wire>,
    request: &ExchangeRequest,
    endpoint: &TokenEndpoint,
) -> Result<TokenResult, ExchangeFailure> {
    let key = &request.key;
    match request.credential.as_ref() {
        Credential::ClientSecret { client_id, client_secret } => {
            Ok(client_credentials::exchange(wire, endpoint, key, client_id, client_secret).await)
        }
        Credential::RefreshToken { client_id, client_secret, refresh_token } => {
            let newest = request.refresh_token.as_ref().unwrap_or(refresh_token);
            Ok(refresh_token::exchange(wire, endpoint, key, client_id, client_secret.as_ref(), newest).await)
        }
        _ => Err(ExchangeFailure {
            cause: Cause::WrongConfiguration,
            error: Error::new(ErrorKind::ReauthRequired, "exchange token", "this kind of credential is not supported")
                .next_action("give the connection a client secret or a refresh token"),
        }),
    }
}

/// Each kind of grant is counted by itself: refreshes that are throttled must not keep anybody from signing in anew.
fn kind(credential: &Credential) -> &'static str {
    if credential.uses_refresh_token() { "refresh_token" } else { "client_credentials" }
}

/// Takes the token out of an answer.
fn accepted(answer: &TokenAnswer, request: &ExchangeRequest) -> Result<TokenSet, ExchangeFailure> {
    let access = answer.access_token().secret();
    let sendable = !access.is_empty() && access.bytes().all(|byte| byte.is_ascii_graphic());
    if !sendable || !answer.is_bearer() {
        return Err(error::not_a_token("the token endpoint answered with something that is no bearer token"));
    }
    // Some providers send a refresh token with client credentials that is good for nothing.
    let keeps = request.credential.uses_refresh_token();
    let rotated = answer.refresh_token().filter(|token| keeps && !token.secret().is_empty());
    Ok(TokenSet {
        access: Secret::new(access.clone()),
        expires_in: answer.expires_in(),
        refresh_token: rotated.map(|token| Secret::new(token.secret().clone())),
    })
}

/// Names a failure. Nothing of the `oauth2` crate's own error is kept: it may hold the answer.
fn refused(
    error: RequestTokenError<TransportError, BasicErrorResponse>,
    seen: Option<&Seen>,
    request: &ExchangeRequest,
    endpoint: &TokenEndpoint,
) -> ExchangeFailure {
    if let RequestTokenError::Request(error) = error {
        return error::of_transport(error);
    }
    let Some(seen) = seen else {
        return error::not_a_token("the token endpoint gave no answer");
    };
    let scrubber = Scrubber::new(secrets(request));
    error::of_answer(seen.status, &seen.headers, &seen.body, seen.now, endpoint.dialect, &scrubber)
}

fn secrets(request: &ExchangeRequest) -> Vec<&Secret> {
    let mut secrets: Vec<&Secret> = request.refresh_token.iter().collect();
    match request.credential.as_ref() {
        Credential::ClientSecret { client_secret, .. } => secrets.push(client_secret),
        Credential::RefreshToken { client_secret, refresh_token, .. } => {
            secrets.extend(client_secret);
            secrets.push(refresh_token);
        }
        _ => {}
    }
    secrets
}

/// The budget has no room: the provider asked to wait, which is known at once, or very many connections sign in. These
/// must not all be sent back at the same time, so no time is named to them.
fn down(error: &Error, in_line: Duration) -> ExchangeFailure {
    let wait = error.retry_after().filter(|_| in_line < MAX_WAIT).map_or(Retry::Later, Retry::After);
    let message = format!("the exchange was not sent: {}", error.message());
    ExchangeFailure {
        cause: Cause::ProviderDown,
        error: Error::new(error.kind(), "exchange token", message).retry(wait),
    }
}

fn closure(seen: &Seen) -> Closure {
    Closure { scope: LimitScope::AppTenant, direction: Direction::All, wait: retry_after(&seen.headers, seen.now) }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
