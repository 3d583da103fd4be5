//! Making, listing, changing and deleting tenants.

use bifrost_core::policy::quota::Quota;
use bifrost_core::store::key::{Kind, Scope};
use bifrost_core::store::{Batch, keys_under};
use bifrost_core::tenant::EntityMapping;
use bifrost_core::{Error, ErrorKind, Principal, Result, TenantId, TenantKind, TenantRecord, TenantStatus};

use super::hub::Hub;
use super::tenant::Tenant;
use crate::hub::message::HubMessage;
use crate::runtime::HubRuntime;

/// What a tenant is made of.
#[derive(Debug, Clone)]
pub struct NewTenant {
    id: String,
    title: Option<String>,
    kind: TenantKind,
    quota: Quota,
    mappings: Vec<(String, EntityMapping)>,
}

impl NewTenant {
    /// A customer organisation.
    pub fn customer(id: impl Into<String>) -> Self {
        Self { id: id.into(), title: None, kind: TenantKind::Customer, quota: Quota::default(), mappings: Vec::new() }
    }

    /// The MSP itself, which all customers inherit configuration and secrets from. A hub has at most one.
    pub fn provider(id: impl Into<String>) -> Self {
        Self { kind: TenantKind::Provider, ..Self::customer(id) }
    }

    /// Sets the name for people.
    #[must_use]
    pub fn with_title(mut self, title: impl Into<String>) -> Self {
        self.title = Some(title.into());
        self
    }

    /// Sets what it may use.
    #[must_use]
    pub fn with_quota(mut self, quota: Quota) -> Self {
        self.quota = quota;
        self
    }

    /// Sets its id at a provider.
    #[must_use]
    pub fn with_mapping(mut self, provider: impl Into<String>, entity: impl Into<String>) -> Self {
        let mapping = EntityMapping { entity: entity.into(), title: None };
        self.mappings.push((provider.into(), mapping));
        self
    }
}

/// The tenants of a hub; see [`Hub::tenants`].
#[derive(Debug, Clone)]
pub struct Tenants {
    hub: Hub,
    principal: Principal,
}

impl Tenants {
    pub(crate) fn new(hub: Hub, principal: Principal) -> Self {
        Self { hub, principal }
    }

    /// The same on behalf of `principal`, whom the audit trail will name.
    #[must_use]
    pub fn acting_as(mut self, principal: Principal) -> Self {
        self.principal = principal;
        self
    }

    /// Makes a tenant.
    ///
    /// # Errors
    /// `InvalidInput` for a bad name; `AlreadyExists` for a name that is or was in use, or a second provider tenant.
    pub async fn create(&self, new: NewTenant) -> Result<Tenant> {
        let runtime = self.hub.runtime();
        runtime.check_open()?;
        let id = TenantId::new(&new.id)?;
        let record = TenantRecord {
            id: id.clone(),
            title: new.title.unwrap_or(new.id),
            kind: new.kind,
            status: TenantStatus::Active,
            quota: new.quota,
            mappings: new.mappings.into_iter().collect(),
            created_at: runtime.clock.now(),
        };
        runtime.directory.create(record, &self.principal).await?;
        // Makes the tenant's data key now, so that first use writes nothing.
        runtime.keys.sealer(&Scope::tenant(id.clone())).await?;
        Ok(Tenant::new(self.hub.clone(), id, self.principal.clone()))
    }

    /// Makes a tenant, or finds the one of this name that is there; the one that is there stays as it is.
    ///
    /// # Errors
    /// As [`Tenants::create`], but for a name that is in use.
    pub async fn get_or_create(&self, new: NewTenant) -> Result<Tenant> {
        let id = TenantId::new(&new.id)?;
        match self.create(new).await {
            Err(error) if error.kind() == ErrorKind::AlreadyExists && self.get(id.as_str()).is_ok() => {
                Ok(Tenant::new(self.hub.clone(), id, self.principal.clone()))
            }
            made => made,
        }
    }

    /// All tenants, by name.
    pub fn list(&self) -> Vec<TenantRecord> {
        self.hub.runtime().directory.list().into_iter().map(|record| (*record).clone()).collect()
    }

