//! JSON batching: up to 20 calls in one request (<https://learn.microsoft.com/graph/json-batching>).
//!
//! Each inner call keeps its own promise: a throttled or failed one is sent again after its own `Retry-After` while
//! the others are done; one that must not be repeated and whose outcome is unknown ends as `UnknownOutcome`. Answers
//! come in the order of the requests. Inner calls count separately against Graph's limits, so a batch saves round
//! trips, not budget; what one of them learns of a limit holds for all callers (`limits`).

mod limits;

use std::time::Duration;

use bifrost_core::integration::{Cost, Outbound, Safety};
use bifrost_core::policy::retry::RetryPolicy;
use bifrost_core::{Clock, Connection, Error, ErrorKind, Result, Retry};
use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value, json};

pub(super) use self::limits::closures;
use super::error::GraphClassifier;
use crate::call::{self, read_json};
use crate::http::Carries;
use crate::http::classify::{Answer, Applied, Classified, Classifier};
use crate::http::redact::Scrubber;

/// The most inner calls of one request.
pub const MAX_CALLS: usize = 20;
/// How many requests of one batch are under way at the same time.
const REQUESTS_IN_FLIGHT: usize = 4;
/// How often an inner call is sent in total.
const RETRY: RetryPolicy = RetryPolicy::attempts(6).with_delay(Duration::from_secs(1), Duration::from_secs(30));
/// An inner call that would have to wait beyond this time is given up.
const DEADLINE: Duration = Duration::from_secs(5 * 60);

pub(crate) const ENDPOINT: &str = "/$batch";

/// Sends `requests` and answers in their order.
pub(super) async fn send(
    connection: &Connection,
    clock: &dyn Clock,
    requests: Vec<Outbound>,
) -> Vec<Result<Response<Bytes>>> {
    let started = clock.monotonic();
    let mut now = started;
    let mut calls: Vec<Call> = requests.into_iter().map(|request| Call::new(request, now)).collect();
    while let Some(due) = calls.iter().filter_map(Call::due).min() {
        if due > now {
            clock.sleep(due.saturating_sub(now)).await;
            // The wait is over even if the machine's count says a moment less.
            now = due.max(clock.monotonic());
        }
        for (place, outcome) in round(connection, clock, &calls, now).await {
            now = now.max(clock.monotonic());
            calls[place].settle(outcome, now, started + DEADLINE);
        }
    }
    calls.into_iter().map(Call::into_answer).collect()
}

/// Sends what is due, in as many requests as it takes.
async fn round(connection: &Connection, clock: &dyn Clock, calls: &[Call], now: Duration) -> Vec<(usize, Outcome)> {
    let due = calls.iter().enumerate().filter(|(_, call)| call.due().is_some_and(|due| due <= now));
    let due: Vec<(usize, Outbound)> = due.map(|(place, call)| (place, call.request.clone())).collect();
    let sends: Vec<_> = due.chunks(MAX_CALLS).map(|chunk| send_chunk(connection, clock, chunk.to_vec())).collect();
    let outcomes: Vec<Vec<_>> = stream::iter(sends).buffered(REQUESTS_IN_FLIGHT).collect().await;
    outcomes.into_iter().flatten().collect()
}

async fn send_chunk(
    connection: &Connection,
    clock: &dyn Clock,
    chunk: Vec<(usize, Outbound)>,
) -> Vec<(usize, Outcome)> {
    let answer = match chunk_request(&chunk) {
        Ok(request) => connection.send(request).await,
        Err(error) => Err(error),
    };
    let answers = answer.and_then(|response| {
        let scrubber = Carries::scrubber(response.extensions());
        Ok((read_json::<Answers>(&response, ENDPOINT)?, scrubber))
    });
    match answers {
        Ok((answers, scrubber)) => {
            let outcome = |place, request| answers.outcome(place, request, clock, &scrubber);
            chunk.iter().map(|(place, request)| (*place, outcome(*place, request))).collect()
        }
        Err(error) => chunk.iter().map(|(place, request)| (*place, lost(&error, &request.safety))).collect(),
    }
}

/// One inner call on its way to an answer.
struct Call {
    request: Outbound,
    attempts: u32,
    due: Duration,
    answer: Option<Result<Response<Bytes>>>,
}

/// What became of one attempt.
enum Outcome {
    Done(Result<Response<Bytes>>),
    /// It can be sent again; with the error to return if it is not.
    Again(Error),
}

