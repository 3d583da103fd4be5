//! What every integration must do, ours and yours, as one suite.
//!
//! Give it a [`Subject`]: how to build the integration over a transport, a peer that answers properly (our simulators,
//! your fake), settings and credential, and three requests. The suite puts itself between stack and peer, breaks
//! things and watches. Run it in a runtime with paused time (`#[tokio::test(start_paused = true)]`) and with a clock
//! that follows it (`bifrost_core::testing::TokioClock`), and no wait takes long.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bifrost_core::integration::{Outbound, Safety};
use bifrost_core::{Clock, Connection, ConnectionSettings, Credential, Error, ErrorKind, Integration, Result};
use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};

use super::direct::DirectTokens;
use crate::http::{Limits, Transport, TransportError, TransportErrorKind};

/// The largest answer an integration may be willing to read.
const LARGEST_BODY: usize = 64 * 1024 * 1024;

/// An integration to examine.
pub struct Subject {
    /// Makes the integration over a transport and a clock.
    pub build: BuildIntegration,
    /// A peer that answers properly, token endpoint included.
    pub peer: Arc<dyn Transport>,
    /// A clock the peer shares and that follows the runtime's time.
    pub clock: Arc<dyn Clock>,
    /// Settings of a connection the peer knows.
    pub settings: ConnectionSettings,
    /// A credential the peer accepts.
    pub credential: Credential,
    /// The texts in the credential that must never show.
    pub secrets: Vec<String>,
    /// A read the peer answers.
    pub read: Outbound,
    /// Makes a write with [`Safety::Once`] the peer carries out. Each is given another number: names may be unique.
    pub create: BuildRequest,
    /// A read of something that does not exist.
    pub missing: Outbound,
    /// Whether the provider's errors name the request.
    pub names_requests: bool,
}

/// Makes an integration.
pub type BuildIntegration =
    Box<dyn Fn(Arc<dyn Transport>, Arc<dyn Clock>) -> Result<Arc<dyn Integration>> + Send + Sync>;

/// Makes a request of its own for each number.
pub type BuildRequest = Box<dyn Fn(u32) -> Result<Outbound> + Send + Sync>;

impl Subject {
    fn next_create(&self) -> Result<Outbound> {
        static CREATES: AtomicU32 = AtomicU32::new(1);
        (self.create)(CREATES.fetch_add(1, Ordering::Relaxed))
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subject").field("provider", &self.settings.provider).finish_non_exhaustive()
    }
}

/// Runs the whole suite.
///
/// # Errors
/// What the integration answered where it should have succeeded.
///
/// # Panics
/// Where it does not do what it must.
pub async fn run(subject: &Subject) -> Result<()> {
    sends_a_live_token(subject).await?;
    replaces_a_rejected_token_once(subject).await?;
    gives_up_when_the_new_token_is_rejected_too(subject).await?;
    waits_as_long_as_it_is_told(subject).await?;
    repeats_a_read_whose_answer_is_lost(subject).await?;
    never_repeats_a_write_that_may_have_arrived(subject).await?;
    repeats_a_write_that_was_turned_away(subject).await?;
    reads_no_more_than_it_is_willing_to(subject).await?;
    says_where_it_failed(subject).await?;
    shows_no_secret(subject).await?;
    refuses_settings_of_others(subject)
}

/// Each request carries the token its connection holds.
///
/// # Errors
/// As [`run`].
pub async fn sends_a_live_token(subject: &Subject) -> Result<()> {
    let bench = Bench::new(subject, [])?;
    bench.connection.send(subject.read.clone()).await?;
    let live = bench.tokens.current().await;
    let live = live.as_ref().map(|token| token.access().expose().to_owned());
    assert_eq!(bench.between.bearers(), [live], "the request carries the live token");
    assert_eq!(bench.tokens.exchanges(), 1, "one token is enough");
    assert_eq!(bench.integration.snapshot().throttled, 0);
    assert!(bench.integration.snapshot().calls >= 1, "the snapshot counts calls");
    Ok(())
}

/// A 401 forces one refresh, and the request is sent once more with the new token.
///
/// # Errors
/// As [`run`].
pub async fn replaces_a_rejected_token_once(subject: &Subject) -> Result<()> {
    let bench = Bench::new(subject, [Act::Answer(401, None)])?;
    bench.connection.send(subject.read.clone()).await?;
    assert_eq!((bench.between.calls(), bench.tokens.exchanges()), (2, 2), "one 401, one refresh");
    let bearers = bench.between.bearers();
    assert_ne!(bearers[0], bearers[1], "the second attempt carries the new token");
    // Even a create is sent again: a 401 says that it was turned away.
    let bench = Bench::new(subject, [Act::Answer(401, None)])?;
    bench.connection.send(subject.next_create()?).await?;
    assert_eq!((bench.between.calls(), bench.tokens.exchanges()), (2, 2));
    Ok(())
}

