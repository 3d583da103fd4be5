//! A clock that moves when told, for tests.

use std::time::Duration;

use bifrost::testing::ManualClock;
use bifrost::{Clock as _, Error, Timestamp};
use pyo3::prelude::*;

use crate::error::to_py;
use crate::run::seconds;

/// See the module.
#[pyclass(frozen, module = "bifrost._native")]
pub(crate) struct Clock(ManualClock);

impl Clock {
    /// The clock itself.
    pub(crate) fn inner(&self) -> ManualClock {
        self.0.clone()
    }
}

#[pymethods]
impl Clock {
    /// A clock that stands at `start`, in seconds since 1970.
    #[new]
    #[allow(clippy::cast_possible_truncation, reason = "no date is that far away")]
    fn new(start: f64) -> Self {
        Self(ManualClock::starting_at(Timestamp::from_millis((start * 1000.0) as i64)))
    }

    /// The time, in seconds since 1970.
    fn now(&self) -> f64 {
        seconds(self.0.now())
    }

    /// Moves on, waking whoever's wait is over.
    fn advance(&self, py: Python<'_>, seconds: f64) -> PyResult<()> {
        let step = Duration::try_from_secs_f64(seconds)
            .map_err(|_| to_py(py, &Error::invalid("advance clock", "this is no duration in seconds")))?;
        self.0.advance(step);
        Ok(())
    }

    /// Seconds until the next waiter is due; `None` when nobody waits.
    fn next_due(&self) -> Option<f64> {
        self.0.next_due().map(|wait| wait.as_secs_f64())
    }

    /// How many wait.
    fn waiting(&self) -> usize {
        self.0.sleepers()
    }
}
