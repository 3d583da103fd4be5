//! The clock of the machine the hub runs on: its wall can be set, its monotonic count cannot.
//!
//! The providers' clock is [`JumpyClock::true_time`]: nobody sets it, so that a jump shows as a difference between the
//! two, as it does outside.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bifrost::testing::TokioClock;
use bifrost::{Clock, Timestamp};
use futures_util::future::BoxFuture;

#[derive(Debug, Clone)]
pub(crate) struct JumpyClock {
    steady: TokioClock,
    ahead_millis: Arc<AtomicI64>,
}

impl JumpyClock {
    pub(crate) fn starting_at(wall: &str) -> Self {
        Self { steady: TokioClock::starting_at(wall.parse().unwrap()), ahead_millis: Arc::default() }
    }

    /// The clock that never jumps.
    pub(crate) fn true_time(&self) -> Arc<dyn Clock> {
        Arc::new(self.steady)
    }

    /// Sets the wall clock forward, or back when `seconds` is negative.
    pub(crate) fn jump(&self, seconds: i64) {
        self.ahead_millis.fetch_add(seconds * 1000, Ordering::SeqCst);
    }

    /// How far the wall is ahead of the true time.
    pub(crate) fn ahead_millis(&self) -> i64 {
        self.ahead_millis.load(Ordering::SeqCst)
    }
}

impl Clock for JumpyClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.steady.now().as_millis() + self.ahead_millis())
    }

    fn monotonic(&self) -> Duration {
        self.steady.monotonic()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        self.steady.sleep(duration)
    }
}
