//! The hub's errors as Python exceptions, and back.
//!
//! The exception tree is Python (`bifrost._errors`): there a class can have both `BifrostError` and a built-in as its
//! base, carry attributes and be pickled. Here is only the crossing.

use std::time::Duration;

use bifrost::{Error, ErrorKind, Retry};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use serde_json::Value;

/// The exception for `error`.
pub(crate) fn to_py(py: Python<'_>, error: &Error) -> PyErr {
    make(py, error).unwrap_or_else(|failed| failed)
}

fn make(py: Python<'_>, error: &Error) -> PyResult<PyErr> {
    static FROM_NATIVE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let from_native = FROM_NATIVE.import(py, "bifrost._errors", "from_native")?;
    let report = error.to_report();
    let retry = match report.retry {
        Retry::Never => None,
        Retry::Later => Some(0.0),
        Retry::After(wait) => Some(wait.as_secs_f64()),
    };
    let exception = from_native.call1((
        report.kind.code(),
        report.operation,
        report.message,
        report.context,
        retry,
        report.next_action,
    ))?;
    Ok(PyErr::from_value(exception))
}

/// An error as Python code describes it: see `bifrost._errors.describe`.
#[derive(FromPyObject)]
pub(crate) struct Described {
    code: String,
    operation: String,
    message: String,
    context: Vec<(String, String)>,
    retry: Option<f64>,
    next_action: Option<String>,
}

impl Described {
    /// The error it describes; an unknown code is the workflow's own failure.
    pub(crate) fn into_error(self) -> Error {
        let kind = serde_json::from_value(Value::String(self.code)).unwrap_or(ErrorKind::WorkflowFailed);
        let retry = match self.retry {
            None => Retry::Never,
            Some(wait) => match Duration::try_from_secs_f64(wait) {
                Ok(wait) if !wait.is_zero() => Retry::After(wait),
                _ => Retry::Later,
            },
        };
        let mut error = Error::new(kind, self.operation, self.message).retry(retry);
        for (key, value) in self.context {
            error = error.with(key, value);
        }
        match self.next_action {
            Some(action) => error.next_action(action),
            None => error,
        }
    }
}
