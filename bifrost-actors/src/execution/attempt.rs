//! One attempt: the workflow's code, run in a task of its own.

use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use bifrost_core::workflow::{Context, Workflow};
use bifrost_core::{ErrorKind, Result};
use futures_util::future::poll_fn;
use ractor::ActorRef;
use serde_json::Value;

use super::journal::Journal;
use super::message::ExecutionMessage;
use crate::task::{Task, report};

/// How the workflow's code returned.
#[derive(Debug)]
pub(crate) struct AttemptEnd {
    /// What it returned.
    pub(crate) result: Result<Value>,
}

/// A running attempt. Dropping it, also because the actor died, closes it in the journal and ends its task.
pub(crate) struct Attempt {
    number: u32,
    journal: Arc<Journal>,
    _task: Task,
}

impl Attempt {
    /// Starts the workflow's code; its end is reported to `actor`.
    pub(crate) fn start(
        number: u32,
        workflow: Arc<dyn Workflow>,
        context: Context,
        params: Value,
        journal: &Arc<Journal>,
        actor: &ActorRef<ExecutionMessage>,
    ) -> Self {
        let run = run(number, workflow, context, params, Arc::clone(journal));
        let task = report(actor, run, move |end| ExecutionMessage::AttemptEnded { attempt: number, end });
        Self { number, journal: Arc::clone(journal), _task: task }
    }

    /// Which attempt it is.
    pub(crate) fn number(&self) -> u32 {
        self.number
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.journal.close_attempt(ErrorKind::Closed, "this attempt has ended");
    }
}

async fn run(
    number: u32,
    workflow: Arc<dyn Workflow>,
    context: Context,
    params: Value,
    journal: Arc<Journal>,
) -> AttemptEnd {
    let announced = workflow.announces_rest();
    let mut code = pin!(workflow.run(context, params));
    let result = poll_fn(|cx| match code.as_mut().poll(cx) {
        Poll::Ready(result) => Poll::Ready(result),
        Poll::Pending => {
            if !announced {
                journal.at_rest(number);
            }
            Poll::Pending
        }
    })
    .await;
    AttemptEnd { result }
}
