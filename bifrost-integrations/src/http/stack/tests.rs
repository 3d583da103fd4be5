//! Promises of the stack, in virtual time and against a scripted peer.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bifrost_core::credential::{Credential, ExchangeFailure, ExchangeRequest, Token, TokenKey, TokenSet, TokenSource};
use bifrost_core::integration::{CallRecord, Cost, Integration, Safety};
use bifrost_core::testing::{SeededEntropy, TokioClock};
use bifrost_core::{ConnectionId, ConnectionSettings, ErrorKind, ProviderId, Secret, TenantId, Timestamp};
use http::{Request, Response, header};

use super::*;
use crate::http::scripted::{ScriptedTransport, answer, json};
use crate::http::transport::{TransportError, TransportErrorKind};

const HOST: &str = "https://api.example/v1";

#[derive(Debug)]
struct Nothing(ProviderDescriptor);

fn descriptor() -> ProviderDescriptor {
    ProviderDescriptor { id: ProviderId::new("example").unwrap(), title: "Example", limits: Vec::new() }
}

#[async_trait]
impl Integration for Nothing {
    fn descriptor(&self) -> &ProviderDescriptor {
        &self.0
    }
    fn validate(&self, _: &ConnectionSettings, _: &Credential) -> Result<()> {
        Ok(())
    }
    fn default_token(&self, _: &ConnectionSettings) -> TokenKey {
        TokenKey::new("example", ["all"])
    }
    async fn exchange(&self, _: ExchangeRequest) -> Result<TokenSet, ExchangeFailure> {
        Err(ExchangeFailure {
            cause: bifrost_core::connection::Cause::ProviderDown,
            error: Error::internal("test", "not used"),
        })
    }
    async fn send(&self, _: &Connection, _: Outbound) -> Result<Response<Bytes>> {
        Err(Error::internal("test", "not used"))
    }
    fn snapshot(&self) -> IntegrationSnapshot {
        IntegrationSnapshot::default()
    }
}

#[derive(Debug, Default)]
pub(in crate::http) struct Tokens(AtomicU64);

impl Tokens {
    fn current(&self) -> Token {
        let generation = self.0.load(Ordering::Relaxed);
        let text = format!("token-canary-{generation}");
        let end = Timestamp::from_millis(i64::MAX);
        Token::new(Secret::new(text), Timestamp::from_millis(0), end, generation)
    }
}

#[async_trait]
impl TokenSource for Tokens {
    async fn token(&self, _: &TokenKey) -> Result<Token> {
        Ok(self.current())
    }
    async fn replace(&self, _: &TokenKey, rejected: &Token) -> Result<Token> {
        assert_eq!(rejected.generation(), self.0.fetch_add(1, Ordering::Relaxed));
        Ok(self.current())
    }
}

#[derive(Debug, Default)]
struct Heard(Mutex<Vec<CallRecord>>);

impl CallObserver for Heard {
    fn observe(&self, call: &CallRecord) {
        self.0.lock().unwrap().push(call.clone());
    }
}

pub(in crate::http) struct World {
    pub(in crate::http) stack: HttpStack,
    pub(in crate::http) transport: ScriptedTransport,
    pub(in crate::http) connection: Connection,
    tokens: Arc<Tokens>,
    heard: Arc<Heard>,
    pub(in crate::http) clock: Arc<dyn Clock>,
}

pub(in crate::http) fn world(transport: ScriptedTransport) -> World {
    let clock: Arc<dyn Clock> = Arc::new(TokioClock::starting_at("2026-08-01T10:00:00Z".parse().unwrap()));
    let heard = Arc::new(Heard::default());
    let mut config = StackConfig::at(HOST.parse().unwrap());
    config.request_id = Some(http::HeaderName::from_static("client-request-id"));
    let (sender, entropy) = (Arc::new(transport.clone()), Arc::new(SeededEntropy::new(1)));
    let stack = HttpStack::builder(descriptor(), sender, Arc::clone(&clock), entropy)
        .with_config(config)
        .with_observer(heard.clone())
        .build()
        .unwrap();
    let tokens = Arc::new(Tokens::default());
    let connection = connection("contoso", "main", tokens.clone());
    World { stack, transport, connection, tokens, heard, clock }
}

pub(in crate::http) fn connection(tenant: &str, id: &str, tokens: Arc<Tokens>) -> Connection {
    connection_with(ConnectionSettings::new(descriptor().id), tenant, id, tokens)
}

