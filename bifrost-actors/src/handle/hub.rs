//! The hub's handle.

use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bifrost_core::store::key::{Kind, Scope};
use bifrost_core::store::keys_under;
use bifrost_core::store::records::TenantStore;
use bifrost_core::time::within;
use bifrost_core::workflow::{Workflow, WorkflowSet};
use bifrost_core::{ExecutionId, Principal, Result, TenantId};
use serde::Serialize;
use tokio::task::JoinHandle;

use super::builder::{HubBuilder, HubRecord, write};
use super::snapshot::HubSnapshot;
use super::tenant::Tenant;
use super::tenants::Tenants;
use crate::hub::message::HubMessage;
use crate::runtime::{HubRuntime, Unfinished};
use crate::tenant::shared::{InUse, TenantShared};

/// A running hub. Cheap to clone; the hub ends with [`Hub::shutdown`], or with the runtime it lives in.
#[derive(Clone)]
pub struct Hub(Arc<Inner>);

struct Inner {
    runtime: Arc<HubRuntime>,
    root: Mutex<Option<JoinHandle<()>>>,
    /// Whether the hub was shut down to the end.
    ended: tokio::sync::Mutex<bool>,
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
        Self(Arc::new(Inner { runtime, root: Mutex::new(Some(root)), ended: tokio::sync::Mutex::default() }))
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
    /// included, puts back what still runs, closes the store. Calls on any handle answer `Closed` afterwards.
    ///
    /// It may be called again at any time: a call that comes meanwhile, or after one that was dropped, joins in and
    /// waits for the end as well, and one that comes later finds nothing left to do.
    ///
    /// # Errors
    /// When the store takes no note of the orderly end, or its last sync fails; the hub has ended and the store is
    /// closed all the same.
    pub async fn shutdown(&self, deadline: Duration) -> Result<Shutdown> {
        let runtime = &self.0.runtime;
        runtime.closed.store(true, Ordering::Release);
        let root = runtime.root()?;
        // A root that is gone has nothing to drain.
        let _ = root.cast(HubMessage::Drain);
        let clock = Arc::clone(&runtime.clock);
        let until = clock.monotonic().saturating_add(deadline);
        let all_ended = within(clock.as_ref(), deadline, self.nothing_is_under_way()).await.is_some();
        let requeued = if all_ended { 0 } else { self.running() };
        if !all_ended {
            let _ = root.cast(HubMessage::Requeue);
            // Putting back takes a commit each, no workflow code is waited for.
            let _ = within(clock.as_ref(), runtime.config.call_deadline, self.nothing_runs()).await;
        }
        let mut ended = self.0.ended.lock().await;
        if !*ended {
            self.stop_root().await;
            // Nobody begins one any more; what a refresh token was spent for is worth waiting for.
            let left = until.saturating_sub(clock.monotonic());
            if within(clock.as_ref(), left, runtime.rotations.all_over()).await.is_none() {
                tracing::warn!("the hub ends while a refresh token is being spent");
            }
            let noted = self.note_orderly_end().await;
            let closed = runtime.store.close().await;
            *ended = true;
            noted.and(closed)?;
        }
        Ok(Shutdown { requeued })
    }

    /// Ends a hub that could not start: its store is the caller's still.
    pub(crate) async fn abandon(&self) {
        self.0.runtime.closed.store(true, Ordering::Release);
        self.stop_root().await;
    }

    pub(crate) async fn enter(&self, id: &TenantId) -> Result<InUse> {
        self.0.runtime.enter(id).await
    }

    /// Takes up every execution that has not ended. Those of a tenant that may not work stay where they are.
    pub(crate) async fn take_up_everything(&self) -> Result<()> {
        let prefix = Scope::hub().kind(Kind::Active);
        let keys = keys_under(self.0.runtime.store.as_ref(), &prefix).await?;
        let mut unfinished = Unfinished::new();
        for (tenant, id) in keys.iter().filter_map(|key| parse_active(key.strip(&prefix)?)) {
            unfinished.entry(tenant).or_default().push(id);
        }
        for (tenant, executions) in unfinished {
            self.take_up(tenant, executions).await;
        }
        Ok(())
    }

    /// Takes up a tenant's executions if it may work, now or as soon as that can be.
    pub(crate) async fn take_up(&self, tenant: TenantId, executions: Vec<ExecutionId>) {
        let runtime = &self.0.runtime;
        if let Err(error) = runtime.take_up(&tenant, &executions).await {
            tracing::warn!(%tenant, %error, "a tenant's executions could not be taken up yet");
            let left = HubMessage::TakeUp(Unfinished::from([(tenant, executions)]));
            // Without a root the hub has ended: they go on at its next start.
            let _ = runtime.root().map(|root| root.cast(left));
        }
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
        u32::try_from(self.awake().iter().map(|tenant| tenant.executions.running().len()).sum::<usize>())
            .unwrap_or(u32::MAX)
    }

    fn awake(&self) -> Vec<Arc<TenantShared>> {
        self.0.runtime.tenants.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Resolves when no execution runs in this process.
    async fn nothing_runs(&self) {
        loop {
            let running: Vec<_> = self.awake().iter().flat_map(|tenant| tenant.executions.running()).collect();
            if running.is_empty() {
                return;
            }
            for live in running {
                live.end_shown().await;
            }
        }
    }

    /// Resolves when no execution runs, no call is under way and no token is on its way.
    async fn nothing_is_under_way(&self) {
        const LOOK_AGAIN: Duration = Duration::from_millis(5);
        loop {
            self.nothing_runs().await;
            if !self.awake().iter().any(|tenant| tenant.is_in_use()) {
                return;
            }
            self.0.runtime.clock.sleep(LOOK_AGAIN).await;
        }
    }

    async fn stop_root(&self) {
        if let Ok(root) = self.0.runtime.root() {
            root.stop(None);
        }
        let limit = self.0.runtime.config.call_deadline;
        let join = self.0.root.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(join) = join
            && within(self.0.runtime.clock.as_ref(), limit, join).await.is_none()
        {
            tracing::warn!("the hub's actors did not end in time");
            let _ = self.0.runtime.root().map(|root| root.kill());
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
