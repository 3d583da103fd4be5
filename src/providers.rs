//! Joining the integrations that features switch on with the hub's clock and randomness.

use std::sync::Arc;

use bifrost_core::{Clock, Entropy, Integration, Result};
use bifrost_integrations::http::{ReqwestTransport, Transport};

/// Every provider whose feature is switched on, over this machine's network: give this to
/// [`HubBuilder::with_integrations`](crate::HubBuilder::with_integrations).
///
/// # Errors
/// When the HTTP client cannot be set up.
pub fn providers(clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Result<Vec<Arc<dyn Integration>>> {
    providers_over(Arc::new(ReqwestTransport::new()?), clock, entropy)
}

/// The same over another transport, such as the simulators' in tests.
///
/// # Errors
/// When an integration refuses its settings.
pub fn providers_over(
    transport: Arc<dyn Transport>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
) -> Result<Vec<Arc<dyn Integration>>> {
    let mut found: Vec<Arc<dyn Integration>> = Vec::new();
    #[cfg(feature = "graph")]
    found.push(Arc::new(bifrost_integrations::graph::GraphIntegration::over(
        Arc::clone(&transport),
        Arc::clone(&clock),
        Arc::clone(&entropy),
    )?));
    #[cfg(feature = "halopsa")]
    found.push(Arc::new(bifrost_integrations::halopsa::HaloPsaIntegration::over(
        Arc::clone(&transport),
        Arc::clone(&clock),
        Arc::clone(&entropy),
    )?));
    Ok(found)
}
