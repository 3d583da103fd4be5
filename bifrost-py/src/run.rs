//! One attempt of one execution, as Python runs it: what it was given, its context, and how it ends.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bifrost::workflows::{Doubt, Plan};
use bifrost::{Context, Error, LogLevel, Result};
use futures_util::FutureExt;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use serde_json::Value;
use tokio::sync::oneshot;

use crate::connection::Connection;
use crate::convert::{to_json, to_python};
use crate::error::{Described, to_py};
use crate::pending::{answer, hand_over};
use crate::runtime::Runtime;
use crate::step::Step;

/// See the module.
#[pyclass(frozen, module = "bifrost._native")]
pub(crate) struct Run {
    lane: u64,
    number: u64,
    ctx: Context,
    runtime: Runtime,
    params: Mutex<Value>,
    end: Arc<Ending>,
}

/// How the hub hears of a run's end.
pub(crate) struct Ending(Mutex<Option<oneshot::Sender<Result<Value>>>>);

impl Ending {
    fn tell(&self, result: Result<Value>) {
        if let Some(reply) = self.lock().take() {
            // Nobody listens any more when the hub has given the attempt up.
            let _ = reply.send(result);
        }
    }

    /// Whether Python still runs it.
    pub(crate) fn is_open(&self) -> bool {
        self.lock().is_some()
    }

    /// Whether the hub has given it up although Python still runs it.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.lock().as_ref().is_some_and(oneshot::Sender::is_closed)
    }

    fn lock(&self) -> MutexGuard<'_, Option<oneshot::Sender<Result<Value>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Run {
    pub(crate) fn new(
        (lane, number): (u64, u64),
        ctx: Context,
        params: Value,
        reply: oneshot::Sender<Result<Value>>,
        runtime: Runtime,
    ) -> Self {
        let end = Arc::new(Ending(Mutex::new(Some(reply))));
        Self { lane, number, ctx, runtime, params: Mutex::new(params), end }
    }

    /// Its number within the process.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// How the hub hears of its end.
    pub(crate) fn ending(&self) -> &Arc<Ending> {
        &self.end
    }
}

#[pymethods]
impl Run {
    /// Its number within the process.
    #[getter(number)]
    fn number_(&self) -> u64 {
        self.number
    }

    /// Which lane of the mailbox it is for.
    #[getter]
    fn lane(&self) -> u64 {
        self.lane
    }

    /// The workflow's name.
    #[getter]
    fn workflow(&self) -> &str {
        self.ctx.info().workflow.as_str()
    }

    /// The tenant's name.
    #[getter]
    fn tenant(&self) -> &str {
        self.ctx.info().tenant.as_str()
    }

    /// The execution's identifier.
    #[getter]
    fn execution(&self) -> String {
        self.ctx.info().execution.to_string()
    }

    /// Which attempt it is, from 1.
    #[getter]
    fn attempt(&self) -> u32 {
        self.ctx.info().attempt
    }

    /// Who asked for the execution.
    #[getter]
    fn principal(&self) -> String {
        self.ctx.info().principal.to_string()
    }

