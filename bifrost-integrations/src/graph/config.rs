//! Where Graph is, and what it allows.

use std::time::Duration;

use bifrost_core::credential::TokenKey;
use bifrost_core::integration::ProviderDescriptor;
use bifrost_core::policy::rate::{LimitScope, LimitShape, LimitUnit, RateLimit};
use bifrost_core::{ConnectionSettings, Error, ProviderId, Result};
use url::Url;

/// The name of the provider.
pub const PROVIDER: &str = "graph";

/// The version of the API, the last part of every base URL.
const VERSION: &str = "v1.0";

/// Microsoft's clouds (<https://learn.microsoft.com/graph/deployments>).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Cloud {
    /// The global cloud, US GCC included.
    #[default]
    Global,
    /// US Government L4 (GCC High).
    UsGovernment,
    /// US Government L5 (DoD).
    UsDod,
    /// China, operated by 21Vianet.
    China,
}

impl Cloud {
    /// The host of the API.
    pub const fn graph_host(self) -> &'static str {
        match self {
            Self::Global => "graph.microsoft.com",
            Self::UsGovernment => "graph.microsoft.us",
            Self::UsDod => "dod-graph.microsoft.us",
            Self::China => "microsoftgraph.chinacloudapi.cn",
        }
    }

    /// The host tokens come from.
    pub const fn login_host(self) -> &'static str {
        match self {
            Self::Global => "login.microsoftonline.com",
            Self::UsGovernment | Self::UsDod => "login.microsoftonline.us",
            Self::China => "login.partner.microsoftonline.cn",
        }
    }

    /// All of them.
    const ALL: [Self; 4] = [Self::Global, Self::UsGovernment, Self::UsDod, Self::China];

    pub(crate) fn base_url(self) -> Result<Url> {
        parse(&format!("https://{}/{VERSION}", self.graph_host()))
    }
}

/// Settings of a Graph connection, typed.
///
/// ```
/// use bifrost_integrations::graph::{Cloud, GraphConfig};
///
/// let settings = GraphConfig::new("contoso.onmicrosoft.com").with_cloud(Cloud::UsGovernment).build()?;
/// assert_eq!(settings.base_url.unwrap().as_str(), "https://graph.microsoft.us/v1.0");
/// # Ok::<(), bifrost_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct GraphConfig {
    entra_tenant: String,
    cloud: Cloud,
    base_url: Option<Url>,
    authority: Option<Url>,
    scopes: Vec<String>,
    private_hosts: Vec<String>,
}

impl GraphConfig {
    /// A connection to the Entra tenant of this id or verified domain.
    pub fn new(entra_tenant: impl Into<String>) -> Self {
        Self {
            entra_tenant: entra_tenant.into(),
            cloud: Cloud::Global,
            base_url: None,
            authority: None,
            scopes: Vec::new(),
            private_hosts: Vec::new(),
        }
    }

    /// The cloud the tenant is in.
    #[must_use]
    pub fn with_cloud(mut self, cloud: Cloud) -> Self {
        self.cloud = cloud;
        self
    }

    /// Scopes other than `https://{host}/.default`, for a delegated grant.
    #[must_use]
    pub fn with_scopes<S: Into<String>>(mut self, scopes: impl IntoIterator<Item = S>) -> Self {
        self.scopes = scopes.into_iter().map(Into::into).collect();
        self
    }

    /// Calls the API and the identity platform at these addresses instead of the cloud's: a simulator, a proxy.
    /// `authority` is the address before the tenant's name.
    #[must_use]
    pub fn with_endpoints(mut self, base_url: Url, authority: Url) -> Self {
        self.base_url = Some(base_url);
        self.authority = Some(authority);
        self
    }

    /// Lets the connection call `host` although it resolves to a private address.
    #[must_use]
    pub fn allow_private_host(mut self, host: impl Into<String>) -> Self {
        self.private_hosts.push(host.into());
        self
    }

    /// The settings to create a connection with. Addresses are left out in the global cloud, where the defaults hold.
    ///
    /// # Errors
    /// `InvalidInput` when the tenant is no id or domain.
    pub fn build(self) -> Result<ConnectionSettings> {
        check_tenant(&self.entra_tenant)?;
        let mut settings = ConnectionSettings::new(ProviderId::new(PROVIDER)?).with_entity(self.entra_tenant);
        settings.base_url = self.base_url;
        settings.authority = self.authority;
        if self.cloud != Cloud::Global {
            settings.base_url.get_or_insert(self.cloud.base_url()?);
            settings.authority.get_or_insert(parse(&format!("https://{}", self.cloud.login_host()))?);
        }
        settings.scopes = self.scopes;
        settings.allow_private_hosts = self.private_hosts;
        Ok(settings)
    }
}