    /// One tenant's entry.
    ///
    /// # Errors
    /// `NotFound`; `InvalidInput` when `id` is no valid name.
    pub fn get(&self, id: &str) -> Result<TenantRecord> {
        self.hub.runtime().directory.get(&TenantId::new(id)?).map(|record| (*record).clone())
    }

    /// Changes what a tenant may use; it holds for what is admitted from now on.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn set_quota(&self, id: &str, quota: Quota) -> Result<()> {
        self.change(id, "tenant.set_quota", |record| record.quota = quota.clone()).await
    }

    /// Sets or changes a tenant's id at a provider.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn set_mapping(&self, id: &str, provider: &str, mapping: EntityMapping) -> Result<()> {
        let change = |record: &mut TenantRecord| {
            record.mappings.insert(provider.to_owned(), mapping.clone());
        };
        self.change(id, "tenant.set_mapping", change).await
    }

    /// Switches a tenant off: it starts nothing any more; what runs goes on to its end.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn disable(&self, id: &str) -> Result<()> {
        self.change(id, "tenant.disable", |record| record.status = TenantStatus::Disabled).await
    }

    /// Switches a tenant on again, also one that was suspended, and takes up what it had not finished.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn enable(&self, id: &str) -> Result<()> {
        self.change(id, "tenant.enable", |record| record.status = TenantStatus::Active).await?;
        let id = TenantId::new(id)?;
        let unfinished = self.hub.unfinished(&id).await?;
        self.hub.take_up(id, unfinished).await;
        Ok(())
    }

    /// Deletes a tenant that is disabled and has nothing in flight: its records, then its data key, so that copies of
    /// the store cannot be read either. Its audit trail stays, and its name is never used again. What a crash leaves
    /// undone is done at the next start.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` while it is not disabled or work is in flight.
    pub async fn delete(&self, id: &str) -> Result<()> {
        let runtime = self.hub.runtime();
        runtime.check_open()?;
        let id = TenantId::new(id)?;
        let record = runtime.directory.get(&id)?;
        let refuse = |message: &str| Err(Error::new(ErrorKind::Conflict, "delete tenant", message).with("tenant", &id));
        if record.status == TenantStatus::Active {
            return refuse("the tenant is active: disable it first");
        }
        if !self.hub.unfinished(&id).await?.is_empty() {
            return refuse("the tenant has work in flight: cancel it, or wait for it to end");
        }
        runtime.directory.delete(&id, &self.principal).await?;
        // From now on nobody wakes it; what is awake of it ends.
        let tenant = id.clone();
        runtime.ask(runtime.root()?, |reply| HubMessage::Retire { tenant, reply }).await?;
        erase(runtime, &id).await
    }

    async fn change(&self, id: &str, action: &'static str, change: impl Fn(&mut TenantRecord)) -> Result<()> {
        let runtime = self.hub.runtime();
        runtime.check_open()?;
        let id = TenantId::new(id)?;
        let apply = |record: &mut TenantRecord| {
            change(record);
            Ok(())
        };
        runtime.directory.change(&id, action, &self.principal, apply).await.map(drop)
    }
}

/// Removes all records of a deleted tenant but its audit trail, and its data key last.
pub(crate) async fn erase(runtime: &HubRuntime, id: &TenantId) -> Result<()> {
    const ERASED: [Kind; 10] = [
        Kind::Config,
        Kind::Secret,
        Kind::Connection,
        Kind::Credential,
        Kind::Token,
        Kind::Refresh,
        Kind::Execution,
        Kind::Step,
        Kind::Events,
        Kind::Idempotency,
    ];
    let store = &runtime.store;
    let scope = Scope::tenant(id.clone());
    for kind in ERASED {
        for keys in keys_under(store.as_ref(), &scope.kind(kind)).await?.chunks(500) {
            let mut batch = Batch::new();
            for key in keys {
                batch.delete(key.clone());
            }
            store.commit(batch).await?;
        }
    }
    runtime.keys.destroy(&scope).await?;
    // Older journals would still hold the wrapped key.
    store.compact().await?;
    runtime.directory.erased(id).await
}
