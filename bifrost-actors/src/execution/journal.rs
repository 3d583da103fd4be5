//! The journal of one execution: what its ledger holds, made durable.
//!
//! Workflow code and actor both write here, each write under one lock and queued for commit before the lock is given
//! back. So the fence holds: once an attempt is closed, nothing it does later can reach the store.
//!
//! **Replay.** A step is known by name and occurrence. While steps that were recorded have not been asked for again,
//! one that is not in the journal has to wait: either the recorded ones are asked for meanwhile (concurrent steps may
//! come in any order), or the workflow comes to rest without asking, and then its code has changed.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bifrost_core::error::ErrorReport;
use bifrost_core::event::EventBody;
use bifrost_core::execution::{Attention, ExecutionRecord, ExecutionState, StepKind, StepRecord, StepState};
use bifrost_core::policy::quota::Quota;
use bifrost_core::store::key::Kind;
use bifrost_core::store::records::TenantStore;
use bifrost_core::store::{Batch, CommitSeq};
use bifrost_core::workflow::host::StepTicket;
use bifrost_core::{Clock, Error, ErrorKind, Result, Retry, Timestamp};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::Notify;

use super::ledger::{Ledger, Run, Stored};
use crate::live::Live;
use crate::task::panicked;
use crate::text::json_size;

/// The longest name of a step, in bytes.
const MAX_STEP_NAME: usize = 200;

/// See the module.
pub(crate) struct Journal {
    store: TenantStore,
    live: Arc<Live>,
    clock: Arc<dyn Clock>,
    quota: Quota,
    inner: Mutex<Ledger>,
    /// When the last event of before was written: time has come at least that far.
    taken_up_from: Timestamp,
    /// Steps that wait for the recorded ones look again.
    changed: Notify,
}

/// A commit on its way.
pub(crate) struct Durable {
    commit: BoxFuture<'static, Result<CommitSeq>>,
    last_event: u64,
}

/// What became of asking for a step.
pub(crate) enum Asked {
    /// It is in the journal.
    Known(StepTicket),
    /// A step begins now.
    Started {
        ticket: StepTicket,
        /// Somebody has to be told to flush soon: followers want to see that it has begun.
        flush: bool,
    },
    /// An effect begins once this is durable.
    Intended(StepTicket, Durable),
    /// It has to wait for the recorded ones.
    Gated,
}

impl Journal {
    /// The journal of `stored`, writing into `store` and showing events through `live`.
    pub(crate) fn new(
        stored: Stored,
        store: TenantStore,
        live: Arc<Live>,
        clock: Arc<dyn Clock>,
        quota: Quota,
    ) -> Arc<Self> {
        let Stored { record, steps, events } = stored;
        let last_event = events.last().map_or(0, |event| event.seq);
        let taken_up_from = events.last().map_or(record.accepted_at, |event| event.at);
        live.publish(events);
        Arc::new(Self {
            store,
            live,
            clock,
            quota,
            inner: Mutex::new(Ledger::new(record, steps, last_event)),
            taken_up_from,
            changed: Notify::new(),
        })
    }

    /// When the last event was written before this journal was opened.
    pub(crate) fn taken_up_from(&self) -> Timestamp {
        self.taken_up_from
    }

    /// The record as it stands, durable or about to be.
    pub(crate) fn record(&self) -> ExecutionRecord {
        self.lock().record.clone()
    }

    /// Looks at the record without copying it.
    pub(crate) fn with_record<T>(&self, look: impl FnOnce(&ExecutionRecord) -> T) -> T {
        look(&self.lock().record)
    }

    /// Changes the record by `change` and commits it with what `extend` adds to the batch.
    pub(crate) fn commit_record(
        &self,
        change: impl FnOnce(&mut ExecutionRecord) -> Result<()>,
        reason: Option<String>,
        extend: impl FnOnce(&ExecutionRecord, &mut Batch) -> Result<()>,
    ) -> Result<Durable> {
        let mut inner = self.lock();
        let before = inner.record.state;
        let mut next = inner.record.clone();
        change(&mut next)?;
        inner.record = next;
        let state = inner.record.state;
        if state != before || inner.record.last_event == 0 {
            let attempt = inner.record.attempt;
            inner.emit(self.clock.now(), EventBody::State { state, attempt, reason });
        }
        let mut batch = Batch::new();
        extend(&inner.record, &mut batch)?;
        inner.record_dirty = true;
        let events = inner.take_pending();
        inner.record.events.extend(events);
        self.enqueue(&mut inner, batch)
    }

