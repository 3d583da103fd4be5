//! Waits for a moment: of the wall clock, which can be set while somebody waits (scheduled starts), and of the monotonic
//! count (deadlines, delays between attempts, flushes).
//!
//! Every execution has some, and nearly all of them are given up before they are over. So all waits of a hub for one kind
//! of time stand in one list, and one task minds the clock for the first of them: to begin a wait and to give it up wakes
//! nobody and starts no task.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bifrost_core::{Clock, Timestamp};
use futures_util::future::{BoxFuture, select};
use tokio::sync::Notify;

/// A kind of time.
pub(crate) trait Time: Copy + Ord + Send + 'static {
    fn now(clock: &dyn Clock) -> Self;

    /// Resolves when it has come, or may have.
    fn comes(self, clock: &dyn Clock) -> BoxFuture<'_, ()>;
}

impl Time for Timestamp {
    fn now(clock: &dyn Clock) -> Self {
        clock.now()
    }

    fn comes(self, clock: &dyn Clock) -> BoxFuture<'_, ()> {
        clock.wait_until(self)
    }
}

impl Time for Duration {
    fn now(clock: &dyn Clock) -> Self {
        clock.monotonic()
    }

    fn comes(self, clock: &dyn Clock) -> BoxFuture<'_, ()> {
        clock.sleep(self.saturating_sub(clock.monotonic()))
    }
}

/// Waits for times of the wall clock.
pub(crate) type Alarms = Waits<Timestamp>;

/// Waits for lengths of time.
pub(crate) type Countdowns = Waits<Duration>;

/// See the module.
pub(crate) struct Waits<T> {
    clock: Arc<dyn Clock>,
    list: Mutex<List<T>>,
    /// Somebody is due before the time at which the list is looked at again.
    changed: Notify,
}

/// A place in the list: of two that are due at the same time, the one that was there first goes first.
type Place<T> = (T, u64);

/// What is done when the time has come. It must not wait, and costs others their time.
type Call = Box<dyn FnOnce() + Send>;

struct List<T> {
    count: u64,
    calls: BTreeMap<Place<T>, Call>,
    /// When the list is looked at again. Whoever was due then may have given up: that is found out by looking.
    looked_at: Option<T>,
}

impl<T: Time> Waits<T> {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Arc<Self> {
        let list = List { count: 0, calls: BTreeMap::new(), looked_at: None };
        Arc::new(Self { clock, list: Mutex::new(list), changed: Notify::new() })
    }

    /// Does `call` once it is `time` or later, unless what this returns is dropped before.
    pub(crate) fn at(self: &Arc<Self>, time: T, call: impl FnOnce() + Send + 'static) -> Wait<T> {
        let call: Call = Box::new(call);
        let mut list = self.lock();
        list.count += 1;
        let place = (time, list.count);
        list.calls.insert(place, call);
        let too_late = list.looked_at.is_none_or(|at| time < at);
        if too_late {
            list.looked_at = Some(time);
        }
        drop(list);
        if too_late {
            self.changed.notify_one();
        }
        Wait { waits: Arc::clone(self), place }
    }

    /// Minds the clock, for ever.
    pub(crate) async fn mind(self: Arc<Self>) {
        loop {
            let changed = Box::pin(self.changed.notified());
            match self.call_those_due() {
                Some(next) => drop(select(changed, next.comes(&*self.clock)).await),
                None => changed.await,
            }
        }
    }

    /// Calls for all whose time has come; the time of the next one.
    fn call_those_due(&self) -> Option<T> {
        loop {
            let call = {
                let mut list = self.lock();
                let now = T::now(&*self.clock);
                match list.calls.first_entry() {
                    Some(first) if first.key().0 <= now => first.remove(),
                    later => {
                        let next = later.map(|first| first.key().0);
                        list.looked_at = next;
                        return next;
                    }
                }
            };
            call();
        }
    }
}

