//! Setting an execution aside for a person, and carrying out what the person decided.

use std::sync::Arc;

use bifrost_core::audit::{AuditOutcome, AuditRecord};
use bifrost_core::execution::{Attention, ExecutionRecord, ExecutionState, Resolution, StepState};
use bifrost_core::workflow::Deadlines;
use bifrost_core::{Error, ErrorKind, Principal, Result};

use super::message::ExecutionMessage;
use super::running::Running;
use super::state;
use crate::task::spawn;

impl Running<'_> {
    /// Puts the execution where a person must decide.
    pub(super) async fn set_aside(&mut self, attention: Attention) -> Result<()> {
        self.state.timers.run = None;
        let reason = serde_json::to_string(&attention).ok();
        let audit = self.audit(Principal::System, "execution.needs_attention", AuditOutcome::Failed);
        let change = move |record: &mut ExecutionRecord| {
            if record.state == ExecutionState::Pending {
                record.become_state(ExecutionState::Running)?;
            }
            record.become_state(ExecutionState::NeedsAttention)?;
            record.attention = Some(attention);
            Ok(())
        };
        self.commit(change, reason, Some(audit)).await?;
        self.wait_for_workflow();
        Ok(())
    }

    /// If it was set aside because its workflow is missing, waits for that to be registered.
    pub(super) fn wait_for_workflow(&mut self) {
        if !self.misses_its_workflow() {
            return;
        }
        let name = self.state.journal.with_record(|record| record.workflow.clone());
        let (hub, myself) = (Arc::clone(&self.state.tenant.hub), self.myself.clone());
        self.state.timers.missing = Some(spawn(async move {
            hub.workflows.registered(&name).await;
            // An actor that is gone is started again with the workflow there.
            let _ = myself.cast(ExecutionMessage::WorkflowRegistered);
        }));
    }

    /// The workflow has been registered: goes on, unless a person was faster.
    pub(super) async fn workflow_registered(&mut self) -> Result<()> {
        if !self.misses_its_workflow() {
            return Ok(());
        }
        let decision = decision(&Resolution::Resume);
        let audit =
            self.audit(Principal::System, "execution.resolve", AuditOutcome::Allowed).with("decision", decision);
        self.leave_attention(Some("its workflow was registered".to_owned()), audit).await
    }

    fn misses_its_workflow(&self) -> bool {
        self.state.journal.with_record(|record| record.attention == Some(Attention::WorkflowMissing))
    }

    /// Carries out what a person decided.
    pub(super) async fn resolve(&mut self, principal: Principal, resolution: Resolution) -> Result<()> {
        let (state, attention) = self.state.journal.with_record(|record| (record.state, record.attention.clone()));
        let Some(attention) = attention.filter(|_| state == ExecutionState::NeedsAttention) else {
            return Err(Error::new(
                ErrorKind::Conflict,
                "resolve attention",
                format!("the execution is {state}: there is nothing to decide"),
            )
            .with("execution", self.state.live.id()));
        };
        let audit =
            self.audit(principal, "execution.resolve", AuditOutcome::Allowed).with("decision", decision(&resolution));
        if resolution == Resolution::Abort {
            let error = Error::new(ErrorKind::NeedsAttention, "resolve attention", "a person decided to give up");
            let outcome = state::failed(error, self.doubts());
            return self.finish(outcome, None, Some(audit)).await;
        }
        self.apply(&attention, resolution)?;
        self.leave_attention(None, audit).await
    }

    /// Gets in line again.
    async fn leave_attention(&mut self, reason: Option<String>, audit: AuditRecord) -> Result<()> {
        // It has waited for a person, not for a slot: its time in the queue begins now.
        let workflow = self.state.registered();
        let queue = workflow.as_ref().map_or(Deadlines::default().queue, |workflow| workflow.spec().deadlines().queue);
        let now = self.state.tenant.hub.clock.now();
        let queue_deadline = now.saturating_add(queue);
        let change = move |record: &mut ExecutionRecord| {
            record.attention = None;
            record.queue_deadline = queue_deadline;
            record.recoveries = 0;
            record.suspicions = 0;
            record.run_deadline = None;
            record.started_at = None;
            record.become_state(ExecutionState::Pending)
        };
        self.commit(change, reason, Some(audit)).await?;
        if workflow.is_none() {
            // The decision is kept; there is no code here to go on with.
            return self.set_aside(Attention::WorkflowMissing).await;
        }
        if let Some(slot) = self.wait_for_start(now) {
            // By message: what comes of the attempt is no answer to whoever decided.
            let _ = self.myself.cast(ExecutionMessage::SlotGranted(slot));
        }
        Ok(())
    }

    fn apply(&mut self, attention: &Attention, resolution: Resolution) -> Result<()> {
        match (attention, resolution) {
            (Attention::UnknownEffect { ordinal, .. }, Resolution::Done { result }) => {
                self.state.journal.decide_effect(*ordinal, StepState::Confirmed { result })
            }
            (Attention::UnknownEffect { ordinal, .. }, Resolution::NotDone) => {
                let error = Error::new(ErrorKind::Cancelled, "resolve attention", "a person found it was not applied");
                let error = error.to_report();
                self.state.journal.decide_effect(*ordinal, StepState::NotApplied { error })
            }
            (Attention::UnknownEffect { name, .. }, _) => {
                Err(Error::invalid("resolve attention", "say whether the write was applied: done or not done")
                    .with("step", name))
            }
            (Attention::WorkflowMissing, Resolution::Resume) if self.state.registered().is_none() => {
                Err(Error::invalid("resolve attention", "the workflow is not registered in this process")
                    .next_action("register it with `hub.register(..)`; the execution goes on by itself then"))
            }
            (_, Resolution::Resume) => Ok(()),
            _ => Err(Error::invalid("resolve attention", "only resume or abort fit here")),
        }
    }
}

fn decision(resolution: &Resolution) -> &'static str {
    match resolution {
        Resolution::Done { .. } => "done",
        Resolution::NotDone => "not_done",
        Resolution::Resume => "resume",
        Resolution::Abort => "abort",
    }
}
