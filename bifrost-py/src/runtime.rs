//! The tokio runtime under one hub.
//!
//! Its threads never take the GIL: answers and work for Python wait in queues and are converted by the Python thread
//! that fetches them. So no Python code can hold up the hub.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Waker};

use bifrost::{Error, ErrorKind, Result};
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
}

/// How many forks lie between this process and the one that imported the module. Counted by a hook that the package
/// registers, because asking for the process id on every call is a system call.
static FORKS: AtomicU32 = AtomicU32::new(0);

/// Notes that this is a forked child.
#[pyfunction]
pub(crate) fn note_fork() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}

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
        Ok(Self(Arc::new(Inner { tokio: Some(tokio), forks: FORKS.load(Ordering::Relaxed) })))
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
        let mut call = Box::pin(call);
        let first = || call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        match std::panic::catch_unwind(AssertUnwindSafe(first)) {
            Ok(Poll::Ready(answer)) => Started::Done(answer),
            Ok(Poll::Pending) => Started::Pending(Pending::spawn(&handle, call)),
            Err(_) => Started::Done(Err(panicked())),
        }
    }

    /// Starts `call` on the runtime's threads: for what would keep the caller, and the GIL, for long.
    pub(crate) fn start_in_background(&self, call: impl Future<Output = Result<Answer>> + Send + 'static) -> Started {
        match self.check_process().and_then(|()| self.handle()) {
            Ok(handle) => Started::Pending(Pending::spawn(&handle, Box::pin(call))),
            Err(error) => Started::Done(Err(error)),
        }
    }

    fn handle(&self) -> Result<Handle> {
        self.0.tokio.as_ref().map(|tokio| tokio.handle().clone()).ok_or_else(closed)
    }
}

fn closed() -> Error {
    Error::new(ErrorKind::Closed, "call hub", "the hub's threads have ended")
}

/// A defect of the hub; the panic itself has been reported where it happened.
pub(crate) fn panicked() -> Error {
    Error::internal("call hub", "the hub panicked; this is a defect of it")
        .next_action("report it, with what was called")
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