impl Call {
    fn new(request: Outbound, now: Duration) -> Self {
        let answer = check(&request).err().map(Err);
        Self { request, attempts: 0, due: now, answer }
    }

    /// When to send it, while it has no answer.
    fn due(&self) -> Option<Duration> {
        self.answer.is_none().then_some(self.due)
    }

    fn settle(&mut self, outcome: Outcome, now: Duration, deadline: Duration) {
        self.attempts += 1;
        let error = match outcome {
            Outcome::Done(answer) => {
                self.answer = Some(answer);
                return;
            }
            Outcome::Again(error) => error,
        };
        // No jitter: the calls of a batch go out together anyway.
        match RETRY.decide(self.attempts, &error, 0.0) {
            Some(delay) if now + delay <= deadline => self.due = now + delay,
            _ => self.answer = Some(Err(error.with("attempt", self.attempts))),
        }
    }

    fn into_answer(self) -> Result<Response<Bytes>> {
        let none = || Err(Error::internal("send batch", "a call was left without an answer"));
        self.answer.unwrap_or_else(none)
    }
}

/// Inner calls are relative to the version, and their bodies are JSON.
fn check(request: &Outbound) -> Result<()> {
    let refuse = |message: &str| Err(Error::invalid("send batch", message).with("endpoint", request.endpoint));
    if request.request.uri().authority().is_some() {
        return refuse("calls in a batch are relative to the base URL");
    }
    let body = request.request.body();
    if !body.is_empty() && serde_json::from_slice::<serde::de::IgnoredAny>(body).is_err() {
        return refuse("bodies of calls in a batch are JSON");
    }
    Ok(())
}

/// The request that carries these calls. It may be repeated only if each of them may.
fn chunk_request(chunk: &[(usize, Outbound)]) -> Result<Outbound> {
    let calls: Result<Vec<Value>> = chunk.iter().map(|(place, request)| inner_call(*place, request)).collect();
    let request = call::with_json(Method::POST, ENDPOINT, &json!({ "requests": calls? }))?;
    let once = chunk.iter().any(|(_, request)| request.safety == Safety::Once);
    let cost = chunk.iter().fold(Cost { units: 0, writes: 0 }, |sum, (_, request)| Cost {
        units: sum.units.saturating_add(request.cost.units),
        writes: sum.writes.saturating_add(request.cost.writes),
    });
    let safety = if once { Safety::Once } else { Safety::Idempotent };
    let mut outbound = Outbound::new(request, ENDPOINT).with_cost(cost).with_safety(safety);
    let carried = chunk.iter().filter_map(|(_, inner)| inner.request.extensions().get::<Carries>());
    let secrets = carried.flat_map(|carried| carried.0.iter().cloned()).collect();
    outbound.request.extensions_mut().insert(Carries(secrets));
    Ok(outbound)
}

fn inner_call(place: usize, outbound: &Outbound) -> Result<Value> {
    let request = &outbound.request;
    let mut headers: Map<String, Value> = request
        .headers()
        .iter()
        .filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.into())))
        .collect();
    if let Safety::Keyed { header, key } = &outbound.safety {
        headers.insert(header.to_string(), key.as_str().into());
    }
    let mut call = Map::new();
    call.insert("id".to_owned(), place.to_string().into());
    call.insert("method".to_owned(), request.method().as_str().into());
    call.insert("url".to_owned(), request.uri().to_string().into());
    // Actions without parameters still want an object.
    let body = match request.body() {
        body if body.is_empty() => (request.method() == Method::POST).then(|| json!({})),
        body => Some(read_value(body)?),
    };
    if let Some(body) = body {
        headers.insert("content-type".to_owned(), "application/json".into());
        call.insert("body".to_owned(), body);
    }
    if !headers.is_empty() {
        call.insert("headers".to_owned(), headers.into());
    }
    Ok(call.into())
}

fn read_value(body: &[u8]) -> Result<Value> {
    serde_json::from_slice(body)
        .map_err(|error| Error::invalid("send batch", "bodies of calls in a batch are JSON").source(error))
}

/// The body of an answered batch; `B` is what is read of the bodies within.
#[derive(Deserialize)]
#[serde(bound(deserialize = "B: Deserialize<'de> + Default"))]
struct Answers<B = Value> {
    responses: Vec<InnerAnswer<B>>,
}

#[derive(Deserialize)]
struct InnerAnswer<B = Value> {
    id: String,
    status: u16,
    #[serde(default)]
    headers: Option<Map<String, Value>>,
    #[serde(default)]
    body: B,
}

