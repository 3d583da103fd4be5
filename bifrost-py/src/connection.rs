//! Calling a provider through a connection.

use bifrost::Context;
use pyo3::prelude::*;
use pyo3::types::PyList;

use crate::clients::{Call, Fill, Raw};
use crate::convert::{to_json, to_python};
use crate::error::to_py;
use crate::pending::{answer, hand_over};
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

    /// Calls an operation of the typed client of its provider; pending. `secrets` are pairs of a JSON pointer into
    /// `args` and the name of the secret that belongs there.
    #[pyo3(signature = (area, operation, args, secrets=Vec::new()))]
    fn call(
        &self,
        py: Python<'_>,
        area: String,
        operation: String,
        args: &Bound<'_, PyAny>,
        secrets: Vec<(String, String)>,
    ) -> PyResult<Py<PyAny>> {
        let call = Call::new(area, operation, to_json(args)?, fills(secrets), self.ctx.clone());
        let connection = self.connection.clone();
        let work = async move {
            let data = call.make(connection).await?;
            Ok(answer(move |py| to_python(py, data).map(Bound::unbind)))
        };
        hand_over(py, self.runtime.start_in_background(work))
    }

    /// Sends a request no typed client covers; pending; comes to status, headers and body. See `clients/raw.rs` for
    /// what the dictionary holds.
    #[pyo3(signature = (request, content=None, secrets=Vec::new()))]
    fn request(
        &self,
        py: Python<'_>,
        request: &Bound<'_, PyAny>,
        content: Option<Vec<u8>>,
        secrets: Vec<(String, String)>,
    ) -> PyResult<Py<PyAny>> {
        let raw = Raw::new(to_json(request)?, content, fills(secrets), self.ctx.clone());
        let connection = self.connection.clone();
        let work = async move {
            let reply = raw.send(&connection).await?;
            Ok(answer(move |py| reply.into_python(py)))
        };
        hand_over(py, self.runtime.start_in_background(work))
    }

    /// Sends many requests to Graph in batches; pending; comes to a list of answers and exceptions in their order.
    fn batch(&self, py: Python<'_>, requests: Vec<Batched<'_>>) -> PyResult<Py<PyAny>> {
        let made = requests
            .into_iter()
            .map(|(request, secrets)| Ok(Raw::new(to_json(&request)?, None, fills(secrets), self.ctx.clone())));
        let requests = made.collect::<PyResult<Vec<Raw>>>()?;
        let connection = self.connection.clone();
        let work = async move {
            let replies = Raw::send_batch(requests, connection).await?;
            Ok(answer(move |py| {
                let list = PyList::empty(py);
                for reply in replies {
                    match reply {
                        Ok(reply) => list.append(reply.into_python(py)?)?,
                        Err(error) => list.append(to_py(py, &error).into_value(py))?,
                    }
                }
                Ok(list.into_any().unbind())
            }))
        };
        hand_over(py, self.runtime.start_in_background(work))
    }
}

/// A request of a batch, and its secrets.
type Batched<'py> = (Bound<'py, PyAny>, Vec<(String, String)>);

fn fills(secrets: Vec<(String, String)>) -> Vec<Fill> {
    secrets.into_iter().map(|(place, name)| Fill::new(place, name)).collect()
}
