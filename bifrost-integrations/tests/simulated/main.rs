//! The clients over the whole outbound stack against the simulators, in one process and in virtual time.

#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests too")]

mod graph;
mod halopsa;
mod suite;

use std::sync::Arc;

use bifrost_core::testing::{SeededEntropy, TokioClock};
use bifrost_core::{Clock, Connection, ConnectionSettings, Credential, Entropy, Integration, Secret};
use bifrost_integrations::graph::{Graph, GraphConfig, GraphIntegration};
use bifrost_integrations::halopsa::{HaloPsa, HaloPsaConfig, HaloPsaIntegration};
use bifrost_integrations::http::Transport;
use bifrost_integrations::testing::{
    DEMO_CLIENT_ID, DEMO_CLIENT_SECRET, DEMO_HALOPSA_CLIENT_ID, DEMO_HALOPSA_CLIENT_SECRET, DirectTokens,
    HALOPSA_INSTANCE, SimulatorTransport, Simulators,
};

/// A simulated world and the time it lives in.
struct World {
    sims: Simulators,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

impl World {
    fn new() -> Self {
        let start = "2026-08-03T08:00:00Z".parse().unwrap();
        let clock: Arc<dyn Clock> = Arc::new(TokioClock::starting_at(start));
        Self {
            sims: Simulators::builder().with_seed(7).with_clock(Arc::clone(&clock)).build(),
            clock,
            entropy: Arc::new(SeededEntropy::new(7)),
        }
    }

    fn transport(&self) -> Arc<dyn Transport> {
        Arc::new(SimulatorTransport::new(self.sims.clone()))
    }

    fn connect(
        &self,
        integration: Arc<dyn Integration>,
        settings: ConnectionSettings,
        credential: Credential,
    ) -> Connection {
        let tokens = DirectTokens::new(integration, Arc::clone(&self.clock), settings, credential).unwrap();
        Arc::new(tokens).connection()
    }

    /// Graph of the customer Contoso.
    fn graph(&self) -> Graph {
        let integration = graph_over(self.transport(), &self.clock, &self.entropy);
        let connection = self.connect(integration, graph_settings(), graph_credential());
        Graph::new(connection).unwrap().with_clock(Arc::clone(&self.clock))
    }

    /// The provider's HaloPSA.
    fn halopsa(&self) -> HaloPsa {
        let integration = halopsa_over(self.transport(), &self.clock, &self.entropy);
        HaloPsa::new(self.connect(integration, halopsa_settings(), halopsa_credential())).unwrap()
    }
}

fn graph_over(
    transport: Arc<dyn Transport>,
    clock: &Arc<dyn Clock>,
    entropy: &Arc<dyn Entropy>,
) -> Arc<dyn Integration> {
    Arc::new(GraphIntegration::over(transport, Arc::clone(clock), Arc::clone(entropy)).unwrap())
}

fn halopsa_over(
    transport: Arc<dyn Transport>,
    clock: &Arc<dyn Clock>,
    entropy: &Arc<dyn Entropy>,
) -> Arc<dyn Integration> {
    Arc::new(HaloPsaIntegration::over(transport, Arc::clone(clock), Arc::clone(entropy)).unwrap())
}

fn graph_settings() -> ConnectionSettings {
    GraphConfig::new("contoso.com").build().unwrap()
}

fn halopsa_settings() -> ConnectionSettings {
    HaloPsaConfig::cloud(HALOPSA_INSTANCE).build().unwrap()
}

fn graph_credential() -> Credential {
    secret(DEMO_CLIENT_ID, DEMO_CLIENT_SECRET)
}

fn halopsa_credential() -> Credential {
    secret(DEMO_HALOPSA_CLIENT_ID, DEMO_HALOPSA_CLIENT_SECRET)
}

fn secret(id: &str, secret: &str) -> Credential {
    Credential::ClientSecret { client_id: id.to_owned(), client_secret: Secret::new(secret) }
}
