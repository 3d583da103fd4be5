//! How often to try again within one call, and after what time.
//!
//! `backoff` supplies the intervals and is named in this file alone: it is unmaintained. Its own clock and randomness
//! are not used, so that a run can be replayed: jitter comes from the hub's [`Entropy`](bifrost_core::Entropy).

use std::time::Duration;

use backoff::ExponentialBackoff;
use backoff::backoff::Backoff;
use bifrost_core::Retry;

use super::classify::{Applied, Classified};
use super::config::RetryConfig;

/// Intervals that grow up to a limit.
#[derive(Debug, Clone)]
pub struct Intervals {
    initial: Duration,
    max: Duration,
    multiplier: f64,
}

impl Intervals {
    /// Each interval is twice the one before.
    pub fn doubling(initial: Duration, max: Duration) -> Self {
        Self { initial, max, multiplier: 2.0 }
    }

    /// Each interval is half as long again as the one before.
    pub fn growing(initial: Duration, max: Duration) -> Self {
        Self { initial, max, multiplier: 1.5 }
    }

    /// The interval after failure number `failures`, counted from 1, without jitter.
    pub fn after(&self, failures: u32) -> Duration {
        let mut backoff = ExponentialBackoff {
            current_interval: self.initial,
            initial_interval: self.initial,
            multiplier: self.multiplier,
            max_interval: self.max,
            randomization_factor: 0.0,
            max_elapsed_time: None,
            ..ExponentialBackoff::default()
        };
        // The limit is reached long before the 64th.
        let intervals = std::iter::from_fn(|| backoff.next_backoff());
        let interval = intervals.take(failures.clamp(1, 64) as usize).last();
        interval.unwrap_or(self.max).min(self.max)
    }
}

/// What to do after a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RetryDecision {
    /// Try again after this time. A throttled request waits at the budget instead, which knows until when.
    Again(Duration),
    /// Return the failure.
    GiveUp,
    /// Return that nobody knows whether the request was applied.
    UnknownOutcome,
}

/// How a call has gone so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Attempts that failed for other reasons than throttling, the last one included.
    pub failures: u32,
    /// Attempts that were answered "slow down", the last one included.
    pub throttled: u32,
    /// Time left until the deadline.
    pub remaining: Duration,
}

