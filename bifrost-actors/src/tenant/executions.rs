//! The executions of a tenant that have not ended in this process: who runs them, and what they show.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bifrost_core::ExecutionId;
use ractor::ActorRef;

use crate::execution::message::ExecutionMessage;
use crate::live::{Ended, Live};

/// See the module.
#[derive(Default)]
pub(crate) struct Executions(Mutex<Known>);

#[derive(Default)]
struct Known {
    by_id: BTreeMap<ExecutionId, LiveExecution>,
    /// The tenant's actors were told to end: whatever is shown from now on goes on elsewhere or later.
    closed: bool,
}

/// An execution that is not terminal in this process.
#[derive(Clone)]
pub(crate) struct LiveExecution {
    pub(crate) live: Arc<Live>,
    /// `None` while the actor is being restarted.
    pub(crate) actor: Option<ActorRef<ExecutionMessage>>,
}

impl Executions {
    /// The execution, if it has not ended.
    pub(crate) fn get(&self, id: ExecutionId) -> Option<LiveExecution> {
        self.lock().by_id.get(&id).cloned()
    }

    /// Shows an execution that is about to be taken up, unless it is shown already.
    pub(crate) fn show(&self, id: ExecutionId) -> Arc<Live> {
        let mut known = self.lock();
        if let Some(shown) = known.by_id.get(&id) {
            return Arc::clone(&shown.live);
        }
        let live = Live::new(id);
        if known.closed {
            live.end(Ended::Requeued);
        } else {
            known.by_id.insert(id, LiveExecution { live: Arc::clone(&live), actor: None });
        }
        live
    }

    /// Shows an execution whose actor has started.
    pub(crate) fn started(&self, live: Arc<Live>, actor: ActorRef<ExecutionMessage>) {
        let mut known = self.lock();
        if known.closed {
            live.end(Ended::Requeued);
        } else {
            known.by_id.insert(live.id(), LiveExecution { live, actor: Some(actor) });
        }
    }

    /// The actor of an execution has ended and will be started again.
    pub(crate) fn lost(&self, id: ExecutionId) {
        if let Some(known) = self.lock().by_id.get_mut(&id) {
            known.actor = None;
        }
    }

    /// An execution has left this process: whoever waits hears how, unless that was shown before.
    pub(crate) fn left(&self, id: ExecutionId, how: Ended) {
        let known = self.lock().by_id.remove(&id);
        if let Some(known) = known {
            known.live.end(how);
        }
    }

    /// All leave this process, and whatever is shown later has left it too.
    pub(crate) fn close(&self) {
        let left = {
            let mut known = self.lock();
            known.closed = true;
            std::mem::take(&mut known.by_id)
        };
        for known in left.into_values() {
            known.live.end(Ended::Requeued);
        }
    }

    /// Which they are.
    pub(crate) fn ids(&self) -> Vec<ExecutionId> {
        self.lock().by_id.keys().copied().collect()
    }

    /// How many they are.
    pub(crate) fn len(&self) -> usize {
        self.lock().by_id.len()
    }

    /// True when there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().by_id.is_empty()
    }

    /// Those whose end nobody knows yet.
    pub(crate) fn running(&self) -> Vec<Arc<Live>> {
        let known = self.lock();
        let unknown = known.by_id.values().filter(|known| known.live.ended().is_none());
        unknown.map(|known| Arc::clone(&known.live)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use bifrost_core::{SystemEntropy, Timestamp};

    use super::*;

    #[test]
    fn whoever_asks_after_the_tenant_was_retired_is_not_kept_waiting() {
        let executions = Executions::default();
        let id = || ExecutionId::generate(Timestamp::from_millis(0), &SystemEntropy);
        let before = executions.show(id());
        assert!(before.ended().is_none());
        executions.close();
        let after = executions.show(id());
        for live in [before, after] {
            assert!(matches!(live.ended(), Some(Ended::Requeued)));
        }
        assert!(executions.is_empty());
    }
}
