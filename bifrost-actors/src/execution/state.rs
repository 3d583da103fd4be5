//! What an execution actor holds, and its decisions as plain functions.

use std::sync::Arc;
use std::time::Duration;

use bifrost_core::error::ErrorReport;
use bifrost_core::execution::{Attention, ExecutionRecord, ExecutionState, Outcome};
use bifrost_core::policy::retry::RetryPolicy;
use bifrost_core::workflow::Workflow;
use bifrost_core::{Error, ErrorKind, Result, Timestamp};
use serde_json::Value;

use super::attempt::Attempt;
use super::cancel::Cancel;
use super::journal::Journal;
use super::place::Place;
use crate::live::Live;
use crate::probe::Entry;
use crate::task::Task;
use crate::tenant::shared::TenantShared;
use crate::waits::Wait;

/// The state of one execution actor.
pub(crate) struct ExecutionActorState {
    pub(crate) tenant: Arc<TenantShared>,
    pub(crate) live: Arc<Live>,
    pub(crate) journal: Arc<Journal>,
    /// What the latest attempt runs.
    pub(crate) workflow: Option<Arc<dyn Workflow>>,
    pub(crate) attempt: Option<Attempt>,
    pub(crate) place: Option<Arc<Place>>,
    pub(crate) timers: Timers,
    /// The run deadline, on the monotonic count: a wall clock that is set takes or gives nobody time.
    pub(crate) run_until: Option<Duration>,
    pub(crate) cancel: Arc<Cancel>,
    pub(crate) draining: bool,
    pub(crate) _entry: Entry,
}

impl ExecutionActorState {
    /// The workflow as it is registered now.
    pub(crate) fn registered(&self) -> Option<Arc<dyn Workflow>> {
        self.journal.with_record(|record| self.tenant.hub.workflows.get(&record.workflow))
    }
}

/// Waits that end when the state does.
#[derive(Default)]
pub(crate) struct Timers {
    pub(crate) in_line: Option<Task>,
    pub(crate) scheduled: Option<Wait<Timestamp>>,
    pub(crate) missing: Option<Task>,
    pub(crate) queue: Option<Wait<Duration>>,
    pub(crate) run: Option<Wait<Duration>>,
    pub(crate) retry: Option<Wait<Duration>>,
    pub(crate) grace: Option<Wait<Duration>>,
    pub(crate) flush: Option<Wait<Duration>>,
}

/// What follows when the workflow's code has returned.
#[derive(Debug)]
pub(crate) enum Next {
    /// The execution has ended.
    End(Outcome),
    /// Another attempt is made after this delay.
    Retry(Duration, Error),
    /// A person must decide.
    Attention(Attention),
}

/// Everything the decision depends on.
pub(crate) struct Returned<'a> {
    pub(crate) record: &'a ExecutionRecord,
    pub(crate) result: Result<Value>,
    pub(crate) attention: Option<Attention>,
    pub(crate) unfinished_replay: Option<Attention>,
    pub(crate) problems: Vec<ErrorReport>,
    pub(crate) policy: &'a RetryPolicy,
    pub(crate) jitter: f64,
    /// Until the run deadline.
    pub(crate) time_left: Option<Duration>,
}

/// Decides what follows.
pub(crate) fn decide(returned: Returned<'_>) -> Next {
    let Returned { record, result, attention, unfinished_replay, problems, policy, jitter, time_left } = returned;
    if record.state == ExecutionState::Cancelling {
        return Next::End(cancelled(problems));
    }
    if let Some(attention) = attention {
        return Next::Attention(attention);
    }
    match (result, unfinished_replay) {
        (Ok(_), Some(shape)) => Next::Attention(shape),
        (Ok(output), None) => Next::End(succeeded(output, problems)),
        (Err(error), _) => match policy.decide(record.attempt, &error, jitter) {
            Some(delay) if time_left.is_none_or(|left| delay < left) => Next::Retry(delay, error),
            _ => Next::End(failed(error, problems)),
        },
    }
}

fn succeeded(output: Value, problems: Vec<ErrorReport>) -> Outcome {
    let state = if problems.is_empty() { ExecutionState::Succeeded } else { ExecutionState::CompletedWithErrors };
    Outcome { state, output, error: None, problems }
}

