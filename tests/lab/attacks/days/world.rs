//! A service desk with three customers, the providers it works on, and the lives of its hub.

use std::sync::Arc;
use std::time::Duration;

use bifrost::graph::GraphConfig;
use bifrost::halopsa::HaloPsaConfig;
use bifrost::http::Transport;
use bifrost::store::seal::{EphemeralKey, KeyProvider};
use bifrost::testing::{
    DEMO_CLIENT_ID, DEMO_CLIENT_SECRET, DEMO_HALOPSA_CLIENT_ID, DEMO_HALOPSA_CLIENT_SECRET, HALOPSA_INSTANCE,
    IdentitySettings, SeededEntropy, Simulators,
};
use bifrost::{Clock, Credential, Hub, NewTenant, Secret, Tenant};

use super::clock::JumpyClock;
use super::disk::Disk;
use super::history::History;
use super::network::{Line, Network};
use super::orders::Order;
use super::work::{self, Diary, example};
use crate::dice::Dice;
use crate::findings::Findings;

/// The customers, by the names the simulators know them by.
pub(crate) const CUSTOMERS: [&str; 3] = ["contoso", "fabrikam", "adatum"];
/// The one whose connection to Graph lives on a refresh token.
pub(crate) const SIGNED_IN: &str = "fabrikam";
/// All tenants of the hub.
pub(crate) const TENANTS: [&str; 4] = ["msp", "contoso", "fabrikam", "adatum"];
/// How long the hub may take to end in order.
const GOODBYE: Duration = Duration::from_secs(10);

pub(crate) struct World {
    /// What is printed with a violation.
    pub(crate) name: String,
    pub(crate) seed: u64,
    pub(crate) dice: Dice,
    pub(crate) clock: JumpyClock,
    pub(crate) sims: Simulators,
    pub(crate) network: Network,
    pub(crate) disk: Disk,
    pub(crate) diary: Diary,
    pub(crate) history: History,
    pub(crate) orders: Vec<Order>,
    pub(crate) hub: Hub,
    pub(crate) findings: Findings,
    line: Line,
    keys: Arc<dyn KeyProvider>,
    lives: u64,
}

impl World {
    /// The world of `seed` on its first morning.
    pub(crate) async fn new(name: String, seed: u64) -> Self {
        let clock = JumpyClock::starting_at("2026-01-05T00:00:00Z");
        let dice = Dice::new(seed);
        let identity = IdentitySettings { reuse_detection: dice.chance(1, 2), ..IdentitySettings::default() };
        let sims = Simulators::builder()
            .with_seed(seed)
            .with_clock(clock.true_time())
            .with_identity_settings(identity)
            .build();
        let (network, disk, diary) = (Network::default(), Disk::default(), Diary::default());
        let line = network.line(&sims, clock.true_time());
        let keys: Arc<dyn KeyProvider> = Arc::new(EphemeralKey::generate(Arc::new(SeededEntropy::new(seed))));
        let history = History::starting_at(clock.true_time().now());
        let hub = start(seed, &clock, &line, &disk, &keys, &diary).await;
        let mut world = Self {
            name,
            seed,
            dice,
            clock,
            sims,
            network,
            disk,
            diary,
            history,
            orders: Vec::new(),
            hub,
            findings: Findings::default(),
            line,
            keys,
            lives: 1,
        };
        world.note(true);
        world.furnish().await;
        world
    }

    /// The tenants and their connections.
    async fn furnish(&self) {
        let msp = self.hub.tenants().create(NewTenant::provider("msp")).await.unwrap();
        msp.config().set(example::HOURS, work::HOURS).await.unwrap();
        msp.secrets().set(work::SECRET, "a signing key").await.unwrap();
        for name in CUSTOMERS {
            self.sims.graph().set_license_count(name, "SPE_E3", 10_000);
            let client =
                self.sims.halopsa().clients().into_iter().find(|client| client.name.eq_ignore_ascii_case(name));
            let new = NewTenant::customer(name).with_mapping("halopsa", client.unwrap().id.to_string());
            let tenant = self.hub.tenants().create(new).await.unwrap();
            let graph = GraphConfig::new(format!("{name}.com")).build().unwrap();
            tenant.connections().create("graph", graph, self.graph_credential(name)).await.unwrap();
            let halo = HaloPsaConfig::cloud(HALOPSA_INSTANCE).build().unwrap();
            let credential = Credential::client_secret(DEMO_HALOPSA_CLIENT_ID, DEMO_HALOPSA_CLIENT_SECRET);
            tenant.connections().create("halopsa", halo, credential).await.unwrap();
        }
    }

    /// What a person would type in now.
    pub(crate) fn graph_credential(&self, tenant: &str) -> Credential {
        if tenant != SIGNED_IN {
            return Credential::client_secret(DEMO_CLIENT_ID, DEMO_CLIENT_SECRET);
        }
        let token = self.sims.identity().sign_in(tenant, DEMO_CLIENT_ID).unwrap();
        Credential::refresh_token(DEMO_CLIENT_ID, Some(Secret::from(DEMO_CLIENT_SECRET)), token)
    }

    pub(crate) fn tenant(&self, name: &str) -> Tenant {
        self.hub.tenant(name).unwrap()
    }

    pub(crate) fn now(&self) -> Duration {
        self.clock.monotonic()
    }

    /// From now on the hub can work, or it cannot.
    pub(crate) fn note(&mut self, works: bool) {
        self.history.note(self.clock.monotonic(), self.clock.ahead_millis(), works);
    }

    /// The process dies, and is started again.
    pub(crate) async fn kill(&mut self) {
        self.note(false);
        self.line.cut();
        let left = self.disk.survivor();
        // What still moves of the old process moves on a disk that nobody will read again.
        self.disk.heal();
        self.hub.shutdown(Duration::ZERO).await.unwrap();
        self.begin_life(left).await;
    }

    /// The hub is shut down in order, and started again.
    pub(crate) async fn restart(&mut self) {
        self.note(false);
        self.disk.heal();
        self.hub.shutdown(GOODBYE).await.unwrap();
        self.line.cut();
        self.begin_life(self.disk.survivor()).await;
    }

    async fn begin_life(&mut self, disk: Disk) {
        self.disk = disk;
        self.line = self.network.line(&self.sims, self.clock.true_time());
        // What a process draws, no other draws again.
        let seed = self.seed.wrapping_add(self.lives << 32);
        self.lives += 1;
        self.hub = start(seed, &self.clock, &self.line, &self.disk, &self.keys, &self.diary).await;
        self.note(true);
    }

    /// Counts and names something that should not have happened.
    pub(crate) fn check(&mut self, holds: bool, what: impl FnOnce() -> String) {
        let (name, day) = (&self.name, self.clock.monotonic().as_secs() / 86_400);
        self.findings.check(holds, || format!("{name}, day {day}: {}", what()));
    }
}

async fn start(
    seed: u64,
    clock: &JumpyClock,
    line: &Line,
    disk: &Disk,
    keys: &Arc<dyn KeyProvider>,
    diary: &Diary,
) -> Hub {
    let transport: Arc<dyn Transport> = Arc::new(line.clone());
    let builder = Hub::builder()
        .with_store(Arc::new(disk.clone()), Arc::clone(keys))
        .with_clock(Arc::new(clock.clone()))
        .with_entropy(Arc::new(SeededEntropy::new(seed)))
        .with_integrations(move |clock, entropy| bifrost::providers_over(&transport, &clock, &entropy));
    let builder = work::all(diary, &clock.true_time())
        .into_iter()
        .fold(builder, |builder, workflow| builder.with_workflow(workflow));
    builder.start().await.unwrap()
}
