//! The hub's handle.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bifrost_core::store::key::{Kind, Scope};
use bifrost_core::store::keys_under;
use bifrost_core::store::records::TenantStore;
use bifrost_core::time::within;
use bifrost_core::workflow::{Workflow, WorkflowSet};
use bifrost_core::{ErrorKind, ExecutionId, Principal, Result, TenantId};
use serde::Serialize;
use tokio::task::JoinHandle;

use super::builder::{HubBuilder, HubRecord, write};
use super::snapshot::HubSnapshot;
use super::tenant::Tenant;
use super::tenants::Tenants;
use crate::hub::message::HubMessage;
use crate::runtime::HubRuntime;
use crate::tenant::shared::InUse;

/// A running hub. Cheap to clone; the hub ends with [`Hub::shutdown`], or with the runtime it lives in.
#[derive(Clone)]
pub struct Hub(Arc<Inner>);

struct Inner {
    runtime: Arc<HubRuntime>,
    root: Mutex<Option<JoinHandle<()>>>,
}

/// What a shutdown came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Shutdown {
    /// Executions that still ran when the deadline passed, and were put back: they go on at the next start.
    pub requeued: u32,
}

impl Hub {
    /// A hub in memory with the defaults, to be changed and started.
    pub fn builder() -> HubBuilder {
        HubBuilder::default()
    }

    pub(crate) fn new(runtime: Arc<HubRuntime>, root: JoinHandle<()>) -> Self {
        Self(Arc::new(Inner { runtime, root: Mutex::new(Some(root)) }))
    }

    pub(crate) fn runtime(&self) -> &Arc<HubRuntime> {
        &self.0.runtime
    }

    /// A tenant to work for, on behalf of nobody in particular; see [`Tenant::acting_as`].
    ///
    /// # Errors
    /// `NotFound` when there is no such tenant; `InvalidInput` when `id` is no valid name; `Closed`.
    pub fn tenant(&self, id: &str) -> Result<Tenant> {
        self.0.runtime.check_open()?;
        let id = TenantId::new(id)?;
        self.0.runtime.directory.get(&id)?;
        Ok(Tenant::new(self.clone(), id, Principal::System))
    }

    /// Making, listing and changing tenants.
    pub fn tenants(&self) -> Tenants {
        Tenants::new(self.clone(), Principal::System)
    }

    /// Adds a workflow to the running hub, in the place of the one of the same name, which is returned. Attempts that
    /// run go on with what they started with, later ones use the new one. Executions that were set aside because their
    /// workflow was missing are taken up again.
    pub fn register(&self, workflow: Arc<dyn Workflow>) -> Option<Arc<dyn Workflow>> {
        self.0.runtime.workflows.register(workflow)
    }

    /// The workflows as they are now, by name.
    pub fn workflows(&self) -> Arc<WorkflowSet> {
        self.0.runtime.workflows.all()
    }

    /// True once [`Hub::shutdown`] was called: nothing is admitted any more.
    pub fn is_closed(&self) -> bool {
        self.0.runtime.closed.load(Ordering::Acquire)
    }

    /// How the hub is doing: store, tenants that are awake, places in use, what providers were sent.
    pub fn snapshot(&self) -> HubSnapshot {
        HubSnapshot::take(&self.0.runtime)
    }

    /// Ends the hub: admits nothing any more, lets what runs end until `deadline`, refresh tokens that are being spent
    /// included, puts back what still runs, closes the store. Calls on any handle answer `Closed` afterwards. A second call finds nothing left to do.
    ///
    /// # Errors
    /// When the store's last sync fails.
    pub async fn shutdown(&self, deadline: Duration) -> Result<Shutdown> {
        let runtime = &self.0.runtime;
        if runtime.closed.swap(true, Ordering::AcqRel) {
            return Ok(Shutdown { requeued: 0 });
        }
        let root = runtime.root()?;
        // A root that is gone has nothing to drain.
        let _ = root.cast(HubMessage::Drain);
        let clock = Arc::clone(&runtime.clock);
        let until = clock.monotonic().saturating_add(deadline);
        let all_ended = within(clock.as_ref(), deadline, self.nothing_runs()).await.is_some();
        let requeued = if all_ended { 0 } else { self.running() };
        if !all_ended {
            let _ = root.cast(HubMessage::Requeue);
            // Putting back takes a commit each, no workflow code is waited for.
            let _ = within(clock.as_ref(), runtime.config.call_deadline, self.nothing_runs()).await;
        }
        self.stop_root().await;
        // Nobody begins one any more; what a refresh token was spent for is worth waiting for.
        let left = until.saturating_sub(clock.monotonic());
        if within(clock.as_ref(), left, runtime.rotations.all_over()).await.is_none() {
            tracing::warn!("the hub ends while a refresh token is being spent");
        }
        self.note_orderly_end().await?;
        runtime.store.close().await?;
        Ok(Shutdown { requeued })
    }

