//! Where everything is, and opening a hub there: what the process that is killed and the one that looks have in common.

use std::net::SocketAddr;
use std::path::PathBuf;

use bifrost::{Connection, ErrorKind, Hub, HubConfig, NewTenant, Result, Tenant};
use serde::{Deserialize, Serialize};

use super::peer;
use super::platforms::{Address, FORGIVING, TENANTS, halopsa_credential, signed_in};
use super::said::{Grant, Mouth};
use super::work;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Site {
    pub(crate) folder: PathBuf,
    pub(crate) peer: SocketAddr,
    pub(crate) platforms: Vec<Address>,
}

impl Site {
    /// Opens the hub and takes up what had not ended.
    pub(crate) async fn open(&self, mouth: &Mouth) -> Result<Hub> {
        // It is never the execution that kills here: one that happens to run each time must not stop for a person.
        let config = HubConfig { max_recoveries: u32::MAX, ..HubConfig::default() };
        Hub::builder()
            .with_config(config)
            .with_data_dir(&self.folder)
            .with_integrations(bifrost::providers)
            .with_workflow(work::mixed(self.peer, mouth))
            .with_workflow(work::leaf(self.peer))
            .with_workflow(work::reveal())
            .start()
            .await
    }

    /// Makes what is not there yet of tenants and connections: the process before may have died in the middle of it.
    pub(crate) async fn furnish(&self, hub: &Hub) -> Result<()> {
        for name in TENANTS {
            let client = self.platform(name, FORGIVING).halopsa_client;
            let new = NewTenant::customer(name).with_mapping("halopsa", client.to_string());
            let tenant = hub.tenants().get_or_create(new).await?;
            let known = tenant.connections().list().await?;
            let missing = |id: &str| known.iter().all(|record| record.id.as_str() != id);
            for address in self.platforms.iter().filter(|address| address.tenant == name) {
                if missing(&address.connection) {
                    self.connect(&tenant, address).await?;
                }
            }
            if missing("halopsa") {
                let settings = self.platform(name, FORGIVING).halopsa();
                tenant.connections().create("halopsa", settings, halopsa_credential()).await?;
            }
        }
        Ok(())
    }

    async fn connect(&self, tenant: &Tenant, address: &Address) -> Result<()> {
        let grant = peer::sign_in(self.peer, &address.tenant, &address.connection).await?;
        let (settings, credential) = (address.graph(grant.number), signed_in(&grant.refresh_token));
        tenant.connections().create(&address.connection, settings, credential).await
    }

    /// Somebody signs in again.
    pub(crate) async fn reconnect(&self, tenant: &Tenant, connection: &str) -> Result<()> {
        let address = self.platform(tenant.id().as_str(), connection);
        let grant = peer::sign_in(self.peer, &address.tenant, connection).await?;
        let (settings, credential) = (address.graph(grant.number), signed_in(&grant.refresh_token));
        tenant.connections().update(connection, settings, credential).await
    }

    fn platform(&self, tenant: &str, connection: &str) -> &Address {
        let mut platforms = self.platforms.iter();
        platforms.find(|address| address.tenant == tenant && address.connection == connection).unwrap()
    }
}

/// The sign-in that a connection stands on.
pub(crate) fn grant(connection: &Connection) -> Grant {
    Grant {
        tenant: connection.tenant().to_string(),
        connection: connection.id().to_string(),
        number: connection.settings().extra["grant"].parse().unwrap(),
    }
}

/// Whether a token was refused because a person must sign in again.
pub(crate) fn must_sign_in(error: &bifrost::Error) -> bool {
    error.kind() == ErrorKind::ReauthRequired
}
