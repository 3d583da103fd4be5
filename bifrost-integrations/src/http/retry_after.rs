//! `Retry-After`, as it is written and as it should be: seconds, decimals of seconds, a date, nothing, nonsense.

use std::time::{Duration, UNIX_EPOCH};

use bifrost_core::Timestamp;
use http::{HeaderMap, header};

/// The longest wait a provider can impose with one answer. Longer ones are taken as this: one absurd header must not
/// stop a tenant for a day.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(60 * 60);

/// How long the answer asks to wait, at most [`MAX_RETRY_AFTER`]; `None` when it does not say so in a form we know.
///
/// The first header counts. RFC 9110 section 10.2.3 has whole seconds and dates; Microsoft Graph also sends decimals.
pub fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    parse(headers.get(header::RETRY_AFTER)?.to_str().ok()?, now)
}

/// Reads the value of a `Retry-After` header. A date that has passed means no wait.
pub fn parse(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    seconds(text).or_else(|| date(text, now)).map(|wait| wait.min(MAX_RETRY_AFTER))
}

fn seconds(text: &str) -> Option<Duration> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if !plain || text.len() > 32 {
        return None;
    }
    let seconds: f64 = text.parse().ok()?;
    Duration::try_from_secs_f64(seconds.min(MAX_RETRY_AFTER.as_secs_f64())).ok()
}

fn date(text: &str, now: Timestamp) -> Option<Duration> {
    let time = httpdate::parse_http_date(text).ok()?;
    let since_epoch = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let millis = i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX);
    Some(Timestamp::from_millis(millis).since(now))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn now() -> Timestamp {
        "2026-08-01T10:00:00Z".parse().unwrap()
    }

    #[test]
    fn every_known_form() {
        let hour = Some(MAX_RETRY_AFTER);
        let seconds = |seconds| Some(Duration::from_secs_f64(seconds));
        for (text, expected) in [
            ("0", seconds(0.0)),
            ("5", seconds(5.0)),
            (" 120 ", seconds(120.0)),
            ("2.128", seconds(2.128)),
            ("0.249", seconds(0.249)),
            (".5", seconds(0.5)),
            ("3600", hour),
            ("86400", hour),
            ("99999999999999999999", hour),
            ("Sat, 01 Aug 2026 10:00:30 GMT", seconds(30.0)),
            ("Saturday, 01-Aug-26 10:00:30 GMT", seconds(30.0)),
            ("Sat, 01 Aug 2026 09:00:00 GMT", seconds(0.0)),
            ("Sun, 02 Aug 2026 10:00:00 GMT", hour),
            ("", None),
            (".", None),
            ("-5", None),
            ("+5", None),
            ("1e3", None),
            ("1.2.3", None),
            ("NaN", None),
            ("inf", None),
            ("soon", None),
            ("5 s", None),
        ] {
            assert_eq!(parse(text, now()), expected, "{text:?}");
        }
    }

    #[test]
    fn a_header_that_is_absent_or_not_text_says_nothing() {
        let mut headers = HeaderMap::new();
        assert_eq!(retry_after(&headers, now()), None);
        let value = http::HeaderValue::from_bytes(b"\xff5").unwrap();
        headers.insert(header::RETRY_AFTER, value);
        assert_eq!(retry_after(&headers, now()), None);
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic_and_within_the_cap(text in ".{0,64}", millis in any::<i64>()) {
            let wait = parse(&text, Timestamp::from_millis(millis));
            prop_assert!(wait.is_none_or(|wait| wait <= MAX_RETRY_AFTER));
        }

        #[test]
        fn numbers_are_read_within_the_cap(number in 0.0..1e30_f64) {
            let wait = parse(&number.to_string(), now());
            prop_assert!(wait.is_none_or(|wait| wait <= MAX_RETRY_AFTER));
        }
    }
}