pub(in crate::http) fn connection_with(
    settings: ConnectionSettings,
    tenant: &str,
    id: &str,
    tokens: Arc<Tokens>,
) -> Connection {
    Connection::new(
        TenantId::new(tenant).unwrap(),
        ConnectionId::new(id).unwrap(),
        None,
        Arc::new(settings),
        tokens,
        Arc::new(Nothing(descriptor())),
    )
}

impl World {
    async fn send(&self, outbound: Outbound) -> Result<Response<Bytes>> {
        self.stack.send(&self.connection, outbound).await
    }
}

fn request(method: &str, uri: &str) -> Outbound {
    let request = Request::builder().method(method).uri(uri).body(Bytes::from_static(b"{}")).unwrap();
    Outbound::new(request, "/things/{id}")
}

pub(in crate::http) fn failing(kind: TransportErrorKind) -> crate::http::scripted::Reply {
    Err(TransportError::new(kind, "scripted"))
}

#[tokio::test(start_paused = true)]
async fn credentials_are_the_stacks_alone() {
    let world = world(ScriptedTransport::new().otherwise(|_| Ok(json(200, "{}"))));
    let mut outbound = request("GET", "/things/1?$select=id");
    outbound.request.headers_mut().insert(header::AUTHORIZATION, "Bearer other".parse().unwrap());
    outbound.request.headers_mut().insert(header::COOKIE, "a=b".parse().unwrap());
    world.send(outbound.clone()).await.unwrap();
    world.send(outbound).await.unwrap();
    let sent = world.transport.requests();
    assert_eq!(sent[0].uri(), "https://api.example/v1/things/1?$select=id");
    assert_eq!(sent[0].headers()[header::AUTHORIZATION], "Bearer token-canary-0");
    assert!(sent[0].headers().get(header::COOKIE).is_none());
    assert!(!format!("{:?}", sent[0]).contains("canary"), "the header is marked sensitive");
    let ids: Vec<_> = sent.iter().map(|request| request.headers()["client-request-id"].clone()).collect();
    assert_ne!(ids[0], ids[1]);
    assert_eq!(ids[0].len(), 36);
}

#[tokio::test(start_paused = true)]
async fn one_401_makes_one_refresh_and_one_retry() {
    let transport = ScriptedTransport::new().then(|_| Ok(json(401, "{}"))).then(|_| Ok(json(200, "{}")));
    let world = world(transport);
    world.send(request("POST", "/things")).await.unwrap();
    assert_eq!(world.transport.requests()[1].headers()[header::AUTHORIZATION], "Bearer token-canary-1");

    let world = self::world(ScriptedTransport::new().otherwise(|_| Ok(json(401, "{}"))));
    let refused = world.send(request("GET", "/things")).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::PermissionDenied);
    assert_eq!((world.transport.requests().len(), world.tokens.0.load(Ordering::Relaxed)), (2, 1));
}

