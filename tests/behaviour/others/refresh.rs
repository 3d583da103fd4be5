//! Refreshing tokens: one at a time, never for ever, and what was rotated is not lost.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bifrost::connection::{Cause, ConnectionState};
use bifrost::credential::TokenKey;
use bifrost::store::key::{Kind, Prefix, Scope};
use bifrost::store::memory::MemoryStore;
use bifrost::store::{Batch, Op};
use bifrost::{ErrorKind, HubConfig, Result, TenantId};
use futures_util::future::{BoxFuture, FutureExt, join_all, ready};

use crate::provider::{Act, Provider, connect, grant, secret, start, status, token};
use crate::watched::{Watched, Watcher};
use crate::world::{Disk, eventually, pause};

/// Several items of one run refreshed the same OAuth2 credential in the same second, each spending the refresh token
/// that the first had rotated, and the credential was dead (also n8n#22893 with HaloPSA). Here a connection's actor
/// exchanges once and everybody who asks meanwhile shares that.
#[tokio::test(start_paused = true)]
async fn n8n_12742_parallel_refreshes_spend_one_rotating_token() {
    const CALLERS: usize = 10_000;
    let (disk, provider) = (Disk::new(), Provider::new([]));
    let start = || {
        let config = HubConfig { max_waiting_calls: 2 * CALLERS, ..HubConfig::default() };
        disk.hub().with_config(config).with_integration(Arc::new(provider.clone())).start()
    };
    let key = TokenKey::new("api", ["all"]);
    let tenant = connect(&start().await.unwrap(), grant()).await;
    let connection = tenant.connections().get("idp").await.unwrap();
    for token in join_all((0..CALLERS).map(|_| connection.tokens().token(&key))).await {
        assert_eq!(token.unwrap().generation(), 1);
    }
    assert_eq!(provider.exchanges(), 1, "nobody had a token");
    let refused = connection.tokens().token(&key).await.unwrap();
    for token in join_all((0..CALLERS).map(|_| connection.tokens().replace(&key, &refused))).await {
        assert_eq!(token.unwrap().generation(), 2);
    }
    assert_eq!(provider.exchanges(), 2, "the provider refused the token of all of them");
    // It expires while no hub is there to renew it ahead of time.
    let hub = start().await.unwrap();
    pause(Duration::from_secs(7_200)).await;
    let connection = hub.tenant("contoso").unwrap().connections().get("idp").await.unwrap();
    for token in join_all((0..CALLERS).map(|_| connection.tokens().token(&key))).await {
        assert_eq!(token.unwrap().generation(), 3);
    }
    assert_eq!(provider.exchanges(), 3, "it had expired for all of them");
    assert!(!provider.is_revoked());
}

/// A refresh that hung left its entry in a map of running refreshes, and every later call waited for it until the
/// process was restarted (also nango#1016). Here an exchange has a deadline, a panic in it is an answer like another,
/// and whoever waited is told when to come back.
#[tokio::test(start_paused = true)]
async fn nango_1005_a_hung_refresh_does_not_block_the_connection_for_ever() {
    for (act, credential) in
        [(Act::Hang, secret()), (Act::Panic, secret()), (Act::Hang, grant()), (Act::Panic, grant())]
    {
        let provider = Provider::new([act]);
        let hub = start(&Disk::new(), &provider).await;
        let tenant = connect(&hub, credential).await;
        let before = tokio::time::Instant::now();
        let errors = join_all((0..100).map(|_| token(&tenant))).await;
        assert!(errors.iter().all(Result::is_err));
        let waited = before.elapsed();
        assert!(waited <= Duration::from_secs(31), "{waited:?}");
        let state = status(&tenant).await;
        assert_eq!((state.state, state.cause), (ConnectionState::Degraded, Some(Cause::ProviderDown)));
        assert!(token(&tenant).await.unwrap_err().retry_after().is_some(), "no second exchange before its time");
        assert_eq!(provider.exchanges(), 1);
        pause(Duration::from_secs(5)).await;
        token(&tenant).await.unwrap();
        assert_eq!(status(&tenant).await.state, ConnectionState::Active);
    }
}