impl Waits<Duration> {
    /// Does `call` after `delay`, unless what this returns is dropped before.
    pub(crate) fn after(self: &Arc<Self>, delay: Duration, call: impl FnOnce() + Send + 'static) -> Wait<Duration> {
        self.at(self.clock.monotonic().saturating_add(delay), call)
    }
}

impl<T> Waits<T> {
    fn lock(&self) -> MutexGuard<'_, List<T>> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> fmt::Debug for Waits<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waits").field("waiting", &self.lock().calls.len()).finish_non_exhaustive()
    }
}

/// Somebody's place in the list, until it is dropped.
#[derive(Debug)]
pub(crate) struct Wait<T: Time> {
    waits: Arc<Waits<T>>,
    place: Place<T>,
}

impl<T: Time> Drop for Wait<T> {
    fn drop(&mut self) {
        let given_up = self.waits.lock().calls.remove(&self.place);
        // Outside the lock: what it holds may be the last of its kind.
        drop(given_up);
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;

    use bifrost_core::testing::ManualClock;
    use futures_util::FutureExt;

    use super::*;

    const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);
    const SECOND: Duration = Duration::from_secs(1);
    const HOUR: Duration = Duration::from_secs(3_600);
    const NOBODY: [u32; 0] = [];

    fn hours(count: i64) -> Timestamp {
        Timestamp::from_millis(START.as_millis() + count * 3_600_000)
    }

    struct Stage<T> {
        clock: ManualClock,
        waits: Arc<Waits<T>>,
        rung: Arc<Mutex<Vec<u32>>>,
        mind: Pin<Box<dyn Future<Output = ()>>>,
    }

    impl<T: Time> Stage<T> {
        fn new() -> Self {
            let clock = ManualClock::starting_at(START);
            Self::on(clock.clone(), Arc::new(clock))
        }

        fn on(clock: ManualClock, seen: Arc<dyn Clock>) -> Self {
            let waits = Waits::new(seen);
            let mind = Box::pin(Arc::clone(&waits).mind());
            Self { clock, waits, rung: Arc::default(), mind }
        }

        fn call(&self, name: u32) -> impl FnOnce() + Send + use<T> {
            let rung = Arc::clone(&self.rung);
            move || rung.lock().unwrap().push(name)
        }

        fn after(&mut self, passed: Duration) -> Vec<u32> {
            self.clock.advance(passed);
            assert!(self.mind.as_mut().now_or_never().is_none());
            std::mem::take(&mut self.rung.lock().unwrap())
        }
    }

    impl Stage<Duration> {
        fn set(&self, delay: Duration, name: u32) -> Wait<Duration> {
            self.waits.after(delay, self.call(name))
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
        assert!(stage.waits.changed.notified().now_or_never().is_none());
        assert_eq!(stage.after(2 * SECOND), [1]);
        assert!(stage.waits.lock().calls.is_empty());
    }

    /// A clock that does not know when it is set, as a machine's.
    #[derive(Debug)]
    struct Plain(ManualClock);

    impl Clock for Plain {
        fn now(&self) -> Timestamp {
            self.0.now()
        }

        fn monotonic(&self) -> Duration {
            self.0.monotonic()
        }

        fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
            self.0.sleep(duration)
        }
    }

    #[test]
    fn the_wall_clock_decides_however_it_came_there() {
        let clock = ManualClock::starting_at(START);
        let mut stage: Stage<Timestamp> = Stage::on(clock.clone(), Arc::new(Plain(clock)));
        let _set = [(30, 30), (1, 1)].map(|(hour, name)| stage.waits.at(hours(hour), stage.call(name)));
        assert_eq!(stage.after(Duration::ZERO), NOBODY);
        stage.clock.set_wall(hours(24));
        assert_eq!(stage.after(5 * SECOND), [1]);
        stage.clock.set_wall(hours(0));
        for _ in 0..7 {
            assert_eq!(stage.after(HOUR), NOBODY, "the wall was set back");
        }
        stage.clock.set_wall(hours(31));
        assert_eq!(stage.after(5 * SECOND), [30]);
    }
}
