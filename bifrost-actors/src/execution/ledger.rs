//! What the journal of one execution holds, and the rules by which it changes: plain state, no lock, no store.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use bifrost_core::error::ErrorReport;
use bifrost_core::event::{Event, EventBody};
use bifrost_core::execution::{Attention, ExecutionRecord, StepKind, StepRecord, StepState};
use bifrost_core::workflow::host::StepTicket;
use bifrost_core::{Error, ErrorKind, Result, Timestamp};
use sha2::{Digest, Sha256};

use crate::text::hex;

/// What is stored of an execution.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) record: ExecutionRecord,
    pub(crate) steps: Vec<StepRecord>,
    pub(crate) events: Vec<Event>,
}

/// See the module.
pub(super) struct Ledger {
    pub(super) record: ExecutionRecord,
    /// The record changed in a way that the next commit carries along.
    pub(super) record_dirty: bool,
    pub(super) steps: BTreeMap<u32, StepRecord>,
    pub(super) identities: HashMap<(String, u32), u32>,
    /// Steps that changed and go along with the next commit.
    pub(super) dirty_steps: BTreeSet<u32>,
    pub(super) run: Run,
    /// Events that no commit carries yet.
    pub(super) pending: Vec<Event>,
    /// Events on their way to the disk.
    pub(super) unpublished: VecDeque<Event>,
    /// Somebody will flush pending events before long.
    pub(super) flush_planned: bool,
    pub(super) dropped_events: bool,
    /// A commit failed: what is in memory is ahead of the disk, and only reading it again mends that.
    pub(super) broken: Option<Error>,
}

/// What one attempt has done so far.
#[derive(Default)]
pub(super) struct Run {
    pub(super) attempt: u32,
    pub(super) closed: Option<Closed>,
    pub(super) asked: HashMap<String, u32>,
    pub(super) requested: Vec<String>,
    /// Recorded steps that were not asked for yet.
    pub(super) replay: BTreeSet<u32>,
    /// Steps that failed in this attempt in a way that may pass.
    pub(super) failed: BTreeSet<u32>,
    pub(super) open: u32,
    pub(super) gated: u32,
    pub(super) attention: Option<Attention>,
    pub(super) problems: Vec<ErrorReport>,
}