/// Keeps what a process would leave behind that is killed right before or right after any commit: the store, and the
/// provider as it was then.
#[derive(Debug)]
struct Moments {
    provider: Provider,
    tokens: Prefix,
    kept: Mutex<Vec<Moment>>,
}

#[derive(Debug)]
struct Moment {
    store: MemoryStore,
    provider: Provider,
    /// The provider has rotated and the store does not know of it yet.
    rotation_unknown: bool,
}

impl Moments {
    fn keep(&self, store: &MemoryStore, rotation_unknown: bool) {
        let moment = Moment { store: store.fork(), provider: self.provider.fork(), rotation_unknown };
        self.kept.lock().unwrap().push(moment);
    }
}

impl Watcher for Moments {
    fn committing(&self, store: &MemoryStore, batch: &Batch) -> Result<()> {
        let stores_token = |op: &Op| matches!(op, Op::Put(key, _) if key.starts_with(&self.tokens));
        self.keep(store, batch.ops().iter().any(stores_token));
        Ok(())
    }

    fn committed(&self, store: &MemoryStore, _: &Batch) -> BoxFuture<'static, ()> {
        self.keep(store, false);
        ready(()).boxed()
    }
}

/// A rotated refresh token was lost when the process died between the answer and the write. Here the intent is durable
/// before the exchange and its answer before anybody sees it: of all moments to die at, only the one between these two
/// can cost the grant, only at a provider that forgives nothing, and then the cause is named.
#[tokio::test(start_paused = true)]
async fn floway_340_a_kill_around_any_commit_loses_no_grant_that_can_be_saved() {
    for forgiving in [false, true] {
        let disk = Disk::new();
        let provider = Provider::new([]);
        let provider = if forgiving { provider.forgiving() } else { provider };
        let tokens = Scope::tenant(TenantId::new("contoso").unwrap()).kind(Kind::Token);
        let moments = Arc::new(Moments { provider: provider.clone(), tokens, kept: Mutex::default() });
        let store = Arc::new(Watched::new(MemoryStore::new(), Arc::clone(&moments) as _));
        let config = HubConfig { idle_after: Duration::from_secs(86_400), ..HubConfig::default() };
        let hub = disk.hub_on(store).with_config(config).with_integration(Arc::new(provider.clone()));
        let tenant = connect(&hub.start().await.unwrap(), grant()).await;
        moments.kept.lock().unwrap().clear();
        token(&tenant).await.unwrap();
        pause(Duration::from_secs(3_600)).await;
        eventually("it was renewed", async || provider.exchanges() == 2).await;
        let (key, connection) = (TokenKey::new("api", ["all"]), tenant.connections().get("idp").await.unwrap());
        let refused = connection.tokens().token(&key).await.unwrap();
        connection.tokens().replace(&key, &refused).await.unwrap();
        tenant.connections().disable("idp").await.unwrap();
        tenant.connections().enable("idp").await.unwrap();

        let kept = std::mem::take(&mut *moments.kept.lock().unwrap());
        assert_eq!(kept.iter().filter(|moment| moment.rotation_unknown).count(), 3, "three exchanges");
        for (number, moment) in kept.into_iter().enumerate() {
            let hub = disk.hub_on(Arc::new(moment.store)).with_integration(Arc::new(moment.provider.clone()));
            let hub = hub.start().await.unwrap();
            let tenant = hub.tenant("contoso").unwrap();
            if !tenant.connections().list().await.unwrap()[0].enabled {
                tenant.connections().enable("idp").await.unwrap();
            }
            let connection = tenant.connections().get("idp").await.unwrap();
            let renewed = match connection.tokens().token(&key).await {
                // One that was stored may still be live: what counts is that there will be a next one.
                Ok(live) => connection.tokens().replace(&key, &live).await,
                failed => failed,
            };
            let Err(error) = renewed else { continue };
            assert!(moment.rotation_unknown && !forgiving, "moment {number}: {error}");
            assert_eq!(error.kind(), ErrorKind::ReauthRequired, "moment {number}");
            assert_eq!(status(&tenant).await.cause, Some(Cause::RotationLost), "moment {number}");
        }
    }
}
