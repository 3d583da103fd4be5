//! An execution's handle.

use std::pin::pin;
use std::sync::Arc;

use bifrost_core::event::Event;
use bifrost_core::execution::{ExecutionRecord, Outcome};
use bifrost_core::{Error, ErrorKind, ExecutionId, Result};
use futures_util::Stream;
use futures_util::future::{Either, select};
use futures_util::stream::unfold;

use super::tenant::Tenant;
use crate::execution::load;
use crate::live::{Ended, Live};

/// Follows one execution.
#[derive(Debug, Clone)]
pub struct ExecutionHandle {
    tenant: Tenant,
    live: Arc<Live>,
}

impl ExecutionHandle {
    pub(crate) fn new(tenant: Tenant, live: Arc<Live>) -> Self {
        Self { tenant, live }
    }

    /// Its identifier.
    pub fn id(&self) -> ExecutionId {
        self.live.id()
    }

    /// Waits for its end. A workflow that failed is no error here: see [`Outcome::into_output`].
    ///
    /// # Errors
    /// `Closed` when the hub was shut down first, or the tenant suspended: the execution goes on later.
    pub async fn wait(&self) -> Result<Outcome> {
        match self.live.end_shown().await {
            Ended::Outcome(outcome) => Ok((*outcome).clone()),
            Ended::Requeued => Err(self.closed("it was put back and goes on at the next start")),
            Ended::Dropped => Err(self.closed("it was not accepted")),
        }
    }

    /// Waits until it has ended or a person must decide, which is `None`.
    ///
    /// # Errors
    /// As [`ExecutionHandle::wait`].
    pub async fn settled(&self) -> Result<Option<Outcome>> {
        match select(pin!(self.wait()), pin!(self.live.set_aside())).await {
            Either::Left((outcome, _)) => outcome.map(Some),
            Either::Right(_) => Ok(None),
        }
    }

    /// Its events from number `from` on (the first is 1), in order and without gaps, until it has ended.
    pub fn events(&self, from: u64) -> impl Stream<Item = Event> + Send + use<> {
        let live = Arc::clone(&self.live);
        unfold((live, from.max(1)), |(live, next)| async move {
            let event = live.event(next).await?;
            Some((event, (live, next + 1)))
        })
    }

    /// Asks it to stop. Resolves when the wish is durable; the end comes with [`ExecutionHandle::wait`].
    ///
    /// # Errors
    /// `Closed`, `Unavailable`.
    pub async fn cancel(&self, reason: &str) -> Result<()> {
        self.tenant.cancel(self.id(), reason).await
    }

    /// Its record as it is stored.
    ///
    /// # Errors
    /// As the store says.
    pub async fn record(&self) -> Result<ExecutionRecord> {
        let guard = self.tenant.enter().await?;
        load::record(&guard.0.store, self.id()).await
    }

    fn closed(&self, message: &str) -> Error {
        Error::new(ErrorKind::Closed, "wait for execution", message)
            .with("tenant", self.tenant.id())
            .with("execution", self.id())
    }
}
