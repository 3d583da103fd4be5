//! Records that wait to be fetched: at most so many, and nobody waits for room.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::record::Record;

/// See the module.
pub(super) struct Queue<T = Record> {
    state: Mutex<State<T>>,
    arrived: Condvar,
    capacity: usize,
}

struct State<T> {
    records: VecDeque<T>,
    dropped: u64,
    closed: bool,
}

impl<T> Queue<T> {
    pub(super) fn new(capacity: usize) -> Self {
        let state = State { records: VecDeque::new(), dropped: 0, closed: false };
        Self { state: Mutex::new(state), arrived: Condvar::new(), capacity }
    }

    /// Puts a record in, or counts it where there is no room. The lock is held by nobody for longer than a move.
    pub(super) fn put(&self, record: T) {
        let mut state = self.lock();
        if state.closed {
            return;
        }
        if state.records.len() < self.capacity {
            state.records.push_back(record);
        } else {
            state.dropped += 1;
        }
        drop(state);
        self.arrived.notify_one();
    }

    /// All that is there, as soon as something is, and how many were dropped after it; nothing when `limit` is over.
    /// `None` when it is closed and empty.
    pub(super) fn fetch(&self, limit: Duration) -> Option<(Vec<T>, u64)> {
        let idle = |state: &mut State<T>| state.records.is_empty() && state.dropped == 0 && !state.closed;
        let (mut state, _) =
            self.arrived.wait_timeout_while(self.lock(), limit, idle).unwrap_or_else(PoisonError::into_inner);
        let dropped = std::mem::take(&mut state.dropped);
        let records = std::mem::take(&mut state.records);
        if state.closed && records.is_empty() && dropped == 0 {
            return None;
        }
        drop(state);
        Some((records.into(), dropped))
    }

    /// Takes nothing more; what is in it can still be fetched.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.arrived.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_counted_and_told_once() {
        let queue = Queue::new(2);
        (0..5).for_each(|number| queue.put(number));
        assert_eq!(queue.fetch(Duration::ZERO), Some((vec![0, 1], 3)));
        queue.put(5);
        assert_eq!(queue.fetch(Duration::ZERO), Some((vec![5], 0)));
        assert_eq!(queue.fetch(Duration::ZERO), Some((vec![], 0)));
    }

    #[test]
    fn a_closed_queue_gives_out_what_it_has_and_takes_nothing() {
        let queue = Queue::new(2);
        queue.put(1);
        queue.close();
        queue.put(2);
        assert_eq!(queue.fetch(Duration::MAX), Some((vec![1], 0)));
        assert_eq!(queue.fetch(Duration::MAX), None);
    }
}
