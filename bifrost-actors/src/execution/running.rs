//! The execution actor at work on one message: the protocol, step by step.

use std::sync::Arc;
use std::time::Duration;

use bifrost_core::audit::{AuditOutcome, AuditRecord};
use bifrost_core::error::ErrorReport;
use bifrost_core::execution::{Attention, ExecutionRecord, ExecutionState, Outcome};
use bifrost_core::store::Precondition;
use bifrost_core::store::key::Kind;
use bifrost_core::workflow::host::RunInfo;
use bifrost_core::workflow::{Context, Deadlines};
use bifrost_core::{Error, ErrorKind, Principal, Result, Timestamp};
use ractor::ActorRef;

use super::attempt::{Attempt, AttemptEnd};
use super::child;
use super::host::RunHost;
use super::message::ExecutionMessage;
use super::place::Place;
use super::state::{self, ExecutionActorState, Next, Returned};
use super::{IdempotencyRecord, LEFT, idempotency_parts, request_hash};
use crate::live::Ended;
use crate::slots::Slot;
use crate::task::spawn;
use crate::text::json_size;
use crate::waits::Wait;

/// See the module.
pub(super) struct Running<'a> {
    pub(super) myself: &'a ActorRef<ExecutionMessage>,
    pub(super) state: &'a mut ExecutionActorState,
}

