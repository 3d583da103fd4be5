//! Clocks for tests: one that moves when told, one that follows tokio's paused time.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

use crate::time::{Clock, Timestamp};

/// A clock that stands still until it is told to move.
///
/// ```
/// use std::time::Duration;
/// use bifrost_core::testing::ManualClock;
/// use bifrost_core::time::Clock;
///
/// let clock = ManualClock::starting_at("2026-01-01T00:00:00Z".parse()?);
/// clock.advance(Duration::from_secs(60));
/// assert_eq!(clock.now().to_string(), "2026-01-01T00:01:00.000Z");
/// # Ok::<(), bifrost_core::Error>(())
/// ```
#[derive(Clone)]
pub struct ManualClock(Arc<Mutex<State>>);

struct State {
    wall: Timestamp,
    elapsed: Duration,
    sleepers: Vec<(Duration, oneshot::Sender<()>)>,
    /// Whoever waits for a time of the wall clock.
    alarms: Vec<(Timestamp, oneshot::Sender<()>)>,
}

impl State {
    /// Takes those out whose wait is over, earliest first.
    fn due(&mut self) -> Vec<oneshot::Sender<()>> {
        let (elapsed, wall) = (self.elapsed, self.wall);
        let mut sleepers: Vec<_> = self.sleepers.extract_if(.., |(deadline, _)| *deadline <= elapsed).collect();
        let mut alarms: Vec<_> = self.alarms.extract_if(.., |(time, _)| *time <= wall).collect();
        sleepers.sort_by_key(|(deadline, _)| *deadline);
        alarms.sort_by_key(|(time, _)| *time);
        sleepers.into_iter().map(|(_, waker)| waker).chain(alarms.into_iter().map(|(_, waker)| waker)).collect()
    }

    fn forget_those_gone(&mut self) {
        self.sleepers.retain(|(_, waker)| !waker.is_closed());
        self.alarms.retain(|(_, waker)| !waker.is_closed());
    }
}

impl ManualClock {
    /// A clock that stands at `wall`.
    pub fn starting_at(wall: Timestamp) -> Self {
        Self(Arc::new(Mutex::new(State { wall, elapsed: Duration::ZERO, sleepers: Vec::new(), alarms: Vec::new() })))
    }

    /// Moves both wall clock and monotonic count on, waking whoever's wait is over, earliest first.
    pub fn advance(&self, duration: Duration) {
        let due = {
            let mut state = self.lock();
            state.elapsed += duration;
            state.wall = state.wall.saturating_add(duration);
            state.due()
        };
        wake(due);
    }

    /// Moves the wall clock alone, as an administrator or NTP would. Waits for a length of time do not change; those
    /// for a time of the wall clock that has come by this are over.
    pub fn set_wall(&self, wall: Timestamp) {
        let due = {
            let mut state = self.lock();
            state.wall = wall;
            state.due()
        };
        wake(due);
    }

    /// How many are waiting: poll this to know that the code under test has come to rest.
    pub fn sleepers(&self) -> usize {
        let mut state = self.lock();
        state.forget_those_gone();
        state.sleepers.len() + state.alarms.len()
    }

    /// How long until the next sleeper is due; `None` when nobody waits.
    pub fn next_due(&self) -> Option<Duration> {
        let mut state = self.lock();
        state.forget_those_gone();
        let (elapsed, wall) = (state.elapsed, state.wall);
        let sleepers = state.sleepers.iter().map(|(deadline, _)| deadline.saturating_sub(elapsed));
        sleepers.chain(state.alarms.iter().map(|(time, _)| time.since(wall))).min()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn wake(due: Vec<oneshot::Sender<()>>) {
    for waker in due {
        // A sleeper that gave up has dropped its end.
        let _ = waker.send(());
    }
}

impl fmt::Debug for ManualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ManualClock").field("wall", &self.lock().wall).finish_non_exhaustive()
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.lock().wall
    }

    fn monotonic(&self) -> Duration {
        self.lock().elapsed
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        if duration.is_zero() {
            return Box::pin(tokio::task::yield_now());
        }
        let (waker, woken) = oneshot::channel();
        let mut state = self.lock();
        let deadline = state.elapsed + duration;
        state.sleepers.push((deadline, waker));
        Box::pin(async move {
            // The sender goes only when the clock itself is gone: then nothing will ever wake this.
            let _ = woken.await;
        })
    }

    fn wait_until(&self, time: Timestamp) -> BoxFuture<'_, ()> {
        let mut state = self.lock();
        if state.wall >= time {
            return Box::pin(tokio::task::yield_now());
        }
        let (waker, woken) = oneshot::channel();
        state.alarms.push((time, waker));
        Box::pin(async move {
            let _ = woken.await;
        })
    }
}

/// A clock that follows tokio's: under `start_paused = true` a whole hub runs through its waits in an instant.
#[derive(Debug, Clone, Copy)]
pub struct TokioClock {
    wall: Timestamp,
    started: tokio::time::Instant,
}

impl TokioClock {
    /// A clock that shows `wall` now and moves with tokio's time.
    #[allow(clippy::disallowed_methods, reason = "this is a clock")]
    pub fn starting_at(wall: Timestamp) -> Self {
        Self { wall, started: tokio::time::Instant::now() }
    }
}

impl Clock for TokioClock {
    fn now(&self) -> Timestamp {
        self.wall.saturating_add(self.started.elapsed())
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }

    #[allow(clippy::disallowed_methods, reason = "this is a clock")]
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration))
    }

    /// Nobody sets this clock.
    fn wait_until(&self, time: Timestamp) -> BoxFuture<'_, ()> {
        self.sleep(time.since(self.now()))
    }
}
