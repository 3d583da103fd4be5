//! Time, passed in: no code outside this file and `testing` asks the machine what time it is.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize, Serializer};

use crate::error::{Error, Result};

/// An instant of wall-clock time, in milliseconds since 1970-01-01 UTC. Serializes as RFC 3339 text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Deserialize)]
#[serde(try_from = "String")]
pub struct Timestamp(i64);

impl Timestamp {
    /// The first and the last instant that has a text everybody reads, give or take a day for the zone it is written in:
    /// from the year -9999 to the year 9999.
    const RANGE: (i64, i64) = (-377_705_023_200_000, 253_402_207_199_999);

    /// The instant `millis` milliseconds after 1970-01-01 UTC, or the end of time that is nearest to it.
    ///
    /// Every instant can be stored as text and read again; a deadline without end is just very late.
    #[inline]
    pub const fn from_millis(millis: i64) -> Self {
        let (first, last) = Self::RANGE;
        if millis < first {
            return Self(first);
        }
        Self(if millis > last { last } else { millis })
    }

    /// Milliseconds since 1970-01-01 UTC.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// The instant `duration` later, at most the end of time.
    #[must_use]
    #[inline]
    pub fn saturating_add(self, duration: Duration) -> Self {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self::from_millis(self.0.saturating_add(millis))
    }

    /// The instant `duration` earlier, at least the beginning of time.
    #[must_use]
    pub fn saturating_sub(self, duration: Duration) -> Self {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self::from_millis(self.0.saturating_sub(millis))
    }

    /// How long ago `earlier` was; zero if it lies ahead.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl Timestamp {
    /// Its text, if that has a year of four digits: every record holds several instants, and a calendar with zones takes
    /// ten times as long to write one.
    fn text(self) -> Option<[u8; 24]> {
        const DAY: i64 = 86_400_000;
        let (year, month, day) = date(self.0.div_euclid(DAY));
        let millis = self.0.rem_euclid(DAY);
        if !(0..=9999).contains(&year) {
            return None;
        }
        let mut text = *b"0000-00-00T00:00:00.000Z";
        let (seconds, minutes) = (millis / 1_000, millis / 60_000);
        for (at, digits, value) in [
            (0, 4, year),
            (5, 2, month),
            (8, 2, day),
            (11, 2, minutes / 60),
            (14, 2, minutes % 60),
            (17, 2, seconds % 60),
            (20, 3, millis % 1_000),
        ] {
            write_digits(&mut text[at..at + digits], value);
        }
        Some(text)
    }
}

/// Year, month and day of the Gregorian calendar, so many days after 1970-01-01. It reckons in eras of 400 years, which
/// are all of the same length, and in years that begin in March, whose months have a regular length.
fn date(days: i64) -> (i64, i64, i64) {
    const ERA: i64 = 146_097;
    /// From the first of March of the year 0.
    const TO_1970: i64 = 719_468;
    let (era, day) = ((days + TO_1970).div_euclid(ERA), (days + TO_1970).rem_euclid(ERA));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (day, month) = (day - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    (400 * era + year + i64::from(month <= 2), month, day)
}

fn ascii(text: &[u8]) -> &str {
    std::str::from_utf8(text).unwrap_or_default()
}

/// Writes `value` over all of `digits`.
fn write_digits(digits: &mut [u8], mut value: i64) {
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + u8::try_from(value % 10).unwrap_or(0);
        value /= 10;
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        match self.text() {
            Some(text) => serializer.serialize_str(ascii(&text)),
            None => serializer.collect_str(self),
        }
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(text) = self.text() {
            return f.write_str(ascii(&text));
        }
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(time) => write!(f, "{time:.3}"),
            Err(_) => write!(f, "{}ms", self.0),
        }
    }
}

impl FromStr for Timestamp {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        text.parse::<jiff::Timestamp>()
            .map(|time| Self::from_millis(time.as_millisecond()))
            .map_err(|_| Error::invalid("read time", "not an RFC 3339 instant"))
    }
}

impl TryFrom<String> for Timestamp {
    type Error = Error;
    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Timestamp> for String {
    fn from(time: Timestamp) -> Self {
        time.to_string()
    }
}

/// How long a wait for a time of the wall clock may miss that the wall clock was set.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// Wall-clock time, a monotonic count, and waiting.
pub trait Clock: Send + Sync + fmt::Debug + 'static {
    /// The wall-clock time. It can jump; use it for what people read and providers name, not for waiting.
    fn now(&self) -> Timestamp;

