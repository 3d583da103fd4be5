//! `ctx.graph()`: Microsoft Graph in a workflow.

use std::future::Future;

use bifrost_core::Result;
use bifrost_core::workflow::Context;

use super::{Graph, PROVIDER};

/// Opens Graph clients over the connections of the workflow's tenant.
///
/// ```no_run
/// use bifrost_core::{Result, workflow::Context};
/// use bifrost_integrations::graph::GraphContext;
///
/// async fn is_enabled(ctx: Context, upn: String) -> Result<bool> {
///     let user = ctx.graph().await?.users().get(&upn).await?;
///     Ok(user.account_enabled == Some(true))
/// }
/// ```
pub trait GraphContext {
    /// A client over the connection called `graph`.
    ///
    /// # Errors
    /// `NotFound` when the tenant has no such connection; `InvalidInput` when it leads elsewhere.
    fn graph(&self) -> impl Future<Output = Result<Graph>> + Send {
        self.graph_over(PROVIDER)
    }

    /// A client over the connection of this name.
    ///
    /// # Errors
    /// As [`GraphContext::graph`].
    fn graph_over(&self, connection: &str) -> impl Future<Output = Result<Graph>> + Send;
}

impl GraphContext for Context {
    async fn graph_over(&self, connection: &str) -> Result<Graph> {
        Ok(Graph::new(self.connection(connection).await?)?.with_clock(self.clock()))
    }
}