    /// What the workflow was given, once.
    fn params<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let params = std::mem::take(&mut *self.params.lock().unwrap_or_else(PoisonError::into_inner));
        match params {
            Value::Null => Ok(PyDict::new(py).into_any()),
            params => to_python(py, params),
        }
    }

    /// Ends the attempt with a result.
    fn finish(&self, output: &Bound<'_, PyAny>) -> PyResult<()> {
        let output = to_json(output)?;
        self.end.tell(Ok(output));
        Ok(())
    }

    /// Ends the attempt with an error.
    fn fail(&self, error: Described) {
        self.end.tell(Err(error.into_error()));
    }

    /// Begins a step: `(step, action, payload)` where action is `call` or `probe` with the idempotency key, or `done`
    /// with the stored result; or a pending call that comes to that. `plan` is one of `step`, `probe`, `resend`,
    /// `person`: what to do when it is unknown whether a write was applied.
    fn begin(&self, py: Python<'_>, name: String, plan: &str) -> PyResult<Py<PyAny>> {
        let plan = plan_of(plan).map_err(|error| to_py(py, &error))?;
        let (ctx, runtime) = (self.ctx.clone(), self.runtime.clone());
        let begin = async move {
            let (drive, next) = ctx.drive(&name, plan).await?;
            Ok(answer(move |py| Step::begun(py, drive, next, runtime)))
        };
        hand_over(py, self.runtime.start_call(begin))
    }

    /// Says that all this run waits for are steps.
    fn came_to_rest(&self) {
        self.ctx.came_to_rest();
    }

    /// How far it is.
    fn progress(&self, done: u64, total: u64, message: String) {
        self.ctx.progress(done, total, message);
    }

    /// Says something; `level` is one of `debug`, `info`, `warn`, `error`.
    fn log(&self, level: &str, message: String, fields: &Bound<'_, PyAny>) -> PyResult<()> {
        let level = match level {
            "debug" => LogLevel::Debug,
            "warn" => LogLevel::Warn,
            "error" => LogLevel::Error,
            _ => LogLevel::Info,
        };
        self.ctx.log_with(level, message, to_json(fields)?);
        Ok(())
    }

    /// Notes a problem the workflow lives with.
    fn problem(&self, error: Described) {
        self.ctx.problem(&error.into_error());
    }

    /// A configuration value; pending.
    fn config(&self, py: Python<'_>, key: String) -> PyResult<Py<PyAny>> {
        let ctx = self.ctx.clone();
        let read = async move {
            let value: Value = ctx.config(&key).await?;
            Ok(answer(move |py| to_python(py, value).map(Bound::unbind)))
        };
        hand_over(py, self.runtime.start_call(read))
    }

    /// The text of a secret, where the hub's policy allows that; pending.
    fn reveal(&self, py: Python<'_>, name: String) -> PyResult<Py<PyAny>> {
        let ctx = self.ctx.clone();
        let read = async move {
            let secret = ctx.secret(&name)?.reveal().await?;
            Ok(answer(move |py| Ok(secret.expose().into_pyobject(py)?.into_any().unbind())))
        };
        hand_over(py, self.runtime.start_call(read))
    }

    /// The tenant's id at a provider; pending.
    fn mapping(&self, py: Python<'_>, provider: String) -> PyResult<Py<PyAny>> {
        let ctx = self.ctx.clone();
        let read = async move {
            let mapping = ctx.mapping(&provider).await?;
            Ok(answer(move |py| Ok(mapping.entity.into_pyobject(py)?.into_any().unbind())))
        };
        hand_over(py, self.runtime.start_call(read))
    }

    /// A connection to call through; pending.
    fn connection(&self, py: Python<'_>, id: String) -> PyResult<Py<PyAny>> {
        let (ctx, runtime) = (self.ctx.clone(), self.runtime.clone());
        let find = async move {
            let connection = Connection::of_run(&ctx, ctx.connection(&id).await?, runtime);
            Ok(answer(move |py| Ok(Py::new(py, connection)?.into_any())))
        };
        hand_over(py, self.runtime.start_call(find))
    }

    /// Runs another workflow of the tenant as a child execution and comes to its output; pending.
    fn run_child(&self, py: Python<'_>, workflow: String, params: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let (ctx, params) = (self.ctx.clone(), to_json(params)?);
        let run = async move {
            let output = ctx.run_json(&workflow, params).await?;
            Ok(answer(move |py| to_python(py, output).map(Bound::unbind)))
        };
        hand_over(py, self.runtime.start_call(run))
    }

    /// The time on the hub's clock, in seconds since 1970.
    fn now(&self) -> f64 {
        seconds(self.ctx.now())
    }

    /// Waits on the hub's clock; pending.
    fn sleep(&self, py: Python<'_>, seconds: f64) -> PyResult<Py<PyAny>> {
        let ctx = self.ctx.clone();
        let limit = Duration::try_from_secs_f64(seconds)
            .map_err(|_| to_py(py, &Error::invalid("sleep", "this is no duration in seconds")))?;
        let wait = async move {
            ctx.sleep(limit).await;
            Ok(answer(|py| Ok(py.None())))
        };
        hand_over(py, self.runtime.start_call(wait))
    }

    /// Whether somebody asked to cancel.
    fn is_cancelled(&self) -> bool {
        self.ctx.cancelled().now_or_never().is_some()
    }

    /// Whether the hub has given the attempt up: nothing it does is stored any more.
    fn is_abandoned(&self) -> bool {
        !self.end.is_open() || self.end.is_abandoned()
    }
}

/// A time as Python's `datetime.fromtimestamp` takes it.
#[allow(clippy::cast_precision_loss, reason = "milliseconds since 1970 stay exact for 285,000 years")]
pub(crate) fn seconds(time: bifrost::Timestamp) -> f64 {
    time.as_millis() as f64 / 1000.0
}

fn plan_of(name: &str) -> Result<Plan> {
    Ok(match name {
        "step" => Plan::Step,
        "probe" => Plan::Effect(Doubt::Probe),
        "resend" => Plan::Effect(Doubt::Resend),
        "person" => Plan::Effect(Doubt::Person),
        _ => return Err(Error::internal("begin step", "no such plan")),
    })
}