    /// Begins an attempt: what is in the journal will be replayed. The move to `Running` becomes durable with the
    /// first write that follows, or with the next flush, which the caller plans: until then, a crash finds the execution
    /// as it was.
    pub(crate) fn begin_attempt(&self, run_for: std::time::Duration) -> Result<u32> {
        let now = self.clock.now();
        let mut inner = self.lock();
        inner.record.become_state(ExecutionState::Running)?;
        inner.record.attempt += 1;
        inner.record.retry_at = None;
        inner.record.started_at.get_or_insert(now);
        inner.record.run_deadline.get_or_insert(now.saturating_add(run_for));
        inner.record_dirty = true;
        inner.flush_planned = true;
        let attempt = inner.record.attempt;
        inner.run = Run { attempt, ..Run::default() };
        inner.open_for_replay();
        inner.emit(now, EventBody::State { state: ExecutionState::Running, attempt, reason: None });
        Ok(attempt)
    }

    /// Lets steps that failed in a way that may pass be tried again: another attempt is about to be made.
    pub(crate) fn forget_passing_failures(&self) {
        let mut inner = self.lock();
        for step in inner.steps.values_mut() {
            if let StepState::Refused { error } = &step.state
                && error.retry != bifrost_core::Retry::Never
            {
                step.state = StepState::NotApplied { error: error.clone() };
            }
        }
    }

    /// Closes the attempt: nothing it does from now on is stored.
    pub(crate) fn close_attempt(&self, kind: ErrorKind, why: &'static str) {
        self.lock().run.closed.get_or_insert((kind, why));
        self.changed.notify_waiters();
    }

    /// What the attempt found that a person must decide, and the problems it reported.
    pub(crate) fn attempt_findings(&self) -> (Option<Attention>, Vec<ErrorReport>) {
        let mut inner = self.lock();
        let problems = std::mem::take(&mut inner.run.problems);
        (inner.run.attention.clone(), problems)
    }

    /// The workflow returned although recorded steps were not asked for: its code has changed.
    pub(crate) fn unfinished_replay(&self) -> Option<Attention> {
        let inner = self.lock();
        (!inner.run.replay.is_empty()).then(|| inner.shape_changed())
    }

    /// Effects that were sent and whose outcome is not known, by name.
    pub(crate) fn effects_in_doubt(&self) -> Vec<String> {
        let in_doubt = |step: &&StepRecord| {
            step.kind != StepKind::Child && matches!(step.state, StepState::Intended | StepState::Unknown)
        };
        self.lock().steps.values().filter(in_doubt).map(|step| step.name.clone()).collect()
    }

    /// The keys of child executions that may not have ended.
    pub(crate) fn open_children(&self) -> Vec<String> {
        self.lock().open_children()
    }

    /// Numbers the next step of this name in this attempt.
    pub(crate) fn claim(&self, attempt: u32, name: &str) -> Result<u32> {
        if name.is_empty() || name.len() > MAX_STEP_NAME {
            return Err(Error::invalid("run step", "the name is empty or too long").with("limit", MAX_STEP_NAME));
        }
        let mut inner = self.lock();
        inner.check_open(attempt)?;
        let count = inner.run.asked.entry(name.to_owned()).or_insert(0);
        let occurrence = *count;
        *count += 1;
        inner.run.requested.push(format!("{name}#{occurrence}"));
        Ok(occurrence)
    }

    /// Looks the step up, or begins it.
    pub(crate) fn ask(&self, attempt: u32, name: &str, occurrence: u32, kind: StepKind) -> Result<Asked> {
        let mut inner = self.lock();
        inner.check_open(attempt)?;
        if let Some(ordinal) = inner.identities.get(&(name.to_owned(), occurrence)).copied() {
            let asked = inner.visit(ordinal, kind)?;
            if inner.run.replay.is_empty() {
                self.changed.notify_waiters();
            }
            return Ok(Asked::Known(asked));
        }
        if !inner.run.replay.is_empty() {
            return Ok(Asked::Gated);
        }
        if inner.steps.len() >= self.quota.max_steps as usize {
            return Err(Error::new(ErrorKind::QuotaExceeded, "run step", "the execution has too many steps")
                .with("limit", self.quota.max_steps));
        }
        let ticket = inner.start(name, occurrence, kind, self.clock.now());
        Ok(match kind {
            StepKind::Step => Asked::Started { ticket, flush: inner.plan_flush() },
            StepKind::Effect | StepKind::Child => Asked::Intended(ticket, self.enqueue(&mut inner, Batch::new())?),
        })
    }