/// Checks that `tenant` names one Entra tenant: an id or a domain. The aliases `common`, `organizations` and
/// `consumers` name none, and app-only tokens are refused for them.
pub(crate) fn check_tenant(tenant: &str) -> Result<()> {
    let refuse = |reason: &str| Err(Error::invalid("configure graph connection", reason).with("name", tenant));
    if ["common", "organizations", "consumers"].iter().any(|alias| tenant.eq_ignore_ascii_case(alias)) {
        return refuse("this alias names no tenant; give the tenant's id or a verified domain");
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    if tenant.is_empty() || tenant.len() > 255 || !tenant.chars().all(allowed) || tenant.starts_with('.') {
        return refuse("the entity is neither an Entra tenant id nor a domain");
    }
    Ok(())
}

/// Where the API of this connection is, without a slash at the end.
pub(crate) fn base_url(settings: &ConnectionSettings) -> Result<Url> {
    match &settings.base_url {
        Some(url) => parse(url.as_str().trim_end_matches('/')),
        None => Cloud::Global.base_url(),
    }
}

fn parse(text: &str) -> Result<Url> {
    let url = Url::parse(text)
        .map_err(|error| Error::invalid("configure graph connection", "not an address").source(error))?;
    if url.cannot_be_a_base() || url.host_str().is_none() {
        return Err(Error::invalid("configure graph connection", "the address names no host").with("name", text));
    }
    Ok(url)
}

/// What a connection's tokens are for. At an address that is no cloud's, such as a simulator's or a proxy's, they are
/// the global cloud's.
pub(crate) fn token_key(settings: &ConnectionSettings) -> TokenKey {
    let host = settings.base_url.as_ref().and_then(Url::host_str);
    let cloud = Cloud::ALL.into_iter().find(|cloud| Some(cloud.graph_host()) == host);
    let audience = format!("https://{}", cloud.unwrap_or_default().graph_host());
    if settings.scopes.is_empty() {
        let all_consented = format!("{audience}/.default");
        return TokenKey::new(audience, [all_consented]);
    }
    TokenKey::new(audience, settings.scopes.iter().cloned())
}

/// The page the limits are published on.
const LIMITS_PAGE: &str = "https://learn.microsoft.com/graph/throttling-limits";
const LIMITS_READ: &str = "2026-02";

/// What can be said of Graph as data. The limits are those of the identity and access service; of the sizes a tenant
/// may have, the smallest is assumed until its answers say otherwise.
///
/// # Errors
/// None in practice.
pub fn descriptor() -> Result<ProviderDescriptor> {
    use LimitScope::{App, AppTenant, Tenant};
    use LimitUnit::{Requests, Units, Writes};
    Ok(ProviderDescriptor {
        id: ProviderId::new(PROVIDER)?,
        title: "Microsoft Graph",
        limits: vec![
            limit(App, Requests, 130_000, 10),
            limit(App, Units, 150_000, 20),
            limit(App, Writes, 35_000, 300),
            limit(AppTenant, Units, 3_500, 10),
            limit(AppTenant, Writes, 3_000, 150),
            limit(Tenant, Writes, 18_000, 300),
        ],
    })
}

fn limit(scope: LimitScope, unit: LimitUnit, amount: u32, seconds: u64) -> RateLimit {
    // The page calls the limits of units and writes token buckets.
    let shape = match unit {
        LimitUnit::Requests => LimitShape::Window,
        LimitUnit::Units | LimitUnit::Writes => LimitShape::Bucket,
    };
    RateLimit { scope, unit, amount, per: Duration::from_secs(seconds), shape, source: LIMITS_PAGE, as_of: LIMITS_READ }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aliases_and_paths_are_no_tenants() {
        for bad in ["", "common", "Organizations", "a/b", "a?b", "..", "contoso com"] {
            assert!(GraphConfig::new(bad).build().is_err(), "{bad}");
        }
        let settings = GraphConfig::new("contoso.com").build().unwrap();
        assert_eq!((settings.base_url.as_ref(), settings.entity.as_deref()), (None, Some("contoso.com")));
        assert_eq!(base_url(&settings).unwrap().as_str(), "https://graph.microsoft.com/v1.0");
    }

    #[test]
    fn tokens_are_for_the_cloud_the_connection_is_in() {
        let key = |cloud| token_key(&GraphConfig::new("contoso.com").with_cloud(cloud).build().unwrap());
        assert_eq!(key(Cloud::Global).scopes(), ["https://graph.microsoft.com/.default"]);
        assert_eq!(key(Cloud::China).scopes(), ["https://microsoftgraph.chinacloudapi.cn/.default"]);
        let url = Url::parse("http://127.0.0.1:8080/graph/v1.0").unwrap();
        let local = GraphConfig::new("contoso.com").with_endpoints(url.clone(), url).build().unwrap();
        assert_eq!(token_key(&local), key(Cloud::Global));
    }

    #[test]
    fn a_slash_at_the_end_makes_no_difference() {
        let url = Url::parse("http://127.0.0.1:8080/graph/v1.0/").unwrap();
        let settings = GraphConfig::new("contoso.com").with_endpoints(url.clone(), url).build().unwrap();
        assert_eq!(base_url(&settings).unwrap().as_str(), "http://127.0.0.1:8080/graph/v1.0");
    }
}
