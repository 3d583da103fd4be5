//! Exchanges against a scripted token endpoint.

use std::collections::BTreeMap;

use bifrost_core::credential::TokenKey;
use bifrost_core::integration::ProviderDescriptor;
use bifrost_core::testing::{SeededEntropy, TokioClock};
use bifrost_core::{Clock, ConnectionId, ConnectionSettings, ProviderId, TenantId};
use futures_util::future::join_all;
use http::{Request, header};

use super::*;
use crate::http::scripted::{Reply, ScriptedTransport, answer, json};

const SECRET: &str = "s3cret/canary+ä=\"x\"";
const REFRESH: &str = "0.refresh-canary";

struct World {
    exchange: OAuthExchange,
    transport: ScriptedTransport,
    clock: Arc<dyn Clock>,
}

fn world(transport: ScriptedTransport) -> World {
    let clock: Arc<dyn Clock> = Arc::new(TokioClock::starting_at("2026-08-01T10:00:00Z".parse().unwrap()));
    let descriptor = ProviderDescriptor { id: ProviderId::new("graph").unwrap(), title: "Graph", limits: Vec::new() };
    let (sender, entropy) = (Arc::new(transport.clone()), Arc::new(SeededEntropy::new(1)));
    let stack = HttpStack::builder(descriptor, sender, Arc::clone(&clock), entropy).build().unwrap();
    World { exchange: OAuthExchange::over(&stack), transport, clock }
}

fn request(credential: Credential, tenant: &str) -> ExchangeRequest {
    let settings = ConnectionSettings::new(ProviderId::new("graph").unwrap()).with_entity("contoso.onmicrosoft.com");
    ExchangeRequest {
        tenant: TenantId::new(tenant).unwrap(),
        connection: ConnectionId::new("graph").unwrap(),
        settings: Arc::new(settings),
        credential: Arc::new(credential),
        refresh_token: None,
        key: TokenKey::new("https://graph.microsoft.com", ["https://graph.microsoft.com/.default"]),
    }
}

fn secret() -> Credential {
    Credential::ClientSecret { client_id: "app-1".to_owned(), client_secret: SECRET.into() }
}

fn refresh() -> Credential {
    Credential::RefreshToken {
        client_id: "app-1".to_owned(),
        client_secret: Some(SECRET.into()),
        refresh_token: REFRESH.into(),
    }
}

fn entra() -> TokenEndpoint {
    TokenEndpoint::entra(&request(secret(), "contoso").settings).unwrap()
}

fn halopsa() -> TokenEndpoint {
    let settings = ConnectionSettings::new(ProviderId::new("halopsa").unwrap()).with_entity("contoso");
    TokenEndpoint::halopsa(&settings.with_authority("https://contoso.halopsa.com/auth".parse().unwrap())).unwrap()
}

