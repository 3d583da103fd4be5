//! What happens after a crash: the one restart policy every supervisor uses.
//!
//! ractor tells that a child died and decides nothing. Here it is decided: restart after a delay that doubles, and
//! when more than `intensity` failures fall into `period`, melt down: the supervisor gives up on that child's subtree
//! and reports upwards. A tenant that melts down is suspended; its neighbours go on.

use std::collections::VecDeque;
use std::time::Duration;

/// How many failures are lived with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestartPolicy {
    /// This many failures …
    pub intensity: u32,
    /// … within this time are lived with; one more is a meltdown.
    pub period: Duration,
    /// The delay before the first restart; it doubles with every failure within the period.
    pub initial_delay: Duration,
    /// No delay is longer.
    pub max_delay: Duration,
}

impl Default for RestartPolicy {
    /// Ten failures a minute, restarts after 10 ms up to 5 s.
    fn default() -> Self {
        Self {
            intensity: 10,
            period: Duration::from_secs(60),
            initial_delay: Duration::from_millis(10),
            max_delay: Duration::from_secs(5),
        }
    }
}

/// What to do about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Start it again after this delay.
    Restart(Duration),
    /// It failed too often.
    Meltdown,
}

/// The failures of late under one policy.
#[derive(Debug)]
pub struct RestartBudget {
    policy: RestartPolicy,
    failures: VecDeque<Duration>,
}

impl RestartBudget {
    /// No failures yet.
    pub fn new(policy: RestartPolicy) -> Self {
        Self { policy, failures: VecDeque::new() }
    }

    /// A child failed at `now`, on the monotonic clock: decides what follows.
    pub fn record(&mut self, now: Duration) -> Verdict {
        let period = self.policy.period;
        while self.failures.front().is_some_and(|at| now.saturating_sub(*at) > period) {
            self.failures.pop_front();
        }
        self.failures.push_back(now);
        let count = u32::try_from(self.failures.len()).unwrap_or(u32::MAX);
        if count > self.policy.intensity {
            return Verdict::Meltdown;
        }
        let factor = 2_u32.saturating_pow((count - 1).min(30));
        Verdict::Restart(self.policy.initial_delay.saturating_mul(factor).min(self.policy.max_delay))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const POLICY: RestartPolicy = RestartPolicy {
        intensity: 3,
        period: Duration::from_secs(10),
        initial_delay: Duration::from_millis(100),
        max_delay: Duration::from_millis(250),
    };

    #[test]
    fn delays_double_and_then_it_melts_down() {
        let mut budget = RestartBudget::new(POLICY);
        let verdicts: Vec<Verdict> = (0..4).map(|i| budget.record(Duration::from_secs(i))).collect();
        assert_eq!(
            verdicts,
            [
                Verdict::Restart(Duration::from_millis(100)),
                Verdict::Restart(Duration::from_millis(200)),
                Verdict::Restart(Duration::from_millis(250)),
                Verdict::Meltdown,
            ]
        );
    }

    proptest! {
        #[test]
        fn failures_far_apart_never_melt_down(gaps in proptest::collection::vec(11_u64..100, 1..50)) {
            let mut budget = RestartBudget::new(POLICY);
            let mut now = Duration::ZERO;
            for gap in gaps {
                now += Duration::from_secs(gap);
                prop_assert_eq!(budget.record(now), Verdict::Restart(POLICY.initial_delay));
            }
        }
    }
}
