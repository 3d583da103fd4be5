//! A step that Python drives: the hub says what to do next, Python does it and says what came of it.

use std::sync::{Arc, Mutex, PoisonError};

use bifrost::workflows::{Drive, Next};
use bifrost::{Error, Probe, Result};
use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use serde_json::Value;

use crate::convert::{to_json, to_python};
use crate::error::{Described, to_py};
use crate::pending::{Answer, answer, hand_over};
use crate::runtime::Runtime;

/// See the module.
#[pyclass(frozen, module = "bifrost._native")]
pub(crate) struct Step {
    drive: Arc<Mutex<Option<Drive>>>,
    limit: f64,
    runtime: Runtime,
}

impl Step {
    /// What beginning a step came to, as `(step, action, payload)`.
    pub(crate) fn begun(py: Python<'_>, drive: Drive, next: Next, runtime: Runtime) -> PyResult<Py<PyAny>> {
        let limit = drive.limit().as_secs_f64();
        let (action, payload) = told(py, next)?;
        if action == "done" {
            return (py.None(), action, payload).into_py_any(py);
        }
        let step = Self { drive: Arc::new(Mutex::new(Some(drive))), limit, runtime };
        (step, action, payload).into_py_any(py)
    }

    /// Tells the hub what came of it; the drive is out of reach until it has answered.
    fn tell<F, Fut>(&self, py: Python<'_>, tell: F) -> PyResult<Py<PyAny>>
    where
        F: FnOnce(Drive) -> Fut,
        Fut: Future<Output = (Drive, Next)> + Send + 'static,
    {
        let Some(drive) = self.lock().take() else {
            return Err(to_py(py, &Error::internal("run step", "the step is being told something already")));
        };
        let (told_by, slot) = (tell(drive), Arc::clone(&self.drive));
        let call = async move {
            let (drive, next) = told_by.await;
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(drive);
            Ok::<Answer, Error>(answer(move |py| told(py, next)?.into_py_any(py)))
        };
        hand_over(py, self.runtime.start_call(call))
    }

    fn returned(&self, py: Python<'_>, result: Result<Value>) -> PyResult<Py<PyAny>> {
        self.tell(py, |mut drive| async move {
            let next = drive.returned(result).await;
            (drive, next)
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Drive>> {
        self.drive.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl Step {
    /// How many seconds one call may take.
    #[getter]
    fn limit(&self) -> f64 {
        self.limit
    }

    /// The call returned `value`: `(action, payload)`, or a pending call that comes to that.
    fn succeeded(&self, py: Python<'_>, value: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let value = to_json(value)?;
        self.returned(py, Ok(value))
    }

    /// The call failed.
    fn failed(&self, py: Python<'_>, error: Described) -> PyResult<Py<PyAny>> {
        self.returned(py, Err(error.into_error()))
    }

    /// The call took longer than it may.
    fn overdue(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let error = self.lock().as_ref().map(Drive::overdue);
        let missing = || Error::internal("run step", "the step is being told something already");
        self.returned(py, Err(error.unwrap_or_else(missing)))
    }

    /// The probe found out: `verdict` is one of `done` (with the write's result), `not_done`, `unknown`.
    fn probed(&self, py: Python<'_>, verdict: &str, value: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let found = match verdict {
            "done" => Probe::Done(to_json(value)?),
            "not_done" => Probe::NotDone,
            _ => Probe::Unknown,
        };
        self.tell(py, |mut drive| async move {
            let next = drive.probed(Ok(found)).await;
            (drive, next)
        })
    }

    /// The probe failed.
    fn probe_failed(&self, py: Python<'_>, error: Described) -> PyResult<Py<PyAny>> {
        self.tell(py, |mut drive| async move {
            let next = drive.probed(Err(error.into_error())).await;
            (drive, next)
        })
    }
}

/// What to do next, as Python reads it. A step that ended with an error raises it.
fn told(py: Python<'_>, next: Next) -> PyResult<(&'static str, Py<PyAny>)> {
    Ok(match next {
        Next::Call { key } => ("call", key.into_py_any(py)?),
        Next::Probe { key } => ("probe", key.into_py_any(py)?),
        Next::Done(Ok(value)) => ("done", to_python(py, value)?.unbind()),
        Next::Done(Err(error)) => return Err(to_py(py, &error)),
    })
}