    /// Counts a step that waits behind the recorded ones, and resolves when it is worth asking again.
    pub(crate) async fn wait_for_replay(&self, attempt: u32) -> Result<()> {
        let changed = self.changed.notified();
        futures_util::pin_mut!(changed);
        changed.as_mut().enable();
        {
            let mut inner = self.lock();
            inner.check_open(attempt)?;
            if inner.run.replay.is_empty() {
                return Ok(());
            }
            inner.run.gated += 1;
        }
        let gated = Gated { journal: self, attempt };
        changed.await;
        drop(gated);
        self.lock().check_open(attempt)
    }

    /// The workflow came to rest. If all that could wake it are steps that wait behind recorded ones, its code has
    /// changed.
    pub(crate) fn at_rest(&self, attempt: u32) {
        let mut inner = self.lock();
        let run = &inner.run;
        if run.attempt == attempt && run.gated > 0 && run.open == 0 && !run.replay.is_empty() && run.closed.is_none() {
            let attention = inner.shape_changed();
            inner.run.attention = Some(attention);
            inner.run.closed = Some((ErrorKind::NeedsAttention, "the workflow's code no longer fits its journal"));
            drop(inner);
            self.changed.notify_waiters();
        }
    }

    /// Stores what became of a step; `None` when there is nothing to wait for.
    pub(crate) fn finish_step(&self, attempt: u32, ordinal: u32, state: StepState) -> Result<Option<Durable>> {
        if let StepState::Confirmed { result } = &state {
            self.quota.check_result(json_size(result))?;
        }
        let mut inner = self.lock();
        inner.check_open(attempt)?;
        let store_now = inner.end(ordinal, state, self.clock.now())?;
        if !store_now {
            return Ok(None);
        }
        inner.dirty_steps.insert(ordinal);
        self.enqueue(&mut inner, Batch::new()).map(Some)
    }

    /// Notes that a person must decide about an effect, and closes the attempt.
    pub(crate) fn doubt(&self, attempt: u32, ordinal: u32) -> Error {
        let mut inner = self.lock();
        if let Err(error) = inner.check_open(attempt) {
            return error;
        }
        let name = inner.steps.get(&ordinal).map(|step| step.name.clone()).unwrap_or_default();
        let error = Error::new(ErrorKind::NeedsAttention, "run effect", "whether the write was applied is unknown")
            .with("execution", inner.record.id)
            .with("step", &name)
            .next_action("look at the provider, then resolve the execution as done, not done or abort");
        inner.run.attention = Some(Attention::UnknownEffect { ordinal, name });
        inner.run.closed = Some((ErrorKind::NeedsAttention, "whether a write was applied is unknown"));
        drop(inner);
        self.changed.notify_waiters();
        error
    }

    /// A person decided about the effect at `ordinal`: it goes along with the commit of the record.
    pub(crate) fn decide_effect(&self, ordinal: u32, state: StepState) -> Result<()> {
        let now = self.clock.now();
        let mut inner = self.lock();
        let step = inner.steps.get_mut(&ordinal).ok_or_else(|| Error::internal("resolve attention", "no such step"))?;
        step.state = state;
        step.changed_at = now;
        inner.dirty_steps.insert(ordinal);
        Ok(())
    }

    /// Adds an event. True when somebody has to be told to flush soon.
    pub(crate) fn emit(&self, attempt: u32, body: EventBody) -> bool {
        let mut inner = self.lock();
        if inner.check_open(attempt).is_err() || inner.dropped_events {
            return false;
        }
        if inner.record.last_event >= u64::from(self.quota.max_events) {
            inner.dropped_events = true;
            let limit = self.quota.max_events;
            inner.emit(self.clock.now(), EventBody::Truncated { limit });
        } else {
            inner.emit(self.clock.now(), body);
        }
        inner.plan_flush()
    }

    /// Notes a problem the workflow lives with.
    pub(crate) fn problem(&self, attempt: u32, problem: ErrorReport) {
        let mut inner = self.lock();
        if inner.check_open(attempt).is_ok() {
            inner.emit(self.clock.now(), EventBody::Problem { error: problem.to_string() });
            inner.run.problems.push(problem);
        }
    }

    /// Counts something the workflow waits for that is no step, so that it does not look at rest meanwhile.
    pub(crate) fn busy(self: &Arc<Self>, attempt: u32) -> Busy {
        let mut inner = self.lock();
        if inner.run.attempt == attempt {
            inner.run.open += 1;
        }
        Busy { journal: Arc::clone(self), attempt }
    }

