//! Workflows made of typed async functions.

use std::future::Future;
use std::marker::PhantomData;
use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Workflow;
use super::context::Context;
use super::schema::ParamSchema;
use super::spec::{Deadlines, WorkflowSpec};
use crate::error::{Error, ErrorKind, Result};
use crate::id::WorkflowName;
use crate::policy::retry::RetryPolicy;

/// A workflow of a typed async function: parameters come from `P`'s schema, the output is `T` as JSON.
///
/// ```
/// use bifrost_core::{Result, workflow::{Context, workflow}};
///
/// #[derive(serde::Deserialize, schemars::JsonSchema)]
/// struct Greeting { name: String }
///
/// let greet = workflow("greet", |ctx: Context, greeting: Greeting| async move {
///     ctx.step("greet", || async { Ok(format!("Hello, {}!", greeting.name)) }).await
/// })?;
/// # Ok::<(), bifrost_core::Error>(())
/// ```
///
/// # Errors
/// `InvalidInput` when the name or the schema of `P` is not valid.
pub fn workflow<P, T, F, Fut>(name: &str, function: F) -> Result<FnWorkflow<P, F>>
where
    P: DeserializeOwned + JsonSchema + Send + 'static,
    T: Serialize,
    F: Fn(Context, P) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<T>> + Send,
{
    let spec = WorkflowSpec::new(WorkflowName::new(name)?, ParamSchema::of::<P>()?);
    Ok(FnWorkflow { spec, function, params: PhantomData })
}

/// See [`workflow`].
pub struct FnWorkflow<P, F> {
    spec: WorkflowSpec,
    function: F,
    params: PhantomData<fn(P)>,
}

impl<P, F> FnWorkflow<P, F> {
    /// Sets what it is for, in words.
    #[must_use]
    pub fn with_description(mut self, description: impl Into<String>) -> Self {
        self.spec = self.spec.with_description(description);
        self
    }

    /// Sets how often it is retried as a whole; recorded steps are not repeated.
    #[must_use]
    pub fn with_retry(mut self, retry: RetryPolicy) -> Self {
        self.spec = self.spec.with_retry(retry);
        self
    }

    /// Sets how long it may wait in the queue.
    #[must_use]
    pub fn with_queue_deadline(self, queue: Duration) -> Self {
        let deadlines = Deadlines { queue, ..*self.spec.deadlines() };
        self.with_deadlines(deadlines)
    }

    /// Sets how long it may take, all attempts together.
    #[must_use]
    pub fn with_run_deadline(self, run: Duration) -> Self {
        let deadlines = Deadlines { run, ..*self.spec.deadlines() };
        self.with_deadlines(deadlines)
    }

    /// Sets how long one call of a step may take.
    #[must_use]
    pub fn with_step_deadline(self, step: Duration) -> Self {
        let deadlines = Deadlines { step, ..*self.spec.deadlines() };
        self.with_deadlines(deadlines)
    }

    fn with_deadlines(mut self, deadlines: Deadlines) -> Self {
        self.spec = self.spec.with_deadlines(deadlines);
        self
    }
}

#[async_trait]
impl<P, T, F, Fut> Workflow for FnWorkflow<P, F>
where
    P: DeserializeOwned + JsonSchema + Send + 'static,
    T: Serialize,
    F: Fn(Context, P) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<T>> + Send,
{
    fn spec(&self) -> &WorkflowSpec {
        &self.spec
    }

    async fn run(&self, ctx: Context, params: Value) -> Result<Value> {
        // The schema has passed; what is left are rules serde knows and JSON Schema does not.
        let params = serde_json::from_value(params)
            .map_err(|error| Error::invalid("read parameters", error.to_string()).with("workflow", self.spec.name()))?;
        let output = (self.function)(ctx, params).await?;
        serde_json::to_value(output).map_err(|error| {
            Error::new(ErrorKind::WorkflowFailed, "run workflow", "the output does not serialize as JSON").source(error)
        })
    }
}
