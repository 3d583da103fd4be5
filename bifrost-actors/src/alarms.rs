//! Waits for times of the wall clock, which can be set while somebody waits.
//!
//! All waits of a hub stand in one list, and one task minds the clock for the first of them: ten thousand scheduled
//! executions cost as little as one.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bifrost_core::{Clock, Timestamp};
use futures_util::future::select;
use tokio::sync::{Notify, oneshot};

/// A place in the list: of two for the same time, the one that was there first goes first.
type Place = (Timestamp, u64);

/// See the module.
pub(crate) struct Alarms {
    clock: Arc<dyn Clock>,
    waiting: Mutex<Waiting>,
    /// The list begins with another time than before.
    changed: Notify,
}

#[derive(Default)]
struct Waiting {
    count: u64,
    list: BTreeMap<Place, oneshot::Sender<()>>,
}

impl Alarms {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self { clock, waiting: Mutex::default(), changed: Notify::new() })
    }

    /// An alarm that rings once the wall clock shows `time` or later; dropping it takes it off the list.
    pub(crate) fn at(self: &Arc<Self>, time: Timestamp) -> Alarm {
        let (sender, rung) = oneshot::channel();
        let mut waiting = self.lock();
        waiting.count += 1;
        let place = (time, waiting.count);
        waiting.list.insert(place, sender);
        if waiting.list.first_key_value().is_some_and(|(first, _)| *first == place) {
            self.changed.notify_one();
        }
        drop(waiting);
        Alarm { alarms: Arc::clone(self), place, rung }
    }

    /// Minds the clock, for ever.
    pub(crate) async fn mind(self: Arc<Self>) {
        loop {
            let changed = Box::pin(self.changed.notified());
            match self.ring() {
                Some(first) => drop(select(changed, self.clock.wait_until(first)).await),
                None => changed.await,
            }
        }
    }

    /// Wakes whose time has come; the time of the next one.
    fn ring(&self) -> Option<Timestamp> {
        loop {
            let mut waiting = self.lock();
            let first = waiting.list.first_entry()?;
            let (time, _) = *first.key();
            if time > self.clock.now() {
                return Some(time);
            }
            // One that gave up is about to leave the list itself.
            let _ = first.remove().send(());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Alarms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Alarms").field("waiting", &self.lock().list.len()).finish_non_exhaustive()
    }
}

/// See [`Alarms::at`].
pub(crate) struct Alarm {
    alarms: Arc<Alarms>,
    place: Place,
    rung: oneshot::Receiver<()>,
}

impl Alarm {
    /// Resolves when it rings.
    pub(crate) async fn rings(mut self) {
        // The sender stands in the list of the alarms this holds.
        let _ = (&mut self.rung).await;
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        self.alarms.lock().list.remove(&self.place);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bifrost_core::testing::ManualClock;
    use futures_util::FutureExt;

    use super::*;

    const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn hours(count: i64) -> Timestamp {
        Timestamp::from_millis(START.as_millis() + count * 3_600_000)
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

        fn sleep(&self, duration: Duration) -> futures_util::future::BoxFuture<'static, ()> {
            self.0.sleep(duration)
        }
    }

    #[test]
    fn the_wall_clock_decides_however_it_came_there() {
        let clock = ManualClock::starting_at(START);
        let alarms = Alarms::new(Arc::new(Plain(clock.clone())));
        let mut mind = Box::pin(Arc::clone(&alarms).mind());
        let mut look = || assert!(mind.as_mut().now_or_never().is_none());
        let mut late = Box::pin(alarms.at(hours(30)).rings());
        let mut soon = Box::pin(alarms.at(hours(1)).rings());
        look();
        clock.set_wall(hours(24));
        clock.advance(Duration::from_secs(5));
        look();
        assert!(soon.as_mut().now_or_never().is_some() && late.as_mut().now_or_never().is_none());
        clock.set_wall(hours(0));
        for _ in 0..7 {
            clock.advance(Duration::from_secs(3_600));
            look();
        }
        assert!(late.as_mut().now_or_never().is_none(), "the wall was set back");
        clock.set_wall(hours(31));
        clock.advance(Duration::from_secs(5));
        look();
        assert!(late.as_mut().now_or_never().is_some());
    }

    #[test]
    fn ten_thousand_cost_as_little_as_one_and_whoever_gives_up_leaves() {
        let clock = ManualClock::starting_at(START);
        let alarms = Alarms::new(Arc::new(clock.clone()));
        let mut mind = Box::pin(Arc::clone(&alarms).mind());
        let waiting: Vec<_> = (0..10_000).map(|count| alarms.at(hours(1 + count % 7))).collect();
        assert!(mind.as_mut().now_or_never().is_none());
        assert_eq!(clock.sleepers(), 1);
        drop(waiting);
        assert!(alarms.lock().list.is_empty());
    }
}
