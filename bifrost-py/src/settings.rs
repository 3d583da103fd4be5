//! What a connection is made of, as Python says it.

use bifrost::graph::{Cloud, GraphConfig};
use bifrost::halopsa::HaloPsaConfig;
use bifrost::{ConnectionSettings, Credential, Error, Result, Secret};
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use crate::options::parse;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GraphOptions {
    entra_tenant: String,
    cloud: Option<CloudName>,
    base_url: Option<Url>,
    authority: Option<Url>,
    #[serde(default)]
    scopes: Vec<String>,
    #[serde(default)]
    allow_private_hosts: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum CloudName {
    Global,
    UsGovernment,
    UsDod,
    China,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HaloPsaOptions {
    tenant: Option<String>,
    resource_server: Option<Url>,
    authorisation_server: Option<Url>,
    #[serde(default)]
    scopes: Vec<String>,
    #[serde(default)]
    allow_private_hosts: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CredentialOptions {
    client_id: String,
    client_secret: Option<String>,
    refresh_token: Option<String>,
}

/// The settings of a connection to `provider`.
///
/// # Errors
/// `InvalidInput` naming what does not fit.
pub(crate) fn connection(provider: &str, options: Value) -> Result<ConnectionSettings> {
    match provider {
        "graph" => graph(parse("create connection", options)?),
        "halopsa" => halopsa(parse("create connection", options)?),
        _ => Err(Error::invalid("create connection", "no such provider")
            .with("provider", provider)
            .next_action("use one of graph, halopsa")),
    }
}

fn graph(options: GraphOptions) -> Result<ConnectionSettings> {
    let cloud = match options.cloud.unwrap_or(CloudName::Global) {
        CloudName::Global => Cloud::Global,
        CloudName::UsGovernment => Cloud::UsGovernment,
        CloudName::UsDod => Cloud::UsDod,
        CloudName::China => Cloud::China,
    };
    let mut config = GraphConfig::new(options.entra_tenant).with_cloud(cloud);
    config = match (options.base_url, options.authority) {
        (Some(base_url), Some(authority)) => config.with_endpoints(base_url, authority),
        (None, None) => config,
        _ => return Err(Error::invalid("create connection", "base_url and authority belong together")),
    };
    if !options.scopes.is_empty() {
        config = config.with_scopes(options.scopes);
    }
    options.allow_private_hosts.into_iter().fold(config, GraphConfig::allow_private_host).build()
}

fn halopsa(options: HaloPsaOptions) -> Result<ConnectionSettings> {
    let mut config = match (options.resource_server, options.authorisation_server, options.tenant) {
        (Some(resource), Some(authorisation), None) => HaloPsaConfig::at(resource, authorisation),
        (Some(resource), Some(authorisation), Some(tenant)) => {
            HaloPsaConfig::at(resource, authorisation).with_tenant(tenant)
        }
        (None, None, Some(tenant)) => HaloPsaConfig::cloud(tenant),
        _ => {
            let message = "say `tenant`, or both `resource_server` and `authorisation_server`";
            return Err(Error::invalid("create connection", message));
        }
    };
    if !options.scopes.is_empty() {
        config = config.with_scopes(options.scopes);
    }
    options.allow_private_hosts.into_iter().fold(config, HaloPsaConfig::allow_private_host).build()
}

/// What a connection presents to obtain tokens.
///
/// # Errors
/// `InvalidInput` when neither secret nor refresh token is given.
pub(crate) fn credential(options: Value) -> Result<Credential> {
    let CredentialOptions { client_id, client_secret, refresh_token } = parse("create connection", options)?;
    match (client_secret.map(Secret::from), refresh_token) {
        (secret, Some(token)) => Ok(Credential::refresh_token(client_id, secret, token)),
        (Some(secret), None) => Ok(Credential::client_secret(client_id, secret)),
        (None, None) => Err(Error::invalid("create connection", "neither client_secret nor refresh_token is given")),
    }
}