impl RetryConfig {
    /// Decides about a failed attempt. `repeatable` says that sending the request twice does no harm, `allowance` that
    /// the connection's retries are few enough; `jitter` in `0.0..1.0` shortens the delay by up to half. A time the
    /// provider named is a floor; a wait that would pass the deadline is not begun.
    pub fn decide(
        &self,
        failure: &Classified,
        repeatable: bool,
        progress: Progress,
        allowance: bool,
        jitter: f64,
    ) -> RetryDecision {
        if failure.applied == Applied::Maybe && !repeatable {
            return RetryDecision::UnknownOutcome;
        }
        let named = match failure.retry {
            Retry::Never => return RetryDecision::GiveUp,
            Retry::Later => Duration::ZERO,
            Retry::After(named) => named,
        };
        if named >= progress.remaining {
            return RetryDecision::GiveUp;
        }
        if failure.close.is_some() {
            return match progress.throttled < self.max_throttled {
                true => RetryDecision::Again(Duration::ZERO),
                false => RetryDecision::GiveUp,
            };
        }
        let own = Intervals::growing(self.initial_delay, self.max_delay).after(progress.failures);
        let delay = own.mul_f64(1.0 - 0.5 * jitter.clamp(0.0, 1.0)).max(named);
        if progress.failures >= self.max_attempts || !allowance || delay >= progress.remaining {
            return RetryDecision::GiveUp;
        }
        RetryDecision::Again(delay)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bifrost_core::ErrorKind;
    use http::StatusCode;
    use proptest::prelude::*;

    fn of(status: u16, wait: Option<u64>) -> Classified {
        Classified::of_status(StatusCode::from_u16(status).unwrap(), wait.map(Duration::from_secs))
    }

    fn progress(failures: u32, throttled: u32, remaining: u64) -> Progress {
        Progress { failures, throttled, remaining: Duration::from_secs(remaining) }
    }

    #[test]
    fn intervals_grow_and_repeat_exactly() {
        let doubling = Intervals::doubling(Duration::from_secs(2), Duration::from_secs(60));
        let seconds: Vec<u64> = (1..8).map(|failures| doubling.after(failures).as_secs()).collect();
        assert_eq!(seconds, [2, 4, 8, 16, 32, 60, 60]);
        let growing = Intervals::growing(Duration::from_millis(500), Duration::from_secs(20));
        let millis: Vec<u128> =
            [0, 1, 2, 3, 4, 64, u32::MAX].map(|failures| growing.after(failures).as_millis()).into();
        assert_eq!(millis, [500, 500, 750, 1_125, 1_687, 20_000, 20_000]);
    }

    #[test]
    fn every_decision() {
        use RetryDecision::{Again, GiveUp, UnknownOutcome};
        let config = RetryConfig::default();
        let delay = Again(Duration::from_millis(500));
        let at_the_gate = Again(Duration::ZERO);
        #[rustfmt::skip]
        let table = [
            // status, retry-after, repeatable, progress, allowance, decision
            (500, None, true, progress(1, 0, 60), true, delay),
            (500, None, false, progress(1, 0, 60), true, UnknownOutcome),
            (500, None, true, progress(4, 0, 60), true, GiveUp),
            (500, None, true, progress(1, 0, 0), true, GiveUp),
            (500, None, true, progress(1, 0, 60), false, GiveUp),
            (504, Some(9), true, progress(1, 0, 60), true, Again(Duration::from_secs(9))),
            (504, Some(61), true, progress(1, 0, 60), true, GiveUp),
            (503, None, false, progress(1, 0, 60), true, UnknownOutcome),
            (503, Some(3), false, progress(0, 1, 60), true, at_the_gate),
            (429, Some(3), false, progress(0, 1, 60), true, at_the_gate),
            (429, None, false, progress(0, 1, 60), true, at_the_gate),
            (429, Some(3), false, progress(0, 1, 60), false, at_the_gate),
            (429, Some(60), false, progress(0, 1, 60), true, GiveUp),
            (429, Some(3), false, progress(0, 12, 60), true, GiveUp),
            (400, None, false, progress(1, 0, 60), true, GiveUp),
            (404, Some(3), true, progress(1, 0, 60), true, GiveUp),
        ];
        for (status, wait, repeatable, progress, allowance, expected) in table {
            let decision = config.decide(&of(status, wait), repeatable, progress, allowance, 0.0);
            assert_eq!(decision, expected, "{status} {wait:?} {repeatable} {progress:?}");
        }
    }

    proptest! {
        #[test]
        fn no_wait_is_shorter_than_asked_or_passes_the_deadline(
            status in 400_u16..600, wait in proptest::option::of(0_u64..100), repeatable: bool,
            failures in 0_u32..10, throttled in 0_u32..20, remaining in 0_u64..120, jitter in 0.0..1.0_f64,
        ) {
            let failure = of(status, wait);
            let progress = progress(failures, throttled, remaining);
            let decision = RetryConfig::default().decide(&failure, repeatable, progress, true, jitter);
            if let RetryDecision::Again(delay) = decision {
                prop_assert!(delay < progress.remaining);
                prop_assert!(failure.close.is_some() || delay >= Duration::from_secs(wait.unwrap_or(0)));
                prop_assert!(repeatable || failure.applied == Applied::No);
                prop_assert!(failure.kind != ErrorKind::Rejected);
            }
            let unsure = failure.applied == Applied::Maybe && !repeatable;
            prop_assert_eq!(decision == RetryDecision::UnknownOutcome, unsure);
        }
    }
}
