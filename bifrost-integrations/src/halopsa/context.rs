//! `ctx.halopsa()`: HaloPSA in a workflow.

use std::future::Future;

use bifrost_core::Result;
use bifrost_core::workflow::Context;

use super::{HaloPsa, PROVIDER};

/// Opens HaloPSA clients over the connections of the workflow's tenant.
///
/// ```no_run
/// use bifrost_core::{Result, workflow::Context};
/// use bifrost_integrations::halopsa::{HaloPsaContext, Ticket};
///
/// async fn ticket(ctx: Context, id: i64) -> Result<Ticket> {
///     ctx.halopsa().await?.tickets().get(id).await
/// }
/// ```
pub trait HaloPsaContext {
    /// A client over the connection called `halopsa`.
    ///
    /// # Errors
    /// `NotFound` when the tenant has no such connection; `InvalidInput` when it leads elsewhere.
    fn halopsa(&self) -> impl Future<Output = Result<HaloPsa>> + Send {
        self.halopsa_over(PROVIDER)
    }

    /// A client over the connection of this name.
    ///
    /// # Errors
    /// As [`HaloPsaContext::halopsa`].
    fn halopsa_over(&self, connection: &str) -> impl Future<Output = Result<HaloPsa>> + Send;
}

impl HaloPsaContext for Context {
    async fn halopsa_over(&self, connection: &str) -> Result<HaloPsa> {
        HaloPsa::new(self.connection(connection).await?)
    }
}
