//! Where HaloPSA is, and what it allows.

use std::time::Duration;

use bifrost_core::integration::ProviderDescriptor;
use bifrost_core::policy::rate::{LimitScope, LimitShape, LimitUnit, RateLimit};
use bifrost_core::{ConnectionSettings, Error, ProviderId, Result};
use url::Url;

/// The name of the provider.
pub const PROVIDER: &str = "halopsa";

/// The scope that is asked for unless settings name others.
pub const DEFAULT_SCOPE: &str = "all";

/// Settings of a HaloPSA connection, typed. An administrator reads the three values off under Configuration →
/// Integrations → HaloPSA API → API Details: resource server, authorisation server, tenant.
///
/// ```
/// use bifrost_integrations::halopsa::HaloPsaConfig;
///
/// let settings = HaloPsaConfig::cloud("contoso").build()?;
/// assert_eq!(settings.base_url.unwrap().as_str(), "https://contoso.halopsa.com/api");
/// # Ok::<(), bifrost_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct HaloPsaConfig {
    tenant: Option<String>,
    servers: Servers,
    scopes: Vec<String>,
    private_hosts: Vec<String>,
}

#[derive(Debug, Clone)]
enum Servers {
    /// `{tenant}.halopsa.com`.
    Cloud,
    Own {
        resource: Url,
        authorisation: Url,
    },
}

impl HaloPsaConfig {
    /// An instance at `{tenant}.halopsa.com`.
    pub fn cloud(tenant: impl Into<String>) -> Self {
        Self { tenant: Some(tenant.into()), servers: Servers::Cloud, scopes: Vec::new(), private_hosts: Vec::new() }
    }

    /// An instance elsewhere: on premises (`https://halo.example.com/api`, `https://halo.example.com/auth`), or in
    /// the cloud under a domain of its own, which also needs [`HaloPsaConfig::with_tenant`].
    pub fn at(resource_server: Url, authorisation_server: Url) -> Self {
        Self {
            tenant: None,
            servers: Servers::Own { resource: resource_server, authorisation: authorisation_server },
            scopes: Vec::new(),
            private_hosts: Vec::new(),
        }
    }

    /// The tenant's name: not always the first part of the host.
    #[must_use]
    pub fn with_tenant(mut self, tenant: impl Into<String>) -> Self {
        self.tenant = Some(tenant.into());
        self
    }

    /// Scopes other than `all`, such as `edit:tickets`.
    #[must_use]
    pub fn with_scopes<S: Into<String>>(mut self, scopes: impl IntoIterator<Item = S>) -> Self {
        self.scopes = scopes.into_iter().map(Into::into).collect();
        self
    }

    /// Lets the connection call `host` although it resolves to a private address, as on premises it may.
    #[must_use]
    pub fn allow_private_host(mut self, host: impl Into<String>) -> Self {
        self.private_hosts.push(host.into());
        self
    }

    /// The settings to create a connection with.
    ///
    /// # Errors
    /// `InvalidInput` when the tenant's name is no part of a host name.
    pub fn build(self) -> Result<ConnectionSettings> {
        if let Some(tenant) = &self.tenant {
            check_tenant(tenant)?;
        }
        let (resource, authorisation) = match self.servers {
            Servers::Own { resource, authorisation } => (resource, authorisation),
            Servers::Cloud => {
                let host = format!("https://{}.halopsa.com", self.tenant.as_deref().unwrap_or_default());
                (parse(&format!("{host}/api"))?, parse(&format!("{host}/auth"))?)
            }
        };
        let mut settings =
            ConnectionSettings::new(ProviderId::new(PROVIDER)?).with_base_url(resource).with_authority(authorisation);
        settings.entity = self.tenant;
        settings.scopes = self.scopes;
        settings.allow_private_hosts = self.private_hosts;
        Ok(settings)
    }
}

/// Checks a tenant's name: it becomes a part of a host name and a query parameter.
pub(crate) fn check_tenant(tenant: &str) -> Result<()> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let edges = tenant.starts_with('-') || tenant.ends_with('-');
    if tenant.is_empty() || tenant.len() > 63 || edges || !tenant.chars().all(allowed) {
        let message = "the tenant's name is no part of a host name";
        return Err(Error::invalid("configure halopsa connection", message)
            .with("name", tenant)
            .next_action("give the name shown under API Details, without `https://` and `.halopsa.com`"));
    }
    Ok(())
}

fn parse(text: &str) -> Result<Url> {
    Url::parse(text).map_err(|error| Error::invalid("configure halopsa connection", "not an address").source(error))
}

/// What can be said of HaloPSA as data. The vendor publishes no limit; this is the lowest number its own answers have
/// named. Each instance may differ: the stack takes over what a 429 says.
///
/// # Errors
/// None in practice.
pub fn descriptor() -> Result<ProviderDescriptor> {
    Ok(ProviderDescriptor {
        id: ProviderId::new(PROVIDER)?,
        title: "HaloPSA",
        limits: vec![RateLimit {
            scope: LimitScope::Tenant,
            unit: LimitUnit::Requests,
            amount: 300,
            per: Duration::from_secs(300),
            shape: LimitShape::Window,
            source: "text of HaloPSA's own 429 answers in public issue threads",
            as_of: "2023-11",
        }],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cloud_and_own_hosts() {
        let cloud = HaloPsaConfig::cloud("contoso").build().unwrap();
        assert_eq!(cloud.authority.unwrap().as_str(), "https://contoso.halopsa.com/auth");
        assert_eq!(cloud.entity.as_deref(), Some("contoso"));
        let url = |text: &str| Url::parse(text).unwrap();
        let own = HaloPsaConfig::at(url("https://halo.local/api"), url("https://halo.local/auth"))
            .allow_private_host("halo.local")
            .build()
            .unwrap();
        assert_eq!((own.entity, own.base_url.unwrap().as_str()), (None, "https://halo.local/api"));
        for bad in ["", "a.b", "a/b", "https://contoso", "-a", "ü"] {
            assert!(HaloPsaConfig::cloud(bad).build().is_err(), "{bad}");
        }
    }
}
