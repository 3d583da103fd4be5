//! Workflows: what the hub runs, and what they see while they run.
//!
//! A workflow is anything that implements [`Workflow`]; [`workflow`] makes one of a typed async function. The
//! running system calls it with a [`Context`], its only door to the outside: steps, effects, configuration, secrets,
//! connections, progress, log and clock. Workflows in other languages plug in at the same two traits, [`Workflow`] and
//! [`ContextHost`](host::ContextHost).

pub mod context;
pub mod function;
pub mod host;
pub mod schema;
pub mod spec;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use crate::error::{Error, Result};
use crate::id::WorkflowName;

pub use context::{Context, Probe};
pub use function::{FnWorkflow, workflow};
pub use schema::ParamSchema;
pub use spec::{Deadlines, WorkflowSpec};

/// Something the hub can run.
#[async_trait]
pub trait Workflow: Send + Sync + 'static {
    /// Name, parameters and policies.
    fn spec(&self) -> &WorkflowSpec;

    /// Runs it once with parameters that fit the schema.
    ///
    /// # Errors
    /// Any error; the hub retries it when the error says so and the policy allows.
    async fn run(&self, ctx: Context, params: Value) -> Result<Value>;
}

/// The workflows a hub knows.
#[derive(Clone, Default)]
pub struct WorkflowSet(BTreeMap<WorkflowName, Arc<dyn Workflow>>);

impl WorkflowSet {
    /// Adds a workflow.
    ///
    /// # Errors
    /// `AlreadyExists` when one of this name is there.
    pub fn add(&mut self, workflow: Arc<dyn Workflow>) -> Result<()> {
        let name = workflow.spec().name().clone();
        if self.0.contains_key(&name) {
            return Err(Error::new(
                crate::ErrorKind::AlreadyExists,
                "register workflow",
                "a workflow of this name is registered already",
            )
            .with("workflow", name));
        }
        self.0.insert(name, workflow);
        Ok(())
    }

    /// The workflow of this name.
    pub fn get(&self, name: &WorkflowName) -> Option<&Arc<dyn Workflow>> {
        self.0.get(name)
    }

    /// All names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &WorkflowName> {
        self.0.keys()
    }
}

impl std::fmt::Debug for WorkflowSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
