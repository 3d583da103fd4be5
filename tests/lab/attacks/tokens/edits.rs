//! Rotations that are disturbed in an orderly way: settings saved, connections and tenants switched off and on, tenants
//! put to rest, hubs shut down. None of it may lose a refresh token.

use std::sync::Arc;
use std::time::Duration;

use bifrost::store::memory::MemoryStore;
use bifrost::store::seal::{EphemeralKey, KeyProvider};
use bifrost::testing::{SeededEntropy, TokioClock};
use bifrost::{Clock, Credential, Hub, HubConfig, NewTenant, Secret};
use tokio::time::sleep;

use super::platform::{Act, Platform, Reuse, settings};
use super::rotation::{rotate, token};
use crate::findings::Findings;
use crate::lab::Round;

/// Longer than a tenant stays awake unused, shorter than an exchange may take.
const SLOW: Duration = Duration::from_secs(20);
const IDLE_AFTER: Duration = Duration::from_secs(3);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Edit {
    /// The settings are saved as they were, with another client secret.
    Save,
    OffAndOn,
    TenantOffAndOn,
    Rest,
    ShutDown,
    /// A person signs in again while the old grant is being spent.
    SignIn,
    Delete,
}

const EDITS: [Edit; 7] =
    [Edit::Save, Edit::OffAndOn, Edit::TenantOffAndOn, Edit::Rest, Edit::ShutDown, Edit::SignIn, Edit::Delete];

struct World {
    clock: Arc<TokioClock>,
    keys: Arc<dyn KeyProvider>,
    platform: Platform,
    disk: MemoryStore,
}

impl World {
    async fn start(&mut self) -> Hub {
        self.disk = self.disk.fork();
        let config = HubConfig { idle_after: IDLE_AFTER, ..HubConfig::default() };
        let hub = Hub::builder()
            .with_store(Arc::new(self.disk.clone()), Arc::clone(&self.keys))
            .with_clock(Arc::clone(&self.clock) as Arc<dyn Clock>)
            .with_config(config)
            .with_integration(Arc::new(self.platform.clone()));
        hub.start().await.unwrap()
    }
}

pub(super) async fn edited_everywhere(round: &Round, findings: &mut Findings) {
    let dice = round.dice();
    let clock = Arc::new(TokioClock::starting_at("2026-01-01T00:00:00Z".parse().unwrap()));
    let mut world = World {
        platform: Platform::new(Arc::clone(&clock) as Arc<dyn Clock>, Reuse::Strict),
        clock,
        keys: Arc::new(EphemeralKey::generate(Arc::new(SeededEntropy::new(1)))),
        disk: MemoryStore::new(),
    };
    let mut hub = world.start().await;
    hub.tenants().create(NewTenant::customer("contoso")).await.unwrap();
    let mut grant = world.platform.sign_in();
    hub.tenant("contoso").unwrap().connections().create("idp", settings(), grant.clone()).await.unwrap();
    for number in 0..round.scale(42, 700) {
        findings.attempt();
        let index = if number < 7 { number } else { dice.below(7) };
        let edit = EDITS[usize::try_from(index).unwrap()];
        let tenant = hub.tenant("contoso").unwrap();
        token(&tenant).await.unwrap();
        world.platform.next([Act::Slow(SLOW)]);
        let before = world.platform.exchanges();
        let rotating = tokio::spawn(async move { rotate(&tenant).await });
        while world.platform.exchanges() == before {
            sleep(Duration::from_millis(1)).await;
        }
        // Whoever asked gives up, so that the tenant may rest; the exchange goes on.
        rotating.abort();
        sleep(Duration::from_millis(dice.below(SLOW.as_millis() as u64))).await;
        disturb(&mut world, &mut hub, edit, &mut grant).await;
        // Somebody asks at once, or when everything is over.
        sleep(Duration::from_millis(*dice.pick(&[0, 1_000, 30_000]))).await;
        let tenant = hub.tenant("contoso").unwrap();
        let works = eventually(&tenant).await;
        findings.check(works.is_ok(), || format!("{edit:?}: {}", works.unwrap_err()));
        let works = rotate(&tenant).await;
        findings.check(works.is_ok(), || format!("{edit:?}, and another rotation: {works:?}"));
        if world.platform.is_revoked() {
            findings.violation(format!("{edit:?} lost a refresh token"));
            grant = world.platform.sign_in();
            tenant.connections().update("idp", settings(), grant.clone()).await.unwrap();
        }
    }
}

async fn disturb(world: &mut World, hub: &mut Hub, edit: Edit, grant: &mut Credential) {
    let tenant = hub.tenant("contoso").unwrap();
    let connections = tenant.connections();
    match edit {
        Edit::Save => {
            let Credential::RefreshToken { client_id, refresh_token, .. } = grant.clone() else { unreachable!() };
            let secret = Some(Secret::new("another secret"));
            *grant = Credential::refresh_token(client_id, secret, refresh_token);
            connections.update("idp", settings(), grant.clone()).await.unwrap();
        }
        Edit::OffAndOn => {
            connections.disable("idp").await.unwrap();
            connections.enable("idp").await.unwrap();
        }
        Edit::TenantOffAndOn => {
            hub.tenants().disable("contoso").await.unwrap();
            hub.tenants().enable("contoso").await.unwrap();
        }
        Edit::Rest => sleep(IDLE_AFTER * 3).await,
        Edit::ShutDown => {
            hub.shutdown(Duration::from_secs(60)).await.unwrap();
            *hub = world.start().await;
        }
        Edit::SignIn => {
            *grant = world.platform.sign_in();
            connections.update("idp", settings(), grant.clone()).await.unwrap();
        }
        Edit::Delete => {
            connections.delete("idp").await.unwrap();
            *grant = world.platform.sign_in();
            connections.create("idp", settings(), grant.clone()).await.unwrap();
        }
    }
}

/// Asks again while it is said that this helps.
async fn eventually(tenant: &bifrost::Tenant) -> bifrost::Result<()> {
    for _ in 0..10 {
        match token(tenant).await {
            Err(error) if error.is_retryable() => {
                sleep(error.retry_after().unwrap_or(Duration::from_secs(1))).await;
            }
            end => return end,
        }
    }
    token(tenant).await
}
