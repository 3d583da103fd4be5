//! Connections: one exchange per expiry, rotation that survives a crash, failures with a cause a person can act on.

use std::sync::Arc;
use std::time::Duration;

use bifrost::connection::{Cause, ConnectionState};
use bifrost::credential::TokenKey;
use bifrost::store::seal::EphemeralKey;
use bifrost::testing::SeededEntropy;
use bifrost::{ConnectionSettings, ErrorKind, Hub, HubConfig, NewTenant, ProviderId, Retry};
use futures_util::future::join_all;

use crate::provider::{Act, Provider, connect, grant, secret, settings, start, start_awake, status, token};
use crate::refusing::Refusing;
use crate::world::{Disk, clock, eventually, pause};

#[tokio::test(start_paused = true)]
async fn a_token_is_renewed_ahead_of_expiry_and_nobody_waits() {
    let provider = Provider::new([]);
    let hub = start_awake(&Disk::new(), &provider).await;
    let tenant = connect(&hub, secret()).await;
    assert_eq!(token(&tenant).await.unwrap(), "contoso-1");
    assert_eq!(status(&tenant).await.state, ConnectionState::Active);
    pause(Duration::from_secs(3_599 - 5 * 60)).await;
    eventually("it is renewed", async || provider.exchanges() == 2).await;
    eventually("it is published", async || token(&tenant).await.unwrap() == "contoso-2").await;
}

#[tokio::test(start_paused = true)]
async fn a_rotated_refresh_token_survives_restarts() {
    let (disk, provider) = (Disk::new(), Provider::new([]));
    let mut hub = start_awake(&disk, &provider).await;
    let tenant = connect(&hub, grant()).await;
    token(&tenant).await.unwrap();
    for round in 2..6 {
        hub.shutdown(Duration::ZERO).await.unwrap();
        hub = start_awake(&disk, &provider).await;
        let tenant = hub.tenant("contoso").unwrap();
        assert_eq!(token(&tenant).await.unwrap(), format!("contoso-{}", round - 1), "no exchange for a live token");
        pause(Duration::from_secs(3_600)).await;
        eventually("it is renewed", async || {
            token(&tenant).await.is_ok_and(|token| token == format!("contoso-{round}"))
        })
        .await;
    }
    assert!(!provider.is_revoked());
}

#[tokio::test(start_paused = true)]
async fn a_rotation_lost_with_the_process_is_reported_as_that() {
    let (disk, provider) = (Disk::new(), Provider::new([Act::RotateAndHang]));
    let hub = start(&disk, &provider).await;
    let tenant = connect(&hub, grant()).await;
    let waiting = tokio::spawn(async move { token(&tenant).await });
    eventually("the exchange is sent", async || provider.exchanges() == 1).await;
    let hub = start(&disk, &provider).await;
    waiting.abort();
    let tenant = hub.tenant("contoso").unwrap();
    let error = token(&tenant).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ReauthRequired);
    assert_eq!(error.suggested_action(), Some("sign in again to renew the grant"));
    let state = status(&tenant).await;
    assert_eq!((state.state, state.cause), (ConnectionState::ReauthRequired, Some(Cause::RotationLost)));
    assert_eq!(provider.exchanges(), 2, "the stored token is tried once");
    token(&tenant).await.unwrap_err();
    assert_eq!(provider.exchanges(), 2);
    let trail = tenant.audit(None, 100).await.unwrap();
    assert!(trail.iter().any(|entry| entry.record.action == "connection.reauth_required"));
}

#[tokio::test(start_paused = true)]
async fn settings_saved_again_keep_what_the_grant_was_rotated_to() {
    let provider = Provider::new([]);
    let hub = start(&Disk::new(), &provider).await;
    let tenant = connect(&hub, grant()).await;
    token(&tenant).await.unwrap();
    // Saved twice, the second time while the refresh token is on its way.
    tenant.connections().update("idp", settings(), grant()).await.unwrap();
    let asking = tenant.clone();
    let waiting = tokio::spawn(async move { token(&asking).await });
    eventually("the exchange is sent", async || provider.exchanges() == 2).await;
    tenant.connections().update("idp", settings(), grant()).await.unwrap();
    waiting.await.unwrap().unwrap();
    tenant.connections().update("idp", settings(), grant()).await.unwrap();
    token(&tenant).await.unwrap();
    assert!(!provider.is_revoked());
}

