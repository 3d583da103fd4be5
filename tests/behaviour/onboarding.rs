//! The main job on the simulated providers, in virtual time: throttling, faults, token expiry, crashes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bifrost::execution::ExecutionState;
use bifrost::graph::{GraphConfig, GraphContext};
use bifrost::halopsa::HaloPsaConfig;
use bifrost::http::{Limits, Transport, TransportError};
use bifrost::testing::{
    DEMO_CLIENT_ID, DEMO_CLIENT_SECRET, DEMO_HALOPSA_CLIENT_ID, DEMO_HALOPSA_CLIENT_SECRET, Fault, FaultRule,
    HALOPSA_INSTANCE, Provider, RetryAfter, SimulatorTransport, Simulators, simulated,
};
use bifrost::{
    Clock, Context, Credential, ErrorKind, Hub, HubBuilder, HubConfig, NewTenant, Outcome, Tenant, workflow,
};
use bytes::Bytes;
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::world::{Disk, pause};

/// The example's own workflow: what is shown is what is tested.
#[path = "../../examples/onboarding/workflow.rs"]
#[allow(dead_code)]
pub(crate) mod example;

pub(crate) struct World {
    disk: Disk,
    pub(crate) sims: Simulators,
}

impl World {
    pub(crate) fn new() -> Self {
        let disk = Disk::new();
        let sims = Simulators::builder().with_seed(7).with_clock(disk.clock()).build();
        Self { disk, sims }
    }

    fn builder(&self) -> HubBuilder {
        // The simulated weeks between two tries are no idleness.
        let config = HubConfig { idle_after: Duration::from_secs(30 * 86_400), ..HubConfig::default() };
        self.disk
            .hub()
            .with_config(config)
            .with_integrations(simulated(&self.sims))
            .with_workflow(example::onboard_user().unwrap())
    }

    pub(crate) async fn start(&self) -> Hub {
        self.builder().start().await.unwrap()
    }

    /// The provider tenant and the customer Contoso with both connections.
    pub(crate) async fn contoso(&self, hub: &Hub) -> Tenant {
        let msp = hub.tenants().create(NewTenant::provider("msp")).await.unwrap();
        msp.config().set(example::HOURS, 0.5).await.unwrap();
        let client = self.sims.halopsa().client("Contoso").unwrap();
        let new = NewTenant::customer("contoso").with_mapping("halopsa", client.id.to_string());
        let tenant = hub.tenants().create(new).await.unwrap();
        let graph = GraphConfig::new("contoso.com").build().unwrap();
        let credential = Credential::client_secret(DEMO_CLIENT_ID, DEMO_CLIENT_SECRET);
        tenant.connections().create("graph", graph, credential).await.unwrap();
        let halo = HaloPsaConfig::cloud(HALOPSA_INSTANCE).build().unwrap();
        let credential = Credential::client_secret(DEMO_HALOPSA_CLIENT_ID, DEMO_HALOPSA_CLIENT_SECRET);
        tenant.connections().create("halopsa", halo, credential).await.unwrap();
        tenant
    }

    /// Users, tickets and time entries made beyond the `before` ones.
    fn counts(&self) -> [usize; 3] {
        let (graph, halo) = (self.sims.graph(), self.sims.halopsa());
        [graph.user_count("contoso"), halo.tickets().len(), halo.time_entry_count()]
    }
}

fn hire(number: usize) -> Value {
    json!({
        "name": format!("Zoë O'Brien {number}"),
        "upn": format!("zoe.obrien{number}@contoso.com"),
        "country": "CH",
        "licence": "SPE_E3",
        "groups": ["All Staff", "Sales"],
    })
}

pub(crate) async fn onboard(tenant: &Tenant, count: usize) -> Vec<Outcome> {
    let runs = (0..count).map(|number| async move { tenant.run(example::NAME, hire(number)).await?.wait().await });
    join_all(runs).await.into_iter().map(Result::unwrap).collect()
}

fn made(before: [usize; 3], after: [usize; 3]) -> [usize; 3] {
    std::array::from_fn(|index| after[index] - before[index])
}

