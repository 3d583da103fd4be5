//! The two ways providers count: a bucket that refills, and a window that rolls.

use std::collections::VecDeque;
use std::time::Duration;

/// So many units per stretch of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many units.
    pub amount: u32,
    /// In how much time.
    pub per: Duration,
}

impl Rate {
    /// `amount` units in every `seconds` seconds.
    pub const fn per_seconds(amount: u32, seconds: u64) -> Self {
        Self { amount, per: Duration::from_secs(seconds) }
    }
}

/// A bucket that refills evenly. Refused requests count too, so the level can go below zero, down to one bucket of debt.
#[derive(Debug)]
pub(super) struct TokenBucket {
    rate: Rate,
    level: f64,
    at: Duration,
}

impl TokenBucket {
    pub(super) fn full(rate: Rate, now: Duration) -> Self {
        Self { rate, level: f64::from(rate.amount), at: now }
    }

    /// Brings the level up to `now`; a changed `rate` keeps the share that is used.
    pub(super) fn refill(&mut self, rate: Rate, now: Duration) {
        if rate != self.rate {
            let used = self.used();
            self.rate = rate;
            self.level = self.capacity() * (1.0 - used);
        }
        let elapsed = now.saturating_sub(self.at);
        self.at = now.max(self.at);
        self.level = (self.level + elapsed.as_secs_f64() * self.per_second()).min(self.capacity());
    }

    /// A request larger than the whole bucket passes when the bucket is full: it would never pass otherwise.
    pub(super) fn fits(&self, units: u32) -> bool {
        self.rate.amount > 0 && self.level >= f64::from(units).min(self.capacity())
    }

    pub(super) fn take(&mut self, units: u32) {
        self.level = (self.level - f64::from(units)).max(-self.capacity());
    }

    /// How full of use the bucket is: 0 untouched, 1 at the limit, 2 a whole bucket in debt.
    pub(super) fn used(&self) -> f64 {
        if self.rate.amount == 0 {
            return 1.0;
        }
        1.0 - self.level / self.capacity()
    }

    /// How long until `units` fit.
    pub(super) fn wait_for(&self, units: u32) -> Duration {
        if self.rate.amount == 0 {
            return self.rate.per;
        }
        let lacking = f64::from(units).min(self.capacity()) - self.level;
        Duration::from_secs_f64((lacking / self.per_second()).clamp(0.0, 86_400.0))
    }

    fn capacity(&self) -> f64 {
        f64::from(self.rate.amount)
    }

    fn per_second(&self) -> f64 {
        self.capacity() / self.rate.per.as_secs_f64().max(0.001)
    }
}

/// At most so many requests in any stretch of the given length. Refused requests do not count.
#[derive(Debug)]
pub(super) struct RollingWindow {
    rate: Rate,
    hits: VecDeque<Duration>,
}

impl RollingWindow {
    pub(super) fn new(rate: Rate) -> Self {
        Self { rate, hits: VecDeque::new() }
    }

    pub(super) fn rate(&self) -> Rate {
        self.rate
    }

    /// Changes the limit; what was counted stays counted.
    pub(super) fn set_rate(&mut self, rate: Rate) {
        self.rate = rate;
    }

    /// Counts a request made `now`, unless the window is full.
    pub(super) fn admit(&mut self, now: Duration) -> bool {
        while self.hits.front().is_some_and(|hit| now.saturating_sub(*hit) >= self.rate.per) {
            self.hits.pop_front();
        }
        let free = self.hits.len() < self.rate.amount as usize;
        if free {
            self.hits.push_back(now);
        }
        free
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn a_bucket_empties_refills_and_remembers_refused_requests() {
        let rate = Rate::per_seconds(10, 10);
        let mut bucket = TokenBucket::full(rate, seconds(0));
        bucket.take(10);
        assert!(!bucket.fits(1));
        assert_eq!(bucket.wait_for(1), seconds(1));
        bucket.take(2);
        assert_eq!(bucket.wait_for(1), seconds(3));
        bucket.refill(rate, seconds(3));
        assert!(bucket.fits(1));
        bucket.refill(rate, seconds(1000));
        assert!((bucket.used() - 0.0).abs() < 1e-9);
    }

    #[test]
    fn a_request_larger_than_the_bucket_passes_a_full_one() {
        let bucket = TokenBucket::full(Rate::per_seconds(1, 1), seconds(0));
        assert!(bucket.fits(5));
        assert!(!TokenBucket::full(Rate::per_seconds(0, 1), seconds(0)).fits(1));
    }

    #[test]
    fn a_window_rolls() {
        let mut window = RollingWindow::new(Rate::per_seconds(2, 10));
        let admitted: Vec<bool> = [0, 1, 2, 9, 10, 10, 11].map(|at| window.admit(seconds(at))).to_vec();
        assert_eq!(admitted, [true, true, false, false, true, false, true]);
    }
}
