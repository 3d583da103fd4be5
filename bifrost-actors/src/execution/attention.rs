//! Setting an execution aside for a person, and carrying out what the person decided.

use bifrost_core::audit::AuditOutcome;
use bifrost_core::execution::{Attention, ExecutionRecord, ExecutionState, Resolution, StepState};
use bifrost_core::{Error, ErrorKind, Principal, Result};

use super::running::Running;
use super::state;

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
        self.commit(change, reason, Some(audit)).await
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
        // It has waited for a person, not for a slot: its time in the queue begins now.
        let queue = self.state.workflow.as_ref().map(|workflow| workflow.spec().deadlines().queue).unwrap_or_default();
        let queue_deadline = self.state.tenant.hub.clock.now().saturating_add(queue);
        let change = move |record: &mut ExecutionRecord| {
            record.attention = None;
            record.queue_deadline = queue_deadline;
            record.recoveries = 0;
            record.run_deadline = None;
            record.started_at = None;
            record.become_state(ExecutionState::Pending)
        };
        self.commit(change, None, Some(audit)).await?;
        self.wait_for_start();
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
            (Attention::WorkflowMissing, Resolution::Resume) if self.state.workflow.is_none() => {
                Err(Error::invalid("resolve attention", "the workflow is not registered in this process")
                    .next_action("start the hub with the workflow registered"))
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
