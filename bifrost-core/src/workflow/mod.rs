//! Workflows: what the hub runs, and what they see while they run.
//!
//! A workflow is anything that implements [`Workflow`]; [`workflow`] makes one of a typed async function. The
//! running system calls it with a [`Context`], its only door to the outside: steps, effects, configuration, secrets,
//! connections, progress, log and clock. Workflows in other languages plug in at the same two traits, [`Workflow`] and
//! [`ContextHost`](host::ContextHost).

mod child;
mod closures;
pub mod context;
pub mod drive;
pub mod effect;
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

pub use context::{Context, SecretHandle};
pub use drive::{Doubt, Drive, Next, Plan, Probe};
pub use effect::{Effect, ProbedEffect};
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

    /// Whether it could run now, asked before an execution is accepted: `Overloaded` when what it runs in hangs.
    ///
    /// # Errors
    /// Why not. The caller sees it, with tenant and workflow noted beside it.
    fn admits(&self) -> Result<()> {
        Ok(())
    }

    /// True when its code runs where the hub does not poll it, such as an interpreter's own thread: it then says itself
    /// when it has come to rest, with [`Context::came_to_rest`], and that the future of [`Workflow::run`] waits means
    /// nothing.
    fn announces_rest(&self) -> bool {
        false
    }
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

    /// Adds a workflow in the place of the one of the same name, which is returned.
    pub fn replace(&mut self, workflow: Arc<dyn Workflow>) -> Option<Arc<dyn Workflow>> {
        self.0.insert(workflow.spec().name().clone(), workflow)
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
