//! What a tenant's actor, executions, connections and handles share while the tenant is awake.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwapOption;
use bifrost_core::audit::{AuditLog, AuditRecord};
use bifrost_core::store::Batch;
use bifrost_core::store::key::{Kind, Scope};
use bifrost_core::store::records::TenantStore;
use bifrost_core::{
    Connection, ConnectionId, Error, ErrorKind, ExecutionId, Result, TenantId, TenantRecord, TenantStatus,
};
use ractor::ActorRef;

use super::executions::{Executions, LiveExecution};
use super::gate::Gate;
use super::message::TenantMessage;
use crate::connection::published::Published;
use crate::connection::records::StoredConnection;
use crate::connection::source::ConnectionTokens;
use crate::execution::journal::Journal;
use crate::execution::ledger::Stored;
use crate::live::Live;
use crate::runtime::HubRuntime;

/// See the module.
pub(crate) struct TenantShared {
    pub(crate) hub: Arc<HubRuntime>,
    pub(crate) id: TenantId,
    pub(crate) store: TenantStore,
    pub(crate) audit_log: AuditLog,
    pub(crate) actor: ArcSwapOption<ActorRef<TenantMessage>>,
    pub(crate) executions: Executions,
    pub(crate) connections: Mutex<BTreeMap<ConnectionId, Arc<Published>>>,
    gate: Gate,
}

impl TenantShared {
    /// Opens the tenant's part of the store.
    pub(crate) async fn load(hub: &Arc<HubRuntime>, id: &TenantId) -> Result<Arc<Self>> {
        hub.directory.get(id)?;
        let store = tenant_store(hub, id).await?;
        Ok(Arc::new(Self {
            hub: Arc::clone(hub),
            id: id.clone(),
            audit_log: AuditLog::new(store.clone()),
            store,
            actor: ArcSwapOption::empty(),
            executions: Executions::default(),
            connections: Mutex::new(BTreeMap::new()),
            gate: Gate::default(),
        }))
    }

    /// The tenant's entry in the directory, as it is now.
    pub(crate) fn record(&self) -> Result<Arc<TenantRecord>> {
        self.hub.directory.get(&self.id)
    }

    /// Says that somebody uses the tenant; `None` when it has been put to rest.
    pub(crate) fn enter(self: &Arc<Self>) -> Option<InUse> {
        self.gate.enter().then(|| InUse(Arc::clone(self)))
    }

    /// Puts the tenant to rest if nobody uses it: from now on nobody can enter.
    pub(crate) fn try_rest(&self) -> bool {
        self.executions.is_empty() && self.gate.close()
    }

    /// The tenant's actor.
    pub(crate) fn actor(&self) -> Result<Arc<ActorRef<TenantMessage>>> {
        self.actor.load_full().ok_or_else(|| {
            Error::new(ErrorKind::Unavailable, "call tenant", "the tenant is being restarted")
                .with("tenant", &self.id)
                .retry(bifrost_core::Retry::Later)
        })
    }

    /// A journal for `stored`, with the tenant's limits.
    pub(crate) fn journal(&self, stored: Stored, live: &Arc<Live>) -> Arc<Journal> {
        let quota = self.record().map(|record| record.quota.clone()).unwrap_or_default();
        Journal::new(stored, self.store.clone(), Arc::clone(live), Arc::clone(&self.hub.clock), quota)
    }

    /// Makes an audit record durable by itself.
    pub(crate) async fn audit(&self, record: &AuditRecord) -> Result<()> {
        let mut batch = Batch::new();
        self.audit_log.append(&mut batch, record)?;
        self.store.commit(batch).await.map(drop)
    }

    /// The provider tenant's part of the store, unless this is the provider tenant or there is none.
    pub(crate) async fn provider_store(&self) -> Result<Option<TenantStore>> {
        match self.hub.directory.provider() {
            Some(provider) if provider.id != self.id => tenant_store(&self.hub, &provider.id).await.map(Some),
            _ => Ok(None),
        }
    }

    /// A connection to call through.
    pub(crate) async fn connection(
        self: &Arc<Self>,
        id: &ConnectionId,
        execution: Option<ExecutionId>,
    ) -> Result<Connection> {
        let stored = self.stored_connection(id).await?;
        let integration = self.hub.registry.get(&stored.record.settings.provider)?;
        let tokens = Arc::new(ConnectionTokens::new(self, &stored.record));
        let settings = Arc::new(stored.record.settings);
        Ok(Connection::new(self.id.clone(), id.clone(), execution, settings, tokens, integration))
    }

    /// A connection was deleted: its actor ends, and nothing of it is shown any more.
    pub(crate) fn forget_connection(&self, id: &ConnectionId) {
        if let Some(published) = self.lock_connections().remove(id) {
            published.withdraw();
        }
        // A tenant's actor that is being restarted knows of no connection.
        let _ = self.actor().map(|actor| actor.cast(TenantMessage::ConnectionDeleted(id.clone())));
    }

    /// A connection's settings as they are stored.
    pub(crate) async fn stored_connection(&self, id: &ConnectionId) -> Result<StoredConnection> {
        let key = self.store.key(Kind::Connection, &[id.as_str().as_bytes()])?;
        match self.store.get(&key).await? {
            Some(found) => Ok(StoredConnection { record: found.value, version: found.version }),
            None => Err(Error::new(ErrorKind::NotFound, "read connection", "no connection of this name")
                .with("tenant", &self.id)
                .with("connection", id)
                .next_action("create it with `tenant.connections().create(..)`")),
        }
    }

    /// The execution if it is not terminal in this process.
    pub(crate) fn live(&self, id: ExecutionId) -> Option<LiveExecution> {
        self.executions.get(id)
    }

    /// Has a stored execution taken up. It is shown before the actor hears of it: whoever asks now waits for it instead
    /// of finding nobody, and an actor that is gone is started again and takes up all that is shown.
    pub(crate) fn take_up(&self, id: ExecutionId) -> Arc<Live> {
        let live = self.executions.show(id);
        if let Some(actor) = self.actor.load_full() {
            let _ = actor.cast(TenantMessage::Recover(id));
        }
        live
    }

    /// Whether a stored execution that nobody owns is to be taken up: a hub that only has a look takes up nothing, one
    /// that shuts down nothing more, and a suspended tenant's goes on when the tenant does.
    pub(crate) fn goes_on(&self) -> bool {
        let suspended = |record: Arc<TenantRecord>| matches!(record.status, TenantStatus::Suspended { .. });
        self.hub.takes_up && self.hub.check_open().is_ok() && !self.record().is_ok_and(suspended)
    }

    /// Whether a call or an exchange is under way.
    pub(crate) fn is_in_use(&self) -> bool {
        self.gate.is_in_use()
    }

    pub(crate) fn lock_connections(&self) -> std::sync::MutexGuard<'_, BTreeMap<ConnectionId, Arc<Published>>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The records of one tenant.
pub(crate) async fn tenant_store(hub: &HubRuntime, id: &TenantId) -> Result<TenantStore> {
    let scope = Scope::tenant(id.clone());
    let sealer = hub.keys.sealer(&scope).await?;
    Ok(TenantStore::new(Arc::clone(&hub.store), scope, sealer))
}

impl fmt::Debug for TenantShared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TenantShared").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Proof that the tenant stays awake.
#[derive(Debug)]
pub(crate) struct InUse(pub(crate) Arc<TenantShared>);

impl Drop for InUse {
    fn drop(&mut self) {
        self.0.gate.leave();
    }
}
