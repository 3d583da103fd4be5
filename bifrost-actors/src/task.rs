//! Tasks that belong to an actor: dropped with its state, and reporting back by message even when they panic.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use bifrost_core::{Clock, Error};
use futures_util::FutureExt;
use ractor::{ActorRef, Message};
use tokio::task::AbortHandle;

/// A running task; dropping this ends it at its next await.
#[derive(Debug)]
pub(crate) struct Task(AbortHandle);

impl Task {
    /// True when it has ended.
    pub(crate) fn is_finished(&self) -> bool {
        self.0.is_finished()
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Runs `future` and sends what it gives to `actor`.
pub(crate) fn report<M: Message, T: Send + 'static>(
    actor: &ActorRef<M>,
    future: impl Future<Output = T> + Send + 'static,
    message: impl FnOnce(Result<T, Error>) -> M + Send + 'static,
) -> Task {
    let actor = actor.clone();
    let task = tokio::spawn(async move {
        let result =
            AssertUnwindSafe(future).catch_unwind().await.map_err(|panic| panicked("run task", panic.as_ref()));
        // An actor that is gone has no use for it.
        let _ = actor.cast(message(result));
    });
    Task(task.abort_handle())
}

/// The same for work that goes on when its actor has ended; `held` is let go after the actor was told.
pub(crate) fn report_anyway<M: Message, T: Send + 'static>(
    actor: &ActorRef<M>,
    future: impl Future<Output = T> + Send + 'static,
    held: impl Send + 'static,
    message: impl FnOnce(Result<T, Error>) -> M + Send + 'static,
) {
    let actor = actor.clone();
    tokio::spawn(async move {
        let result =
            AssertUnwindSafe(future).catch_unwind().await.map_err(|panic| panicked("run task", panic.as_ref()));
        // An actor that is gone has no use for it.
        let _ = actor.cast(message(result));
        drop(held);
    });
}

/// Sends `message` to `actor` after `delay`.
pub(crate) fn after<M: Message>(clock: &Arc<dyn Clock>, delay: Duration, actor: &ActorRef<M>, message: M) -> Task {
    let sleep = clock.sleep(delay);
    let actor = actor.clone();
    let task = tokio::spawn(async move {
        sleep.await;
        // An actor that is gone has no use for it.
        let _ = actor.cast(message);
    });
    Task(task.abort_handle())
}

/// A panic as an error.
pub(crate) fn panicked(operation: &'static str, panic: &(dyn Any + Send)) -> Error {
    const MAX: usize = 500;
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_default();
    let text: String = text.chars().take(MAX).collect();
    Error::internal(operation, format!("the code panicked: {text}"))
}

/// Runs `future` until it ends or the task is dropped.
pub(crate) fn spawn(future: impl Future<Output = ()> + Send + 'static) -> Task {
    Task(tokio::spawn(future).abort_handle())
}
