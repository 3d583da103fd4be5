//! What everybody may see of an execution while it lives: its durable events and its end. It outlives the actor, so
//! whoever waits is not disturbed when the actor is restarted.

use std::sync::{Arc, Mutex, PoisonError};

use bifrost_core::ExecutionId;
use bifrost_core::event::{Event, EventBody};
use bifrost_core::execution::{ExecutionState, Outcome};
use tokio::sync::watch;

/// How an execution left this process.
#[derive(Debug, Clone)]
pub(crate) enum Ended {
    /// It is terminal.
    Outcome(Arc<Outcome>),
    /// The hub was shut down; the execution goes on at the next start.
    Requeued,
    /// It was never accepted, or its tenant was suspended.
    Dropped,
}

/// The public face of one execution.
#[derive(Debug)]
pub(crate) struct Live {
    id: ExecutionId,
    events: Mutex<Vec<Event>>,
    last: watch::Sender<u64>,
    ended: watch::Sender<Option<Ended>>,
    /// It waits for a person.
    aside: watch::Sender<bool>,
}

impl Live {
    pub(crate) fn new(id: ExecutionId) -> Arc<Self> {
        Arc::new(Self {
            id,
            events: Mutex::new(Vec::new()),
            last: watch::Sender::new(0),
            ended: watch::Sender::new(None),
            aside: watch::Sender::new(false),
        })
    }

    pub(crate) fn id(&self) -> ExecutionId {
        self.id
    }

    /// Shows events that have become durable. Those shown already, as after a restart of the actor, are left out.
    pub(crate) fn publish(&self, events: impl IntoIterator<Item = Event>) {
        let mut shown = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        let mut last = shown.last().map_or(0, |event| event.seq);
        let mut moved_to = None;
        for event in events {
            if event.seq == last + 1 {
                last = event.seq;
                if let EventBody::State { state, .. } = &event.body {
                    moved_to = Some(*state);
                }
                shown.push(event);
            }
        }
        drop(shown);
        if let Some(state) = moved_to {
            let aside = state == ExecutionState::NeedsAttention;
            self.aside.send_if_modified(|before| std::mem::replace(before, aside) != aside);
        }
        self.last.send_replace(last);
    }

    /// Shows the end, once.
    pub(crate) fn end(&self, ended: Ended) {
        self.ended.send_if_modified(|current| {
            let first = current.is_none();
            if first {
                *current = Some(ended);
            }
            first
        });
    }

    pub(crate) fn ended(&self) -> watch::Receiver<Option<Ended>> {
        self.ended.subscribe()
    }

    /// Whether it waits for a person.
    pub(crate) fn aside(&self) -> watch::Receiver<bool> {
        self.aside.subscribe()
    }

    pub(crate) fn last(&self) -> watch::Receiver<u64> {
        self.last.subscribe()
    }

    /// The event of this number, if it is shown.
    pub(crate) fn event(&self, seq: u64) -> Option<Event> {
        let shown = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        let index = usize::try_from(seq.checked_sub(1)?).ok()?;
        shown.get(index).cloned()
    }
}