impl Answers {
    fn outcome(&self, place: usize, request: &Outbound, clock: &dyn Clock, scrubber: &Scrubber) -> Outcome {
        let id = place.to_string();
        match self.responses.iter().find(|answer| answer.id == id) {
            Some(answer) => answer.outcome(request, clock, scrubber),
            None => failed(&missing(), request),
        }
    }
}

impl InnerAnswer {
    fn outcome(&self, request: &Outbound, clock: &dyn Clock, scrubber: &Scrubber) -> Outcome {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::BAD_GATEWAY);
        let headers = self.header_map();
        let body = self.bytes();
        let answer = Answer {
            status,
            headers: &headers,
            body: &body,
            method: request.request.method(),
            endpoint: request.endpoint,
            now: clock.now(),
        };
        if GraphClassifier.accepts(&answer) {
            let mut response = Response::new(body);
            *response.status_mut() = status;
            *response.headers_mut() = headers;
            return Outcome::Done(Ok(response));
        }
        let mut named = GraphClassifier.classify(&answer).scrubbed(scrubber);
        // Without dependencies between our calls, 424 means that the batch was cut off: the call did not run.
        if status == StatusCode::FAILED_DEPENDENCY {
            named.kind = ErrorKind::Unavailable;
            named.retry = Retry::Later;
        }
        failed(&named, request)
    }

    /// Text that is no JSON object comes as a JSON string.
    fn bytes(&self) -> Bytes {
        match &self.body {
            Value::Null => Bytes::new(),
            Value::String(text) => Bytes::from(text.clone()),
            body => Bytes::from(body.to_string()),
        }
    }
}

impl<B> InnerAnswer<B> {
    fn header_map(&self) -> HeaderMap {
        let pairs = self.headers.iter().flatten().filter_map(|(name, value)| {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            Some((name.parse::<HeaderName>().ok()?, HeaderValue::from_str(&value).ok()?))
        });
        pairs.collect()
    }
}

/// A call Graph did not answer within an answered batch.
fn missing() -> Classified {
    let mut named = Classified::refused(ErrorKind::Unavailable, "the batch came back without an answer to this call");
    named.retry = Retry::Later;
    named.applied = Applied::Maybe;
    named
}

/// Decides about a failed call: again, over, or nobody knows.
fn failed(named: &Classified, request: &Outbound) -> Outcome {
    let error = named.to_error().with("endpoint", request.endpoint);
    if named.applied == Applied::Maybe && request.safety == Safety::Once {
        return Outcome::Done(Err(unknown(error)));
    }
    match named.retry {
        Retry::Never => Outcome::Done(Err(error)),
        Retry::Later | Retry::After(_) => Outcome::Again(error),
    }
}

/// Decides about a call whose whole batch failed; the stack has already repeated what may be repeated.
fn lost(error: &Error, safety: &Safety) -> Outcome {
    let own = error.duplicate();
    // The budget let none of it go, because the wait is longer than a single call lasts; a batch lasts longer.
    if error.kind() == ErrorKind::Throttled && error.context("attempt").is_none() {
        return Outcome::Again(own);
    }
    let unknown_outcome = error.kind() == ErrorKind::UnknownOutcome;
    if unknown_outcome && *safety != Safety::Once {
        let message = "the answer to the batch was lost";
        return Outcome::Again(Error::new(ErrorKind::Unavailable, "call provider", message).retry(Retry::Later));
    }
    Outcome::Done(Err(own))
}

