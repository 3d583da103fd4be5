//! The tokio runtime under one hub.
//!
//! Its threads never take the GIL: answers and work for Python wait in queues and are converted by the Python thread
//! that fetches them. So no Python code can hold up the hub.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use bifrost::{Error, ErrorKind, Result};
use futures_util::FutureExt;
use pyo3::pyfunction;
use tokio::runtime::{Builder, Handle, Runtime as Tokio};

use crate::pending::{Answer, Pending};

/// Cheap to clone; the threads end with the last clone.
#[derive(Clone)]
pub(crate) struct Runtime(Arc<Inner>);

struct Inner {
    tokio: Option<Tokio>,
    /// How many forks this process had behind it when the runtime was started.
    forks: u32,
    /// Answers that nobody has fetched yet.
    unfetched: Arc<AtomicUsize>,
}

/// How many forks lie between this process and the one that imported the module. Counted by a hook that the package
/// registers, because asking for the process id on every call is a system call.
static FORKS: AtomicU32 = AtomicU32::new(0);

/// Notes that this is a forked child.
#[pyfunction]
pub(crate) fn note_fork() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}

/// A call of the hub.
pub(crate) type Call = Pin<Box<dyn Future<Output = Result<Answer>> + Send>>;

/// What starting a call came to.
pub(crate) enum Started {
    /// It needed no wait.
    Done(Result<Answer>),
    /// It goes on in the background.
    Pending(Pending),
}

impl Runtime {
    /// A runtime with `threads` of its own.
    pub(crate) fn start(threads: usize) -> Result<Self> {
        let tokio = Builder::new_multi_thread()
            .worker_threads(threads.max(1))
            .thread_name("bifrost")
            .enable_all()
            .build()
            .map_err(|error| Error::new(ErrorKind::Internal, "start runtime", error.to_string()))?;
        Ok(Self(Arc::new(Inner {
            tokio: Some(tokio),
            forks: FORKS.load(Ordering::Relaxed),
            unfetched: Arc::default(),
        })))
    }

    /// Refuses in a forked child: the threads stayed behind in the parent.
    pub(crate) fn check_process(&self) -> Result<()> {
        if self.0.forks == FORKS.load(Ordering::Relaxed) {
            return Ok(());
        }
        let message = "this hub was opened by the parent process; a forked child cannot use it";
        let action = "open a hub in the child, or start children with multiprocessing's `spawn` method";
        Err(Error::new(ErrorKind::Closed, "use hub after fork", message).next_action(action))
    }

    /// Starts `call`: what can be answered at once is, without another thread's help.
    pub(crate) fn start_call(&self, call: impl Future<Output = Result<Answer>> + Send + 'static) -> Started {
        if let Err(error) = self.check_process() {
            return Started::Done(Err(error));
        }
        let Ok(handle) = self.handle() else {
            return Started::Done(Err(closed()));
        };
        let _inside = handle.enter();
        let mut call = guarded(call);
        match call.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(answer) => Started::Done(answer),
            Poll::Pending => Started::Pending(Pending::spawn(&handle, call, Arc::clone(&self.0.unfetched))),
        }
    }

    /// Starts `call` on the runtime's threads: for what would keep the caller, and the GIL, for long.
    pub(crate) fn start_in_background(&self, call: impl Future<Output = Result<Answer>> + Send + 'static) -> Started {
        match self.check_process().and_then(|()| self.handle()) {
            Ok(handle) => Started::Pending(Pending::spawn(&handle, guarded(call), Arc::clone(&self.0.unfetched))),
            Err(error) => Started::Done(Err(error)),
        }
    }

    /// Whether every thread waits for something to happen, and Python has fetched every answer.
    pub(crate) fn is_resting(&self) -> bool {
        let Ok(handle) = self.handle() else { return true };
        let metrics = handle.metrics();
        // Odd while a thread is parked.
        let parked = |worker| metrics.worker_park_unpark_count(worker) % 2 == 1;
        self.0.unfetched.load(Ordering::SeqCst) == 0
            && metrics.global_queue_depth() == 0
            && (0..metrics.num_workers()).all(parked)
    }

    fn handle(&self) -> Result<Handle> {
        self.0.tokio.as_ref().map(|tokio| tokio.handle().clone()).ok_or_else(closed)
    }
}

/// The call, with a panic on its way as the error that it is: a defect of the hub, which must neither pass for a
/// cancelled call nor tear the interpreter down.
fn guarded(call: impl Future<Output = Result<Answer>> + Send + 'static) -> Call {
    Box::pin(AssertUnwindSafe(call).catch_unwind().map(|ended| ended.unwrap_or_else(|_| Err(panicked()))))
}

/// Nothing of the panic's own text: it may repeat a value.
fn panicked() -> Error {
    Error::internal("call hub", "the hub's own code panicked")
        .next_action("this is a defect of bifrost: report it with the lines that stand on standard error")
}

fn closed() -> Error {
    Error::new(ErrorKind::Closed, "call hub", "the hub's threads have ended")
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(tokio) = self.tokio.take() {
            if self.forks == FORKS.load(Ordering::Relaxed) {
                // Never waits: whoever wants an orderly end has shut the hub down before.
                tokio.shutdown_background();
            } else {
                // A forked child has none of the threads that would have to end.
                std::mem::forget(tokio);
            }
        }
    }
}
