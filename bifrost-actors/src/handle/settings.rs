//! A tenant's configuration and secrets.

use bifrost_core::audit::{AuditOutcome, AuditRecord};
use bifrost_core::store::key::Kind;
use bifrost_core::store::{Batch, keys_under};
use bifrost_core::{ConfigKey, Result, Secret, SecretName};
use serde::Serialize;
use serde_json::Value;

use super::tenant::Tenant;
use crate::settings::{self, SecretRecord};
use crate::tenant::shared::InUse;

/// A tenant's configuration; see [`Tenant::config`].
#[derive(Debug, Clone)]
pub struct Config(Tenant);

impl Config {
    pub(crate) fn new(tenant: Tenant) -> Self {
        Self(tenant)
    }

    /// Sets a value. Set on the provider tenant, it holds for every customer that has none of its own.
    ///
    /// # Errors
    /// `InvalidInput` for a bad key or a value that is no JSON.
    pub async fn set(&self, key: &str, value: impl Serialize) -> Result<()> {
        let key = ConfigKey::new(key)?;
        let value = serde_json::to_value(value)
            .map_err(|error| bifrost_core::Error::invalid("set configuration", error.to_string()))?;
        let guard = self.0.enter().await?;
        let stored = guard.0.store.key(Kind::Config, &[key.as_str().as_bytes()])?;
        let mut batch = Batch::new();
        guard.0.store.put(&mut batch, stored, &value)?;
        commit_audited(&self.0, &guard, batch, "config.set", key.as_str()).await
    }

    /// A value as the tenant sees it: its own, else the provider tenant's.
    ///
    /// # Errors
    /// `InvalidInput` for a bad key.
    pub async fn get(&self, key: &str) -> Result<Option<Value>> {
        let guard = self.0.enter().await?;
        settings::inherited_config(&guard.0, &ConfigKey::new(key)?).await
    }

    /// The tenant's own keys, sorted.
    ///
    /// # Errors
    /// As the store says.
    pub async fn keys(&self) -> Result<Vec<String>> {
        names(&self.0, Kind::Config).await
    }

    /// Removes the tenant's own value; what it inherits shows again.
    ///
    /// # Errors
    /// `InvalidInput` for a bad key.
    pub async fn delete(&self, key: &str) -> Result<()> {
        let key = ConfigKey::new(key)?;
        delete(&self.0, Kind::Config, key.as_str(), "config.delete").await
    }
}

/// A tenant's secrets; see [`Tenant::secrets`]. Their text never comes back: workflows hold handles.
#[derive(Debug, Clone)]
pub struct Secrets(Tenant);

impl Secrets {
    pub(crate) fn new(tenant: Tenant) -> Self {
        Self(tenant)
    }

    /// Stores a secret, sealed with the tenant's data key. Stored on the provider tenant, it holds for every customer
    /// that has none of its own.
    ///
    /// # Errors
    /// `InvalidInput` for a bad name.
    pub async fn set(&self, name: &str, secret: impl Into<Secret>) -> Result<()> {
        let name = SecretName::new(name)?;
        let guard = self.0.enter().await?;
        let key = guard.0.store.key(Kind::Secret, &[name.as_str().as_bytes()])?;
        let mut batch = Batch::new();
        guard.0.store.put(&mut batch, key, &SecretRecord { secret: secret.into() })?;
        commit_audited(&self.0, &guard, batch, "secret.set", name.as_str()).await
    }

    /// The names of the tenant's own secrets, sorted.
    ///
    /// # Errors
    /// As the store says.
    pub async fn names(&self) -> Result<Vec<String>> {
        names(&self.0, Kind::Secret).await
    }

    /// Removes the tenant's own secret.
    ///
    /// # Errors
    /// `InvalidInput` for a bad name.
    pub async fn delete(&self, name: &str) -> Result<()> {
        let name = SecretName::new(name)?;
        delete(&self.0, Kind::Secret, name.as_str(), "secret.delete").await
    }
}

async fn names(tenant: &Tenant, kind: Kind) -> Result<Vec<String>> {
    let guard = tenant.enter().await?;
    let prefix = guard.0.store.scope().kind(kind);
    let keys = keys_under(guard.0.store.engine().as_ref(), &prefix).await?;
    let names = keys.iter().filter_map(|key| key.strip(&prefix));
    Ok(names.map(|name| String::from_utf8_lossy(name).into_owned()).collect())
}

async fn delete(tenant: &Tenant, kind: Kind, name: &str, action: &str) -> Result<()> {
    let guard = tenant.enter().await?;
    let mut batch = Batch::new();
    batch.delete(guard.0.store.key(kind, &[name.as_bytes()])?);
    commit_audited(tenant, &guard, batch, action, name).await
}

/// Commits `batch` together with the record that tells who did it: one without the other cannot be.
pub(crate) async fn commit_audited(
    tenant: &Tenant,
    guard: &InUse,
    mut batch: Batch,
    action: &str,
    target: &str,
) -> Result<()> {
    let now = tenant.hub().runtime().clock.now();
    let record = AuditRecord::new(now, tenant.principal().clone(), action, target, AuditOutcome::Allowed);
    guard.0.audit_log.append(&mut batch, &record)?;
    guard.0.store.commit(batch).await.map(drop)
}
