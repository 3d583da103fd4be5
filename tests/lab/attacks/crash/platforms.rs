//! The providers, simulated and served over loopback: one world per connection whose tokens rotate, so that what each
//! platform has issued is known to the token.

use std::collections::BTreeMap;
use std::time::Duration;

use bifrost::graph::GraphConfig;
use bifrost::halopsa::HaloPsaConfig;
use bifrost::testing::{
    DEMO_CLIENT_ID, DEMO_CLIENT_SECRET, DEMO_HALOPSA_CLIENT_ID, DEMO_HALOPSA_CLIENT_SECRET, HALOPSA_INSTANCE,
    IdentitySettings, Rate, SimulatorServer, Simulators,
};
use bifrost::{ConnectionSettings, Credential, Secret};
use serde::{Deserialize, Serialize};

use super::peer::SignedIn;
use super::said::Grant;

pub(crate) const TENANTS: [&str; 3] = ["contoso", "fabrikam", "adatum"];
/// Its platform takes a refresh token again that was spent before, as Entra does: a lost answer costs nothing.
pub(crate) const FORGIVING: &str = "graph";
/// Its platform revokes the grant when a refresh token comes twice: a lost answer costs the grant.
pub(crate) const STRICT: &str = "strict";

/// How long access tokens live: long enough for the one that was shown before a kill to be there after it.
const ACCESS_LIFETIME: Duration = Duration::from_secs(90);
const NO_LIMIT: Rate = Rate::per_seconds(1_000_000, 1);

/// Where the platform of one connection is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Address {
    pub(crate) tenant: String,
    pub(crate) connection: String,
    graph: String,
    identity: String,
    halopsa: String,
    entra_tenant: String,
    /// The tenant's client there.
    pub(crate) halopsa_client: i64,
}

impl Address {
    /// Settings of a connection that signed in for the `number`-th time.
    pub(crate) fn graph(&self, number: usize) -> ConnectionSettings {
        let (graph, identity) = (self.graph.parse().unwrap(), self.identity.parse().unwrap());
        let config = GraphConfig::new(&self.entra_tenant).with_endpoints(graph, identity);
        let mut settings = config.allow_private_host("127.0.0.1").build().unwrap();
        settings.extra.insert("grant".to_owned(), number.to_string());
        settings
    }

    pub(crate) fn halopsa(&self) -> ConnectionSettings {
        let url = |path| format!("{}/{path}", self.halopsa).parse().unwrap();
        let config = HaloPsaConfig::at(url("api"), url("auth")).with_tenant(HALOPSA_INSTANCE);
        config.allow_private_host("127.0.0.1").build().unwrap()
    }
}

/// The credential that a sign-in leaves.
pub(crate) fn signed_in(refresh_token: &str) -> Credential {
    Credential::refresh_token(DEMO_CLIENT_ID, Some(Secret::new(DEMO_CLIENT_SECRET)), refresh_token)
}

pub(crate) fn halopsa_credential() -> Credential {
    Credential::client_secret(DEMO_HALOPSA_CLIENT_ID, DEMO_HALOPSA_CLIENT_SECRET)
}

/// All of them.
#[derive(Debug)]
pub(crate) struct Platforms(BTreeMap<(String, String), Platform>);

#[derive(Debug)]
struct Platform {
    sims: Simulators,
    server: SimulatorServer,
    /// How many tokens it had issued before each sign-in.
    sign_ins: std::sync::Mutex<Vec<u64>>,
}

impl Platforms {
    pub(crate) async fn start(seed: u64) -> Self {
        let mut platforms = BTreeMap::new();
        for tenant in TENANTS {
            for connection in [FORGIVING, STRICT] {
                let settings = IdentitySettings {
                    access_lifetime: ACCESS_LIFETIME,
                    reuse_detection: connection == STRICT,
                    ..IdentitySettings::default()
                };
                let sims = Simulators::builder()
                    .with_seed(seed)
                    .with_identity_settings(settings)
                    .with_halopsa_limit(NO_LIMIT)
                    .build();
                let server = sims.serve("127.0.0.1:0".parse().unwrap()).await.unwrap();
                let platform = Platform { sims, server, sign_ins: std::sync::Mutex::default() };
                platforms.insert((tenant.to_owned(), connection.to_owned()), platform);
            }
        }
        Self(platforms)
    }

    pub(crate) fn addresses(&self) -> Vec<Address> {
        let address = |((tenant, connection), platform): (&(String, String), &Platform)| {
            let addresses = platform.server.addresses();
            Address {
                tenant: tenant.clone(),
                connection: connection.clone(),
                graph: addresses.graph,
                identity: addresses.identity,
                halopsa: addresses.halopsa,
                entra_tenant: platform.sims.graph().tenant_id(tenant).unwrap(),
                halopsa_client: halopsa_client(&platform.sims, tenant),
            }
        };
        self.0.iter().map(address).collect()
    }

    /// Somebody signs in for a connection.
    pub(crate) fn sign_in(&self, tenant: &str, connection: &str) -> SignedIn {
        let platform = &self.0[&(tenant.to_owned(), connection.to_owned())];
        let mut sign_ins = platform.sign_ins.lock().unwrap();
        sign_ins.push(platform.sims.identity().tokens_issued());
        let refresh_token = platform.sims.identity().sign_in(tenant, DEMO_CLIENT_ID).unwrap();
        SignedIn { number: sign_ins.len() - 1, refresh_token: refresh_token.expose().to_owned() }
    }

    /// How many tokens were issued on this sign-in. Each spent the refresh token of the one before.
    pub(crate) fn issued(&self, grant: &Grant) -> u64 {
        let platform = &self.0[&(grant.tenant.clone(), grant.connection.clone())];
        let sign_ins = platform.sign_ins.lock().unwrap();
        let end = sign_ins.get(grant.number + 1).copied();
        end.unwrap_or_else(|| platform.sims.identity().tokens_issued()) - sign_ins[grant.number]
    }

    /// How many tickets bear each summary.
    pub(crate) fn tickets(&self) -> BTreeMap<String, u64> {
        let mut tickets = BTreeMap::new();
        for ticket in self.0.values().flat_map(|platform| platform.sims.halopsa().tickets()) {
            *tickets.entry(ticket.summary).or_default() += 1;
        }
        tickets
    }
}

fn halopsa_client(sims: &Simulators, tenant: &str) -> i64 {
    let clients = sims.halopsa().clients();
    clients.into_iter().find(|client| client.name.eq_ignore_ascii_case(tenant)).unwrap().id
}