/// A 401 for a token that is new is a missing right, not a stale token.
///
/// # Errors
/// As [`run`].
pub async fn gives_up_when_the_new_token_is_rejected_too(subject: &Subject) -> Result<()> {
    let bench = Bench::new(subject, [Act::Answer(401, None), Act::Answer(401, None), Act::Answer(401, None)])?;
    let error = refused(bench.connection.send(subject.read.clone()).await)?;
    let expected = matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::ReauthRequired);
    assert!(expected && !error.is_retryable(), "{error}");
    assert_eq!((bench.between.calls(), bench.tokens.exchanges()), (2, 2), "one refresh, not a loop");
    Ok(())
}

/// "Slow down" is obeyed, for writes too: a request that was answered 429 was not carried out.
///
/// # Errors
/// As [`run`].
pub async fn waits_as_long_as_it_is_told(subject: &Subject) -> Result<()> {
    for request in [subject.read.clone(), subject.next_create()?] {
        let bench = Bench::new(subject, [Act::Answer(429, Some("7"))])?;
        let began = subject.clock.monotonic();
        bench.connection.send(request).await?;
        let waited = subject.clock.monotonic().saturating_sub(began);
        assert!(waited >= Duration::from_secs(7), "waited {waited:?} instead of 7 s");
        assert_eq!(bench.between.calls(), 2);
        assert_eq!(bench.integration.snapshot().throttled, 1, "the snapshot counts throttled calls");
    }
    Ok(())
}

/// A lost answer to a read costs nothing but time.
///
/// # Errors
/// As [`run`].
pub async fn repeats_a_read_whose_answer_is_lost(subject: &Subject) -> Result<()> {
    let bench = Bench::new(subject, [Act::LoseAnswer, Act::Answer(503, None)])?;
    bench.connection.send(subject.read.clone()).await?;
    assert_eq!(bench.between.calls(), 3);
    Ok(())
}

/// A write with [`Safety::Once`] goes out once unless the provider says that it was turned away.
///
/// # Errors
/// As [`run`].
pub async fn never_repeats_a_write_that_may_have_arrived(subject: &Subject) -> Result<()> {
    let safety = subject.next_create()?.safety;
    assert_eq!(safety, Safety::Once, "the suite needs a write that must not repeat");
    for act in [Act::LoseAnswer, Act::Answer(500, None), Act::Answer(502, None), Act::Answer(504, None)] {
        let bench = Bench::new(subject, [act.clone()])?;
        let error = refused(bench.connection.send(subject.next_create()?).await)?;
        assert_eq!(error.kind(), ErrorKind::UnknownOutcome, "after {act:?}: {error}");
        assert_eq!(bench.between.calls(), 1, "after {act:?} the write was sent again");
        assert!(error.suggested_action().is_some(), "after {act:?} nothing says what to do: {error}");
    }
    Ok(())
}

/// A 503 with `Retry-After` says that the request was turned away: even a create goes out again.
///
/// # Errors
/// As [`run`].
pub async fn repeats_a_write_that_was_turned_away(subject: &Subject) -> Result<()> {
    let bench = Bench::new(subject, [Act::Answer(503, Some("2"))])?;
    bench.connection.send(subject.next_create()?).await?;
    assert_eq!(bench.between.calls(), 2);
    Ok(())
}

/// An answer without end is cut off.
///
/// # Errors
/// As [`run`].
pub async fn reads_no_more_than_it_is_willing_to(subject: &Subject) -> Result<()> {
    let bench = Bench::new(subject, [Act::Oversized])?;
    let error = refused(bench.connection.send(subject.read.clone()).await)?;
    assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
    assert!(bench.between.largest_allowed() <= LARGEST_BODY, "the limit is out of proportion");
    Ok(())
}

/// An error names tenant, connection and endpoint, and the request where the provider does.
///
/// # Errors
/// As [`run`].
pub async fn says_where_it_failed(subject: &Subject) -> Result<()> {
    let bench = Bench::new(subject, [])?;
    let error = refused(bench.connection.send(subject.missing.clone()).await)?;
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    assert_eq!(error.context("tenant"), Some(bench.connection.tenant().as_str()), "{error}");
    assert_eq!(error.context("connection"), Some(bench.connection.id().as_str()), "{error}");
    assert_eq!(error.context("endpoint"), Some(subject.missing.endpoint), "{error}");
    assert_eq!(error.context("status"), Some("404"), "{error}");
    assert!(!subject.names_requests || error.context("request_id").is_some(), "{error}");
    Ok(())
}

/// Neither credential nor token shows: not in what is printed, not in errors, not when the peer sends them back.
///
/// # Errors
/// As [`run`].
pub async fn shows_no_secret(subject: &Subject) -> Result<()> {
    let bench = Bench::new(subject, [Act::Echo])?;
    let error = refused(bench.connection.send(subject.read.clone()).await)?;
    let live = bench.tokens.current().await;
    let live = live.iter().map(|token| token.access().expose().to_owned());
    let report = serde_json::to_string(&error.to_report()).unwrap_or_default();
    let shown = [
        format!("{error} {error:?}"),
        report,
        format!("{:?} {:?}", bench.integration, bench.connection),
        format!("{:?}", bench.integration.snapshot()),
    ];
    for secret in subject.secrets.iter().cloned().chain(live) {
        assert!(!secret.is_empty(), "an empty secret proves nothing");
        for text in &shown {
            assert!(!text.contains(&secret), "a secret shows in: {}", text.replace(&secret, "***"));
        }
    }
    Ok(())
}

