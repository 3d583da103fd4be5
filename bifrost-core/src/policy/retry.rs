//! How often to try again, and after what time.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind};

/// A retry policy as a value.
///
/// ```
/// use std::time::Duration;
/// use bifrost_core::policy::retry::RetryPolicy;
///
/// let policy = RetryPolicy::attempts(5).with_delay(Duration::from_secs(1), Duration::from_secs(60));
/// assert_eq!(policy.max_attempts, 5);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RetryPolicy {
    /// How often it is tried in total; 1 means never again.
    pub max_attempts: u32,
    /// The delay after the first attempt.
    pub initial_delay: Duration,
    /// No delay is longer than this, unless a provider asked for it.
    pub max_delay: Duration,
    /// Only these kinds are retried; `None` means whatever the one who saw the failure judged retryable.
    #[serde(default)]
    pub kinds: Option<Vec<ErrorKind>>,
}

impl RetryPolicy {
    /// Never tries again.
    pub const fn never() -> Self {
        Self::attempts(1)
    }

    /// Tries `max_attempts` times, after 2 s, 4 s, 8 s … up to a minute.
    pub const fn attempts(max_attempts: u32) -> Self {
        Self { max_attempts, initial_delay: Duration::from_secs(2), max_delay: Duration::from_secs(60), kinds: None }
    }

    /// Sets the first and the longest delay.
    #[must_use]
    pub const fn with_delay(mut self, initial: Duration, max: Duration) -> Self {
        self.initial_delay = initial;
        self.max_delay = max;
        self
    }

    /// Retries only errors of these kinds.
    #[must_use]
    pub fn only(mut self, kinds: impl IntoIterator<Item = ErrorKind>) -> Self {
        self.kinds = Some(kinds.into_iter().collect());
        self
    }

    /// Decides after attempt number `attempt` (from 1) failed with `error`: the delay before the next one, or `None`
    /// to give up. `jitter` in `0.0..1.0` shortens the delay by up to half; a delay named by the provider is a floor.
    pub fn decide(&self, attempt: u32, error: &Error, jitter: f64) -> Option<Duration> {
        if attempt >= self.max_attempts || !self.covers(error) {
            return None;
        }
        let own = self.delay(attempt).mul_f64(1.0 - 0.5 * jitter.clamp(0.0, 1.0));
        Some(error.retry_after().map_or(own, |asked| own.max(asked)))
    }

    fn covers(&self, error: &Error) -> bool {
        match &self.kinds {
            Some(kinds) => kinds.contains(&error.kind()),
            None => error.is_retryable(),
        }
    }

    /// The delay after attempt number `attempt` before jitter: doubled each time, never over the longest.
    fn delay(&self, attempt: u32) -> Duration {
        let factor = 2_u32.saturating_pow(attempt.saturating_sub(1).min(30));
        self.initial_delay.saturating_mul(factor).min(self.max_delay)
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self::attempts(3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Retry;
    use proptest::prelude::*;

    fn error(retry: Retry) -> Error {
        Error::new(ErrorKind::Unavailable, "test", "down").retry(retry)
    }

    #[test]
    fn gives_up_at_the_last_attempt_and_on_permanent_errors() {
        let policy = RetryPolicy::attempts(3);
        assert!(policy.decide(2, &error(Retry::Later), 0.0).is_some());
        assert!(policy.decide(3, &error(Retry::Later), 0.0).is_none());
        assert!(policy.decide(1, &error(Retry::Never), 0.0).is_none());
    }

    #[test]
    fn listed_kinds_overrule_the_judgement() {
        let policy = RetryPolicy::attempts(3).only([ErrorKind::Throttled]);
        assert!(policy.decide(1, &error(Retry::Later), 0.0).is_none());
        let throttled = Error::new(ErrorKind::Throttled, "test", "slow down");
        assert!(policy.decide(1, &throttled, 0.0).is_some());
    }

    proptest! {
        #[test]
        fn delays_keep_their_bounds(attempt in 1_u32..1000, jitter in 0.0..1.0_f64, asked in 0_u64..1_000_000) {
            let policy = RetryPolicy::attempts(u32::MAX);
            let own = policy.decide(attempt, &error(Retry::Later), jitter).unwrap();
            prop_assert!(own <= policy.max_delay && own >= policy.initial_delay / 2);
            let floor = Duration::from_millis(asked);
            let delay = policy.decide(attempt, &error(Retry::After(floor)), jitter).unwrap();
            prop_assert!(delay >= floor);
        }
    }
}
