//! Making the tenants of the hub: the provider, its customers, their connections and mappings. What is there is found.

use bifrost::halopsa::HaloPsa;
use bifrost::policy::retry::RetryPolicy;
use bifrost::tenant::EntityMapping;
use bifrost::{
    Clock as _, ConnectionSettings, Credential, Entropy as _, ErrorKind, Hub, NewTenant, Result, SystemClock,
    SystemEntropy, Tenant,
};

use crate::workflow::HOURS;
use crate::world::{Customer, World};

/// The provider tenant, which all customers inherit from.
const PROVIDER: &str = "msp";
/// Booked per person unless somebody sets another value.
const HOURS_PER_PERSON: f64 = 0.5;

/// Makes what is missing, and brings connections to where the providers are now.
pub(crate) async fn provision(hub: &Hub, world: &World) -> Result<()> {
    let provider = ensure_tenant(hub, NewTenant::provider(PROVIDER).with_title("The provider"), PROVIDER).await?;
    if provider.config().get(HOURS).await?.is_none() {
        provider.config().set(HOURS, HOURS_PER_PERSON).await?;
    }
    for customer in &world.customers {
        let new = NewTenant::customer(&customer.id).with_mapping("graph", &customer.entra_tenant);
        let tenant = ensure_tenant(hub, new, &customer.id).await?;
        ensure_connection(&tenant, "graph", world.graph(customer)?).await?;
        ensure_connection(&tenant, "halopsa", world.halopsa()?).await?;
        ensure_client_mapping(hub, &tenant, customer).await?;
    }
    Ok(())
}

async fn ensure_tenant(hub: &Hub, new: NewTenant, id: &str) -> Result<Tenant> {
    match hub.tenants().create(new).await {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => hub.tenant(id),
        created => created,
    }
}

/// Settings are compared, credentials cannot be: they never come back. So a new secret takes effect by new settings,
/// or with `tenant.connections().update(..)`.
async fn ensure_connection(tenant: &Tenant, id: &str, wanted: (ConnectionSettings, Credential)) -> Result<()> {
    let (settings, credential) = wanted;
    let known = tenant.connections().list().await?;
    match known.into_iter().find(|known| known.id.as_str() == id) {
        None => tenant.connections().create(id, settings, credential).await,
        Some(known) if known.settings != settings => tenant.connections().update(id, settings, credential).await,
        Some(_) => Ok(()),
    }
}

/// The customer's client id at HaloPSA: as given, else the one client of the customer's name.
async fn ensure_client_mapping(hub: &Hub, tenant: &Tenant, customer: &Customer) -> Result<()> {
    let known = tenant.record()?.mappings.get("halopsa").map(|known| known.entity.clone());
    let given = customer.halopsa_client.map(|id| id.to_string());
    let entity = match (known, given) {
        (Some(known), Some(given)) if known == given => return Ok(()),
        (_, Some(given)) => given,
        (Some(_), None) => return Ok(()),
        (None, None) => {
            let halo = HaloPsa::new(tenant.connections().get("halopsa").await?)?;
            let find = async || halo.clients().require_by_name(&customer.id).await;
            patiently(find).await?.id.to_string()
        }
    };
    let mapping = EntityMapping { entity, title: None };
    hub.tenants().set_mapping(&customer.id, "halopsa", mapping).await
}

/// Tries again what may pass. In a workflow the hub does this, here nobody else does.
async fn patiently<T>(call: impl AsyncFn() -> Result<T>) -> Result<T> {
    let (policy, clock) = (RetryPolicy::attempts(5), SystemClock::new());
    let mut attempt = 1;
    loop {
        let error = match call().await {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        match policy.decide(attempt, &error, SystemEntropy.fraction()) {
            Some(delay) => clock.sleep(delay).await,
            None => return Err(error),
        }
        attempt += 1;
    }
}
