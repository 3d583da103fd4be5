//! One limit and how much of it is used.
//!
//! Both kinds can be asked without taking anything, which a path of several meters needs: all of them or none. Both
//! keep a little headroom, because requests sent evenly do not arrive evenly.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bifrost_core::policy::rate::{LimitShape, LimitUnit, RateLimit};
use governor::clock::Clock as GovernorClock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{NotKeyed, StateStore};
use governor::{Quota, RateLimiter};

/// The part of a published amount that is used, in percent. The rest absorbs requests that bunch up on their way.
const USED_PERCENT: u64 = 98;
/// How finely a window remembers when its requests were sent.
const SLICES: u32 = 128;
/// The most a provider can report as used, as a multiple of the limit.
const MAX_USED: f64 = 2.0;

/// One limit at work. Times are readings of the hub's monotonic clock.
#[derive(Debug)]
pub(super) struct Meter {
    unit: LimitUnit,
    amount: u32,
    per: Duration,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Bucket(Box<Bucket>),
    Window(Window),
}

impl Meter {
    pub(super) fn new(limit: &RateLimit, now: Duration) -> Self {
        let kind = match limit.shape {
            LimitShape::Bucket => Kind::Bucket(Box::new(Bucket::new(limit.amount, limit.per, now))),
            LimitShape::Window => Kind::Window(Window::new(limit.amount, limit.per)),
        };
        Self { unit: limit.unit, amount: limit.amount, per: limit.per, kind }
    }

    pub(super) fn unit(&self) -> LimitUnit {
        self.unit
    }

    /// True for the limit a meter of this kind would be made of again.
    pub(super) fn matches(&self, unit: LimitUnit, amount: u32, per: Duration) -> bool {
        self.unit == unit && self.amount == amount && self.per == per
    }

    /// How long until `cells` fit; zero when they do. A request larger than the whole limit needs all of it.
    pub(super) fn wait_for(&mut self, cells: u32, now: Duration) -> Duration {
        match &mut self.kind {
            Kind::Bucket(bucket) => bucket.wait_for(cells, now),
            Kind::Window(window) => window.wait_for(cells, now),
        }
    }

    /// Takes `cells`, whether they fit or not.
    pub(super) fn take(&mut self, cells: u32, now: Duration) {
        match &mut self.kind {
            Kind::Bucket(bucket) => bucket.take(i64::from(cells), now),
            Kind::Window(window) => window.take(cells, now),
        }
    }

    /// Corrects an estimate: `cells` more were used than taken, or less if negative.
    pub(super) fn correct(&mut self, cells: i64, now: Duration) {
        match &mut self.kind {
            Kind::Bucket(bucket) => bucket.take(cells, now),
            Kind::Window(window) => window.correct(cells, now),
        }
    }

    /// The provider says that this part of the limit is used. More than we knew of counts, less does not: what we sent
    /// meanwhile is not in its answer.
    pub(super) fn raise_to(&mut self, part: f64, now: Duration) {
        let missing = part.min(MAX_USED) - self.used(now);
        if missing > 0.0 {
            // Bounded: at most twice the amount, which is a u32.
            #[allow(clippy::cast_possible_truncation)]
            let cells = (missing * f64::from(self.amount)).floor() as i64;
            self.correct(cells, now);
        }
    }

    /// Nothing is left until `at`; from then on it comes back at the limit's own pace. False when this meter cannot
    /// pace, and the node has to.
    pub(super) fn drain_until(&mut self, at: Duration, now: Duration) -> bool {
        match &mut self.kind {
            Kind::Bucket(bucket) => {
                bucket.drain_until(at, now);
                true
            }
            Kind::Window(_) => false,
        }
    }

    /// The part of the published limit that is used; 1.0 is all of it.
    pub(super) fn used(&self, now: Duration) -> f64 {
        let cells = match &self.kind {
            Kind::Bucket(bucket) => bucket.used(now),
            Kind::Window(window) => f64::from(window.used(now)),
        };
        cells / f64::from(self.amount.max(1))
    }

    /// The time one cell takes at the limit's own pace.
    pub(super) fn pace(&self) -> Duration {
        self.per / self.amount.max(1)
    }
}