impl Running<'_> {
    /// The record, the key that must be new, the entry in the list of work to resume and the audit record become
    /// durable together.
    pub(super) async fn accept(&mut self) -> Result<()> {
        let tenant = Arc::clone(&self.state.tenant);
        let now = tenant.hub.clock.now();
        let durable = self.state.journal.commit_record(
            |_| Ok(()),
            None,
            |record, batch| {
                if let Some(key) = &record.idempotency_key {
                    let key = tenant.store.key(Kind::Idempotency, &[&idempotency_parts(key)])?;
                    batch.require(Precondition::Absent(key.clone()));
                    let entry = IdempotencyRecord { execution: record.id, request: request_hash(record) };
                    tenant.store.put(batch, key, &entry)?;
                }
                batch.put(tenant.store.active_key(&record.id)?, Vec::new());
                tenant.audit_log.append(batch, &accepted(record, now))
            },
        );
        let durable = match durable {
            Ok(durable) => self.state.journal.settle(durable).await,
            Err(error) => Err(error),
        };
        if let Err(error) = durable {
            self.state.live.end(Ended::Dropped);
            return Err(error);
        }
        Ok(())
    }

    /// It is accepted and its caller told. The parent may have ended while this was on its way: then it did not know
    /// of it.
    pub(super) async fn accepted(&mut self) -> Result<()> {
        if !self.parent_goes_on().await? {
            return self.cancel(Principal::System, child::PARENT_ENDED.to_owned()).await;
        }
        let now = self.state.tenant.hub.clock.now();
        let granted = self.wait_for_start(now);
        self.start_when_granted(granted).await
    }

    /// Goes on from the stored state.
    pub(super) async fn go_on(&mut self) -> Result<()> {
        let record = self.state.journal.record();
        if record.state != ExecutionState::Cancelling && !self.parent_goes_on().await? {
            if record.state == ExecutionState::Running {
                self.commit(|record| record.become_state(ExecutionState::Pending), None, None).await?;
            }
            return self.cancel(Principal::System, child::PARENT_ENDED.to_owned()).await;
        }
        match record.state {
            ExecutionState::Cancelling => return self.end(state::cancelled(self.doubts())).await,
            ExecutionState::NeedsAttention => {
                self.wait_for_workflow();
                return Ok(());
            }
            ExecutionState::Running => {
                // The attempt died with its process: it counts, and its journal is replayed.
                let reason = Some("its process died; taken up again".to_owned());
                self.commit(|record| record.become_state(ExecutionState::Pending), reason, None).await?;
            }
            _ => {}
        }
        if record.suspicions > self.state.tenant.hub.config.max_recoveries {
            let recoveries = record.suspicions;
            return self.set_aside(Attention::Poisoned { recoveries }).await;
        }
        // One that is scheduled misses nothing before its time has come.
        if record.state != ExecutionState::Scheduled && self.state.registered().is_none() {
            return self.set_aside(Attention::WorkflowMissing).await;
        }
        // A wall clock that was set back since must not make it wait for what has passed before.
        let now = self.state.journal.taken_up_from().max(self.state.tenant.hub.clock.now());
        let granted = self.wait_for_start(now);
        self.start_when_granted(granted).await
    }

    /// Starts the clocks that run while it waits, and gets in line now or when its retry is due. What is left of its
    /// deadlines and delays is what is left of them at `now`; from then on they pass with the monotonic count. A
    /// scheduled execution waits for a time of the wall clock, and nothing else of it passes before that. What comes
    /// back is the place to run it has already.
    #[must_use]
    pub(super) fn wait_for_start(&mut self, now: Timestamp) -> Option<Slot> {
        let (state, run_deadline, queue_deadline, retry_at) = self
            .state
            .journal
            .with_record(|record| (record.state, record.run_deadline, record.queue_deadline, record.retry_at));
        if let Some(time) = retry_at.filter(|_| state == ExecutionState::Scheduled) {
            self.state.timers.scheduled = Some(self.at(time, ExecutionMessage::RetryDue));
            return None;
        }
        match run_deadline {
            Some(deadline) => self.run_for(deadline.since(now)),
            None => {
                self.state.timers.queue = Some(self.after(queue_deadline.since(now), ExecutionMessage::QueueDeadline));
            }
        }
        match retry_at {
            Some(at) => {
                self.state.timers.retry = Some(self.after(at.since(now), ExecutionMessage::RetryDue));
                None
            }
            None => self.get_in_line(),
        }
    }

    /// Begins in the place it has, or waits for one.
    async fn start_when_granted(&mut self, granted: Option<Slot>) -> Result<()> {
        match granted {
            Some(slot) => self.start_attempt(slot).await,
            None => Ok(()),
        }
    }

    /// The time to start, or to try again, has come.
    pub(super) async fn due(&mut self) -> Result<()> {
        if self.state.journal.with_record(|record| record.state == ExecutionState::Scheduled) {
            return self.start_as_scheduled().await;
        }
        if self.state.registered().is_none() {
            return self.set_aside(Attention::WorkflowMissing).await;
        }
        let granted = self.get_in_line();
        self.start_when_granted(granted).await
    }

    /// Its time in the queue begins now, however late that is: it was not in the queue while nobody was there.
    async fn start_as_scheduled(&mut self) -> Result<()> {
        let now = self.state.tenant.hub.clock.now();
        let workflow = self.state.registered();
        let queue = workflow.as_ref().map_or(Deadlines::default().queue, |workflow| workflow.spec().deadlines().queue);
        let change = move |record: &mut ExecutionRecord| {
            record.retry_at = None;
            record.queue_deadline = now.saturating_add(queue);
            record.become_state(ExecutionState::Pending)
        };
        self.commit(change, None, None).await?;
        if workflow.is_none() {
            return self.set_aside(Attention::WorkflowMissing).await;
        }
        let granted = self.wait_for_start(now);
        self.start_when_granted(granted).await
    }

    /// Stands in line for a place to run, which is told by message unless there is one at once.
    fn get_in_line(&mut self) -> Option<Slot> {
        if self.state.draining {
            return None;
        }
        let tenant = &self.state.tenant;
        let limit = tenant.record().map_or(1, |record| record.quota.max_running);
        if let Some(slot) = tenant.hub.slots.take(&tenant.id, limit) {
            self.state.timers.in_line = None;
            return Some(slot);
        }
        let turn = tenant.hub.slots.request(&tenant.id, limit);
        let myself = self.myself.clone();
        self.state.timers.in_line = Some(spawn(async move {
            if let Ok(slot) = turn.await {
                // The message gives the slot back when the actor is gone.
                let _ = myself.cast(ExecutionMessage::SlotGranted(slot));
            }
        }));
        None
    }

    /// Begins an attempt in the slot that was granted.
    pub(super) async fn start_attempt(&mut self, slot: Slot) -> Result<()> {
        let pending = self.state.journal.with_record(|record| record.state == ExecutionState::Pending);
        let Some(workflow) = self.state.registered().filter(|_| pending && !self.state.draining) else {
            return Ok(());
        };
        self.state.workflow = Some(Arc::clone(&workflow));
        let deadlines = *workflow.spec().deadlines();
        let number = self.state.journal.begin_attempt(deadlines.run)?;
        if self.state.journal.with_record(|record| record.suspicions > 0) {
            // If its process dies again, it must be known who ran and who only waited.
            self.flush().await?;
        }
        self.state.timers.queue = None;
        if self.state.timers.run.is_none() {
            self.run_for(deadlines.run);
        }
        let place = Place::new(&self.state.tenant, slot);
        let (info, params) =
            self.state.journal.with_record(|record| (self.info(record, &deadlines), record.params.clone()));
        let context = self.context(info, &place);
        self.state.attempt = Some(Attempt::start(number, workflow, context, params, &self.state.journal, self.myself));
        self.state.place = Some(place);
        // A workflow that ends before that costs no commit more.
        self.flush_soon();
        Ok(())
    }

    fn info(&self, record: &ExecutionRecord, deadlines: &Deadlines) -> RunInfo {
        RunInfo {
            tenant: self.state.tenant.id.clone(),
            execution: record.id,
            workflow: record.workflow.clone(),
            attempt: record.attempt,
            principal: record.principal.clone(),
            step_deadline: deadlines.step,
        }
    }

    fn context(&self, info: RunInfo, place: &Arc<Place>) -> Context {
        Context::new(Arc::new(RunHost {
            info,
            tenant: Arc::clone(&self.state.tenant),
            journal: Arc::clone(&self.state.journal),
            actor: self.myself.clone(),
            cancel: Arc::clone(&self.state.cancel),
            place: Arc::clone(place),
        }))
    }

    pub(super) async fn attempt_ended(&mut self, attempt: u32, end: Result<AttemptEnd, Error>) -> Result<()> {
        if self.state.attempt.as_ref().is_none_or(|running| running.number() != attempt) {
            return Ok(());
        }
        // What the workflow made of a store that refused is not its result: the actor starts again from the disk.
        if let Some(error) = self.state.journal.broken() {
            return Err(error);
        }
        let unfinished_replay = self.state.journal.unfinished_replay();
        // Until what came of it is durable: of a long line, no more than run at a time are on their way to the disk.
        let _place = self.state.place.take().map(Place::held);
        self.stop_attempt();
        let (attention, problems) = self.state.journal.attempt_findings();
        let result = end.and_then(|end| end.result).and_then(|output| {
            self.state.tenant.record()?.quota.check_result(json_size(&output))?;
            Ok(output)
        });
        let never = bifrost_core::policy::retry::RetryPolicy::never();
        let time_left = self.time_left();
        // What was well needs no chance.
        let jitter = result.as_ref().map_or_else(|_| self.state.tenant.hub.entropy.fraction(), |_| 0.0);
        let next = self.state.journal.with_record(|record| {
            state::decide(Returned {
                record,
                result,
                attention,
                unfinished_replay,
                problems,
                policy: self.state.workflow.as_ref().map_or(&never, |workflow| workflow.spec().retry()),
                jitter,
                time_left,
            })
        });
        match next {
            Next::End(outcome) => self.end(outcome).await,
            Next::Attention(attention) => self.set_aside(attention).await,
            Next::Retry(_, error) if self.state.draining => self.put_back(Some(error.to_string())).await,
            Next::Retry(delay, error) => self.retry_after(delay, &error).await,
        }
    }

    async fn retry_after(&mut self, delay: Duration, error: &Error) -> Result<()> {
        self.state.journal.forget_passing_failures();
        let at = self.state.tenant.hub.clock.now().saturating_add(delay);
        let change = move |record: &mut ExecutionRecord| {
            record.retry_at = Some(at);
            record.become_state(ExecutionState::Pending)
        };
        self.commit(change, Some(error.to_string()), None).await?;
        self.state.timers.retry = Some(self.after(delay, ExecutionMessage::RetryDue));
        Ok(())
    }

    pub(super) async fn queue_deadline(&mut self) -> Result<()> {
        let (waiting, accepted_at, deadline) = self
            .state
            .journal
            .with_record(|record| (record.state == ExecutionState::Pending, record.accepted_at, record.queue_deadline));
        if !waiting || self.state.attempt.is_some() {
            return Ok(());
        }
        self.end(state::timed_out("queue", deadline.since(accepted_at), Vec::new())).await
    }

    /// The workflow has run too long: the attempt is closed whether its code cooperates or not.
    pub(super) async fn run_deadline(&mut self) -> Result<()> {
        let (state, limit) = self.state.journal.with_record(|record| {
            let limit = record.run_deadline.zip(record.started_at).map(|(end, start)| end.since(start));
            (record.state, limit.unwrap_or_default())
        });
        match state {
            ExecutionState::Pending | ExecutionState::Running => {
                self.close(ErrorKind::Timeout, "the run deadline passed");
                let problems = self.findings();
                self.end(state::timed_out("run", limit, problems)).await
            }
            ExecutionState::Cancelling => self.grace_over().await,
            _ => Ok(()),
        }
    }

    /// Makes the wish to cancel durable, then gives the workflow time to stop by itself.
    pub(super) async fn cancel(&mut self, principal: Principal, reason: String) -> Result<()> {
        let state = self.state.journal.with_record(|record| record.state);
        if state == ExecutionState::Cancelling || state.is_terminal() {
            return Ok(());
        }
        let audit = self.audit(principal, "execution.cancel", AuditOutcome::Allowed);
        if matches!(state, ExecutionState::NeedsAttention | ExecutionState::Scheduled) {
            let outcome = state::cancelled(self.doubts());
            return self.finish(outcome, Some(reason), Some(audit)).await;
        }
        let change = |record: &mut ExecutionRecord| record.become_state(ExecutionState::Cancelling);
        self.commit(change, Some(reason), Some(audit)).await?;
        if let Err(error) = self.cancel_children().await {
            // They are told once more when this has ended.
            tracing::warn!(execution = %self.state.live.id(), %error, "its children could not be cancelled yet");
        }
        if self.state.attempt.is_none() {
            return self.end(state::cancelled(Vec::new())).await;
        }
        self.state.cancel.ask();
        let grace = self.state.tenant.hub.config.cancel_grace;
        self.state.timers.grace = Some(self.after(grace, ExecutionMessage::CancelGraceOver));
        Ok(())
    }

    pub(super) async fn grace_over(&mut self) -> Result<()> {
        if self.state.journal.with_record(|record| record.state) != ExecutionState::Cancelling {
            return Ok(());
        }
        self.close(ErrorKind::Cancelled, "the execution was cancelled");
        let problems = self.findings();
        self.end(state::cancelled(problems)).await
    }

    pub(super) fn flush_soon(&mut self) {
        let wait = self.state.tenant.hub.config.event_flush;
        self.state.timers.flush = Some(self.after(wait, ExecutionMessage::Flush));
    }

    pub(super) async fn flush(&mut self) -> Result<()> {
        match self.state.journal.flush()? {
            Some(durable) => self.state.journal.settle(durable).await.map(drop),
            None => Ok(()),
        }
    }

    /// Ends the execution: outcome, place in the list of work and audit record become durable together; only then
    /// do waiters and subscribers hear of it.
    async fn end(&mut self, outcome: Outcome) -> Result<()> {
        self.finish(outcome, None, None).await
    }

    pub(super) async fn finish(
        &mut self,
        outcome: Outcome,
        reason: Option<String>,
        also: Option<AuditRecord>,
    ) -> Result<()> {
        self.stop_attempt();
        let tenant = Arc::clone(&self.state.tenant);
        let now = tenant.hub.clock.now();
        let good = matches!(outcome.state, ExecutionState::Succeeded | ExecutionState::CompletedWithErrors);
        let audited = if good { AuditOutcome::Succeeded } else { AuditOutcome::Failed };
        let audit = self.audit(Principal::System, "execution.finish", audited).with("state", outcome.state);
        let stored = outcome.clone();
        let durable = self.state.journal.commit_record(
            move |record| {
                record.become_state(stored.state)?;
                record.finished_at = Some(now);
                record.attention = None;
                record.retry_at = None;
                record.outcome = Some(stored);
                Ok(())
            },
            reason,
            |record, batch| {
                batch.delete(tenant.store.active_key(&record.id)?);
                for audit in also.iter().chain([&audit]) {
                    tenant.audit_log.append(batch, audit)?;
                }
                Ok(())
            },
        )?;
        self.state.journal.settle(durable).await?;
        if let Err(error) = self.cancel_children().await {
            // Whoever takes this up again finds it ended, and tells them. An error alone would not do: it may go to the
            // caller who asked for the end, and then nobody who waits would ever hear of it.
            self.myself.stop(None);
            return Err(error);
        }
        self.state.live.end(Ended::Outcome(Arc::new(outcome)));
        self.myself.stop(Some(LEFT.to_owned()));
        Ok(())
    }

    pub(super) async fn commit(
        &mut self,
        change: impl FnOnce(&mut ExecutionRecord) -> Result<()>,
        reason: Option<String>,
        audit: Option<AuditRecord>,
    ) -> Result<()> {
        let tenant = Arc::clone(&self.state.tenant);
        let durable = self.state.journal.commit_record(change, reason, |_, batch| match &audit {
            Some(audit) => tenant.audit_log.append(batch, audit),
            None => Ok(()),
        })?;
        self.state.journal.settle(durable).await.map(drop)
    }

    pub(super) fn audit(&self, actor: Principal, action: &str, outcome: AuditOutcome) -> AuditRecord {
        let now = self.state.tenant.hub.clock.now();
        AuditRecord::new(now, actor, action, self.state.live.id(), outcome)
    }

    /// Starts the clock of the run deadline.
    fn run_for(&mut self, wait: Duration) {
        self.state.run_until = Some(self.state.tenant.hub.clock.monotonic() + wait);
        self.state.timers.run = Some(self.after(wait, ExecutionMessage::RunDeadline));
    }

    /// The time until the run deadline.
    fn time_left(&self) -> Option<Duration> {
        let until = self.state.run_until.filter(|_| self.state.timers.run.is_some())?;
        Some(until.saturating_sub(self.state.tenant.hub.clock.monotonic()))
    }

    /// Sends `message` when the wall clock shows `time`.
    fn at(&self, time: Timestamp, message: ExecutionMessage) -> Wait<Timestamp> {
        self.state.tenant.hub.alarms.at(time, self.telling_it(message))
    }

    fn after(&self, wait: Duration, message: ExecutionMessage) -> Wait<Duration> {
        self.state.tenant.hub.countdowns.after(wait, self.telling_it(message))
    }

    fn telling_it(&self, message: ExecutionMessage) -> impl FnOnce() + Send + use<> {
        let myself = self.myself.clone();
        // An actor that is gone has no use for it.
        move || drop(myself.cast(message))
    }

    pub(super) fn close(&mut self, kind: ErrorKind, why: &'static str) {
        self.state.journal.close_attempt(kind, why);
        self.stop_attempt();
    }

    fn stop_attempt(&mut self) {
        self.state.attempt = None;
        if let Some(place) = self.state.place.take() {
            place.close();
        }
        self.state.timers.grace = None;
    }

    /// The problems the attempt reported, and the writes that were under way.
    fn findings(&self) -> Vec<ErrorReport> {
        let (_, mut problems) = self.state.journal.attempt_findings();
        problems.extend(self.doubts());
        problems
    }

    pub(super) fn doubts(&self) -> Vec<ErrorReport> {
        state::doubt(&self.state.journal.effects_in_doubt()).into_iter().collect()
    }
}

fn accepted(record: &ExecutionRecord, now: Timestamp) -> AuditRecord {
    let outcome = AuditOutcome::Allowed;
    let accepted =
        |actor| AuditRecord::new(now, actor, "execution.accept", record.id, outcome).with("workflow", &record.workflow);
    match record.parent {
        Some(parent) => {
            accepted(Principal::Execution(parent)).on_behalf_of(record.principal.clone()).with("parent", parent)
        }
        None => accepted(record.principal.clone()),
    }
}
