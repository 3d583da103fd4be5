//! Child executions: another workflow of the same tenant, run as a step of this one.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::closures;
use super::context::Context;
use super::drive::{Doubt, Next, Plan};
use crate::error::{Error, Result, Retry};
use crate::execution::StepKind;
use crate::id::WorkflowName;

impl Context {
    /// Runs another workflow of this tenant as a child execution, waits for its end and keeps its output as the result
    /// of a step named `run` and the workflow. The child is an execution like any other, with its own steps, deadlines,
    /// retries and history, and names this one as its parent. After a crash the same child is found again, whatever the
    /// parameters are by then; it is never started twice.
    ///
    /// While it waits for a child, an execution holds no place among those that run: children cannot be kept from
    /// starting by the parents that wait for them. Code that it runs beside that wait runs without a place. Its own run
    /// deadline goes on. When this execution ends or is cancelled, children that have not ended are cancelled, also
    /// those that it no longer waits for.
    ///
    /// ```no_run
    /// # use bifrost_core::{Context, Result};
    /// # async fn example(ctx: Context) -> Result<()> {
    /// let user: String = ctx.run("create_user", "zoe@contoso.com").await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// The child's error, with its kind and message and the child's id noted as `child`; trying again does not cure it,
    /// the child has tried. Before a child is started: as for any execution, and `InvalidInput` when executions are
    /// nested deeper than [`MAX_NESTING`](crate::execution::MAX_NESTING).
    pub async fn run<T: DeserializeOwned>(&self, workflow: &str, params: impl Serialize) -> Result<T> {
        let params = serde_json::to_value(params)
            .map_err(|error| Error::invalid("read parameters", error.to_string()).with("workflow", workflow))?;
        let output = self.run_json(workflow, params).await?;
        closures::typed(&step_name(workflow), output)
    }

    /// The same with parameters and output as JSON.
    ///
    /// # Errors
    /// As [`Context::run`].
    pub async fn run_json(&self, workflow: &str, params: Value) -> Result<Value> {
        let workflow = WorkflowName::new(workflow)?;
        // Asked again, the hub finds the child by its key.
        let plan = Plan::Effect(Doubt::Resend);
        let (mut drive, mut next) = self.begin(&step_name(workflow.as_str()), StepKind::Child, plan).await?;
        loop {
            next = match next {
                Next::Done(result) => return result,
                Next::Call { key } | Next::Probe { key } => {
                    match self.host().run_child(&key, &workflow, &params).await {
                        Ok((child, outcome)) => {
                            let named = |error: Error| error.with("child", child).retry(Retry::Never);
                            return drive.conclude(outcome.into_output().map_err(named)).await;
                        }
                        Err(error) => drive.returned(Err(error)).await,
                    }
                }
            };
        }
    }
}

fn step_name(workflow: &str) -> String {
    format!("run {workflow}")
}
