//! Waits for a length of time, on the monotonic count: deadlines, delays between attempts, flushes.
//!
//! Every execution has some, and nearly all of them are given up before they are over. So they stand in one list, and
//! one task minds the clock for the first of them: to begin and to give up a countdown wakes nobody and starts no task.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bifrost_core::Clock;
use futures_util::future::select;
use tokio::sync::Notify;

/// A place in the list: of two that are due at the same time, the one that was there first goes first.
type Place = (Duration, u64);

/// What is done when the time has come. It must not wait, and costs others their time.
type Call = Box<dyn FnOnce() + Send>;

/// See the module.
pub(crate) struct Countdowns {
    clock: Arc<dyn Clock>,
    waiting: Mutex<Waiting>,
    /// Somebody is due before the time at which the list is looked at again.
    changed: Notify,
}

#[derive(Default)]
struct Waiting {
    count: u64,
    list: BTreeMap<Place, Call>,
    /// When the list is looked at again. Whoever was due then may have given up: that is found out by looking.
    looked_at: Option<Duration>,
}

impl Countdowns {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self { clock, waiting: Mutex::default(), changed: Notify::new() })
    }

    /// Does `call` after `delay`, unless what this returns is dropped before.
    pub(crate) fn after(self: &Arc<Self>, delay: Duration, call: impl FnOnce() + Send + 'static) -> Countdown {
        let due = self.clock.monotonic().saturating_add(delay);
        let call: Call = Box::new(call);
        let mut waiting = self.lock();
        waiting.count += 1;
        let place = (due, waiting.count);
        waiting.list.insert(place, call);
        let too_late = waiting.looked_at.is_none_or(|at| due < at);
        if too_late {
            waiting.looked_at = Some(due);
        }
        drop(waiting);
        if too_late {
            self.changed.notify_one();
        }
        Countdown { countdowns: Arc::clone(self), place }
    }

    /// Minds the clock, for ever.
    pub(crate) async fn mind(self: Arc<Self>) {
        loop {
            let changed = Box::pin(self.changed.notified());
            match self.call_those_due() {
                Some(left) => drop(select(changed, self.clock.sleep(left)).await),
                None => changed.await,
            }
        }
    }

    /// Calls for all whose time has come; how long until the next one's has.
    fn call_those_due(&self) -> Option<Duration> {
        loop {
            let call = {
                let mut waiting = self.lock();
                let now = self.clock.monotonic();
                match waiting.list.first_entry() {
                    Some(first) if first.key().0 <= now => first.remove(),
                    later => {
                        let due = later.map(|first| first.key().0);
                        waiting.looked_at = due;
                        return due.map(|due| due.saturating_sub(now));
                    }
                }
            };
            call();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Countdowns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Countdowns").field("waiting", &self.lock().list.len()).finish_non_exhaustive()
    }
}

/// See [`Countdowns::after`].
#[derive(Debug)]
pub(crate) struct Countdown {
    countdowns: Arc<Countdowns>,
    place: Place,
}

impl Drop for Countdown {
    fn drop(&mut self) {
        let given_up = self.countdowns.lock().list.remove(&self.place);
        // Outside the lock: what it holds may be the last of its kind.
        drop(given_up);
    }
}

#[cfg(test)]
mod tests {
    use bifrost_core::Timestamp;
    use bifrost_core::testing::ManualClock;
    use futures_util::FutureExt;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const NOBODY: [u32; 0] = [];

    struct Stage {
        clock: ManualClock,
        countdowns: Arc<Countdowns>,
        rung: Arc<Mutex<Vec<u32>>>,
        mind: std::pin::Pin<Box<dyn Future<Output = ()>>>,
    }

    impl Stage {
        fn new() -> Self {
            let clock = ManualClock::starting_at(Timestamp::from_millis(0));
            let countdowns = Countdowns::new(Arc::new(clock.clone()));
            let mind = Box::pin(Arc::clone(&countdowns).mind());
            Self { clock, countdowns, rung: Arc::default(), mind }
        }

        fn set(&self, delay: Duration, name: u32) -> Countdown {
            let rung = Arc::clone(&self.rung);
            self.countdowns.after(delay, move || rung.lock().unwrap().push(name))
        }

        fn after(&mut self, passed: Duration) -> Vec<u32> {
            self.clock.advance(passed);
            assert!(self.mind.as_mut().now_or_never().is_none());
            std::mem::take(&mut self.rung.lock().unwrap())
        }
    }

    #[test]
    fn they_ring_in_order_once_and_not_before_their_time() {
        let mut stage = Stage::new();
        let _set = [stage.set(3 * SECOND, 3), stage.set(SECOND, 1), stage.set(2 * SECOND, 2), stage.set(SECOND, 11)];
        assert_eq!(stage.after(Duration::ZERO), NOBODY);
        assert_eq!(stage.after(SECOND), [1, 11]);
        assert_eq!(stage.after(5 * SECOND), [2, 3]);
        assert_eq!(stage.after(5 * SECOND), NOBODY);
    }

    #[test]
    fn one_that_comes_later_may_be_due_before_those_who_wait() {
        let mut stage = Stage::new();
        let _late = stage.set(10 * SECOND, 10);
        assert_eq!(stage.after(SECOND), NOBODY);
        let _soon = stage.set(SECOND, 2);
        assert_eq!(stage.after(Duration::ZERO), NOBODY);
        assert_eq!(stage.after(SECOND), [2]);
        let _never = stage.set(Duration::MAX, 0);
        assert_eq!(stage.after(8 * SECOND), [10]);
    }

    #[test]
    fn to_set_and_give_up_ten_thousand_wakes_nobody() {
        let mut stage = Stage::new();
        let _first = stage.set(SECOND, 1);
        assert_eq!(stage.after(Duration::ZERO), NOBODY);
        let others: Vec<_> = (0..10_000).map(|_| stage.set(2 * SECOND, 2)).collect();
        assert_eq!(stage.clock.sleepers(), 1);
        drop(others);
        assert!(stage.countdowns.changed.notified().now_or_never().is_none());
        assert_eq!(stage.after(2 * SECOND), [1]);
        assert!(stage.countdowns.lock().list.is_empty());
    }
}