#[tokio::test(start_paused = true)]
async fn a_refresh_token_on_its_way_outlives_its_actor_and_an_orderly_end() {
    let (disk, provider) = (Disk::new(), Provider::new([]));
    let hub = start(&disk, &provider).await;
    let tenant = connect(&hub, grant()).await;
    let asking = tenant.clone();
    tokio::spawn(async move { token(&asking).await });
    eventually("the exchange is sent", async || provider.exchanges() == 1).await;
    hub.tenants().disable("contoso").await.unwrap();
    hub.tenants().enable("contoso").await.unwrap();
    assert_eq!(token(&tenant).await.unwrap(), "contoso-1", "nothing else was spent meanwhile");
    let connection = tenant.connections().get("idp").await.unwrap();
    let key = connection.default_token();
    let rejected = connection.tokens().token(&key).await.unwrap();
    tokio::spawn(async move { connection.tokens().replace(&key, &rejected).await });
    eventually("the next is sent", async || provider.exchanges() == 2).await;
    hub.shutdown(Duration::from_secs(10)).await.unwrap();
    let hub = start(&disk, &provider).await;
    assert_eq!(token(&hub.tenant("contoso").unwrap()).await.unwrap(), "contoso-2");
    assert!(!provider.is_revoked());
}

#[tokio::test(start_paused = true)]
async fn a_kill_before_the_answer_arrives_loses_nothing_that_was_not_rotated() {
    let (disk, provider) = (Disk::new(), Provider::new([Act::Hang]));
    let hub = start(&disk, &provider).await;
    let tenant = connect(&hub, grant()).await;
    let waiting = tokio::spawn(async move { token(&tenant).await });
    eventually("the exchange is sent", async || provider.exchanges() == 1).await;
    let hub = start(&disk, &provider).await;
    waiting.abort();
    token(&hub.tenant("contoso").unwrap()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_a_person_must_mend_is_said_and_not_hammered() {
    for cause in [Cause::ConsentMissing, Cause::MfaRequired, Cause::CredentialExpired, Cause::WrongConfiguration] {
        let provider = Provider::new([Act::Fail(cause, Retry::Never)]);
        let hub = start(&Disk::new(), &provider).await;
        let tenant = connect(&hub, secret()).await;
        for _ in 0..5 {
            let error = token(&tenant).await.unwrap_err();
            assert_eq!(error.suggested_action(), Some(cause.next_action()));
            assert_eq!((error.context("tenant"), error.context("connection")), (Some("contoso"), Some("idp")));
        }
        assert_eq!(provider.exchanges(), 1);
        tenant.connections().update("idp", settings(), secret()).await.unwrap();
        token(&tenant).await.unwrap();
        assert_eq!(status(&tenant).await.state, ConnectionState::Active);
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_passes_by_itself_at_growing_distances() {
    let down = || Act::Fail(Cause::ProviderDown, Retry::Later);
    let provider = Provider::new((0..5).map(|_| down()));
    let hub = start(&Disk::new(), &provider).await;
    let tenant = connect(&hub, secret()).await;
    let before = tokio::time::Instant::now();
    eventually("it recovers", async || token(&tenant).await.is_ok()).await;
    assert_eq!(provider.exchanges(), 6);
    assert!(before.elapsed() >= Duration::from_secs(31), "1 + 2 + 4 + 8 + 16 at the least");
}

#[tokio::test(start_paused = true)]
async fn a_named_delay_is_kept() {
    let hour = Retry::After(Duration::from_secs(3_600));
    let provider = Provider::new([Act::Fail(Cause::ProviderDown, hour)]);
    let hub = start(&Disk::new(), &provider).await;
    let tenant = connect(&hub, secret()).await;
    token(&tenant).await.unwrap_err();
    pause(Duration::from_secs(3_500)).await;
    token(&tenant).await.unwrap_err();
    assert_eq!(provider.exchanges(), 1);
    pause(Duration::from_secs(101)).await;
    token(&tenant).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn connections_are_checked_changed_switched_and_deleted() {
    let provider = Provider::new([]);
    let hub = start(&Disk::new(), &provider).await;
    let tenant = connect(&hub, secret()).await;
    let connections = tenant.connections();
    let error = connections.create("idp", settings(), secret()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    let no_entity = ConnectionSettings::new(ProviderId::new("idp").unwrap());
    let error = connections.create("other", no_entity, secret()).await.unwrap_err();
    assert_eq!((error.kind(), error.context("path")), (ErrorKind::InvalidInput, Some("entity")));
    let unknown = ConnectionSettings::new(ProviderId::new("nowhere").unwrap());
    assert_eq!(connections.create("other", unknown, secret()).await.unwrap_err().kind(), ErrorKind::InvalidInput);

    connections.test("idp").await.unwrap();
    let held = connections.get("idp").await.unwrap();
    connections.disable("idp").await.unwrap();
    let key = TokenKey::new("api", ["all"]);
    assert_eq!(held.tokens().token(&key).await.unwrap_err().kind(), ErrorKind::Suspended);
    assert_eq!(status(&tenant).await.state, ConnectionState::Disabled);
    connections.enable("idp").await.unwrap();
    held.tokens().token(&key).await.unwrap();
    connections.delete("idp").await.unwrap();
    assert!(connections.list().await.unwrap().is_empty());
    assert_eq!(connections.get("idp").await.unwrap_err().kind(), ErrorKind::NotFound);
    assert!(held.tokens().token(&key).await.is_err());
    eventually("nothing is kept of it", async || tenant.snapshot().await.unwrap().connections.is_empty()).await;
    connections.create("idp", settings(), secret()).await.unwrap();
    connections.test("idp").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_held_works_after_its_tenant_has_rested() {
    let provider = Provider::new([]);
    let hub = start(&Disk::new(), &provider).await;
    let tenant = connect(&hub, secret()).await;
    let held = tenant.connections().get("idp").await.unwrap();
    let key = TokenKey::new("api", ["all"]);
    held.tokens().token(&key).await.unwrap();
    eventually("the tenant rests", async || {
        pause(Duration::from_secs(60)).await;
        hub.snapshot().tenants_awake == 0
    })
    .await;
    assert_eq!(held.tokens().token(&key).await.unwrap().generation(), 1, "taken from the store");
    tenant.connections().disable("idp").await.unwrap();
    assert!(held.tokens().token(&key).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_token_is_shown_to_nobody_before_it_is_stored() {
    let (store, provider) = (Refusing::new(), Provider::new([]));
    let keys = Arc::new(EphemeralKey::generate(Arc::new(SeededEntropy::new(1))));
    let hub = Hub::builder()
        .with_store(Arc::new(store.clone()), keys)
        .with_clock(clock())
        .with_integration(Arc::new(provider.clone()));
    let hub = hub.start().await.unwrap();
    let tenant = connect(&hub, grant()).await;
    let asking = tenant.clone();
    let waiting = tokio::spawn(async move { token(&asking).await });
    eventually("the exchange is sent", async || provider.exchanges() == 1).await;
    store.refuse(ErrorKind::StoreFull, None);
    assert_eq!(waiting.await.unwrap().unwrap_err().kind(), ErrorKind::StoreFull);
    assert_eq!(token(&tenant).await.unwrap_err().kind(), ErrorKind::StoreFull, "kept back while it is not stored");
    store.recover();
    assert_eq!(token(&tenant).await.unwrap(), "contoso-1", "the rotation was not lost");
    assert_eq!(provider.exchanges(), 1);
    assert!(!provider.is_revoked());
}

#[tokio::test(start_paused = true)]
async fn an_idle_grant_is_spent_before_it_lapses() {
    let provider = Provider::new([]);
    let hub = start(&Disk::new(), &provider).await;
    let tenant = connect(&hub, grant()).await;
    let idle = hub.tenants().create(NewTenant::customer("fabrikam")).await.unwrap();
    idle.connections().create("idp", settings(), secret()).await.unwrap();
    for _ in 0..60 {
        pause(Duration::from_secs(86_400)).await;
    }
    assert!((3..=5).contains(&provider.exchanges()), "every two weeks or so: {}", provider.exchanges());
    assert_eq!(hub.snapshot().tenants_awake, 0, "and nobody is kept awake for it");
    assert_ne!(provider.current(), "rt-0");
    token(&tenant).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_hub_that_is_full_says_so_at_once() {
    let provider = Provider::new([]);
    let config = HubConfig { max_waiting_calls: 5, ..HubConfig::default() };
    let hub = Disk::new().hub().with_config(config).with_integration(Arc::new(provider.clone())).start().await.unwrap();
    let tenant = connect(&hub, secret()).await;
    let connection = tenant.connections().get("idp").await.unwrap();
    let key = connection.default_token();
    let answers = join_all((0..20).map(|_| connection.tokens().token(&key))).await;
    let (served, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert_eq!(served.len(), 5);
    assert!(refused.into_iter().all(|answer| answer.unwrap_err().kind() == ErrorKind::Overloaded));
    connection.tokens().token(&key).await.unwrap();
}
