//! The directory of tenants: kept in memory, written through to the hub's own scope of the store.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use bifrost_core::audit::{AuditLog, AuditOutcome, AuditRecord};
use bifrost_core::store::key::Kind;
use bifrost_core::store::records::TenantStore;
use bifrost_core::store::{Batch, CommitSeq, Precondition, Versioned};
use bifrost_core::{Clock, Error, ErrorKind, Principal, Result, TenantId, TenantKind, TenantRecord};
use serde::{Deserialize, Serialize};

/// An entry as it is stored: a tenant, or the mark of one that was deleted, so that its name never comes back to life
/// with another's data.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "snake_case")]
enum Entry {
    Tenant(TenantRecord),
    Deleted {
        id: TenantId,
        /// Its records and its data key are gone as well.
        erased: bool,
    },
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Directory {
    store: TenantStore,
    audit: AuditLog,
    clock: Arc<dyn Clock>,
    entries: RwLock<BTreeMap<TenantId, Known>>,
}

#[derive(Debug, Clone)]
struct Known {
    state: KnownState,
    version: CommitSeq,
}

#[derive(Debug, Clone)]
enum KnownState {
    There(Arc<TenantRecord>),
    Deleted { erased: bool },
}

impl Known {
    fn new(entry: Entry, version: CommitSeq) -> (TenantId, Self) {
        match entry {
            Entry::Tenant(record) => (record.id.clone(), Self { state: KnownState::There(Arc::new(record)), version }),
            Entry::Deleted { id, erased } => (id, Self { state: KnownState::Deleted { erased }, version }),
        }
    }

    fn record(&self) -> Option<&Arc<TenantRecord>> {
        match &self.state {
            KnownState::There(record) => Some(record),
            KnownState::Deleted { .. } => None,
        }
    }
}

impl Directory {
    /// Reads the directory from the hub's scope.
    pub(crate) async fn load(store: TenantStore, clock: Arc<dyn Clock>) -> Result<Self> {
        let mut entries = BTreeMap::new();
        for (_, Versioned { value, version }) in store.all::<Entry>(&store.scope().kind(Kind::Tenant)).await? {
            let (id, known) = Known::new(value, version);
            entries.insert(id, known);
        }
        Ok(Self { audit: AuditLog::new(store.clone()), store, clock, entries: RwLock::new(entries) })
    }

    /// The tenant of this name. One that is deleted answers like one that never was.
    pub(crate) fn get(&self, id: &TenantId) -> Result<Arc<TenantRecord>> {
        self.known(id).and_then(|known| known.record().cloned()).ok_or_else(|| missing(id))
    }

    /// All tenants, by name.
    pub(crate) fn list(&self) -> Vec<Arc<TenantRecord>> {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        entries.values().filter_map(|known| known.record().cloned()).collect()
    }

    /// The tenant that all others inherit from, if there is one.
    pub(crate) fn provider(&self) -> Option<Arc<TenantRecord>> {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        entries.values().filter_map(Known::record).find(|record| record.kind == TenantKind::Provider).cloned()
    }

    /// Adds a tenant.
    pub(crate) async fn create(&self, record: TenantRecord, by: &Principal) -> Result<Arc<TenantRecord>> {
        let id = record.id.clone();
        if let Some(known) = self.known(&id) {
            let deleted = known.record().is_none();
            let message = if deleted {
                "a tenant of this name was deleted; names are not used twice"
            } else {
                "a tenant of this name exists"
            };
            return Err(Error::new(ErrorKind::AlreadyExists, "create tenant", message).with("tenant", id));
        }
        if record.kind == TenantKind::Provider && self.provider().is_some() {
            return Err(Error::new(ErrorKind::AlreadyExists, "create tenant", "there is a provider tenant already")
                .with("tenant", id));
        }
        self.write(&id, Entry::Tenant(record), None, "tenant.create", by).await?;
        self.get(&id)
    }

    /// Changes a tenant.
    pub(crate) async fn change(
        &self,
        id: &TenantId,
        action: &'static str,
        by: &Principal,
        change: impl Fn(&mut TenantRecord) -> Result<()>,
    ) -> Result<Arc<TenantRecord>> {
        loop {
            let known = self.known(id).ok_or_else(|| missing(id))?;
            let mut record = known.record().map(|record| (**record).clone()).ok_or_else(|| missing(id))?;
            change(&mut record)?;
            match self.write(id, Entry::Tenant(record), Some(known.version), action, by).await {
                // Somebody else changed it in between, and what they wrote is known by now: take it as the start.
                Err(error)
                    if error.kind() == ErrorKind::Conflict
                        && self.known(id).is_some_and(|now| now.version != known.version) => {}
                done => {
                    done?;
                    return self.get(id);
                }
            }
        }
    }

    /// Replaces a tenant by the mark that it was deleted; its records are still to be erased.
    pub(crate) async fn delete(&self, id: &TenantId, by: &Principal) -> Result<()> {
        let known = self.known(id).filter(|known| known.record().is_some()).ok_or_else(|| missing(id))?;
        let entry = Entry::Deleted { id: id.clone(), erased: false };
        self.write(id, entry, Some(known.version), "tenant.delete", by).await
    }

    /// Notes that nothing is left of a deleted tenant.
    pub(crate) async fn erased(&self, id: &TenantId) -> Result<()> {
        let version = self.known(id).map(|known| known.version);
        let entry = Entry::Deleted { id: id.clone(), erased: true };
        self.write(id, entry, version, "tenant.erase", &Principal::System).await
    }

    /// Deleted tenants of which something may be left.
    pub(crate) fn to_erase(&self) -> Vec<TenantId> {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        let left = |known: &Known| matches!(known.state, KnownState::Deleted { erased: false });
        entries.iter().filter(|(_, known)| left(known)).map(|(id, _)| id.clone()).collect()
    }

    async fn write(
        &self,
        id: &TenantId,
        entry: Entry,
        version: Option<CommitSeq>,
        action: &str,
        by: &Principal,
    ) -> Result<()> {
        let key = self.store.key(Kind::Tenant, &[id.as_str().as_bytes()])?;
        let mut batch = Batch::new();
        batch.require(match version {
            Some(version) => Precondition::At(key.clone(), version),
            None => Precondition::Absent(key.clone()),
        });
        self.store.put(&mut batch, key, &entry)?;
        let audit = AuditRecord::new(self.clock.now(), by.clone(), action, id, AuditOutcome::Allowed);
        self.audit.append(&mut batch, &audit)?;
        let version = self.store.commit(batch).await?;
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        let newer = entries.get(id).is_some_and(|known| known.version > version);
        if !newer {
            let (id, known) = Known::new(entry, version);
            entries.insert(id, known);
        }
        Ok(())
    }

    fn known(&self, id: &TenantId) -> Option<Known> {
        self.entries.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }
}

fn missing(id: &TenantId) -> Error {
    Error::new(ErrorKind::NotFound, "find tenant", "no tenant of this name")
        .with("tenant", id)
        .next_action("create it with `hub.tenants().create(..)`")
}
