//! What is kept per key is forgotten again: nothing grows with how many there ever were.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bifrost::credential::{Token, TokenKey, TokenSource};
use bifrost::http::Anonymous;
use bifrost::http::scripted::answer;
use bifrost::policy::rate::{LimitScope, LimitShape, LimitUnit, RateLimit};
use bifrost::{
    Clock, Connection, ConnectionId, ConnectionSettings, Context, Error, HubConfig, NewTenant, ProviderId, Result,
    TenantId, workflow,
};
use futures_util::future::join_all;

use crate::far::{Api, Far, get};
use crate::world::{Disk, clock, pause};

/// Nobody asks it: the calls are anonymous.
#[derive(Debug)]
struct NoTokens;

#[async_trait]
impl TokenSource for NoTokens {
    async fn token(&self, _: &TokenKey) -> Result<Token> {
        Err(Error::internal("test", "not used"))
    }

    async fn replace(&self, _: &TokenKey, _: &Token) -> Result<Token> {
        Err(Error::internal("test", "not used"))
    }
}

fn limit(scope: LimitScope) -> RateLimit {
    let (unit, shape, per) = (LimitUnit::Requests, LimitShape::Window, Duration::from_secs(10));
    RateLimit { scope, unit, amount: 10, per, shape, source: "made up", as_of: "2026-08" }
}

/// A limiter with a key per client never forgot one, so memory grew with every client there ever was (also hoister#105).
/// Here what a key would decide the same without is swept out as the maps grow: twelve thousand tenants, each with a
/// limit of its own at every level, some of them throttled or failing, leave no more than the latest few.
#[tokio::test(start_paused = true)]
async fn governor_171_tenants_long_gone_are_forgotten() {
    const TENANTS: usize = 12_000;
    let clock = clock();
    let far = Far::new(clock.clone(), |sent| {
        let number: usize = sent.request.uri().path().rsplit('/').next()?.parse().ok()?;
        Some(match number % 10 {
            0 => answer(429, &[("retry-after", "1")], ""),
            1 => answer(502, &[], ""),
            _ => answer(200, &[], ""),
        })
    });
    let scopes = [LimitScope::AppTenant, LimitScope::Tenant, LimitScope::Connection, LimitScope::Resource];
    let api = Arc::new(Api::new(&far, scopes.map(limit).to_vec()));
    let settings = Arc::new(ConnectionSettings::new(ProviderId::new("api").unwrap()));
    let (id, tokens) = (ConnectionId::new("api").unwrap(), Arc::new(NoTokens));
    let mut most = [0, 0];
    for first in (0..TENANTS).step_by(100) {
        let calls = (first..first + 100).map(|number| {
            let tenant = TenantId::new(format!("tenant{number}")).unwrap();
            let (settings, tokens) = (Arc::clone(&settings), Arc::clone(&tokens) as _);
            let connection = Connection::new(tenant, id.clone(), None, settings, tokens, Arc::clone(&api) as _);
            let mut outbound = get(&format!("/things/{number}")).with_deadline(Duration::from_millis(500));
            outbound.request.extensions_mut().insert(Anonymous);
            outbound.resource = Some("mailbox".to_owned());
            async move { connection.send(outbound).await }
        });
        join_all(calls).await;
        let remembered = api.stack.remembered();
        assert_eq!(remembered.shared_reads, 0, "what has ended is no more");
        let half = &mut most[2 * first / TENANTS];
        *half = remembered.budget_nodes.max(remembered.peers).max(*half);
        clock.sleep(Duration::from_secs(5)).await;
    }
    assert!(most[0] < TENANTS && most[1] <= most[0], "{most:?}: it no longer grows");
}

/// State was kept per persistence id for as long as the process lived. Here what ended is gone from memory at once, and
/// a tenant that nobody uses is as well.
#[tokio::test(start_paused = true)]
async fn akka_persistence_cassandra_410_what_has_ended_is_not_kept_in_memory() {
    let work = workflow("work", |ctx: Context, (): ()| async move { ctx.step("a", || async { Ok(()) }).await });
    let config = HubConfig { idle_after: Duration::from_secs(60), ..HubConfig::default() };
    let hub = Disk::new().hub().with_config(config).with_workflow(work.unwrap()).start().await.unwrap();
    for number in 0..200 {
        let tenant = hub.tenants().create(NewTenant::customer(format!("tenant{number}"))).await.unwrap();
        for _ in 0..5 {
            tenant.run("work", ()).await.unwrap().wait().await.unwrap();
        }
        assert_eq!(hub.snapshot().executions_in_flight, 0);
        if number % 2 == 0 {
            hub.tenants().disable(tenant.id().as_str()).await.unwrap();
            hub.tenants().delete(tenant.id().as_str()).await.unwrap();
        }
        pause(Duration::from_secs(10)).await;
        let awake = hub.snapshot().tenants_awake;
        assert!(awake <= 15, "{awake} awake, of which none was used in the last two minutes");
    }
    pause(Duration::from_secs(300)).await;
    assert_eq!(hub.snapshot().tenants_awake, 0, "all rest");
    assert_eq!(hub.snapshot().tenants, 100);
}
