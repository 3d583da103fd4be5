//! Executions: their states, the one transition table, and the records that are stored.
//!
//! ```text
//! Scheduled → Pending → Running → { Succeeded | CompletedWithErrors | Failed | TimedOut }
//! Pending | Running → Cancelling → Cancelled
//! Running → NeedsAttention → { Running | Failed | Cancelled }
//! ```

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{Error, ErrorKind, ErrorReport, Result};
use crate::event::Event;
use crate::id::{ExecutionId, IdempotencyKey, WorkflowName};
use crate::principal::Principal;
use crate::time::Timestamp;

/// Where an execution stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExecutionState {
    /// Accepted, to start at a later time.
    Scheduled,
    /// Accepted, waiting for a slot, or for the delay before the next attempt.
    Pending,
    /// The workflow runs.
    Running,
    /// Somebody asked to cancel; the workflow is being stopped.
    Cancelling,
    /// It waits for a person to decide.
    NeedsAttention,
    /// It ended well.
    Succeeded,
    /// It ended, and reported problems on the way.
    CompletedWithErrors,
    /// It ended with an error.
    Failed,
    /// A deadline passed.
    TimedOut,
    /// It was cancelled.
    Cancelled,
}

impl ExecutionState {
    /// All states.
    pub const ALL: [Self; 10] = [
        Self::Scheduled,
        Self::Pending,
        Self::Running,
        Self::Cancelling,
        Self::NeedsAttention,
        Self::Succeeded,
        Self::CompletedWithErrors,
        Self::Failed,
        Self::TimedOut,
        Self::Cancelled,
    ];

    /// The table: whether an execution may go from here to `next`.
    pub fn can_become(self, next: Self) -> bool {
        use ExecutionState as S;
        matches!(
            (self, next),
            (S::Scheduled, S::Pending | S::Cancelled)
                | (S::Pending, S::Running | S::Cancelling | S::TimedOut | S::Failed)
                // Back to `Pending`: the delay before another attempt, and work re-queued at shutdown.
                | (S::Running, S::Pending | S::Cancelling | S::NeedsAttention)
                | (S::Running, S::Succeeded | S::CompletedWithErrors | S::Failed | S::TimedOut)
                | (S::Cancelling, S::Cancelled)
                | (S::NeedsAttention, S::Pending | S::Running | S::Failed | S::Cancelled)
        )
    }

    /// True when nothing can follow.
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Succeeded | Self::CompletedWithErrors | Self::Failed | Self::TimedOut | Self::Cancelled)
    }
}

impl std::fmt::Display for ExecutionState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Scheduled => "scheduled",
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Cancelling => "cancelling",
            Self::NeedsAttention => "needs_attention",
            Self::Succeeded => "succeeded",
            Self::CompletedWithErrors => "completed_with_errors",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
            Self::Cancelled => "cancelled",
        })
    }
}

/// What a person must decide before an execution goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Attention {
    /// An external write may or may not have been applied, and no probe could tell.
    UnknownEffect {
        /// The effect's place in the journal.
        ordinal: u32,
        /// Its name.
        name: String,
    },
    /// The workflow's code no longer asks for the steps that were recorded.
    ShapeChanged {
        /// The steps in the journal, as `name#occurrence`.
        recorded: Vec<String>,
        /// The steps this run asked for, as `name#occurrence`.
        requested: Vec<String>,
    },
    /// The workflow is not registered in this process.
    WorkflowMissing,
    /// It brought the process or its actor down too often, and got no further in between.
    Poisoned {
        /// How often it was resumed since it got further.
        recoveries: u32,
    },
}

/// How a person resolves an execution in [`ExecutionState::NeedsAttention`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "decision", rename_all = "snake_case")]
pub enum Resolution {
    /// The write was applied; this is its result. Go on.
    Done {
        /// What the effect returned.
        result: Value,
    },
    /// The write was not applied. Do it, and go on.
    NotDone,
    /// Try again as it is, for instance after deploying the code that fits the journal.
    Resume,
    /// Give up.
    Abort,
}

/// What came of an execution that is terminal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The terminal state.
    pub state: ExecutionState,
    /// What the workflow returned.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub output: Value,
    /// The error that ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorReport>,
    /// Problems it reported and lived with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<ErrorReport>,
}

impl Outcome {
    /// The output, or the error that ended the execution.
    ///
    /// # Errors
    /// What ended it. `CompletedWithErrors` is no error here: look at [`Outcome::problems`].
    pub fn into_output(self) -> Result<Value> {
        match (self.state, self.error) {
            (ExecutionState::Succeeded | ExecutionState::CompletedWithErrors, _) => Ok(self.output),
            (_, Some(error)) => Err(error.to_error()),
            (state, None) => Err(Error::new(ErrorKind::WorkflowFailed, "run workflow", format!("it ended {state}"))),
        }
    }
}

/// How many parents may stand above an execution.
pub const MAX_NESTING: u32 = 16;