/// How a first answer is treated, by the safety of the request: (status or transport failure, what a `Once` request
/// ends with, what an idempotent one ends with); `None` means that it was retried and succeeded.
#[tokio::test(start_paused = true)]
async fn writes_are_repeated_only_when_they_cannot_have_been_applied() {
    use ErrorKind as K;
    use TransportErrorKind as T;
    type Script = fn() -> crate::http::scripted::Reply;
    let table: [(&str, Script, Option<K>, Option<K>); 12] = [
        ("timeout", || failing(T::TimedOut), Some(K::UnknownOutcome), None),
        ("reset", || failing(T::Lost), Some(K::UnknownOutcome), None),
        ("too large", || failing(T::TooLarge), Some(K::UnknownOutcome), Some(K::TooLarge)),
        ("refused", || failing(T::NotSent), None, None),
        ("blocked", || failing(T::Blocked), Some(K::PermissionDenied), Some(K::PermissionDenied)),
        ("429", || Ok(json(429, "")), None, None),
        ("429 after", || Ok(answer(429, &[("retry-after", "7.5")], "")), None, None),
        ("503", || Ok(json(503, "")), Some(K::UnknownOutcome), None),
        ("503 after", || Ok(answer(503, &[("retry-after", "3")], "")), None, None),
        ("500", || Ok(json(500, "")), Some(K::UnknownOutcome), None),
        ("400", || Ok(json(400, "")), Some(K::Rejected), Some(K::Rejected)),
        ("404", || Ok(json(404, "")), Some(K::NotFound), Some(K::NotFound)),
    ];
    for (name, first, once, idempotent) in table {
        for (method, expected) in [("POST", once), ("PUT", idempotent)] {
            let world = world(ScriptedTransport::new().then(move |_| first()).otherwise(|_| Ok(json(200, "{}"))));
            let ended = world.send(request(method, "/things/1")).await;
            assert_eq!(ended.as_ref().err().map(Error::kind), expected, "{name} {method}");
            let sent = world.transport.requests().len();
            assert_eq!(sent, if expected.is_none() { 2 } else { 1 }, "{name} {method}");
            if let Err(error) = ended {
                assert_eq!(error.context("tenant"), Some("contoso"));
                assert_eq!(error.context("endpoint"), Some("/things/{id}"));
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_keyed_write_is_repeated_with_its_key() {
    let world =
        world(ScriptedTransport::new().then(|_| failing(TransportErrorKind::Lost)).otherwise(|_| Ok(json(200, "{}"))));
    let safety =
        Safety::Keyed { header: http::HeaderName::from_static("idempotency-key"), key: "exec-1/step-2".to_owned() };
    world.send(request("POST", "/things").with_safety(safety)).await.unwrap();
    let sent = world.transport.requests();
    assert!(sent.iter().all(|request| request.headers()["idempotency-key"] == "exec-1/step-2"));
    assert_eq!((sent.len(), sent[1].body().as_ref()), (2, b"{}".as_slice()), "the body is sent again");
}

#[tokio::test(start_paused = true)]
async fn a_named_time_is_waited_for_and_a_deadline_is_not_passed() {
    let transport = || {
        ScriptedTransport::new()
            .then(|_| Ok(answer(429, &[("retry-after", "20")], "")))
            .otherwise(|_| Ok(json(200, "")))
    };
    let world = world(transport());
    world.send(request("GET", "/things")).await.unwrap();
    assert!((20..22).contains(&world.clock.monotonic().as_secs()));

    let world = self::world(transport());
    let outbound = request("GET", "/things").with_deadline(Duration::from_secs(10));
    let refused = world.send(outbound).await.unwrap_err();
    assert_eq!((refused.kind(), refused.context("status")), (ErrorKind::Throttled, Some("429")));
    assert_eq!(refused.retry_after(), Some(Duration::from_secs(20)));
    assert!(world.clock.monotonic() < Duration::from_secs(1), "it did not wait in vain");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_never_answers_ends_at_the_deadline() {
    let clock = TokioClock::starting_at(Timestamp::from_millis(0));
    let transport = (0..10).fold(ScriptedTransport::new(), |transport, _| {
        transport.then_async(move |_| {
            let sleep = clock.sleep(Duration::from_secs(10_000));
            Box::pin(async move {
                sleep.await;
                Ok(json(200, ""))
            })
        })
    });
    let world = world(transport);
    let failed = world.send(request("GET", "/things")).await.unwrap_err();
    assert_eq!(failed.kind(), ErrorKind::Timeout);
    assert!(world.clock.monotonic() <= Duration::from_secs(100));
    let failed = world.send(request("POST", "/things").with_deadline(Duration::from_secs(5))).await.unwrap_err();
    assert_eq!(failed.kind(), ErrorKind::UnknownOutcome);
}

#[tokio::test(start_paused = true)]
async fn links_to_other_hosts_get_no_token() {
    let world = world(ScriptedTransport::new().otherwise(|_| Ok(json(200, "{}"))));
    let refused = world.send(request("GET", "https://evil.example/v1/things?page=2")).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::PermissionDenied);
    assert!(world.transport.requests().is_empty());
    world.send(request("GET", "https://api.example/v1/things?page=2")).await.unwrap();
    let mut anonymous = request("GET", "https://info.example/auth");
    anonymous.request.extensions_mut().insert(Anonymous);
    world.send(anonymous).await.unwrap();
    assert!(world.transport.requests()[1].headers().get(header::AUTHORIZATION).is_none());
}

fn redirect(location: &'static str) -> impl FnMut(Request<Bytes>) -> crate::http::scripted::Reply + Send {
    move |_| Ok(answer(302, &[("location", location)], ""))
}

#[tokio::test(start_paused = true)]
async fn redirects_are_followed_where_allowed_and_leave_credentials_behind() {
    let following = |method| {
        let mut outbound = request(method, "/reports");
        outbound.request.extensions_mut().insert(FollowRedirects);
        outbound
    };
    let transport = ScriptedTransport::new()
        .then(redirect("/v1/elsewhere"))
        .then(redirect("https://files.example/report?sig=x"))
        .then(redirect("https://api.example/v1/back"))
        .otherwise(|_| Ok(json(200, "csv")));
    let world = world(transport);
    world.send(following("GET")).await.unwrap();
    let sent = world.transport.requests();
    let with_token: Vec<bool> =
        sent.iter().map(|request| request.headers().contains_key(header::AUTHORIZATION)).collect();
    assert_eq!(with_token, [true, true, false, false], "once left behind, credentials do not come back");

    for (outbound, location, requests) in [
        (following("GET"), "https://api.example/v1/again", 4),
        (following("POST"), "https://api.example/v1/again", 1),
        (request("GET", "/reports"), "https://api.example/v1/again", 1),
        (following("GET"), "file:///etc/passwd", 1),
        (following("GET"), "https://user:pw@api.example/", 1),
    ] {
        let world = self::world(ScriptedTransport::new().otherwise(redirect(location)));
        let refused = world.send(outbound).await.unwrap_err();
        assert_eq!((refused.kind(), world.transport.requests().len()), (ErrorKind::Rejected, requests), "{location}");
    }
}

#[derive(Debug)]
struct Echo;

impl Classifier for Echo {
    fn classify(&self, answer: &crate::http::Answer<'_>) -> crate::http::Classified {
        let text = String::from_utf8_lossy(answer.body);
        crate::http::Classified::refused(ErrorKind::Rejected, crate::http::classify::excerpt(&text))
    }
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_repeats_the_token_does_not_reveal_it() {
    let mut world = world(ScriptedTransport::new().otherwise(|request| {
        let header = request.headers()[header::AUTHORIZATION].to_str().unwrap().to_owned();
        Ok(json(400, format!("bad header {header} for you")))
    }));
    let (transport, entropy) = (Arc::new(world.transport.clone()), Arc::new(SeededEntropy::new(1)));
    world.stack = HttpStack::builder(descriptor(), transport, Arc::clone(&world.clock), entropy)
        .with_config(StackConfig::at(HOST.parse().unwrap()))
        .with_classifier(Echo)
        .build()
        .unwrap();
    let refused = world.send(request("GET", "/things")).await.unwrap_err();
    assert!(!format!("{refused:?}").contains("canary"), "{refused:?}");
    assert_eq!(refused.message(), "bad header Bearer *** for you");
}

#[tokio::test(start_paused = true)]
async fn every_attempt_is_counted_and_told() {
    let transport = ScriptedTransport::new()
        .then(|_| Ok(answer(429, &[("retry-after", "1")], "")))
        .then(|_| Ok(json(500, "")))
        .then(|_| Ok(json(200, "")));
    let world = world(transport);
    let mut outbound = request("GET", "/things/1?secret=value");
    outbound.cost = Cost { units: 3, writes: 0 };
    world.send(outbound).await.unwrap();
    let snapshot = world.stack.snapshot();
    assert_eq!((snapshot.calls, snapshot.throttled, snapshot.retries, snapshot.units), (3, 1, 2, 9));
    assert!(snapshot.budget_wait >= Duration::from_secs(1));
    let heard = world.heard.0.lock().unwrap();
    let seen: Vec<_> = heard.iter().map(|call| (call.attempt, call.status, call.failure)).collect();
    let (throttled, down) = (Some(ErrorKind::Throttled), Some(ErrorKind::Unavailable));
    assert_eq!(seen, [(1, Some(429), throttled), (2, Some(500), down), (3, Some(200), None)]);
    assert!(!format!("{heard:?}").contains("value"));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_is_down_is_left_alone_and_found_again() {
    let down = Arc::new(Mutex::new(true));
    let is_down = Arc::clone(&down);
    let world = world(ScriptedTransport::new().otherwise(move |_| match *is_down.lock().unwrap() {
        true => failing(TransportErrorKind::NotSent),
        false => Ok(json(200, "")),
    }));
    let mut kinds = BTreeMap::new();
    for _ in 0..600 {
        let failed = world.send(request("GET", "/things")).await.unwrap_err();
        *kinds.entry(failed.kind().code()).or_insert(0) += 1;
        world.clock.sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(kinds.keys().copied().collect::<Vec<_>>(), ["unavailable"]);
    assert!(world.transport.requests().len() < 40, "{} in ten minutes", world.transport.requests().len());
    *down.lock().unwrap() = false;
    world.clock.sleep(Duration::from_secs(61)).await;
    for _ in 0..100 {
        world.send(request("GET", "/things")).await.unwrap();
    }
}

#[test]
fn settings_that_allow_nothing_are_refused() {
    let build = |config| {
        let clock = Arc::new(bifrost_core::SystemClock::new());
        let entropy = Arc::new(SeededEntropy::new(1));
        let builder = HttpStack::builder(descriptor(), Arc::new(ScriptedTransport::new()), clock, entropy);
        builder.with_config(config).build()
    };
    assert!(build(StackConfig::default()).is_ok());
    let none = StackConfig { max_body: 0, ..StackConfig::default() };
    assert_eq!(build(none).unwrap_err().context("name"), Some("max_body"));
}
