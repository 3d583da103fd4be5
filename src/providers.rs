//! Joining the integrations that features switch on with the hub's clock and randomness.

use std::sync::Arc;

use bifrost_core::{Clock, Entropy, Integration, Result};
use bifrost_integrations::http::{ReqwestTransport, Transport};

/// Integrations to register.
type Integrations = Vec<Arc<dyn Integration>>;

/// Every provider whose feature is switched on, over this machine's network: give this to
/// [`HubBuilder::with_integrations`](crate::HubBuilder::with_integrations).
///
/// # Errors
/// When the HTTP client cannot be set up.
pub fn providers(clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Result<Integrations> {
    let transport: Arc<dyn Transport> = Arc::new(ReqwestTransport::new()?);
    providers_over(&transport, &clock, &entropy)
}

/// The same over another transport, such as the simulators' in tests.
///
/// # Errors
/// When an integration refuses its settings.
pub fn providers_over(
    transport: &Arc<dyn Transport>,
    clock: &Arc<dyn Clock>,
    entropy: &Arc<dyn Entropy>,
) -> Result<Integrations> {
    let parts = || (Arc::clone(transport), Arc::clone(clock), Arc::clone(entropy));
    let made: [Option<Result<Arc<dyn Integration>>>; 2] = [graph(parts()), halopsa(parts())];
    made.into_iter().flatten().collect()
}

/// Every provider whose feature is switched on, answered by simulators in this process: give this to
/// [`HubBuilder::with_integrations`](crate::HubBuilder::with_integrations).
#[cfg(feature = "testing")]
pub fn simulated(
    simulators: &bifrost_integrations::testing::Simulators,
) -> impl FnOnce(Arc<dyn Clock>, Arc<dyn Entropy>) -> Result<Integrations> + Send + use<> {
    let transport = bifrost_integrations::testing::SimulatorTransport::new(simulators.clone());
    let transport: Arc<dyn Transport> = Arc::new(transport);
    move |clock, entropy| providers_over(&transport, &clock, &entropy)
}

/// What an integration is built on.
type Parts = (Arc<dyn Transport>, Arc<dyn Clock>, Arc<dyn Entropy>);

#[cfg(feature = "graph")]
fn graph((transport, clock, entropy): Parts) -> Option<Result<Arc<dyn Integration>>> {
    let made = bifrost_integrations::graph::GraphIntegration::over(transport, clock, entropy);
    Some(made.map(|made| Arc::new(made) as Arc<dyn Integration>))
}

#[cfg(not(feature = "graph"))]
fn graph(_: Parts) -> Option<Result<Arc<dyn Integration>>> {
    None
}

#[cfg(feature = "halopsa")]
fn halopsa((transport, clock, entropy): Parts) -> Option<Result<Arc<dyn Integration>>> {
    let made = bifrost_integrations::halopsa::HaloPsaIntegration::over(transport, clock, entropy);
    Some(made.map(|made| Arc::new(made) as Arc<dyn Integration>))
}

#[cfg(not(feature = "halopsa"))]
fn halopsa(_: Parts) -> Option<Result<Arc<dyn Integration>>> {
    None
}