fn token(more: &str) -> Reply {
    Ok(json(200, format!(r#"{{"token_type":"Bearer","expires_in":3599,"access_token":"access-canary"{more}}}"#)))
}

fn form(request: &Request<bytes::Bytes>) -> BTreeMap<String, String> {
    url::form_urlencoded::parse(request.body()).into_owned().collect()
}

fn fields<const N: usize>(pairs: [(&str, &str); N]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[tokio::test(start_paused = true)]
async fn client_credentials_are_sent_as_documented() {
    let world = world(ScriptedTransport::new().otherwise(|_| token(r#","refresh_token":"good-for-nothing""#)));
    let set = world.exchange.exchange(&request(secret(), "contoso"), &entra()).await.unwrap();
    assert_eq!((set.access.expose(), set.expires_in), ("access-canary", Some(Duration::from_secs(3_599))));
    assert_eq!(set.refresh_token, None);
    let sent = &world.transport.requests()[0];
    assert_eq!(sent.method(), http::Method::POST);
    assert_eq!(sent.uri(), "https://login.microsoftonline.com/contoso.onmicrosoft.com/oauth2/v2.0/token");
    assert_eq!(sent.headers()[header::CONTENT_TYPE], "application/x-www-form-urlencoded");
    let expected = fields([
        ("grant_type", "client_credentials"),
        ("client_id", "app-1"),
        ("client_secret", SECRET),
        ("scope", "https://graph.microsoft.com/.default"),
    ]);
    assert_eq!(form(sent), expected);

    world.exchange.exchange(&request(secret(), "contoso"), &halopsa()).await.unwrap();
    assert_eq!(world.transport.requests()[1].uri(), "https://contoso.halopsa.com/auth/token?tenant=contoso");
    let basic =
        TokenEndpoint { auth: ClientAuth::Basic, form: vec![("resource".to_owned(), "x".to_owned())], ..halopsa() };
    world.exchange.exchange(&request(secret(), "contoso"), &basic).await.unwrap();
    let sent = &world.transport.requests()[2];
    assert!(sent.headers()[header::AUTHORIZATION].to_str().unwrap().starts_with("Basic "));
    assert_eq!(form(sent).get("resource").map(String::as_str), Some("x"));
    assert!(!form(sent).contains_key("client_secret"));
}

#[tokio::test(start_paused = true)]
async fn the_newest_refresh_token_is_spent_and_its_successor_kept() {
    let world =
        world(ScriptedTransport::new().then(|_| token(r#","refresh_token":"next-canary""#)).otherwise(|_| token("")));
    let mut asked = request(refresh(), "contoso");
    let set = world.exchange.exchange(&asked, &entra()).await.unwrap();
    assert_eq!(set.refresh_token, Some(Secret::new("next-canary")));
    asked.refresh_token = set.refresh_token;
    let set = world.exchange.exchange(&asked, &halopsa()).await.unwrap();
    assert_eq!(set.refresh_token, None, "without a new one the old one stays");
    let sent: Vec<_> = world.transport.requests().iter().map(form).collect();
    let common = [("grant_type", "refresh_token"), ("client_id", "app-1"), ("client_secret", SECRET)];
    let mut first = fields(common);
    first.extend(fields([("refresh_token", REFRESH), ("scope", "https://graph.microsoft.com/.default")]));
    let mut second = fields(common);
    second.extend(fields([("refresh_token", "next-canary")]));
    assert_eq!(sent, [first, second]);
}

#[tokio::test(start_paused = true)]
async fn failures_are_sent_once_and_say_where_and_why() {
    use crate::http::transport::TransportErrorKind as T;
    type Script = fn() -> Reply;
    let table: [(&str, Script, Cause); 7] = [
        ("timeout", || Err(TransportError::new(T::TimedOut, "scripted")), Cause::ProviderDown),
        ("refused", || Err(TransportError::new(T::NotSent, "scripted")), Cause::ProviderDown),
        ("blocked", || Err(TransportError::new(T::Blocked, "scripted")), Cause::WrongConfiguration),
        ("cut", || Ok(json(200, r#"{"access_token":"access-can"#)), Cause::ProviderDown),
        ("empty token", || Ok(json(200, r#"{"access_token":"","token_type":"Bearer"}"#)), Cause::WrongConfiguration),
        ("bad token", || Ok(json(200, "{\"access_token\":\"access-canary\\r\\nx: y\"}")), Cause::WrongConfiguration),
        ("revoked", || Ok(json(400, r#"{"error":"invalid_grant","error_codes":[50173]}"#)), Cause::Revoked),
    ];
    for (name, script, cause) in table {
        let world = world(ScriptedTransport::new().otherwise(move |_| script()));
        let failure = world.exchange.exchange(&request(refresh(), "contoso"), &entra()).await.unwrap_err();
        assert_eq!(failure.cause, cause, "{name}");
        assert_eq!(world.transport.requests().len(), 1, "{name}");
        assert_eq!(failure.error.context("tenant"), Some("contoso"));
        let shown = format!("{failure:?}");
        assert!(!shown.contains("canary") && !shown.contains("access-can"), "{name}: {shown}");
        let snapshot = world.exchange.stack.snapshot();
        assert_eq!(snapshot.calls, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_repeats_the_secret_does_not_reveal_it() {
    let world = world(ScriptedTransport::new().otherwise(|request| {
        let sent = String::from_utf8(request.body().to_vec()).unwrap();
        let plain = SECRET.replace('"', "\\\"");
        let body = format!(r#"{{"error":"invalid_client","error_description":"{sent} or {plain} or {REFRESH}"}}"#);
        Ok(json(400, body))
    }));
    let failure = world.exchange.exchange(&request(refresh(), "contoso"), &halopsa()).await.unwrap_err();
    assert!(!format!("{failure:?}").contains("canary"), "{failure:?}");
}

#[tokio::test(start_paused = true)]
async fn a_throttled_tenant_waits_as_long_as_named_and_others_go_on() {
    let throttle = |_| Ok(answer(429, &[("retry-after", "30")], ""));
    let world = world(ScriptedTransport::new().then(throttle).otherwise(|_| token("")));
    let (own, other) = (request(secret(), "contoso"), request(secret(), "fabrikam"));
    let failure = world.exchange.exchange(&own, &entra()).await.unwrap_err();
    assert_eq!((failure.cause, failure.error.retry_after()), (Cause::ProviderDown, Some(Duration::from_secs(30))));
    world.exchange.exchange(&other, &entra()).await.unwrap();
    let failure = world.exchange.exchange(&own, &entra()).await.unwrap_err();
    assert!(failure.error.retry_after().is_some_and(|wait| wait >= Duration::from_secs(30)), "{failure:?}");
    assert_eq!(world.clock.monotonic(), Duration::ZERO, "nobody waits for what cannot be");
    world.clock.sleep(Duration::from_secs(25)).await;
    world.exchange.exchange(&own, &entra()).await.unwrap();
    assert_eq!(world.exchange.stack.snapshot().throttled, 1);
}

#[tokio::test(start_paused = true)]
async fn connections_that_expire_together_do_not_arrive_together() {
    let world = world(ScriptedTransport::new().otherwise(|_| token("")));
    let requests: Vec<_> = (0..1_000).map(|number| request(secret(), &format!("tenant{number}"))).collect();
    let endpoint = entra();
    let results = join_all(requests.iter().map(|request| world.exchange.exchange(request, &endpoint))).await;
    let took = world.clock.monotonic();
    assert_eq!(took, MAX_WAIT, "who has not had a turn by then comes back");
    let served = results.iter().filter(|result| result.is_ok()).count();
    assert!((450..=500).contains(&served), "50 per second: {served}");
    let told = results.iter().filter_map(|result| result.as_ref().err());
    assert!(told.into_iter().all(|failure| failure.error.retry_after().is_none()), "and not all at the same time");
}

#[tokio::test]
async fn an_exchange_may_move_between_threads() {
    fn is_send<T: Send>(_: &T) {}
    let world = world(ScriptedTransport::new());
    let (asked, endpoint) = (request(secret(), "contoso"), entra());
    is_send(&world.exchange.exchange(&asked, &endpoint));
}
