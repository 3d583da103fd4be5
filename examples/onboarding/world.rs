//! The providers the hub talks to: simulators in this process, simulators in another one, or the real ones.

use std::env;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use bifrost::graph::GraphConfig;
use bifrost::halopsa::HaloPsaConfig;
use bifrost::time::within;
use bifrost::{ConnectionSettings, Credential, SystemClock};
use bifrost_integrations::testing::{
    DEMO_CLIENT_ID, DEMO_CLIENT_SECRET, DEMO_HALOPSA_CLIENT_ID, DEMO_HALOPSA_CLIENT_SECRET, HALOPSA_INSTANCE,
    SimulatorServer, Simulators,
};
use tokio::net::TcpStream;
use url::Url;

use crate::Failure;

/// How long somebody may take to answer at the address of the simulators.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);

/// A customer as the outside world knows it.
#[derive(Debug, Clone)]
pub(crate) struct Customer {
    /// The tenant's name in the hub.
    pub(crate) id: String,
    /// The domain of its sign-in names.
    pub(crate) domain: String,
    /// Its Entra tenant: an id or a verified domain.
    pub(crate) entra_tenant: String,
    /// Its client id at HaloPSA; looked up by the customer's name when it is not given.
    pub(crate) halopsa_client: Option<i64>,
}

/// Where everything is, and what opens it.
pub(crate) struct World {
    pub(crate) customers: Vec<Customer>,
    graph: Option<(Url, Url)>,
    graph_credential: Credential,
    halopsa: HaloPsaConfig,
    halopsa_credential: Credential,
    private_host: Option<String>,
    /// Ends with this value.
    _simulators: Option<SimulatorServer>,
}

/// The customers of the simulators.
pub(crate) fn demo_customers() -> Vec<Customer> {
    let demo = |id: &str| Customer {
        id: id.to_owned(),
        domain: format!("{id}.com"),
        entra_tenant: format!("{id}.com"),
        halopsa_client: None,
    };
    ["contoso", "fabrikam", "adatum"].map(demo).to_vec()
}

impl World {
    /// Simulators in this process. They are new each time, and end with it.
    pub(crate) async fn inside() -> Result<Self, Failure> {
        let sims = Simulators::builder().with_seed(7).build();
        let server = sims.serve(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
        let world = Self::at(&server.local_addr().to_string())?;
        Ok(Self { _simulators: Some(server), ..world })
    }

    /// Simulators that run elsewhere, at `host:port`.
    pub(crate) async fn elsewhere(address: &str) -> Result<Self, Failure> {
        let clock = SystemClock::new();
        match within(&clock, ANSWERS_WITHIN, TcpStream::connect(address)).await {
            Some(Ok(_)) => Self::at(address),
            _ => Err(Failure::failed(format!(
                "no simulators answer at {address}; start them with `cargo run --release --example simulators`"
            ))),
        }
    }

    fn at(address: &str) -> Result<Self, Failure> {
        let url = |path: &str| parse_url("--simulators", &format!("http://{address}/{path}"));
        let host = url("")?.host_str().unwrap_or_default().to_owned();
        Ok(Self {
            customers: demo_customers(),
            graph: Some((url("graph/v1.0")?, url("identity")?)),
            graph_credential: secret_of(DEMO_CLIENT_ID, DEMO_CLIENT_SECRET),
            halopsa: HaloPsaConfig::at(url("halopsa/api")?, url("halopsa/auth")?)
                .with_tenant(HALOPSA_INSTANCE)
                .allow_private_host(&host),
            halopsa_credential: secret_of(DEMO_HALOPSA_CLIENT_ID, DEMO_HALOPSA_CLIENT_SECRET),
            private_host: Some(host),
            _simulators: None,
        })
    }

    /// The real Graph and HaloPSA, as the environment says.
    pub(crate) fn live() -> Result<Self, Failure> {
        let names = env::var("BIFROST_CUSTOMERS").unwrap_or_else(|_| "contoso,fabrikam,adatum".to_owned());
        let customers: Result<Vec<Customer>, Failure> = names.split(',').map(|id| live_customer(id.trim())).collect();
        let url = |name: &str| parse_url(name, &variable(name)?);
        Ok(Self {
            customers: customers?,
            graph: None,
            graph_credential: secret_of(
                &variable("BIFROST_GRAPH_CLIENT_ID")?,
                &variable("BIFROST_GRAPH_CLIENT_SECRET")?,
            ),
            halopsa: HaloPsaConfig::at(url("BIFROST_HALOPSA_URL")?, url("BIFROST_HALOPSA_AUTH_URL")?)
                .with_tenant(variable("BIFROST_HALOPSA_TENANT")?),
            halopsa_credential: secret_of(
                &variable("BIFROST_HALOPSA_CLIENT_ID")?,
                &variable("BIFROST_HALOPSA_CLIENT_SECRET")?,
            ),
            private_host: None,
            _simulators: None,
        })
    }

    /// What a customer's connection to Graph is made of.
    pub(crate) fn graph(&self, customer: &Customer) -> bifrost::Result<(ConnectionSettings, Credential)> {
        let mut config = GraphConfig::new(&customer.entra_tenant);
        if let Some((base, authority)) = &self.graph {
            config = config.with_endpoints(base.clone(), authority.clone());
        }
        if let Some(host) = &self.private_host {
            config = config.allow_private_host(host);
        }
        Ok((config.build()?, self.graph_credential.clone()))
    }

    /// What a customer's connection to the provider's HaloPSA is made of: every customer has one of its own, so that
    /// one can be switched off alone.
    pub(crate) fn halopsa(&self) -> bifrost::Result<(ConnectionSettings, Credential)> {
        Ok((self.halopsa.clone().build()?, self.halopsa_credential.clone()))
    }
}

fn live_customer(id: &str) -> Result<Customer, Failure> {
    let suffix = id.to_uppercase().replace('-', "_");
    let client = env::var(format!("BIFROST_HALOPSA_CLIENT_{suffix}")).ok();
    let client = client.map(|text| {
        text.parse().map_err(|_| Failure::usage(format!("BIFROST_HALOPSA_CLIENT_{suffix} is no number: {text}")))
    });
    Ok(Customer {
        id: id.to_owned(),
        domain: variable(&format!("BIFROST_DOMAIN_{suffix}"))?,
        entra_tenant: variable(&format!("BIFROST_GRAPH_TENANT_{suffix}"))?,
        halopsa_client: client.transpose()?,
    })
}

fn variable(name: &str) -> Result<String, Failure> {
    match env::var(name) {
        Ok(value) if !value.is_empty() => Ok(value),
        _ => Err(Failure::usage(format!("--live needs the environment variable {name}"))),
    }
}

fn parse_url(source: &str, text: &str) -> Result<Url, Failure> {
    Url::parse(text).map_err(|error| Failure::usage(format!("{source}: {text} is no address: {error}")))
}

fn secret_of(client_id: &str, client_secret: &str) -> Credential {
    Credential::ClientSecret { client_id: client_id.to_owned(), client_secret: client_secret.into() }
}
