//! The token endpoint: nobody storms it, and what it says is told as it is.

use std::sync::Arc;
use std::time::Duration;

use bifrost::connection::{Cause, ConnectionState};
use bifrost::credential::ExchangeRequest;
use bifrost::http::scripted::{answer, json};
use bifrost::integration::Integration;
use bifrost::oauth::EXCHANGES_PER_SECOND;
use bifrost::testing::SeededEntropy;
use bifrost::time::within;
use bifrost::{Clock, ConnectionId, ConnectionSettings, Credential, Entropy, ErrorKind, ProviderId, TenantId};
use futures_util::future::join_all;

use crate::far::{Api, Far, connect, secret};
use crate::provider::{self, Provider};
use crate::world::{Counter, Disk, clock, contoso, pause};

/// The most that falls into any one second.
fn peak(mut times: Vec<Duration>) -> usize {
    times.sort_unstable();
    let within = |(start, at): (usize, &Duration)| times[start..].iter().take_while(|t| **t < *at + SECOND).count();
    times.iter().enumerate().map(within).max().unwrap_or(0)
}

const SECOND: Duration = Duration::from_secs(1);

/// Hundreds of callers refreshed at once, were throttled, and each retried by itself: a convoy that never ended. Here
/// exchanges of one application have a budget, and who finds no room in it is told when to come back.
#[tokio::test(start_paused = true)]
async fn msal_dotnet_4196_thousands_that_expire_together_are_no_storm() {
    const CUSTOMERS: usize = 4_000;
    let clock = clock();
    let far = Far::new(clock.clone(), |_| None);
    let api = Api::new(&far, Vec::new());
    let dice = SeededEntropy::new(4);
    let customers = (0..CUSTOMERS).map(|number| ExchangeRequest {
        tenant: TenantId::new(format!("customer{number}")).unwrap(),
        connection: ConnectionId::new("api").unwrap(),
        settings: Arc::new(ConnectionSettings::new(ProviderId::new("api").unwrap())),
        credential: Arc::new(secret()),
        refresh_token: None,
        key: api.default_token(&ConnectionSettings::new(ProviderId::new("api").unwrap())),
    });
    let served = customers.map(|request| {
        let (api, clock, dice) = (&api, clock.clone(), &dice);
        async move {
            // As a connection does it: no exchange takes longer than that, and delays double.
            let mut delay = 2 * SECOND;
            while !matches!(within(clock.as_ref(), 30 * SECOND, api.exchange(request.clone())).await, Some(Ok(_))) {
                clock.sleep(delay.mul_f64(1.0 - 0.5 * dice.fraction())).await;
                delay = (2 * delay).min(300 * SECOND);
            }
        }
    });
    join_all(served).await;
    let sent: Vec<Duration> = far.exchanges().iter().map(|sent| sent.at).collect();
    assert_eq!(sent.len(), CUSTOMERS, "none was sent in vain");
    let peak = peak(sent);
    assert!(peak <= EXCHANGES_PER_SECOND as usize, "{peak} in a second");
    let (took, least) = (clock.monotonic(), SECOND * CUSTOMERS as u32 / EXCHANGES_PER_SECOND);
    assert!(took >= least && took < 2 * least, "{took:?}, where {least:?} are the least");
}

/// Those that wait share the failure as they share the token: one request for a thousand callers, and no further one
/// before the time that was named.
#[tokio::test(start_paused = true)]
async fn msal_dotnet_4196_callers_who_wait_share_one_refusal() {
    let disk = Disk::new();
    let far = Far::new(disk.clock(), |sent| {
        (sent.is_exchange() && sent.at < 30 * SECOND).then(|| answer(429, &[("retry-after", "30")], ""))
    });
    let hub = disk.hub().with_integration(Arc::new(Api::new(&far, Vec::new()))).start().await.unwrap();
    let connection = connect(&contoso(&hub).await, secret()).await;
    let key = connection.default_token();
    for round in 0..3 {
        for refused in join_all((0..1_000).map(|_| connection.tokens().token(&key))).await {
            assert!(refused.unwrap_err().retry_after().is_some_and(|wait| wait > 15 * SECOND), "round {round}");
        }
        pause(4 * SECOND).await;
    }
    assert_eq!(far.exchanges().len(), 1);
    pause(20 * SECOND).await;
    connection.tokens().token(&key).await.unwrap();
    assert_eq!(far.exchanges().len(), 2);
}

