//! What an execution tells while it runs: ordered, without gaps, readable again from any number.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::execution::{ExecutionState, StepKind};
use crate::id::{ExecutionId, WorkflowName};
use crate::time::Timestamp;

/// One event. Published once it is durable, so a number never changes its meaning.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Its number within the execution, from 1, without gaps.
    pub seq: u64,
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    #[serde(flatten)]
    pub body: EventBody,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum EventBody {
    /// The execution moved.
    State {
        /// To this state.
        state: ExecutionState,
        /// In this attempt.
        attempt: u32,
        /// Why, where there is something to say.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// A step or effect was begun.
    StepStarted {
        /// Its name.
        name: String,
        /// How many of this name came before.
        occurrence: u32,
        /// Step or effect.
        kind: StepKind,
    },
    /// It ended well, and its result is stored.
    StepFinished {
        /// Its name.
        name: String,
        /// How many of this name came before.
        occurrence: u32,
    },
    /// It ended with an error.
    StepFailed {
        /// Its name.
        name: String,
        /// How many of this name came before.
        occurrence: u32,
        /// The error, in one line.
        error: String,
    },
    /// A child execution was started, or found again by a later attempt; the execution waits for its end.
    ChildStarted {
        /// What it runs.
        workflow: WorkflowName,
        /// Which one it is.
        child: ExecutionId,
    },
    /// The workflow reports how far it is.
    Progress {
        /// So many are done …
        done: u64,
        /// … of so many.
        total: u64,
        /// In words.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        message: String,
    },
    /// The workflow says something.
    Log {
        /// How important it is.
        level: LogLevel,
        /// What it says.
        message: String,
        /// Facts beside it.
        #[serde(default, skip_serializing_if = "Value::is_null")]
        fields: Value,
    },
    /// The workflow reports a problem it lives with.
    Problem {
        /// The error, in one line.
        error: String,
    },
    /// The tenant's limit of events is reached; later progress and logs are dropped.
    Truncated {
        /// That limit.
        limit: u32,
    },
}

/// How important a log event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// For whoever debugs.
    Debug,
    /// For whoever follows.
    Info,
    /// Something to look at.
    Warn,
    /// Something went wrong.
    Error,
}
