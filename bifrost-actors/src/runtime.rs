//! What all parts of one hub share. There is one of these per hub and nothing global.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bifrost_core::store::SharedStore;
use bifrost_core::store::seal::KeyRing;
use bifrost_core::time::within;
use bifrost_core::{Clock, Entropy, Error, ErrorKind, ExecutionId, Registry, Result, Retry, TenantId};
use ractor::{ActorRef, Message, RpcReplyPort};
use tokio::sync::Semaphore;

use crate::config::HubConfig;
use crate::connection::rotation::Rotations;
use crate::directory::Directory;
use crate::hub::message::HubMessage;
use crate::probe::Roll;
use crate::slots::Slots;
use crate::tenant::shared::{InUse, TenantShared};
use crate::tenant::state::not_suspended;
use crate::waits::{Alarms, Countdowns};
use crate::workflows::Workflows;

/// Executions that have not ended, by tenant.
pub(crate) type Unfinished = BTreeMap<TenantId, Vec<ExecutionId>>;

/// See the module.
pub(crate) struct HubRuntime {
    pub(crate) config: HubConfig,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) alarms: Arc<Alarms>,
    pub(crate) countdowns: Arc<Countdowns>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) store: SharedStore,
    pub(crate) keys: KeyRing,
    pub(crate) registry: Registry,
    pub(crate) workflows: Workflows,
    pub(crate) directory: Directory,
    /// Places to run.
    pub(crate) slots: Slots,
    /// Turns to be accepted.
    pub(crate) turns: Slots,
    pub(crate) rotations: Rotations,
    /// Counts the starts of the hub on this store.
    pub(crate) epoch: u64,
    /// The hub was shut down in order before this start.
    pub(crate) clean_start: bool,
    /// What had not ended is taken up; else this hub only has a look.
    pub(crate) takes_up: bool,
    pub(crate) tenants: Mutex<HashMap<TenantId, Arc<TenantShared>>>,
    pub(crate) admission: Semaphore,
    pub(crate) closed: AtomicBool,
    /// Which actor is which, for tests.
    pub(crate) roll: Roll,
    pub(crate) root: std::sync::OnceLock<ActorRef<HubMessage>>,
}

impl HubRuntime {
    /// Refuses when the hub is closed.
    pub(crate) fn check_open(&self) -> Result<()> {
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::new(ErrorKind::Closed, "call hub", "the hub is shut down"));
        }
        Ok(())
    }

    /// The tenant if it is awake.
    pub(crate) fn awake(&self, id: &TenantId) -> Option<Arc<TenantShared>> {
        self.tenants.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    /// The tenant's shared part, woken if need be, and kept awake while the guard is held.
    pub(crate) async fn enter(self: &Arc<Self>, id: &TenantId) -> Result<InUse> {
        loop {
            self.check_open()?;
            let shared = match self.awake(id) {
                Some(shared) => shared,
                None => self.wake(id).await?,
            };
            if let Some(guard) = shared.enter() {
                return Ok(guard);
            }
            // It has just been put to rest: its place in the map is about to be cleared.
            tokio::task::yield_now().await;
        }
    }

    /// Takes up a tenant's executions, unless it may not go on or this hub takes up nothing.
    pub(crate) async fn take_up(self: &Arc<Self>, tenant: &TenantId, executions: &[ExecutionId]) -> Result<()> {
        let goes_on = match self.directory.get(tenant) {
            Ok(record) => not_suspended(&record).is_ok(),
            Err(error) if error.kind() == ErrorKind::NotFound => false,
            Err(error) => return Err(error),
        };
        if !goes_on || !self.takes_up {
            return Ok(());
        }
        let guard = self.enter(tenant).await?;
        for id in executions {
            guard.0.take_up(*id);
        }
        Ok(())
    }

    /// Takes up executions, those of a tenant that cannot be woken yet later: an execution without an owner would be
    /// lost.
    pub(crate) async fn take_up_in_time(self: Arc<Self>, mut unfinished: Unfinished) {
        while !unfinished.is_empty() && self.check_open().is_ok() {
            let mut left = Unfinished::new();
            for (tenant, executions) in unfinished {
                if let Err(error) = self.take_up(&tenant, &executions).await {
                    tracing::warn!(%tenant, %error, "a tenant's executions could not be taken up yet");
                    left.insert(tenant, executions);
                }
            }
            if left.is_empty() {
                return;
            }
            self.clock.sleep(self.config.tenant_restarts.max_delay).await;
            unfinished = left;
        }
    }

    async fn wake(self: &Arc<Self>, id: &TenantId) -> Result<Arc<TenantShared>> {
        let shared = TenantShared::load(self, id).await?;
        self.ask(self.root()?, |reply| HubMessage::Wake { shared, reply }).await?
    }

    /// The root actor.
    pub(crate) fn root(&self) -> Result<&ActorRef<HubMessage>> {
        self.root.get().ok_or_else(|| Error::new(ErrorKind::Closed, "call hub", "the hub has not started"))
    }

    /// Asks an actor and waits for its answer: admission before the mailbox, a deadline on the wait.
    pub(crate) async fn ask<M: Message, T: Send + 'static>(
        &self,
        actor: &ActorRef<M>,
        message: impl FnOnce(RpcReplyPort<T>) -> M,
    ) -> Result<T> {
        self.ask_within(self.config.call_deadline, actor, message).await
    }

    /// The same with a deadline of its own, for answers that wait for somebody outside.
    pub(crate) async fn ask_within<M: Message, T: Send + 'static>(
        &self,
        limit: Duration,
        actor: &ActorRef<M>,
        message: impl FnOnce(RpcReplyPort<T>) -> M,
    ) -> Result<T> {
        self.answered_within(limit, self.tell(actor, message)).await
    }

    /// Waits for an answer for no longer than the call deadline.
    pub(crate) async fn answered<T>(&self, answer: impl Future<Output = Result<T>>) -> Result<T> {
        self.answered_within(self.config.call_deadline, answer).await
    }

    async fn answered_within<T>(&self, limit: Duration, answer: impl Future<Output = Result<T>>) -> Result<T> {
        within(self.clock.as_ref(), limit, answer).await.unwrap_or_else(|| {
            Err(Error::new(ErrorKind::Timeout, "call hub", "no answer within the call deadline").retry(Retry::Later))
        })
    }

    /// Tells an actor something and waits for its answer, for as long as that takes: for what is
    /// [`answered`](Self::answered).
    pub(crate) async fn tell<M: Message, T: Send + 'static>(
        &self,
        actor: &ActorRef<M>,
        message: impl FnOnce(RpcReplyPort<T>) -> M,
    ) -> Result<T> {
        let _permit = self.admission.try_acquire().map_err(|_| self.overloaded())?;
        let (sender, receiver) = ractor::concurrency::oneshot();
        actor.cast(message(RpcReplyPort::from(sender))).map_err(|_| gone())?;
        receiver.await.map_err(|_| gone())
    }

    /// The refusal of one call too many.
    pub(crate) fn overloaded(&self) -> Error {
        Error::new(ErrorKind::Overloaded, "call hub", "too many calls are waiting")
            .with("limit", self.config.max_waiting_calls)
            .retry(Retry::Later)
    }
}

/// The actor ended while it was asked.
fn gone() -> Error {
    Error::new(ErrorKind::Unavailable, "call hub", "the actor ended before it answered").retry(Retry::Later)
}

impl fmt::Debug for HubRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HubRuntime").field("epoch", &self.epoch).finish_non_exhaustive()
    }
}
