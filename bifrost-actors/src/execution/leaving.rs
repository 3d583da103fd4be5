//! Leaving a hub that shuts down: what runs may end, the rest is put back for the next start.

use bifrost_core::execution::ExecutionState;
use bifrost_core::{ErrorKind, Result};

use super::LEFT;
use super::running::Running;
use crate::live::Ended;

impl Running<'_> {
    /// The hub shuts down: what runs may end, nothing starts.
    pub(super) fn drain(&mut self) {
        self.state.draining = true;
        self.state.timers.in_line = None;
        self.state.timers.scheduled = None;
        self.state.timers.retry = None;
        if self.state.attempt.is_none() {
            // Nothing of it runs: its stored state is what the next start goes on from.
            self.leave();
        }
    }

    /// The hub waits no longer: closes the attempt and puts the execution back.
    pub(super) async fn requeue(&mut self) -> Result<()> {
        self.close(ErrorKind::Closed, "the hub is shutting down");
        self.put_back(Some("the hub was shut down".to_owned())).await
    }

    pub(super) async fn put_back(&mut self, reason: Option<String>) -> Result<()> {
        let running = self.state.journal.with_record(|record| record.state == ExecutionState::Running);
        if running {
            self.commit(|record| record.become_state(ExecutionState::Pending), reason, None).await?;
        }
        self.leave();
        Ok(())
    }

    fn leave(&mut self) {
        self.state.live.end(Ended::Requeued);
        self.myself.stop(Some(LEFT.to_owned()));
    }
}
