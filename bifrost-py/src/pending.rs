//! A call under way, which Python waits for: blocking, or through a mailbox of its event loop.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bifrost::{Error, ErrorKind, Result};
use pyo3::prelude::*;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use crate::error::to_py;
use crate::mailbox::{Mailbox, Post};
use crate::moment;
use crate::runtime::{Call, Started};

/// How often a blocked call looks whether Python wants to handle a signal, such as Ctrl-C.
const SIGNAL_CHECK: Duration = Duration::from_millis(50);

/// A result that becomes a Python object on the thread that fetches it.
pub(crate) type Answer = Box<dyn FnOnce(Python<'_>) -> PyResult<Py<PyAny>> + Send>;

/// An answer made of a conversion.
pub(crate) fn answer<F>(convert: F) -> Answer
where
    F: FnOnce(Python<'_>) -> PyResult<Py<PyAny>> + Send + 'static,
{
    Box::new(convert)
}

/// See the module.
#[pyclass(frozen, module = "bifrost._native")]
pub(crate) struct Pending {
    shared: Arc<Shared>,
    task: AbortHandle,
}

struct Shared {
    state: Mutex<State>,
    done: Condvar,
    /// Answers of the whole runtime that nobody has fetched yet.
    unfetched: Arc<AtomicUsize>,
}

enum State {
    Waiting(Option<(Post, u64)>),
    Done(Option<Result<Answer>>),
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn finish(&self, answer: Result<Answer>) {
        self.unfetched.fetch_add(1, Ordering::SeqCst);
        let before = std::mem::replace(&mut *self.lock(), State::Done(Some(answer)));
        self.done.notify_all();
        if let State::Waiting(Some((post, token))) = before {
            post.answered(token);
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if matches!(*self.lock(), State::Done(Some(_))) {
            self.unfetched.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

/// Finishes the call as aborted when its task ends without an answer.
struct Finisher(Arc<Shared>);

impl Drop for Finisher {
    fn drop(&mut self) {
        if matches!(*self.0.lock(), State::Waiting(_)) {
            self.0.finish(Err(Error::new(ErrorKind::Cancelled, "wait for the hub", "the call was given up")));
        }
    }
}

impl Pending {
    /// Goes on with `call` on the runtime.
    pub(crate) fn spawn(handle: &Handle, call: Call, unfetched: Arc<AtomicUsize>) -> Self {
        let state = Mutex::new(State::Waiting(None));
        let shared = Arc::new(Shared { state, done: Condvar::new(), unfetched });
        let finisher = Finisher(Arc::clone(&shared));
        let task = handle.spawn(async move {
            let answer = call.await;
            finisher.0.finish(answer);
        });
        Self { shared, task: task.abort_handle() }
    }

    /// Blocks for at most one round; true when it is done.
    fn wait_round(&self, limit: Duration) -> bool {
        let state = self.shared.lock();
        let waiting = |state: &mut State| matches!(state, State::Waiting(_));
        let waited = self.shared.done.wait_timeout_while(state, limit, waiting);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        matches!(*state, State::Done(_))
    }
}

#[pymethods]
impl Pending {
    /// Whether the answer is there.
    fn ready(&self) -> bool {
        matches!(*self.shared.lock(), State::Done(_))
    }

    /// The answer, once: its value, or the exception it came to.
    fn take(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let taken = match &mut *self.shared.lock() {
            State::Done(answer) => answer.take(),
            State::Waiting(_) => None,
        };
        if taken.is_some() {
            self.shared.unfetched.fetch_sub(1, Ordering::SeqCst);
        }
        match taken {
            Some(Ok(answer)) => answer(py),
            Some(Err(error)) => Err(to_py(py, &error)),
            None => Err(to_py(py, &Error::internal("take answer", "there is none, or it was taken before"))),
        }
    }

    /// Waits without the GIL until the answer is there, signals are to be handled or `timeout` seconds are over; then
    /// takes it. Without an answer in time: `None` inside a tuple of one is a value, the empty tuple is "not yet".
    #[pyo3(signature = (timeout=None))]
    fn wait(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Option<(Py<PyAny>,)>> {
        let deadline = timeout.map(|seconds| {
            moment::now()
                + Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::from_secs(u32::MAX.into()))
        });
        loop {
            let left = deadline.map_or(SIGNAL_CHECK, |deadline| deadline.saturating_duration_since(moment::now()));
            if py.detach(|| self.wait_round(left.min(SIGNAL_CHECK))) {
                return self.take(py).map(|value| Some((value,)));
            }
            py.check_signals()?;
            if left.is_zero() {
                return Ok(None);
            }
        }
    }

    /// Asks for a word in `mailbox` under `token` when the answer is there. False when it is there already.
    fn post(&self, mailbox: &Mailbox, token: u64) -> bool {
        match &mut *self.shared.lock() {
            State::Waiting(post) => {
                *post = Some((mailbox.post(), token));
                true
            }
            State::Done(_) => false,
        }
    }

    /// Gives the call up: what it had not done yet will not be done.
    fn cancel(&self) {
        self.task.abort();
    }
}

/// Hands over what `started` came to: the value itself where no wait was needed, else the [`Pending`] call.
pub(crate) fn hand_over(py: Python<'_>, started: Started) -> PyResult<Py<PyAny>> {
    match started {
        Started::Done(Ok(answer)) => answer(py),
        Started::Done(Err(error)) => Err(to_py(py, &error)),
        Started::Pending(pending) => Ok(Py::new(py, pending)?.into_any()),
    }
}