/// Settings for another provider are refused before anything is stored; proper ones are not.
///
/// # Errors
/// As [`run`].
pub fn refuses_settings_of_others(subject: &Subject) -> Result<()> {
    let bench = Bench::new(subject, [])?;
    bench.integration.validate(&subject.settings, &subject.credential)?;
    let other = ConnectionSettings::new(bifrost_core::ProviderId::new("somebody-else")?);
    let error = refused(bench.integration.validate(&other, &subject.credential))?;
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    Ok(())
}

/// The error where one is due.
fn refused<T>(outcome: Result<T>) -> Result<Error> {
    match outcome {
        Err(error) => Ok(error),
        Ok(_) => Err(Error::internal("run suite", "the call succeeded where it must fail")),
    }
}

/// One integration with one connection, and the suite between stack and peer.
struct Bench {
    integration: Arc<dyn Integration>,
    connection: Connection,
    tokens: Arc<DirectTokens>,
    between: Arc<Between>,
}

impl Bench {
    fn new(subject: &Subject, script: impl IntoIterator<Item = Act>) -> Result<Self> {
        let between = Arc::new(Between {
            peer: Arc::clone(&subject.peer),
            script: Mutex::new(script.into_iter().collect()),
            seen: Mutex::default(),
        });
        let integration = (subject.build)(Arc::clone(&between) as Arc<dyn Transport>, Arc::clone(&subject.clock))?;
        let tokens = Arc::new(DirectTokens::new(
            Arc::clone(&integration),
            Arc::clone(&subject.clock),
            subject.settings.clone(),
            subject.credential.clone(),
        )?);
        let connection = tokens.connection();
        Ok(Self { integration, connection, tokens, between })
    }
}

/// What happens to a request that carries a token.
#[derive(Debug, Clone)]
enum Act {
    /// The peer does not see it; it is answered with this status and `Retry-After`.
    Answer(u16, Option<&'static str>),
    /// The peer carries it out; its answer is lost.
    LoseAnswer,
    /// It is answered with more than the stack is willing to read.
    Oversized,
    /// It is refused with an error that quotes its own credentials.
    Echo,
}

/// Passes requests on, except those the script has an act for.
#[derive(Debug)]
struct Between {
    peer: Arc<dyn Transport>,
    script: Mutex<VecDeque<Act>>,
    seen: Mutex<Vec<Seen>>,
}

#[derive(Debug)]
struct Seen {
    bearer: Option<String>,
    max_body: usize,
}

impl Between {
    fn calls(&self) -> usize {
        lock(&self.seen).len()
    }

    fn bearers(&self) -> Vec<Option<String>> {
        lock(&self.seen).iter().map(|seen| seen.bearer.clone()).collect()
    }

    fn largest_allowed(&self) -> usize {
        lock(&self.seen).iter().map(|seen| seen.max_body).max().unwrap_or(0)
    }
}

#[async_trait]
impl Transport for Between {
    async fn send(&self, request: Request<Bytes>, limits: Limits<'_>) -> Result<Response<Bytes>, TransportError> {
        let bearer = bearer(&request);
        // Token endpoints are called without a token: they are the peer's business.
        if bearer.is_none() {
            return self.peer.send(request, limits).await;
        }
        lock(&self.seen).push(Seen { bearer: bearer.clone(), max_body: limits.max_body });
        let act = lock(&self.script).pop_front();
        match act {
            None => self.peer.send(request, limits).await,
            Some(Act::Answer(status, retry_after)) => Ok(answer(status, retry_after, String::new())),
            Some(Act::LoseAnswer) => {
                // Whether the peer answered is what nobody is to know.
                let _ = self.peer.send(request, limits).await;
                Err(TransportError::new(TransportErrorKind::Lost, "the answer was lost"))
            }
            Some(Act::Oversized) => {
                let message = "the body of the answer is too large";
                Err(TransportError::new(TransportErrorKind::TooLarge, message))
            }
            Some(Act::Echo) => {
                let quoted = format!("you sent {}", bearer.unwrap_or_default());
                let body = serde_json::json!({ "error": { "code": quoted, "message": quoted }, "message": quoted });
                Ok(answer(400, None, body.to_string()))
            }
        }
    }
}

fn bearer(request: &Request<Bytes>) -> Option<String> {
    let value = request.headers().get(header::AUTHORIZATION)?.to_str().ok()?;
    value.strip_prefix("Bearer ").map(str::to_owned)
}

fn answer(status: u16, retry_after: Option<&'static str>, body: String) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
    if let Some(retry_after) = retry_after {
        let value = HeaderValue::from_static(retry_after);
        response.headers_mut().insert(header::RETRY_AFTER, value);
    }
    response
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