    /// Makes pending events durable in a page of their own.
    pub(crate) fn flush(&self) -> Result<Option<Durable>> {
        let mut inner = self.lock();
        inner.flush_planned = false;
        let Some(first) = inner.pending.first().map(|event| event.seq) else {
            return Ok(None);
        };
        let page = |inner: &mut Ledger| {
            let events = inner.take_pending();
            let mut batch = Batch::new();
            let key = self.store.key(Kind::Events, &[inner.record.id.as_bytes(), &first.to_be_bytes()])?;
            self.store.put(&mut batch, key, &events)?;
            self.queue(inner, batch)
        };
        self.whole(&mut inner, page).map(Some)
    }

    /// Waits until a commit is durable, then shows its events. When it fails, the journal takes nothing more.
    pub(crate) async fn settle(&self, durable: Durable) -> Result<CommitSeq> {
        let committed = AssertUnwindSafe(durable.commit).catch_unwind().await;
        let committed = committed.unwrap_or_else(|panic| Err(panicked("commit batch", panic.as_ref())));
        let mut inner = self.lock();
        match committed {
            Ok(seq) => {
                let events = inner.take_durable(durable.last_event);
                drop(inner);
                self.live.publish(events);
                Ok(seq)
            }
            Err(error) => {
                inner.break_off(&error);
                drop(inner);
                self.changed.notify_waiters();
                Err(error)
            }
        }
    }

    /// Why the journal takes nothing more, if a commit failed.
    pub(crate) fn broken(&self) -> Option<Error> {
        self.lock().broken.as_ref().map(Error::duplicate)
    }

    /// Adds what changed to `batch` and queues it.
    fn enqueue(&self, inner: &mut Ledger, batch: Batch) -> Result<Durable> {
        self.whole(inner, |inner| self.queue(inner, batch))
    }

    /// Does `work`, which takes out of the ledger what a commit carries. If it fails halfway, also by a panic in the
    /// store's code, nobody goes on with what is left: a later commit would leave a gap.
    fn whole(&self, inner: &mut Ledger, work: impl FnOnce(&mut Ledger) -> Result<Durable>) -> Result<Durable> {
        let queued = catch_unwind(AssertUnwindSafe(|| work(&mut *inner)));
        // Its actor starts again from what is stored, so asking once more is no use now, but later.
        let queued = queued.unwrap_or_else(|panic| Err(panicked("commit batch", panic.as_ref()).retry(Retry::Later)));
        if let Err(error) = &queued {
            inner.break_off(error);
            self.changed.notify_waiters();
        }
        queued
    }

    fn queue(&self, inner: &mut Ledger, mut batch: Batch) -> Result<Durable> {
        let id = *inner.record.id.as_bytes();
        let dirty = std::mem::take(&mut inner.dirty_steps);
        if let Some(last) = dirty.last() {
            let events = inner.take_pending();
            if let Some(step) = inner.steps.get_mut(last) {
                step.events.extend(events);
            }
        }
        for ordinal in dirty {
            if let Some(step) = inner.steps.get(&ordinal) {
                let key = self.store.key(Kind::Step, &[&id, &ordinal.to_be_bytes()])?;
                self.store.put(&mut batch, key, step)?;
            }
        }
        if std::mem::take(&mut inner.record_dirty) {
            let key = self.store.key(Kind::Execution, &[&id])?;
            self.store.put(&mut batch, key, &inner.record)?;
        }
        Ok(Durable {
            commit: self.store.commit(batch),
            last_event: inner.unpublished.back().map_or(0, |event| event.seq),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Ledger> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A step that waits behind recorded ones, until it is dropped.
struct Gated<'a> {
    journal: &'a Journal,
    attempt: u32,
}

impl Drop for Gated<'_> {
    fn drop(&mut self) {
        let mut inner = self.journal.lock();
        if inner.run.attempt == self.attempt {
            inner.run.gated = inner.run.gated.saturating_sub(1);
        }
    }
}

/// See [`Journal::busy`].
pub(crate) struct Busy {
    journal: Arc<Journal>,
    attempt: u32,
}

impl Drop for Busy {
    fn drop(&mut self) {
        let mut inner = self.journal.lock();
        // What an earlier attempt waited for was never counted in this one.
        if inner.run.attempt == self.attempt {
            inner.run.open = inner.run.open.saturating_sub(1);
        }
    }
}