/// Why an attempt may write no more.
pub(super) type Closed = (ErrorKind, &'static str);

impl Stored {
    /// An execution that was not accepted yet.
    pub(crate) fn new(record: ExecutionRecord) -> Self {
        Self { record, steps: Vec::new(), events: Vec::new() }
    }
}

impl Ledger {
    /// What is stored, nothing under way.
    pub(super) fn new(mut record: ExecutionRecord, steps: Vec<StepRecord>, last_event: u64) -> Self {
        record.last_event = record.last_event.max(last_event);
        Self {
            record,
            record_dirty: false,
            identities: steps.iter().map(|step| ((step.name.clone(), step.occurrence), step.ordinal)).collect(),
            steps: steps.into_iter().map(|step| (step.ordinal, step)).collect(),
            dirty_steps: BTreeSet::new(),
            run: Run::default(),
            pending: Vec::new(),
            unpublished: VecDeque::new(),
            flush_planned: false,
            dropped_events: false,
            broken: None,
        }
    }

    pub(super) fn check_open(&self, attempt: u32) -> Result<()> {
        let closed = match &self.run.closed {
            Some((kind, why)) => (*kind, *why),
            None if attempt != self.run.attempt => (ErrorKind::Closed, "this attempt was replaced by a later one"),
            None => return Ok(()),
        };
        Err(Error::new(closed.0, "run step", closed.1).with("execution", self.record.id))
    }

    pub(super) fn open_for_replay(&mut self) {
        let must_come = |step: &&StepRecord| !matches!(step.state, StepState::NotApplied { .. });
        self.run.replay = self.steps.values().filter(must_come).map(|step| step.ordinal).collect();
    }

    /// A recorded step is asked for again.
    pub(super) fn visit(&mut self, ordinal: u32, kind: StepKind) -> Result<StepTicket> {
        let shape_changed = self.steps.get(&ordinal).is_none_or(|step| step.kind != kind);
        if shape_changed {
            self.run.attention = Some(self.shape_changed());
            let why = "the workflow's code no longer fits its journal";
            self.run.closed = Some((ErrorKind::NeedsAttention, why));
            return Err(Error::new(ErrorKind::NeedsAttention, "run step", why));
        }
        self.run.replay.remove(&ordinal);
        let Some(step) = self.steps.get_mut(&ordinal) else {
            return Err(Error::internal("run step", "the journal lost a step"));
        };
        if !step.state.is_final() {
            self.run.open += 1;
            step.attempts += 1;
        }
        let known = Some(step.state.clone());
        let idempotency_key = self.key_of(ordinal);
        Ok(StepTicket { ordinal, idempotency_key, known })
    }

    pub(super) fn start(&mut self, name: &str, occurrence: u32, kind: StepKind, now: Timestamp) -> StepTicket {
        self.keep_failures_gone_past();
        let ordinal = self.steps.last_key_value().map_or(0, |(last, _)| last + 1);
        self.steps.insert(
            ordinal,
            StepRecord {
                ordinal,
                name: name.to_owned(),
                occurrence,
                kind,
                state: StepState::Intended,
                attempts: 1,
                started_at: now,
                changed_at: now,
                events: Vec::new(),
            },
        );
        self.identities.insert((name.to_owned(), occurrence), ordinal);
        self.run.open += 1;
        self.emit(now, EventBody::StepStarted { name: name.to_owned(), occurrence, kind });
        if kind != StepKind::Step {
            self.dirty_steps.insert(ordinal);
        }
        StepTicket { ordinal, idempotency_key: self.key_of(ordinal), known: None }
    }

    /// The workflow goes on although steps failed in a way that may pass: what follows depends on those failures, so
    /// they become part of the journal.
    pub(super) fn keep_failures_gone_past(&mut self) {
        for ordinal in std::mem::take(&mut self.run.failed) {
            if let Some(step) = self.steps.get_mut(&ordinal)
                && let StepState::NotApplied { error } = &step.state
            {
                step.state = StepState::Refused { error: error.clone() };
                self.dirty_steps.insert(ordinal);
            }
        }
    }

    /// Notes what became of a step; true when that has to be stored now.
    pub(super) fn end(&mut self, ordinal: u32, state: StepState, now: Timestamp) -> Result<bool> {
        let Some(step) = self.steps.get_mut(&ordinal) else {
            return Err(Error::internal("run step", "no such step"));
        };
        step.changed_at = now;
        let (name, occurrence, kind) = (step.name.clone(), step.occurrence, step.kind);
        let passing = matches!(state, StepState::NotApplied { .. });
        let body = match &state {
            StepState::Confirmed { .. } => Some(EventBody::StepFinished { name, occurrence }),
            StepState::Refused { error } | StepState::NotApplied { error } => {
                let error = error.to_string();
                Some(EventBody::StepFailed { name, occurrence, error })
            }
            StepState::Intended | StepState::Unknown => None,
        };
        let still_open = matches!(state, StepState::Intended | StepState::Unknown);
        if state.is_final() && self.record.suspicions > 0 {
            // It gets further: it was not the one that brought the process down.
            self.record.suspicions = 0;
            self.record_dirty = true;
        }
        step.state = state;
        if passing {
            self.run.failed.insert(ordinal);
        }
        if !still_open {
            self.run.open = self.run.open.saturating_sub(1);
        }
        if let Some(body) = body {
            self.emit(now, body);
        }
        Ok(kind != StepKind::Step || !passing)
    }

    pub(super) fn emit(&mut self, at: Timestamp, body: EventBody) {
        self.record.last_event += 1;
        self.pending.push(Event { seq: self.record.last_event, at, body });
    }

    /// Events wait: true when somebody has to be told to flush them soon.
    pub(super) fn plan_flush(&mut self) -> bool {
        !std::mem::replace(&mut self.flush_planned, true)
    }

    /// A commit failed: nothing is added any more to what is ahead of the disk.
    pub(super) fn break_off(&mut self, error: &Error) {
        self.run.closed.get_or_insert((error.kind(), "the store refused"));
        self.broken.get_or_insert_with(|| error.duplicate());
    }

    /// Events that the commit being built carries.
    pub(super) fn take_pending(&mut self) -> Vec<Event> {
        let events = std::mem::take(&mut self.pending);
        self.unpublished.extend(events.iter().cloned());
        events
    }

    /// Events up to `last`, which have become durable.
    pub(super) fn take_durable(&mut self, last: u64) -> Vec<Event> {
        let count = self.unpublished.partition_point(|event| event.seq <= last);
        self.unpublished.drain(..count).collect()
    }

    /// The keys of child executions that may not have ended.
    pub(super) fn open_children(&self) -> Vec<String> {
        let open = |step: &&StepRecord| step.kind == StepKind::Child && !step.state.is_final();
        self.steps.values().filter(open).map(|step| self.key_of(step.ordinal)).collect()
    }

    pub(super) fn shape_changed(&self) -> Attention {
        Attention::ShapeChanged {
            recorded: self.steps.values().map(|step| format!("{}#{}", step.name, step.occurrence)).collect(),
            requested: self.run.requested.clone(),
        }
    }

    /// The same for every try of a step of this execution, and for no other.
    pub(super) fn key_of(&self, ordinal: u32) -> String {
        let mut hasher = Sha256::new();
        hasher.update(self.record.id.as_bytes());
        if let Some(step) = self.steps.get(&ordinal) {
            hasher.update(step.occurrence.to_be_bytes());
            hasher.update(step.name.as_bytes());
        }
        let digest = hasher.finalize();
        hex(&digest[..16])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bifrost_core::execution::ExecutionState;
    use bifrost_core::{ExecutionId, Principal, Retry, SystemEntropy, WorkflowName};
    use serde_json::Value;

    const NOW: Timestamp = Timestamp::from_millis(0);

    fn ledger(steps: Vec<StepRecord>) -> Ledger {
        let record = ExecutionRecord {
            id: ExecutionId::generate(NOW, &SystemEntropy),
            workflow: WorkflowName::new("work").unwrap(),
            params: Value::Null,
            principal: Principal::System,
            parent: None,
            depth: 0,
            idempotency_key: None,
            state: ExecutionState::Running,
            epoch: 1,
            attempt: 1,
            recoveries: 0,
            suspicions: 0,
            accepted_at: NOW,
            started_at: Some(NOW),
            queue_deadline: NOW,
            run_deadline: None,
            retry_at: None,
            finished_at: None,
            attention: None,
            outcome: None,
            last_event: 0,
            events: Vec::new(),
        };
        Ledger::new(record, steps, 0)
    }

    fn passing() -> StepState {
        StepState::NotApplied { error: Error::internal("test", "down").retry(Retry::Later).to_report() }
    }

    #[test]
    fn a_step_that_came_back_as_another_kind_has_changed_its_shape() {
        let mut ledger = ledger(Vec::new());
        ledger.start("write", 0, StepKind::Effect, NOW);
        assert!(ledger.visit(0, StepKind::Effect).is_ok());
        assert_eq!(ledger.visit(0, StepKind::Step).unwrap_err().kind(), ErrorKind::NeedsAttention);
        assert!(matches!(ledger.run.attention, Some(Attention::ShapeChanged { .. })));
    }

    #[test]
    fn the_key_of_a_step_depends_on_execution_name_and_occurrence_alone() {
        let mut one = ledger(Vec::new());
        let first = one.start("write", 0, StepKind::Effect, NOW).idempotency_key;
        let second = one.start("write", 1, StepKind::Effect, NOW).idempotency_key;
        assert_eq!(one.visit(0, StepKind::Effect).unwrap().idempotency_key, first);
        let other = ledger(Vec::new()).start("write", 0, StepKind::Effect, NOW).idempotency_key;
        assert!(first != second && first != other);
    }

    #[test]
    fn a_failure_that_passes_is_kept_only_when_the_workflow_goes_past_it() {
        let mut ledger = ledger(Vec::new());
        ledger.start("maybe", 0, StepKind::Step, NOW);
        assert!(!ledger.end(0, passing(), NOW).unwrap(), "nothing to store yet");
        ledger.start("next", 0, StepKind::Step, NOW);
        assert!(matches!(ledger.steps[&0].state, StepState::Refused { .. }));
        assert!(ledger.dirty_steps.contains(&0));
    }

    #[test]
    fn events_come_out_in_order_and_once() {
        let mut ledger = ledger(Vec::new());
        ledger.start("one", 0, StepKind::Step, NOW);
        ledger.end(0, StepState::Confirmed { result: Value::Null }, NOW).unwrap();
        assert_eq!(ledger.take_pending().len(), 2);
        let numbers = |events: Vec<Event>| events.iter().map(|event| event.seq).collect::<Vec<_>>();
        assert_eq!(numbers(ledger.take_durable(1)), [1]);
        assert_eq!(numbers(ledger.take_durable(2)), [2]);
        assert!(ledger.take_durable(9).is_empty());
    }

    #[test]
    fn only_what_may_run_again_need_not_be_asked_for() {
        let mut ledger = ledger(Vec::new());
        for (name, state) in [
            ("done", StepState::Confirmed { result: Value::Null }),
            ("unknown", StepState::Unknown),
            ("passing", passing()),
        ] {
            let ordinal = ledger.start(name, 0, StepKind::Effect, NOW).ordinal;
            ledger.end(ordinal, state, NOW).unwrap();
        }
        ledger.open_for_replay();
        assert_eq!(ledger.run.replay.into_iter().collect::<Vec<_>>(), [0, 1]);
    }
}