/// The end of an execution whose workflow failed for good.
pub(crate) fn failed(error: Error, problems: Vec<ErrorReport>) -> Outcome {
    Outcome { state: ExecutionState::Failed, output: Value::Null, error: Some(error.to_report()), problems }
}

/// The end of an execution that was cancelled.
pub(crate) fn cancelled(problems: Vec<ErrorReport>) -> Outcome {
    let error = Error::new(ErrorKind::Cancelled, "run workflow", "the execution was cancelled");
    Outcome { state: ExecutionState::Cancelled, output: Value::Null, error: Some(error.to_report()), problems }
}

/// The end of an execution that took too long.
pub(crate) fn timed_out(phase: &str, limit: Duration, problems: Vec<ErrorReport>) -> Outcome {
    let error = Error::new(ErrorKind::Timeout, "run workflow", format!("the {phase} deadline passed"))
        .with("limit", format!("{}s", limit.as_secs_f64()));
    Outcome { state: ExecutionState::TimedOut, output: Value::Null, error: Some(error.to_report()), problems }
}

/// A problem that tells of effects whose outcome is not known when the execution is ended from outside.
pub(crate) fn doubt(effects: &[String]) -> Option<ErrorReport> {
    if effects.is_empty() {
        return None;
    }
    let error = Error::new(ErrorKind::UnknownOutcome, "run effect", "it was ended while a write was under way")
        .with("step", effects.join(", "))
        .next_action("look at the provider whether the write was applied");
    Some(error.to_report())
}

#[cfg(test)]
mod tests {
    use super::*;
    use bifrost_core::{ExecutionId, Principal, Retry, SystemEntropy, WorkflowName};

    fn record(state: ExecutionState) -> ExecutionRecord {
        let now = Timestamp::from_millis(0);
        ExecutionRecord {
            id: ExecutionId::generate(now, &SystemEntropy),
            workflow: WorkflowName::new("w").unwrap(),
            params: Value::Null,
            principal: Principal::System,
            parent: None,
            depth: 0,
            idempotency_key: None,
            state,
            epoch: 1,
            attempt: 1,
            recoveries: 0,
            suspicions: 0,
            accepted_at: now,
            started_at: Some(now),
            queue_deadline: now,
            run_deadline: Some(Timestamp::from_millis(60_000)),
            retry_at: None,
            finished_at: None,
            attention: None,
            outcome: None,
            last_event: 0,
            events: Vec::new(),
        }
    }

    fn next(state: ExecutionState, result: Result<Value>, problems: Vec<ErrorReport>) -> Next {
        decide(Returned {
            record: &record(state),
            result,
            attention: None,
            unfinished_replay: None,
            problems,
            policy: &RetryPolicy::attempts(2).with_delay(Duration::from_secs(10), Duration::from_secs(10)),
            jitter: 0.0,
            time_left: Some(Duration::from_secs(60)),
        })
    }

    fn ended(next: Next) -> ExecutionState {
        match next {
            Next::End(outcome) => outcome.state,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn problems_make_the_difference() {
        let problem = Error::internal("test", "x").to_report();
        assert_eq!(ended(next(ExecutionState::Running, Ok(Value::Null), vec![])), ExecutionState::Succeeded);
        let mixed = next(ExecutionState::Running, Ok(Value::Null), vec![problem]);
        assert_eq!(ended(mixed), ExecutionState::CompletedWithErrors);
    }

    #[test]
    fn a_cancelled_execution_ends_cancelled_whatever_it_returned() {
        for result in [Ok(Value::Null), Err(Error::internal("test", "x").retry(Retry::Later))] {
            assert_eq!(ended(next(ExecutionState::Cancelling, result, vec![])), ExecutionState::Cancelled);
        }
    }

    #[test]
    fn a_retry_that_would_miss_the_deadline_is_not_made() {
        let later = || Error::internal("test", "x").retry(Retry::Later);
        assert!(matches!(next(ExecutionState::Running, Err(later()), vec![]), Next::Retry(..)));
        let hours = later().retry(Retry::After(Duration::from_secs(3600)));
        assert_eq!(ended(next(ExecutionState::Running, Err(hours), vec![])), ExecutionState::Failed);
    }
}
