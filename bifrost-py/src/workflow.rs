//! A workflow whose code is Python: Rust knows what it takes and how often it is retried, and posts its runs to the
//! mailbox of whoever executes it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bifrost::policy::retry::RetryPolicy;
use bifrost::workflows::{Deadlines, ParamSchema, WorkflowSpec};
use bifrost::{Context, Error, ErrorKind, Result, Workflow, WorkflowName};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::oneshot;

use crate::mailbox::Post;
use crate::run::Run;
use crate::runtime::Runtime;

/// What Python says about a workflow: see `bifrost._definition.Definition`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Description {
    name: String,
    /// Which of the mailbox's lanes runs it.
    lane: u64,
    description: String,
    schema: Value,
    run_seconds: Option<f64>,
    queue_seconds: Option<f64>,
    step_seconds: Option<f64>,
    retry: Option<RetryDescription>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RetryDescription {
    attempts: u32,
    delay: f64,
    max_delay: f64,
    only: Option<Vec<ErrorKind>>,
}

impl Description {
    fn spec(self) -> Result<WorkflowSpec> {
        let Deadlines { queue, run, step } = Deadlines::default();
        let deadlines = Deadlines {
            queue: seconds("queue_timeout", self.queue_seconds)?.unwrap_or(queue),
            run: seconds("timeout", self.run_seconds)?.unwrap_or(run),
            step: seconds("step_timeout", self.step_seconds)?.unwrap_or(step),
        };
        let mut spec = WorkflowSpec::new(WorkflowName::new(self.name)?, ParamSchema::new(self.schema)?)
            .with_description(self.description)
            .with_deadlines(deadlines);
        if let Some(retry) = self.retry {
            let initial = seconds("retry delay", Some(retry.delay))?.unwrap_or_default();
            let max = seconds("retry max_delay", Some(retry.max_delay))?.unwrap_or_default();
            let policy = RetryPolicy { kinds: retry.only, ..RetryPolicy::attempts(retry.attempts) };
            spec = spec.with_retry(policy.with_delay(initial, max));
        }
        Ok(spec)
    }
}

fn seconds(name: &str, value: Option<f64>) -> Result<Option<Duration>> {
    let Some(value) = value else { return Ok(None) };
    let found = Duration::try_from_secs_f64(value);
    found.map(Some).map_err(|_| Error::invalid("register workflow", format!("{name} is no duration in seconds")))
}

/// See the module.
pub(crate) struct PyWorkflow {
    spec: WorkflowSpec,
    lane: u64,
    post: Post,
    runtime: Runtime,
}

impl PyWorkflow {
    /// A workflow whose runs are posted to `post`.
    pub(crate) fn new(description: Description, post: Post, runtime: Runtime) -> Result<Self> {
        Ok(Self { lane: description.lane, spec: description.spec()?, post, runtime })
    }
}

#[async_trait]
impl Workflow for PyWorkflow {
    fn spec(&self) -> &WorkflowSpec {
        &self.spec
    }

    fn admits(&self) -> Result<()> {
        self.post.check()
    }

    /// The hub polls a channel, not the code: that the channel is empty means nothing.
    fn announces_rest(&self) -> bool {
        true
    }

    async fn run(&self, ctx: Context, params: Value) -> Result<Value> {
        static NUMBERS: AtomicU64 = AtomicU64::new(1);
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        let (reply, returned) = oneshot::channel();
        // Dropped with this future: when the hub gives the attempt up, Python hears of it.
        let mut watch = Watch { post: &self.post, number, over: false };
        self.post.start(Run::new((self.lane, number), ctx.clone(), params, reply, self.runtime.clone()));
        tokio::pin!(returned);
        let result = tokio::select! {
            biased;
            result = &mut returned => result,
            () = ctx.cancelled() => {
                self.post.cancel(number, "the execution was cancelled");
                returned.await
            }
        };
        watch.over = true;
        result.unwrap_or_else(|_| Err(gone()))
    }
}

/// The interpreter let go of the run without an answer: it is closing.
fn gone() -> Error {
    Error::new(ErrorKind::Closed, "run workflow", "the Python side was closed before the workflow ended")
        .retry(bifrost::Retry::Later)
}

struct Watch<'a> {
    post: &'a Post,
    number: u64,
    over: bool,
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if !self.over {
            self.post.cancel(self.number, "the attempt was ended by the hub");
        }
    }
}
