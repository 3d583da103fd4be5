//! What everybody may see of an execution while it lives: its durable events and its end. It outlives the actor, so
//! whoever waits is not disturbed when the actor is restarted.

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bifrost_core::ExecutionId;
use bifrost_core::event::{Event, EventBody};
use bifrost_core::execution::{ExecutionState, Outcome};
use tokio::sync::Notify;

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
    shown: Mutex<Shown>,
    /// Wakes whoever follows the events, also when no more will come.
    more: Notify,
    /// Wakes whoever waits for the end.
    over: Notify,
    /// Wakes whoever waits for it to be set aside.
    moved: Notify,
}

#[derive(Debug, Default)]
struct Shown {
    events: Vec<Event>,
    ended: Option<Ended>,
    /// It waits for a person.
    aside: bool,
}

impl Live {
    pub(crate) fn new(id: ExecutionId) -> Arc<Self> {
        let (more, over, moved) = (Notify::new(), Notify::new(), Notify::new());
        Arc::new(Self { id, shown: Mutex::default(), more, over, moved })
    }

    pub(crate) fn id(&self) -> ExecutionId {
        self.id
    }

    /// Shows events that have become durable. Those shown already, as after a restart of the actor, are left out.
    pub(crate) fn publish(&self, events: impl IntoIterator<Item = Event>) {
        let mut shown = self.lock();
        let mut last = shown.events.last().map_or(0, |event| event.seq);
        for event in events {
            if event.seq == last + 1 {
                last = event.seq;
                if let EventBody::State { state, .. } = &event.body {
                    shown.aside = *state == ExecutionState::NeedsAttention;
                }
                shown.events.push(event);
            }
        }
        let aside = shown.aside;
        drop(shown);
        self.more.notify_waiters();
        if aside {
            self.moved.notify_waiters();
        }
    }

    /// Shows the end, once.
    pub(crate) fn end(&self, ended: Ended) {
        self.lock().ended.get_or_insert(ended);
        self.over.notify_waiters();
        self.more.notify_waiters();
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&self) -> Option<Ended> {
        self.lock().ended.clone()
    }

    /// Waits for its end.
    pub(crate) async fn end_shown(&self) -> Ended {
        self.look(&self.over, |shown| shown.ended.clone()).await
    }

    /// Waits until a person must decide.
    pub(crate) async fn set_aside(&self) {
        self.look(&self.moved, |shown| shown.aside.then_some(())).await;
    }

    /// Waits for the event of this number; `None` when there will be none.
    pub(crate) async fn event(&self, seq: u64) -> Option<Event> {
        let index = usize::try_from(seq.checked_sub(1)?).ok()?;
        let look = |shown: &Shown| match shown.events.get(index) {
            Some(event) => Some(Some(event.clone())),
            None => shown.ended.is_some().then_some(None),
        };
        self.look(&self.more, look).await
    }

    /// Looks whenever something has changed, until something is found.
    async fn look<T>(&self, changed: &Notify, find: impl Fn(&Shown) -> Option<T>) -> T {
        let mut changed_since = pin!(changed.notified());
        loop {
            changed_since.as_mut().enable();
            if let Some(found) = find(&self.lock()) {
                return found;
            }
            changed_since.as_mut().await;
            changed_since.set(changed.notified());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