/// A bucket: governor's cell rate algorithm over a state we can also look at and correct.
#[derive(Debug)]
struct Bucket {
    limiter: RateLimiter<NotKeyed, Cells, Reading, NoOpMiddleware<Duration>>,
    cells: Cells,
    reading: Reading,
    /// The origin of the times governor keeps.
    start: Duration,
    interval: Duration,
    capacity: NonZeroU32,
}

impl Bucket {
    fn new(amount: u32, per: Duration, now: Duration) -> Self {
        let capacity = capacity(amount);
        let interval = (per / amount.max(1)).max(Duration::from_nanos(1));
        let quota = Quota::with_period(interval).unwrap_or(Quota::per_second(NonZeroU32::MIN)).allow_burst(capacity);
        let (cells, reading) = (Cells::default(), Reading::at(now));
        Self {
            limiter: RateLimiter::new(quota, cells.clone(), reading.clone()),
            cells,
            reading,
            start: now,
            interval,
            capacity,
        }
    }

    fn wait_for(&mut self, cells: u32, now: Duration) -> Duration {
        let Some(cells) = NonZeroU32::new(cells) else {
            return Duration::ZERO;
        };
        self.reading.set(now);
        match self.limiter.check_n(cells.min(self.capacity)) {
            Ok(Ok(())) => Duration::ZERO,
            Ok(Err(not_until)) => not_until.wait_time_from(now),
            // More than fits at once was cut to what fits.
            Err(_) => self.interval,
        }
    }

    fn take(&mut self, cells: i64, now: Duration) {
        let now = self.offset(now);
        let cost = i128::from(cells) * i128::try_from(self.interval.as_nanos()).unwrap_or(i128::MAX);
        self.cells.change(|arrival| i128::from(arrival.max(now)) + cost);
    }

    fn drain_until(&mut self, at: Duration, now: Duration) {
        let empty_at = i128::from(self.offset(at.max(now))) + i128::try_from(self.span().as_nanos()).unwrap_or(0);
        self.cells.change(|arrival| i128::from(arrival).max(empty_at));
    }

    fn used(&self, now: Duration) -> f64 {
        let ahead = self.cells.get().saturating_sub(self.offset(now));
        Duration::from_nanos(ahead).as_secs_f64() / self.interval.as_secs_f64()
    }

    /// How far ahead the theoretical arrival time of an empty bucket is.
    fn span(&self) -> Duration {
        self.interval * self.capacity.get()
    }

    fn offset(&self, now: Duration) -> u64 {
        u64::try_from(now.saturating_sub(self.start).as_nanos()).unwrap_or(u64::MAX)
    }
}

fn capacity(amount: u32) -> NonZeroU32 {
    let usable = u64::from(amount) * USED_PERCENT / 100;
    NonZeroU32::new(u32::try_from(usable).unwrap_or(u32::MAX)).unwrap_or(NonZeroU32::MIN)
}

/// Governor's state of one bucket. Looking never changes it; [`Bucket::take`] does.
#[derive(Debug, Clone, Default)]
struct Cells(Arc<Mutex<u64>>);

impl Cells {
    fn get(&self) -> u64 {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, next: impl FnOnce(u64) -> i128) {
        let mut arrival = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *arrival = u64::try_from(next(*arrival).max(0)).unwrap_or(u64::MAX);
    }
}

impl StateStore for Cells {
    type Key = NotKeyed;

    fn measure_and_replace<T, F, E>(&self, _key: &NotKeyed, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        // Governor can only ask and take at once. A path has several meters, so here it asks and `take` takes.
        decide(Some(Nanos::from(self.get()))).map(|(outcome, _)| outcome)
    }
}

/// The hub's clock as governor reads it: it stands still within one decision.
#[derive(Debug, Clone)]
struct Reading(Arc<Mutex<Duration>>);

impl Reading {
    fn at(now: Duration) -> Self {
        Self(Arc::new(Mutex::new(now)))
    }

    fn set(&self, now: Duration) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = now;
    }
}

impl GovernorClock for Reading {
    type Instant = Duration;

