//! Calling a provider through a connection.

use bifrost::Context;
use pyo3::prelude::*;

use crate::runtime::Runtime;

/// See the module.
#[pyclass(frozen, module = "bifrost._native")]
pub(crate) struct Connection {
    connection: bifrost::Connection,
    /// Set inside a workflow: secrets are filled in from here.
    ctx: Option<Context>,
    runtime: Runtime,
}

impl Connection {
    /// A connection that a workflow calls through.
    pub(crate) fn of_run(ctx: &Context, connection: bifrost::Connection, runtime: Runtime) -> Self {
        Self { connection, ctx: Some(ctx.clone()), runtime }
    }

    /// A connection outside of a workflow.
    pub(crate) fn of_tenant(connection: bifrost::Connection, runtime: Runtime) -> Self {
        Self { connection, ctx: None, runtime }
    }
}

#[pymethods]
impl Connection {
    /// Its name.
    #[getter]
    fn id(&self) -> &str {
        self.connection.id().as_str()
    }

    /// The provider it leads to.
    #[getter]
    fn provider(&self) -> String {
        self.connection.settings().provider.to_string()
    }
}
