//! What the hub says of itself, on its way to Python's `logging`.
//!
//! The [`bridge`] turns events into records and puts them into a bounded [`queue`]; a Python thread fetches them. Whoever
//! says something takes no GIL and waits for nobody: what does not fit is counted instead. The extension module has its
//! own copy of `tracing`, so its global subscriber is nobody else's; it is set when the first hub opens.

mod bridge;
mod queue;
mod record;

use std::sync::Arc;
use std::time::Duration;

use pyo3::prelude::*;

use self::queue::Queue;
use self::record::Record;

/// Where records wait for Python: one for all hubs of the process.
#[pyclass(frozen, module = "bifrost._native")]
pub(crate) struct Logs(Arc<Queue>);

#[pymethods]
impl Logs {
    /// A new queue of at most `capacity` records, to which everything said from now on goes; nothing does before
    /// `set_level`.
    #[staticmethod]
    fn open(capacity: usize) -> Self {
        let queue = Arc::new(Queue::new(capacity));
        bridge::lead_to(Arc::clone(&queue));
        Self(queue)
    }

    /// From which level of Python's `logging` on things are said; below it nothing is even formatted.
    #[allow(clippy::unused_self, reason = "whoever sets the level holds the queue")]
    fn set_level(&self, py: Python<'_>, level: u32) {
        py.detach(|| bridge::set_level(level));
    }

    /// Waits without the GIL for records, at most `seconds`: all that are there, and how many were dropped after them.
    /// `None` when the queue is closed and empty.
    fn fetch(&self, py: Python<'_>, seconds: f64) -> Option<(Vec<Record>, u64)> {
        let limit = Duration::try_from_secs_f64(seconds).unwrap_or_default();
        py.detach(|| self.0.fetch(limit))
    }

    /// Takes nothing more, and wakes whoever fetches.
    fn close(&self, py: Python<'_>) {
        py.detach(|| {
            bridge::lead_nowhere(&self.0);
            self.0.close();
        });
    }
}