    pub(crate) async fn enter(&self, id: &TenantId) -> Result<InUse> {
        self.0.runtime.enter(id).await
    }

    /// Takes up every execution that has not ended. Those of a tenant that may not work stay where they are.
    pub(crate) async fn take_up_everything(&self) -> Result<()> {
        let prefix = Scope::hub().kind(Kind::Active);
        let keys = keys_under(self.0.runtime.store.as_ref(), &prefix).await?;
        let unfinished: Vec<_> = keys.iter().filter_map(|key| parse_active(key.strip(&prefix)?)).collect();
        let tenants: BTreeSet<TenantId> = unfinished.iter().map(|(tenant, _)| tenant.clone()).collect();
        for tenant in tenants {
            let of_tenant = unfinished.iter().filter(|(owner, _)| *owner == tenant).map(|(_, id)| *id);
            self.take_up(&tenant, of_tenant.collect()).await?;
        }
        Ok(())
    }

    /// Takes up a tenant's executions if it may work.
    pub(crate) async fn take_up(&self, tenant: &TenantId, executions: Vec<ExecutionId>) -> Result<()> {
        let may_work = match self.0.runtime.directory.get(tenant) {
            Ok(record) => !matches!(record.status, bifrost_core::TenantStatus::Suspended { .. }),
            Err(error) if error.kind() == ErrorKind::NotFound => false,
            Err(error) => return Err(error),
        };
        if !may_work || !self.0.runtime.takes_up {
            return Ok(());
        }
        let guard = self.enter(tenant).await?;
        for id in executions {
            guard.0.take_up(id)?;
        }
        Ok(())
    }

    /// The tenant's executions that have not ended.
    pub(crate) async fn unfinished(&self, tenant: &TenantId) -> Result<Vec<ExecutionId>> {
        let prefix = Scope::hub().kind(Kind::Active).then(tenant.as_str().as_bytes()).then(b"\0");
        let keys = keys_under(self.0.runtime.store.as_ref(), &prefix).await?;
        let ids = keys.iter().filter_map(|key| key.strip(&prefix)?.try_into().ok());
        Ok(ids.map(ExecutionId::from_bytes).collect())
    }

    /// Executions whose end nobody knows yet, all tenants together.
    fn running(&self) -> u32 {
        let tenants = self.0.runtime.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        let count: usize = tenants.values().map(|tenant| tenant.lock_executions().len()).sum();
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// Resolves when no execution is left in this process.
    async fn nothing_runs(&self) {
        loop {
            let next = {
                let tenants = self.0.runtime.tenants.lock().unwrap_or_else(PoisonError::into_inner);
                tenants.values().find_map(|tenant| {
                    let executions = tenant.lock_executions();
                    executions.values().next().map(|execution| execution.live.ended())
                })
            };
            let Some(mut ended) = next else { return };
            // The sender lives in the map: an error means that it has just been taken out.
            let _ = ended.wait_for(Option::is_some).await;
            tokio::task::yield_now().await;
        }
    }

    async fn stop_root(&self) {
        if let Ok(root) = self.0.runtime.root() {
            root.stop(None);
        }
        let join = self.0.root.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(join) = join {
            let limit = self.0.runtime.config.call_deadline;
            if within(self.0.runtime.clock.as_ref(), limit, join).await.is_none() {
                tracing::warn!("the hub's actors did not end in time");
            }
        }
    }

    async fn note_orderly_end(&self) -> Result<()> {
        let runtime = &self.0.runtime;
        let scope = Scope::hub();
        let sealer = runtime.keys.sealer(&scope).await?;
        let store = TenantStore::new(Arc::clone(&runtime.store), scope, sealer);
        // A look changes nothing about how the last hub ended that worked.
        let clean = runtime.takes_up || runtime.clean_start;
        write(&store, &HubRecord { epoch: runtime.epoch, clean }).await
    }
}

/// `tenant \0 execution`, as in [`TenantStore::active_key`].
fn parse_active(rest: &[u8]) -> Option<(TenantId, ExecutionId)> {
    let end = rest.iter().position(|byte| *byte == 0)?;
    let tenant = TenantId::new(std::str::from_utf8(&rest[..end]).ok()?).ok()?;
    Some((tenant, ExecutionId::from_bytes(rest[end + 1..].try_into().ok()?)))
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Hub").field(&self.0.runtime).finish()
    }
}