/// Tokens that were issued together are renewed at times of their own, all of them before they expire.
#[tokio::test(start_paused = true)]
async fn msal_dotnet_4196_what_was_issued_together_is_not_renewed_together() {
    const CONNECTIONS: usize = 300;
    let provider = Provider::new([]);
    let hub = provider::start_awake(&Disk::new(), &provider).await;
    let tenant = contoso(&hub).await;
    let ids: Vec<String> = (0..CONNECTIONS).map(|number| format!("idp{number}")).collect();
    for id in &ids {
        tenant.connections().create(id, provider::settings(), provider::secret()).await.unwrap();
    }
    let connections = tenant.connections();
    assert!(join_all(ids.iter().map(|id| connections.test(id))).await.into_iter().all(|test| test.is_ok()));
    pause(Duration::from_secs(3_600)).await;
    let times = provider.times();
    let (issued, renewed) = times.split_at(CONNECTIONS);
    assert!(issued[CONNECTIONS - 1].since(issued[0]) < SECOND);
    let since = |at: &bifrost::Timestamp| at.since(issued[0]);
    assert_eq!(renewed.len(), CONNECTIONS);
    assert!(renewed.iter().all(|at| (2_999..3_305).contains(&since(at).as_secs())), "ahead of their expiry");
    let peak = peak(renewed.iter().map(since).collect());
    assert!(peak <= CONNECTIONS / 20, "{peak} in one second");
}

/// A 429 on the token endpoint kept people from signing in anew as well. Here each kind of grant has a budget of its own,
/// and a new credential begins with a clean slate.
#[tokio::test(start_paused = true)]
async fn withings_mcp_37_a_throttled_refresh_does_not_block_another_grant() {
    let disk = Disk::new();
    let far = Far::new(disk.clock(), |sent| {
        let refresh = sent.is_exchange() && sent.body().contains("grant_type=refresh_token");
        refresh.then(|| answer(429, &[("retry-after", "1800")], ""))
    });
    let hub = disk.hub().with_integration(Arc::new(Api::new(&far, Vec::new()))).start().await.unwrap();
    let tenant = contoso(&hub).await;
    let connection = connect(&tenant, Credential::refresh_token("app", None, "rt-0")).await;
    let key = connection.default_token();
    let error = connection.tokens().token(&key).await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(1_800)), "{error}");
    let before = disk.clock().monotonic();
    let settings = connection.settings().clone();
    tenant.connections().update("api", settings, secret()).await.unwrap();
    tenant.connections().get("api").await.unwrap().tokens().token(&key).await.unwrap();
    assert!(disk.clock().monotonic() - before < SECOND, "nobody waits for what concerns another grant");
    assert_eq!(tenant.connections().status("api").await.unwrap().state, ConnectionState::Active);
}

/// A grant that was revoked looked like one more failure to try again, so nobody was told to sign in. Here the first
/// such answer is the end: state, cause, next action and audit record, and nothing more is sent.
#[tokio::test(start_paused = true)]
async fn withings_mcp_37_a_revoked_grant_is_told_at_the_first_answer() {
    let disk = Disk::new();
    let throttles = Counter::default();
    let far = Far::new(disk.clock(), move |sent| {
        let revoked = r#"{"error":"invalid_grant","error_description":"the grant was revoked"}"#;
        // Throttled first: that spends nothing, so what is refused then was not lost on the way.
        sent.is_exchange().then(|| if throttles.count() == 1 { json(429, "{}") } else { json(400, revoked) })
    });
    let hub = disk.hub().with_integration(Arc::new(Api::new(&far, Vec::new()))).start().await.unwrap();
    let tenant = contoso(&hub).await;
    let connection = connect(&tenant, Credential::refresh_token("app", None, "rt-0")).await;
    let key = connection.default_token();
    assert_eq!(connection.tokens().token(&key).await.unwrap_err().kind(), ErrorKind::Throttled);
    pause(Duration::from_secs(600)).await;
    for _ in 0..3 {
        let error = connection.tokens().token(&key).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ReauthRequired, "{error}");
        assert_eq!(error.suggested_action(), Some("sign in again to renew the grant"));
        pause(Duration::from_secs(3_600)).await;
    }
    assert_eq!(far.exchanges().len(), 2);
    let status = tenant.connections().status("api").await.unwrap();
    assert_eq!((status.state, status.cause), (ConnectionState::ReauthRequired, Some(Cause::Revoked)));
    let trail = tenant.audit(None, 100).await.unwrap();
    assert_eq!(trail.iter().filter(|entry| entry.record.action == "connection.reauth_required").count(), 1);
}
