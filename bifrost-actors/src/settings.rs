//! Configuration and secrets: a tenant's own, else what it inherits from the provider tenant.

use bifrost_core::store::key::Kind;
use bifrost_core::store::records::TenantStore;
use bifrost_core::{ConfigKey, Error, ErrorKind, Result, Secret, SecretName, TenantId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::tenant::shared::TenantShared;

/// A secret as it is stored: sealed with the tenant's data key.
#[derive(Serialize, Deserialize)]
pub(crate) struct SecretRecord {
    #[serde(with = "bifrost_core::secret::sealed")]
    pub(crate) secret: Secret,
}

/// The value of `key`: the tenant's own, else the provider tenant's.
pub(crate) async fn inherited_config(tenant: &TenantShared, key: &ConfigKey) -> Result<Option<Value>> {
    if let Some(own) = config(&tenant.store, key).await? {
        return Ok(Some(own));
    }
    match tenant.provider_store().await? {
        Some(provider) => config(&provider, key).await,
        None => Ok(None),
    }
}

/// The secret `name`: the tenant's own, else the provider tenant's.
pub(crate) async fn inherited_secret(tenant: &TenantShared, name: &SecretName) -> Result<Option<Secret>> {
    if let Some(own) = secret(&tenant.store, name).await? {
        return Ok(Some(own));
    }
    match tenant.provider_store().await? {
        Some(provider) => secret(&provider, name).await,
        None => Ok(None),
    }
}

async fn config(store: &TenantStore, key: &ConfigKey) -> Result<Option<Value>> {
    let key = store.key(Kind::Config, &[key.as_str().as_bytes()])?;
    Ok(store.get::<Value>(&key).await?.map(|found| found.value))
}

async fn secret(store: &TenantStore, name: &SecretName) -> Result<Option<Secret>> {
    let key = store.key(Kind::Secret, &[name.as_str().as_bytes()])?;
    Ok(store.get::<SecretRecord>(&key).await?.map(|found| found.value.secret))
}

/// The refusal for a secret that neither the tenant nor the provider tenant has.
pub(crate) fn secret_missing(tenant: &TenantId, name: &SecretName) -> Error {
    Error::new(ErrorKind::NotFound, "read secret", "no secret of this name")
        .with("tenant", tenant)
        .with("name", name)
        .next_action("set it on the tenant or, for all customers, on the provider tenant")
}

/// The refusal to show workflow code the text of a secret.
pub(crate) fn secret_not_revealed(tenant: &TenantId, name: &SecretName) -> Error {
    Error::new(ErrorKind::PermissionDenied, "reveal secret", "this hub shows secrets to no workflow")
        .with("tenant", tenant)
        .with("name", name)
        .next_action("call through a connection, or set `reveal_secrets` of the hub's configuration")
}
