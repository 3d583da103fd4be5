//! The place among those that run which an attempt holds.
//!
//! An attempt that waits for a child holds none, whatever else its code does meanwhile: a child can always start, however
//! few places there are and however deeply executions are nested.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::slots::Slot;
use crate::task::{Task, spawn};
use crate::tenant::shared::TenantShared;

/// See the module.
pub(crate) struct Place {
    tenant: Arc<TenantShared>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    slot: Option<Slot>,
    /// Waits for children that are under way: while there are any, `slot` is empty.
    away: u32,
    /// Stands in line for code that goes on already.
    in_line: Option<Task>,
    /// The attempt has ended: it needs no place any more.
    closed: bool,
}

impl Place {
    pub(crate) fn new(tenant: &Arc<TenantShared>, slot: Slot) -> Arc<Self> {
        let state = State { slot: Some(slot), ..State::default() };
        Arc::new(Self { tenant: Arc::clone(tenant), state: Mutex::new(state) })
    }

    /// Gives the place back until [`Away::come_back`].
    pub(crate) fn leave(self: &Arc<Self>) -> Away {
        let slot = {
            let mut state = self.lock();
            state.away += 1;
            state.slot.take()
        };
        // Outside the lock: it wakes whoever's turn it is.
        drop(slot);
        Away { place: Arc::clone(self), returned: false }
    }

    /// Gives the place back for good.
    pub(crate) fn close(&self) {
        let held = {
            let mut state = self.lock();
            state.closed = true;
            (state.slot.take(), state.in_line.take())
        };
        drop(held);
    }

    /// Gives the place back for good when this is dropped.
    pub(crate) fn held(self: Arc<Self>) -> Held {
        Held(self)
    }

    /// Stands in line if a place is needed: the last who comes back does.
    fn request(&self) -> Option<oneshot::Receiver<Slot>> {
        let state = self.lock();
        let needed = !state.closed && state.away == 0 && state.slot.is_none();
        drop(state);
        let limit = self.tenant.record().map_or(1, |record| record.quota.max_running);
        needed.then(|| self.tenant.hub.slots.request(&self.tenant.id, limit))
    }

    /// Takes a place, unless it is not needed by now: then it goes to whoever is next.
    fn fill(&self, slot: Slot) {
        let surplus = {
            let mut state = self.lock();
            if state.closed || state.away > 0 || state.slot.is_some() { Some(slot) } else { state.slot.replace(slot) }
        };
        drop(surplus);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// See [`Place::held`].
pub(crate) struct Held(Arc<Place>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// A wait for a child.
pub(crate) struct Away {
    place: Arc<Place>,
    returned: bool,
}

impl Away {
    /// Resolves when the attempt has a place again.
    pub(crate) async fn come_back(mut self) {
        self.returned = true;
        self.place.lock().away -= 1;
        if let Some(turn) = self.place.request()
            && let Ok(slot) = turn.await
        {
            self.place.fill(slot);
        }
    }
}

impl Drop for Away {
    /// The workflow waits no longer, as when it has raced the child against time: its code goes on at once, and takes a
    /// place as soon as there is one.
    fn drop(&mut self) {
        if std::mem::replace(&mut self.returned, true) {
            return;
        }
        self.place.lock().away -= 1;
        if let Some(turn) = self.place.request() {
            let place = Arc::clone(&self.place);
            let in_line = spawn(async move {
                if let Ok(slot) = turn.await {
                    place.fill(slot);
                }
            });
            self.place.lock().in_line = Some(in_line);
        }
    }
}