#[tokio::test(start_paused = true)]
async fn a_new_hire_has_everything_on_the_first_day() {
    let world = World::new();
    let hub = world.start().await;
    let tenant = world.contoso(&hub).await;
    let before = world.counts();
    let outcomes = onboard(&tenant, 3).await;
    assert!(outcomes.iter().all(|outcome| outcome.state == ExecutionState::Succeeded), "{outcomes:#?}");
    assert_eq!(made(before, world.counts()), [3, 3, 3]);
    let snapshot = hub.snapshot();
    assert!(snapshot.providers.values().all(|provider| provider.calls > 0 && provider.throttled == 0));
    assert!(tenant.verify_audit().await.unwrap().is_intact());
}

#[tokio::test(start_paused = true)]
async fn a_missing_licence_is_reported_and_the_others_go_on() {
    let world = World::new();
    let hub = world.start().await;
    let tenant = world.contoso(&hub).await;
    let used = world.sims.graph().licenses("contoso")[0].consumed;
    world.sims.graph().set_license_count("contoso", "SPE_E3", used + 2);
    let outcomes = onboard(&tenant, 3).await;
    let short: Vec<_> = outcomes.iter().filter(|o| o.state == ExecutionState::CompletedWithErrors).collect();
    assert_eq!(short.len(), 1, "{outcomes:#?}");
    assert!(short[0].problems[0].next_action.as_deref().unwrap().contains("SPE_E3"));
}