    /// Time since this clock was made; it never goes back.
    fn monotonic(&self) -> Duration;

    /// Resolves once `duration` has passed on the monotonic count.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;

    /// Resolves once the wall clock shows `time` or later, also when it is set meanwhile, forward or back: it is read
    /// again every five seconds. A clock that knows when it is set may do better.
    fn wait_until(&self, time: Timestamp) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            loop {
                let left = time.since(self.now());
                if left.is_zero() {
                    return;
                }
                self.sleep(left.min(LOOK_AGAIN)).await;
            }
        })
    }
}

/// The machine's clock. Waiting is tokio's, so a runtime with paused time also pauses the waits.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    started: std::time::Instant,
}

impl SystemClock {
    /// The machine's clock, counting from now.
    #[allow(clippy::disallowed_methods, reason = "this is the clock")]
    pub fn new() -> Self {
        Self { started: std::time::Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "this is the clock")]
    fn now(&self) -> Timestamp {
        let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        // Every call reads the time: 64 bits are enough for it, and cheaper than the 128 of `as_millis`.
        let seconds = i64::try_from(since_epoch.as_secs()).unwrap_or(i64::MAX);
        Timestamp::from_millis(seconds.saturating_mul(1_000).saturating_add(i64::from(since_epoch.subsec_millis())))
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        #[allow(clippy::disallowed_methods, reason = "this is the clock")]
        Box::pin(tokio::time::sleep(duration))
    }
}

/// Runs `future` for at most `limit`; `None` when the time is up first.
pub async fn within<F: Future>(clock: &dyn Clock, limit: Duration, future: F) -> Option<F::Output> {
    let sleep = clock.sleep(limit);
    futures_util::pin_mut!(future);
    match futures_util::future::select(future, sleep).await {
        futures_util::future::Either::Left((output, _)) => Some(output),
        futures_util::future::Either::Right(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_back() {
        let time = Timestamp::from_millis(1_786_000_000_123);
        assert_eq!(time.to_string().parse::<Timestamp>().unwrap(), time);
        assert_eq!(Timestamp::from_millis(0).to_string(), "1970-01-01T00:00:00.000Z");
    }

    proptest::proptest! {
        #[test]
        fn the_text_is_that_of_the_calendar(millis in -63_000_000_000_000_i64..260_000_000_000_000) {
            let time = Timestamp::from_millis(millis);
            let expected = jiff::Timestamp::from_millisecond(time.as_millis()).unwrap();
            proptest::prop_assert_eq!(time.to_string(), format!("{expected:.3}"));
            proptest::prop_assert_eq!(serde_json::to_string(&time).unwrap(), format!("\"{expected:.3}\""));
        }
    }

    #[test]
    fn the_ends_of_years_and_eras_have_the_text_of_the_calendar() {
        for year in (-1..=10_000).filter(|year| year % 100 < 5 || year % 100 > 95) {
            let newyear = date_of(year);
            for millis in [newyear - 1, newyear, newyear + 58 * 86_400_000, newyear + 59 * 86_400_000] {
                let time = Timestamp::from_millis(millis);
                let expected = jiff::Timestamp::from_millisecond(time.as_millis()).unwrap();
                assert_eq!(time.to_string(), format!("{expected:.3}"));
            }
        }
    }

    /// When a year begins, give or take the days of its leap years.
    fn date_of(year: i64) -> i64 {
        (year - 1970) * 365 * 86_400_000 + (year - 1970).div_euclid(4) * 86_400_000
    }

    #[test]
    fn the_ends_of_time_survive_as_text() {
        let last = "9999-12-30T22:00:00.999Z".parse().unwrap();
        let never = Timestamp::from_millis(0).saturating_add(Duration::MAX);
        for time in [never, Timestamp::from_millis(i64::MAX), Timestamp::from_millis(i64::MIN), last] {
            assert_eq!(time.to_string().parse::<Timestamp>().unwrap(), time);
            assert_eq!(serde_json::from_str::<Timestamp>(&serde_json::to_string(&time).unwrap()).unwrap(), time);
        }
        assert!(never > "9999-12-30T00:00:00Z".parse().unwrap());
    }
}