/// An execution as it is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExecutionRecord {
    /// Its identifier.
    pub id: ExecutionId,
    /// The workflow it runs.
    pub workflow: WorkflowName,
    /// What the workflow was given.
    pub params: Value,
    /// Who asked for it; a child's is its parent's.
    pub principal: Principal,
    /// The execution that started it as its child and waits for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<ExecutionId>,
    /// How many parents there are above it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub depth: u32,
    /// The caller's own key, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<IdempotencyKey>,
    /// Where it stands.
    pub state: ExecutionState,
    /// Which start of the hub owns it: writes of an earlier one are refused.
    pub epoch: u64,
    /// Which attempt this is, from 1; 0 before the first.
    pub attempt: u32,
    /// How often it was taken up again after its process or actor died.
    #[serde(default)]
    pub recoveries: u32,
    /// How many of these it is suspected of: it may have run when its process died, and has finished no step since.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub suspicions: u32,
    /// When it was accepted.
    pub accepted_at: Timestamp,
    /// When the first attempt began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// Until when it must have started.
    pub queue_deadline: Timestamp,
    /// Until when it must have ended; set when the first attempt begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_deadline: Option<Timestamp>,
    /// When it starts, while it is scheduled; when the next attempt begins, while it waits for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<Timestamp>,
    /// When it became terminal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// What a person must decide.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attention: Option<Attention>,
    /// What came of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// The sequence number of the last event; events count from 1.
    #[serde(default)]
    pub last_event: u64,
    /// The events that became durable with this record, those in steps and pages come before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<Event>,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl ExecutionRecord {
    /// Moves it to `next`.
    ///
    /// # Errors
    /// `Conflict` when the table does not allow it; the record is unchanged.
    pub fn become_state(&mut self, next: ExecutionState) -> Result<()> {
        if self.state.can_become(next) {
            self.state = next;
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Conflict,
            "change execution",
            format!("an execution that is {} cannot become {next}", self.state),
        )
        .with("execution", self.id))
    }
}

/// A pure step, an effect, which is a write to the outside, or a child execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepKind {
    /// Runs again if its result was not stored.
    Step,
    /// Is journalled before it is sent, and never blindly repeated.
    Effect,
    /// Is journalled before it is started, and found again by its key.
    Child,
}

/// What is known of a step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum StepState {
    /// An effect is about to be sent: after a crash, its outcome is unknown.
    Intended,
    /// An effect was sent and its outcome is unknown.
    Unknown,
    /// It failed in a way that may pass, and was certainly not applied; it may be tried again.
    NotApplied {
        /// The failure.
        error: ErrorReport,
    },
    /// It ended well.
    Confirmed {
        /// What it returned.
        result: Value,
    },
    /// It ended with an error that trying again does not cure.
    Refused {
        /// That error.
        error: ErrorReport,
    },
}

impl StepState {
    /// True when it will not run again.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Confirmed { .. } | Self::Refused { .. })
    }
}

/// A step as it is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepRecord {
    /// Its place in the order in which steps were first asked for, from 0.
    pub ordinal: u32,
    /// Its name.
    pub name: String,
    /// How many steps of this name came before.
    pub occurrence: u32,
    /// Step or effect.
    pub kind: StepKind,
    /// What is known of it.
    #[serde(flatten)]
    pub state: StepState,
    /// How often it was begun.
    pub attempts: u32,
    /// When it was first begun.
    pub started_at: Timestamp,
    /// When its state last changed.
    pub changed_at: Timestamp,
    /// The events that became durable with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<Event>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use ExecutionState as S;

    #[test]
    fn terminal_states_absorb() {
        for from in S::ALL {
            for to in S::ALL {
                if from.is_terminal() {
                    assert!(!from.can_become(to), "{from} → {to}");
                }
            }
        }
    }

    #[test]
    fn the_table_is_exactly_this() {
        let allowed: Vec<(S, S)> = S::ALL
            .into_iter()
            .flat_map(|from| S::ALL.into_iter().map(move |to| (from, to)))
            .filter(|(from, to)| from.can_become(*to))
            .collect();
        let expected = vec![
            (S::Scheduled, S::Pending),
            (S::Scheduled, S::Cancelled),
            (S::Pending, S::Running),
            (S::Pending, S::Cancelling),
            (S::Pending, S::Failed),
            (S::Pending, S::TimedOut),
            (S::Running, S::Pending),
            (S::Running, S::Cancelling),
            (S::Running, S::NeedsAttention),
            (S::Running, S::Succeeded),
            (S::Running, S::CompletedWithErrors),
            (S::Running, S::Failed),
            (S::Running, S::TimedOut),
            (S::Cancelling, S::Cancelled),
            (S::NeedsAttention, S::Pending),
            (S::NeedsAttention, S::Running),
            (S::NeedsAttention, S::Failed),
            (S::NeedsAttention, S::Cancelled),
        ];
        assert_eq!(allowed, expected);
    }

    #[test]
    fn every_state_can_reach_an_end() {
        for start in S::ALL {
            let mut reached = vec![start];
            let mut next = 0;
            while next < reached.len() {
                let from = reached[next];
                reached.extend(
                    S::ALL.into_iter().filter(|to| from.can_become(*to) && !reached.contains(to)).collect::<Vec<_>>(),
                );
                next += 1;
            }
            assert!(reached.iter().any(|state| state.is_terminal()), "{start}");
        }
    }
}
