//! The handle on a simulated world, and its builder.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bifrost_core::{Clock, SystemClock};
use bytes::Bytes;
use http::{Request, StatusCode};
use serde_json::Value;

use super::call::{Call, Provider};
use super::graph::{Entra, GraphLimits, GraphSettings, GraphSimulator, GraphState, Moment};
use super::halopsa::{HALOPSA_INSTANCE, HalopsaSettings, HalopsaSimulator, HalopsaState};
use super::identity::{IdentitySettings, IdentitySimulator, IdentityState};
use super::limits::Rate;
use super::log::{RequestLog, RequestRecord};
use super::outcome::{SimOutcome, SimResponse};
use super::script::{FaultRule, FaultScript};
use super::seed::{self, Customer};
use super::server::SimulatorServer;
use super::world::{Effect, World, noise};

/// A simulated world: one identity platform, one Graph, one HaloPSA. Clones share it.
#[derive(Clone)]
pub struct Simulators(Arc<Inner>);

struct Inner {
    clock: Arc<dyn Clock>,
    world: Mutex<World>,
}

impl fmt::Debug for Simulators {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simulators").finish_non_exhaustive()
    }
}

impl Simulators {
    /// Starts a world with the three demo customers, seed 0, the machine's clock and the published limits.
    pub fn builder() -> SimulatorsBuilder {
        SimulatorsBuilder {
            seed: 0,
            clock: None,
            customers: seed::demo_customers(),
            identity: IdentitySettings::default(),
            graph: GraphSettings::default(),
            halopsa: HalopsaSettings::default(),
        }
    }

    /// Answers a request in this process: no socket, the same behaviour.
    ///
    /// Addresses are those of the real services (`https://login.microsoftonline.com`, `https://graph.microsoft.com`,
    /// `https://<any>.halopsa.com`) or any host with the path prefixes `/identity`, `/graph`, `/halopsa`, `/_sim`.
    /// A delay before the answer is waited out on the clock; a hanging request never resolves.
    pub async fn handle(&self, request: Request<Bytes>) -> SimOutcome {
        let Some(call) = Call::read(request) else {
            let body = "nobody is simulated at this address";
            return SimOutcome::Response(SimResponse::new(StatusCode::NOT_FOUND, "text/plain", body));
        };
        let moment = self.moment();
        let effect = self.world().handle(&call, moment);
        match effect {
            Effect::After(delay, outcome) => {
                if !delay.is_zero() {
                    self.0.clock.sleep(delay).await;
                }
                outcome
            }
            Effect::Never => std::future::pending().await,
        }
    }

    /// Serves the world over HTTP/1.1 at `listen`, port 0 for any free port. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// When the address cannot be listened at.
    pub async fn serve(&self, listen: SocketAddr) -> io::Result<SimulatorServer> {
        SimulatorServer::start(self.clone(), listen).await
    }

    /// The simulated identity platform.
    pub fn identity(&self) -> IdentitySimulator {
        IdentitySimulator(self.clone())
    }

    /// The simulated Graph.
    pub fn graph(&self) -> GraphSimulator {
        GraphSimulator(self.clone())
    }

    /// The simulated HaloPSA.
    pub fn halopsa(&self) -> HalopsaSimulator {
        HalopsaSimulator { sims: self.clone(), instance: HALOPSA_INSTANCE.to_owned() }
    }

    /// Adds a fault to the script. Rules are tried in the order in which they were added.
    pub fn script(&self, rule: FaultRule) {
        self.world().faults.push(rule);
    }

    /// Forgets all scripted faults.
    pub fn clear_faults(&self) {
        self.world().faults.clear();
    }

    /// Adds a customer: an Entra tenant, and a client with site and general user in HaloPSA.
    pub fn add_customer(&self, customer: &Customer) {
        let now = self.0.clock.now();
        seed::add_customer(&mut self.world(), customer, now);
    }

    /// The last requests (at most 10,000), oldest first.
    pub fn requests(&self) -> Vec<RequestRecord> {
        self.world().log.records().cloned().collect()
    }

    /// How many requests there were in all, members of batches included.
    pub fn request_count(&self) -> u64 {
        self.world().log.total()
    }

    /// How many of them were answered with 429.
    pub fn throttled_count(&self) -> u64 {
        self.world().log.throttled()
    }

    /// Counts and log as `GET /_sim/state` shows them.
    pub async fn state(&self) -> Value {
        let request = Request::get("http://localhost/_sim/state").body(Bytes::new());
        match request {
            Ok(request) => self.handle(request).await.json(),
            Err(_) => Value::Null,
        }
    }

    pub(super) fn requests_to(&self, provider: Provider) -> Vec<RequestRecord> {
        let world = self.world();
        world.log.records().filter(|record| record.provider == provider).cloned().collect()
    }

    pub(super) fn clock(&self) -> &Arc<dyn Clock> {
        &self.0.clock
    }

    /// The world, locked. Never held across an await. A panic under the lock is a failed test already: the others go
    /// on with what is there.
    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        self.0.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn moment(&self) -> Moment {
        Moment { wall: self.0.clock.now(), mono: self.0.clock.monotonic() }
    }
}

/// Puts a world together.
#[derive(Debug, Clone)]
pub struct SimulatorsBuilder {
    seed: u64,
    clock: Option<Arc<dyn Clock>>,
    customers: Vec<Customer>,
    identity: IdentitySettings,
    graph: GraphSettings,
    halopsa: HalopsaSettings,
}

impl SimulatorsBuilder {
    /// Everything random comes from this number: the same seed and the same requests give the same answers.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// The clock for expiry, limits and delays.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// These customers instead of the demo ones.
    #[must_use]
    pub fn with_customers(mut self, customers: impl IntoIterator<Item = Customer>) -> Self {
        self.customers = customers.into_iter().collect();
        self
    }

    /// Lifetimes and rules of tokens.
    #[must_use]
    pub fn with_identity_settings(mut self, settings: IdentitySettings) -> Self {
        self.identity = settings;
        self
    }

    /// Limits and replication of Graph.
    #[must_use]
    pub fn with_graph_settings(mut self, settings: GraphSettings) -> Self {
        self.graph = settings;
        self
    }

    /// The limits of Graph.
    #[must_use]
    pub fn with_graph_limits(mut self, limits: GraphLimits) -> Self {
        self.graph.limits = limits;
        self
    }

    /// Limits and lifetimes of HaloPSA.
    #[must_use]
    pub fn with_halopsa_settings(mut self, settings: HalopsaSettings) -> Self {
        self.halopsa = settings;
        self
    }

    /// The rolling limit of HaloPSA.
    #[must_use]
    pub fn with_halopsa_limit(mut self, limit: Rate) -> Self {
        self.halopsa.limit = limit;
        self
    }

    /// Makes the world.
    pub fn build(self) -> Simulators {
        let clock = self.clock.unwrap_or_else(|| Arc::new(SystemClock::new()));
        let now = clock.now();
        let mut world = World {
            seed: self.seed,
            entra: Entra::default(),
            identity: IdentityState::new(self.seed, self.identity),
            graph: GraphState::new(self.graph),
            halopsa: HalopsaState::new(self.seed, self.halopsa),
            faults: FaultScript::default(),
            log: RequestLog::default(),
            noise: noise(self.seed),
        };
        seed::provider(&mut world, now);
        for customer in &self.customers {
            seed::add_customer(&mut world, customer, now);
        }
        Simulators(Arc::new(Inner { clock, world: Mutex::new(world) }))
    }
}