    fn now(&self) -> Duration {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// No stretch of the window's length holds more than the amount. Requests are remembered in slices of it, each as late
/// as its last request, so memory is bounded and the error is on the safe side.
#[derive(Debug)]
struct Window {
    amount: u32,
    length: Duration,
    slice: Duration,
    slices: VecDeque<Slice>,
    total: u64,
}

#[derive(Debug)]
struct Slice {
    first: Duration,
    last: Duration,
    cells: u32,
}

impl Window {
    fn new(amount: u32, per: Duration) -> Self {
        let slack = (per / 50).clamp(Duration::from_millis(20), Duration::from_secs(5));
        Self { amount, length: per + slack, slice: per / SLICES, slices: VecDeque::new(), total: 0 }
    }

    fn wait_for(&mut self, cells: u32, now: Duration) -> Duration {
        self.forget(now);
        let room = u64::from(self.amount - cells.min(self.amount));
        let mut used = self.total;
        let mut wait = Duration::ZERO;
        for slice in self.slices.iter().take_while(|_| cells > 0) {
            if used <= room {
                break;
            }
            used -= u64::from(slice.cells);
            wait = (slice.last + self.length).saturating_sub(now);
        }
        wait
    }

    fn take(&mut self, cells: u32, now: Duration) {
        self.forget(now);
        self.total += u64::from(cells);
        match self.slices.back_mut() {
            Some(slice) if now.saturating_sub(slice.first) < self.slice => {
                slice.last = slice.last.max(now);
                slice.cells = slice.cells.saturating_add(cells);
            }
            _ => self.slices.push_back(Slice { first: now, last: now, cells }),
        }
    }

    fn correct(&mut self, cells: i64, now: Duration) {
        if let Ok(more) = u32::try_from(cells) {
            return self.take(more, now);
        }
        let mut less = u32::try_from(cells.unsigned_abs()).unwrap_or(u32::MAX);
        for slice in self.slices.iter_mut().rev() {
            let given = less.min(slice.cells);
            slice.cells -= given;
            self.total -= u64::from(given);
            less -= given;
        }
    }

    fn used(&self, now: Duration) -> u32 {
        let left = |slice: &&Slice| now >= slice.last + self.length;
        let gone: u64 = self.slices.iter().take_while(left).map(|slice| u64::from(slice.cells)).sum();
        u32::try_from(self.total - gone).unwrap_or(u32::MAX)
    }

    fn forget(&mut self, now: Duration) {
        while let Some(slice) = self.slices.front() {
            if now < slice.last + self.length {
                break;
            }
            self.total -= u64::from(slice.cells);
            self.slices.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bifrost_core::policy::rate::LimitScope;
    use proptest::prelude::*;

    fn meter(shape: LimitShape, amount: u32, seconds: u64) -> Meter {
        let limit = RateLimit {
            scope: LimitScope::AppTenant,
            unit: LimitUnit::Units,
            amount,
            per: Duration::from_secs(seconds),
            shape,
            source: "test",
            as_of: "2026-08",
        };
        Meter::new(&limit, Duration::ZERO)
    }

    fn seconds(count: f64) -> Duration {
        Duration::from_secs_f64(count)
    }

    #[test]
    fn a_bucket_gives_its_amount_at_once_and_then_refills_evenly() {
        let mut bucket = meter(LimitShape::Bucket, 100, 10);
        assert_eq!(bucket.wait_for(98, seconds(0.0)), Duration::ZERO);
        bucket.take(98, seconds(0.0));
        assert_eq!(bucket.wait_for(1, seconds(0.0)), seconds(0.1));
        assert_eq!(bucket.wait_for(1, seconds(0.1)), Duration::ZERO);
        assert_eq!(bucket.wait_for(10, seconds(0.1)), seconds(0.9));
        assert!((bucket.used(seconds(0.0)) - 0.98).abs() < 1e-6);
        assert!(bucket.used(seconds(9.9)).abs() < 1e-6);
    }

    #[test]
    fn asking_takes_nothing() {
        for shape in [LimitShape::Bucket, LimitShape::Window] {
            let mut meter = meter(shape, 10, 10);
            for _ in 0..100 {
                assert_eq!(meter.wait_for(9, seconds(1.0)), Duration::ZERO);
            }
            assert!(meter.used(seconds(1.0)).abs() < 1e-9);
        }
    }

    #[test]
    fn a_request_larger_than_the_limit_passes_when_all_of_it_is_free() {
        for shape in [LimitShape::Bucket, LimitShape::Window] {
            let mut meter = meter(shape, 5, 10);
            assert_eq!(meter.wait_for(20, seconds(0.0)), Duration::ZERO);
            meter.take(20, seconds(0.0));
            assert!(meter.wait_for(1, seconds(0.0)) > seconds(9.0), "{shape:?}");
        }
    }

    #[test]
    fn estimates_are_corrected_and_reports_raise() {
        for shape in [LimitShape::Bucket, LimitShape::Window] {
            let mut meter = meter(shape, 100, 10);
            meter.take(50, seconds(0.0));
            meter.correct(-20, seconds(0.0));
            assert!((meter.used(seconds(0.0)) - 0.3).abs() < 0.011, "{shape:?}");
            meter.raise_to(0.2, seconds(0.0));
            assert!((meter.used(seconds(0.0)) - 0.3).abs() < 0.011, "less is not believed");
            meter.raise_to(1.2, seconds(0.0));
            assert!((meter.used(seconds(0.0)) - 1.2).abs() < 0.02, "{shape:?}");
            assert!(meter.wait_for(1, seconds(0.0)) > seconds(2.0));
            meter.correct(i64::MIN / 4, seconds(0.0));
            assert_eq!(meter.wait_for(1, seconds(0.0)), Duration::ZERO);
        }
    }

    #[test]
    fn a_drained_bucket_comes_back_at_its_own_pace() {
        let mut bucket = meter(LimitShape::Bucket, 100, 10);
        assert!(bucket.drain_until(seconds(5.0), seconds(0.0)));
        let mut sent = 0;
        for tick in 0..100 {
            let now = seconds(5.0 + f64::from(tick) * 0.01);
            while bucket.wait_for(1, now).is_zero() {
                bucket.take(1, now);
                sent += 1;
            }
        }
        assert!((9..=10).contains(&sent), "{sent} in the first second at 10 per second");
    }

    proptest! {
        /// Whatever the load, the peer's own meter is never exceeded.
        #[test]
        fn no_stretch_holds_more_than_a_window_allows(gaps in proptest::collection::vec(0_u64..400, 1..300), cost in 1_u32..5) {
            let mut window = meter(LimitShape::Window, 20, 10);
            let mut now = Duration::ZERO;
            let mut sent: Vec<(Duration, u32)> = Vec::new();
            for gap in gaps {
                now += Duration::from_millis(gap);
                if window.wait_for(cost, now).is_zero() {
                    window.take(cost, now);
                    sent.push((now, cost));
                }
            }
            for (start, _) in &sent {
                let held: u32 = sent.iter().filter(|(at, _)| at >= start && *at < *start + seconds(10.0)).map(|(_, cost)| cost).sum();
                prop_assert!(held <= 20);
            }
        }

        #[test]
        fn the_wait_is_the_one_that_suffices(shape in prop_oneof![Just(LimitShape::Bucket), Just(LimitShape::Window)],
                                             taken in 0_u32..300, cost in 1_u32..120, at in 0_u64..20_000) {
            let mut meter = meter(shape, 100, 10);
            meter.take(taken, Duration::ZERO);
            let now = Duration::from_millis(at);
            let wait = meter.wait_for(cost, now);
            if wait > Duration::from_millis(1) {
                prop_assert!(meter.wait_for(cost, now + wait - Duration::from_millis(1)) > Duration::ZERO);
            }
            prop_assert_eq!(meter.wait_for(cost, now + wait), Duration::ZERO);
        }

        #[test]
        fn no_report_makes_it_panic(part in any::<f64>(), cells in any::<i64>(), millis in any::<u32>()) {
            for shape in [LimitShape::Bucket, LimitShape::Window] {
                let mut meter = meter(shape, 100, 10);
                let now = Duration::from_millis(u64::from(millis));
                meter.raise_to(part, now);
                meter.correct(cells.clamp(-1_000_000, 1_000_000), now);
                meter.drain_until(now, now);
                meter.wait_for(u32::MAX, now);
            }
        }
    }
}
