//! Following one execution.

use std::pin::pin;

use bifrost::event::Event;
use bifrost::execution::Outcome;
use bifrost::{Error, ErrorKind, ExecutionHandle, ExecutionState, Result};
use futures_util::{FutureExt, StreamExt};
use pyo3::prelude::*;

use crate::convert::{serialized, to_python};
use crate::pending::{answer, hand_over};
use crate::runtime::Runtime;
use crate::tenant::whose;

/// See the module.
#[pyclass(frozen, module = "bifrost._native")]
pub(crate) struct Execution {
    handle: ExecutionHandle,
    tenant: String,
    runtime: Runtime,
}

impl Execution {
    pub(crate) fn new(handle: ExecutionHandle, tenant: String, runtime: Runtime) -> Self {
        Self { handle, tenant, runtime }
    }
}

#[pymethods]
impl Execution {
    /// Its identifier.
    #[getter]
    fn id(&self) -> String {
        self.handle.id().to_string()
    }

    /// The tenant's name.
    #[getter]
    fn tenant(&self) -> &str {
        &self.tenant
    }

    /// Waits for what the workflow returned; pending. Raises what ended it, and `NeedsAttention` as soon as a person
    /// must decide.
    fn output(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let (handle, tenant) = (self.handle.clone(), self.tenant.clone());
        let wait = async move {
            let ended = ended(&handle, &tenant).await;
            let output =
                ended.and_then(Outcome::into_output).map_err(|error| from_execution(error, &handle, &tenant))?;
            Ok(answer(move |py| to_python(py, output).map(Bound::unbind)))
        };
        hand_over(py, self.runtime.start_call(wait))
    }

    /// Waits for the whole outcome: state, output, error, problems; pending.
    fn outcome(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let (handle, tenant) = (self.handle.clone(), self.tenant.clone());
        let wait = async move {
            let outcome = ended(&handle, &tenant).await?;
            Ok(answer(move |py| serialized(py, &outcome).map(Bound::unbind)))
        };
        hand_over(py, self.runtime.start_call(wait))
    }

    /// Waits for the events from number `from_seq` on that are there, at least one; pending. The empty list is the
    /// end.
    fn events(&self, py: Python<'_>, from_seq: u64) -> PyResult<Py<PyAny>> {
        /// The most events one answer carries.
        const PAGE: usize = 500;
        let handle = self.handle.clone();
        let read = async move {
            let mut stream = pin!(handle.events(from_seq).fuse());
            let mut events: Vec<Event> = stream.next().await.into_iter().collect();
            while events.len() < PAGE
                && let Some(Some(event)) = stream.next().now_or_never()
            {
                events.push(event);
            }
            Ok(answer(move |py| serialized(py, &events).map(Bound::unbind)))
        };
        hand_over(py, self.runtime.start_call(read))
    }

    /// Asks it to stop; pending until the wish is durable.
    fn cancel(&self, py: Python<'_>, reason: String) -> PyResult<Py<PyAny>> {
        let handle = self.handle.clone();
        let cancel = async move {
            handle.cancel(&reason).await?;
            Ok(answer(|py| Ok(py.None())))
        };
        hand_over(py, self.runtime.start_call(cancel))
    }

    /// Its record as it is stored; pending.
    fn record(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let handle = self.handle.clone();
        let read = async move {
            let record = handle.record().await?;
            Ok(answer(move |py| serialized(py, &record).map(Bound::unbind)))
        };
        hand_over(py, self.runtime.start_call(read))
    }
}

/// The error with whose it is, which what a workflow raised does not say.
fn from_execution(error: Error, handle: &ExecutionHandle, tenant: &str) -> Error {
    let error = whose(error, tenant);
    if error.context("execution").is_some() { error } else { error.with("execution", handle.id()) }
}

/// The outcome, or the error that it waits for a person.
async fn ended(handle: &ExecutionHandle, tenant: &str) -> Result<Outcome> {
    loop {
        if let Some(outcome) = handle.settled().await? {
            return Ok(outcome);
        }
        // None when it has been decided about meanwhile.
        if let Some(error) = attention(handle, tenant).await {
            return Err(error);
        }
    }
}

async fn attention(handle: &ExecutionHandle, tenant: &str) -> Option<Error> {
    let record = handle.record().await.ok()?;
    let attention = record.attention.filter(|_| record.state == ExecutionState::NeedsAttention)?;
    let details = serde_json::to_string(&attention).ok()?;
    Some(
        Error::new(ErrorKind::NeedsAttention, "wait for execution", "a person must decide before it goes on")
            .with("tenant", tenant)
            .with("execution", handle.id())
            .with("workflow", &record.workflow)
            .with("attention", details)
            .next_action("look at it with `bifrost runs show`, then resolve it as done, not done, resume or abort"),
    )
}