#[tokio::test(start_paused = true)]
async fn every_fault_is_lived_with_and_nothing_is_made_twice() {
    let faults = [
        Fault::throttled(RetryAfter::Seconds(5)),
        Fault::throttled(RetryAfter::Decimal(249)),
        Fault::throttled(RetryAfter::DateIn(7)),
        Fault::throttled(RetryAfter::Absent),
        Fault::throttled(RetryAfter::garbage()),
        Fault::unavailable(RetryAfter::Seconds(3)),
        Fault::status(500),
        Fault::status(504),
        Fault::Reset,
        Fault::DropAnswer,
        Fault::CutBody { after_bytes: 10 },
        Fault::MalformedJson,
    ];
    for fault in faults {
        for provider in [Provider::Graph, Provider::Halopsa] {
            let world = World::new();
            let hub = world.start().await;
            let tenant = world.contoso(&hub).await;
            let before = world.counts();
            let name = fault.name();
            world.sims.script(FaultRule::new(fault.clone()).on(provider).after(2).times(3));
            let outcomes = onboard(&tenant, 4).await;
            let ended: Vec<_> = outcomes.iter().map(|outcome| outcome.state).collect();
            let made = made(before, world.counts());
            assert!(made.iter().all(|count| *count <= 4), "{name} at {provider:?} made {made:?}");
            let all_well = ended.iter().all(|state| *state == ExecutionState::Succeeded);
            assert!(all_well && made == [4, 4, 4], "{name} at {provider:?} made {made:?}: {outcomes:#?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_budget_keeps_halopsa_below_its_limit() {
    let world = World::new();
    let hub = world.start().await;
    let tenant = world.contoso(&hub).await;
    let before = world.counts();
    // 120 people take more than 360 calls; the instance allows 300 in five minutes.
    world.sims.graph().set_license_count("contoso", "SPE_E3", 1_000);
    let outcomes = onboard(&tenant, 120).await;
    assert!(outcomes.iter().all(|outcome| outcome.state == ExecutionState::Succeeded), "{outcomes:#?}");
    assert_eq!(made(before, world.counts()), [120, 120, 120]);
    let halo = &hub.snapshot().providers[&bifrost::ProviderId::new("halopsa").unwrap()];
    assert!(halo.calls > 300 && halo.throttled * 100 <= halo.calls, "{halo:?}");
}

#[tokio::test(start_paused = true)]
async fn tokens_expire_and_are_revoked_under_load() {
    let whois = workflow("whois", |ctx: Context, (): ()| async move {
        let graph = ctx.graph().await?;
        for _ in 0..20 {
            graph.users().count(None).await?;
            ctx.sleep(Duration::from_secs(60)).await;
        }
        Ok(())
    })
    .unwrap();
    let world = World::new();
    world.sims.identity().set_access_lifetime(Duration::from_secs(600));
    let hub = world.builder().with_workflow(whois).start().await.unwrap();
    let tenant = world.contoso(&hub).await;
    let mut handles = Vec::new();
    for _ in 0..20 {
        handles.push(tenant.run("whois", ()).await.unwrap());
    }
    pause(Duration::from_secs(90)).await;
    world.sims.identity().revoke_access_tokens("contoso");
    for handle in handles {
        assert_eq!(handle.wait().await.unwrap().state, ExecutionState::Succeeded);
    }
    let exchanges = world.sims.identity().exchanges().len();
    assert!((4..=6).contains(&exchanges), "20 minutes of tokens of ten minutes, one revoked: {exchanges}");
}

#[tokio::test(start_paused = true)]
async fn a_missing_consent_is_a_cause_and_a_next_action() {
    let world = World::new();
    let hub = world.start().await;
    let tenant = world.contoso(&hub).await;
    world.sims.identity().withdraw_consent("contoso", DEMO_CLIENT_ID);
    let error = tenant.connections().test("graph").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ReauthRequired, "{error}");
    assert!(error.suggested_action().unwrap().contains("consent"), "{error}");
    let outcome = onboard(&tenant, 1).await.remove(0);
    assert_eq!(outcome.state, ExecutionState::Failed);
    assert!(!format!("{outcome:?}").contains(DEMO_CLIENT_SECRET));
    world.sims.identity().consent("contoso", DEMO_CLIENT_ID);
    pause(Duration::from_secs(301)).await;
    tenant.connections().test("graph").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn killed_at_every_point_everything_is_made_once() {
    const PEOPLE: usize = 2;
    // Each life is 150 ms of virtual time longer than the one before: the kills fall all over the run.
    for life in 1..=25_u64 {
        let world = World::new();
        let alive = Arc::new(AtomicBool::new(true));
        let mortal: Arc<dyn Transport> =
            Arc::new(Mortal { alive: Arc::clone(&alive), inner: SimulatorTransport::new(world.sims.clone()) });
        let providers = move |clock, entropy| bifrost::providers_over(&mortal, &clock, &entropy);
        let hub = world.builder().with_integrations(providers).start().await.unwrap();
        let tenant = world.contoso(&hub).await;
        let before = world.counts();
        for answer in [Provider::Graph, Provider::Halopsa] {
            let slow = Fault::Delay { millis: 100 };
            world.sims.script(FaultRule::new(slow).on(answer).times(10_000));
        }
        let mut ids = Vec::new();
        for number in 0..PEOPLE {
            ids.push(tenant.run(example::NAME, hire(number)).await.unwrap().id());
        }
        pause(Duration::from_millis(life * 150)).await;
        // The process is gone: nothing of it reaches a provider from here on, nor the disk as it is now.
        alive.store(false, Ordering::SeqCst);
        let next = world.start().await;
        hub.shutdown(Duration::ZERO).await.unwrap();
        let tenant = next.tenant("contoso").unwrap();
        for id in ids {
            let outcome = tenant.execution(id).await.unwrap().wait().await.unwrap();
            assert_eq!(outcome.state, ExecutionState::Succeeded, "life {life}: {outcome:#?}");
        }
        assert_eq!(made(before, world.counts()), [PEOPLE; 3], "life {life}");
    }
}

/// The network of a process that can be killed.
#[derive(Debug)]
struct Mortal {
    alive: Arc<AtomicBool>,
    inner: SimulatorTransport,
}

#[async_trait]
impl Transport for Mortal {
    async fn send(
        &self,
        request: http::Request<Bytes>,
        limits: Limits<'_>,
    ) -> Result<http::Response<Bytes>, TransportError> {
        if !self.alive.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        self.inner.send(request, limits).await
    }
}

/// The clock of the world is the hub's.
#[tokio::test(start_paused = true)]
async fn simulators_and_hub_share_one_clock() {
    let world = World::new();
    let before = world.disk.clock().now();
    pause(Duration::from_secs(60)).await;
    assert_eq!(world.disk.clock().now().since(before), Duration::from_secs(60));
    let _: Arc<dyn Clock> = world.disk.clock();
}
