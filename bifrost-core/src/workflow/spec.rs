//! Name, parameters and policies of a workflow.

use std::time::Duration;

use crate::id::WorkflowName;
use crate::policy::retry::RetryPolicy;
use crate::workflow::schema::ParamSchema;

/// How long the phases of an execution may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    /// From acceptance to the first attempt.
    pub queue: Duration,
    /// From the first attempt to the end, all attempts and the delays between them included.
    pub run: Duration,
    /// One call of a step's or effect's function.
    pub step: Duration,
}

impl Default for Deadlines {
    /// One hour in the queue, 30 minutes to run, five minutes a step.
    fn default() -> Self {
        Self {
            queue: Duration::from_secs(60 * 60),
            run: Duration::from_secs(30 * 60),
            step: Duration::from_secs(5 * 60),
        }
    }
}

/// What the hub knows of a workflow without running it.
#[derive(Debug, Clone)]
pub struct WorkflowSpec {
    name: WorkflowName,
    description: String,
    params: ParamSchema,
    retry: RetryPolicy,
    deadlines: Deadlines,
}

impl WorkflowSpec {
    /// A workflow called `name` that takes `params`, with the default policies.
    pub fn new(name: WorkflowName, params: ParamSchema) -> Self {
        Self {
            name,
            description: String::new(),
            params,
            retry: RetryPolicy::default(),
            deadlines: Deadlines::default(),
        }
    }

    /// Sets what it is for, in words.
    #[must_use]
    pub fn with_description(mut self, description: impl Into<String>) -> Self {
        self.description = description.into();
        self
    }

    /// Sets how often it is retried as a whole; recorded steps are not repeated.
    #[must_use]
    pub fn with_retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }

    /// Sets how long it may take.
    #[must_use]
    pub fn with_deadlines(mut self, deadlines: Deadlines) -> Self {
        self.deadlines = deadlines;
        self
    }

    /// Its name.
    pub fn name(&self) -> &WorkflowName {
        &self.name
    }

    /// What it is for.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// What it takes.
    pub fn params(&self) -> &ParamSchema {
        &self.params
    }

    /// How often it is retried.
    pub fn retry(&self) -> &RetryPolicy {
        &self.retry
    }

    /// How long it may take.
    pub fn deadlines(&self) -> &Deadlines {
        &self.deadlines
    }
}