fn unknown(error: Error) -> Error {
    let message = format!("nobody knows whether the write was applied: {}", error.message());
    Error::new(ErrorKind::UnknownOutcome, "call provider", message)
        .next_action("find out whether it was applied before sending it again")
        .source(error)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bifrost_core::testing::ManualClock;

    use super::*;
    use crate::graph::users::requests;
    use crate::graph::{NewUser, PROVIDER};
    use crate::scripted::{Scripted, reply};

    fn connection(script: Vec<Response<Bytes>>) -> (Arc<Scripted>, Connection) {
        Scripted::connect(PROVIDER, Arc::new(GraphClassifier), script)
    }

    fn answers(inner: &Value) -> Response<Bytes> {
        reply(200, &json!({ "responses": inner }))
    }

    fn clock() -> ManualClock {
        ManualClock::starting_at("2026-08-01T10:00:00Z".parse().unwrap())
    }

    async fn run(clock: &ManualClock, connection: Connection, calls: Vec<Outbound>) -> Vec<Result<Response<Bytes>>> {
        let own = clock.clone();
        let task = tokio::spawn(async move { send(&connection, &own, calls).await });
        while !task.is_finished() {
            tokio::task::yield_now().await;
            if let Some(wait) = clock.next_due() {
                clock.advance(wait);
            }
        }
        task.await.unwrap()
    }

    #[tokio::test]
    async fn answers_come_in_the_order_of_the_requests() {
        let (script, connection) = connection(vec![answers(&json!([
            {"id": "2", "status": 200, "body": {"id": "c"}},
            {"id": "0", "status": 200, "body": {"id": "a"}},
            {"id": "1", "status": 404, "body": {"error": {"code": "Request_ResourceNotFound", "message": "no"}}},
        ]))]);
        let calls = ["a", "b", "c"].map(|id| requests::get(id).unwrap()).to_vec();
        let done = run(&clock(), connection, calls).await;
        assert_eq!(done[0].as_ref().unwrap().body(), r#"{"id":"a"}"#);
        assert_eq!(done[1].as_ref().unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(done[2].as_ref().unwrap().body(), r#"{"id":"c"}"#);
        let sent = script.sent();
        assert_eq!((sent.len(), sent[0].cost.units, &sent[0].safety), (1, 3, &Safety::Idempotent));
    }

    #[tokio::test]
    async fn each_call_waits_for_its_own_retry_after() {
        let throttled = |id: &str, after: &str| json!({"id": id, "status": 429, "headers": {"Retry-After": after}});
        let done = |id: &str| json!({"id": id, "status": 204});
        let (script, connection) = connection(vec![
            answers(&json!([throttled("0", "20"), throttled("1", "2.5"), done("2")])),
            answers(&json!([done("1")])),
            answers(&json!([done("0")])),
        ]);
        let clock = clock();
        let began = clock.monotonic();
        let calls = ["a", "b", "c"].map(|id| requests::delete(id).unwrap()).to_vec();
        let answered = run(&clock, connection, calls).await;
        assert!(answered.iter().all(|answer| answer.as_ref().is_ok_and(|answer| answer.status() == 204)));
        assert_eq!(script.sent().len(), 3);
        assert_eq!(clock.monotonic() - began, Duration::from_secs(20));
    }

    #[tokio::test]
    async fn a_write_that_must_not_repeat_ends_as_unknown() {
        let (script, connection) = connection(vec![
            answers(&json!([{"id": "0", "status": 503}, {"id": "1", "status": 503}])),
            answers(&json!([{"id": "1", "status": 204}])),
        ]);
        let user = NewUser::new("a@contoso.com", "A", "p".into());
        let calls = vec![requests::create(&user).unwrap(), requests::delete("1").unwrap()];
        let done = run(&clock(), connection, calls).await;
        assert_eq!(done[0].as_ref().unwrap_err().kind(), ErrorKind::UnknownOutcome);
        assert!(done[1].is_ok());
        let sent = script.sent();
        assert_eq!((&sent[0].safety, &sent[1].safety), (&Safety::Once, &Safety::Idempotent));
    }

    #[tokio::test]
    async fn more_than_twenty_are_cut_into_requests() {
        let part = |range: std::ops::Range<usize>| {
            let inner: Vec<Value> = range.map(|id| json!({"id": id.to_string(), "status": 204})).collect();
            answers(&json!(inner))
        };
        let (script, connection) = connection(vec![part(0..20), part(20..40), part(40..45)]);
        let calls = (0..45).map(|id| requests::delete(&id.to_string()).unwrap()).collect();
        let done = run(&clock(), connection, calls).await;
        assert!(done.len() == 45 && done.iter().all(Result::is_ok));
        assert_eq!(script.sent().len(), 3);
    }

    #[tokio::test]
    async fn bad_calls_fail_alone() {
        let (_, connection) = connection(vec![answers(&json!([{"id": "1", "status": 204}]))]);
        let elsewhere = http::Request::get("https://evil.example/users").body(Bytes::new()).unwrap();
        let calls = vec![Outbound::new(elsewhere, "/x"), requests::delete("1").unwrap()];
        let done = run(&clock(), connection, calls).await;
        assert_eq!(done[0].as_ref().unwrap_err().kind(), ErrorKind::InvalidInput);
        assert!(done[1].is_ok());
    }
}
