//! What a provider says about waiting.

use std::time::Duration;

use bifrost_core::Timestamp;
use bifrost_core::testing::fuzz::Noise;
use http::{HeaderMap, HeaderValue, header};

use crate::http::retry_after::{self, MAX_RETRY_AFTER};
use crate::http::signals::{Signals, microsoft_scope};

/// Takes `data` for the value of a `Retry-After` header at some time, and for what else a header says of limits.
pub fn retry_after(data: &[u8]) {
    let mut noise = Noise::new(data);
    let now = Timestamp::from_millis(noise.number() as i64);
    let value = noise.rest();
    let text = String::from_utf8_lossy(value);
    let wait = retry_after::parse(&text, now);
    assert!(wait.is_none_or(|wait| wait <= MAX_RETRY_AFTER));
    let digits = text.trim();
    if !digits.is_empty() && digits.len() <= 32 && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        let seconds = digits.parse::<u64>().map_or(MAX_RETRY_AFTER, Duration::from_secs);
        assert_eq!(wait, Some(seconds.min(MAX_RETRY_AFTER)), "{text:?}");
    }
    // Numbers do not depend on the clock, and dates come nearer as it goes on.
    let later = retry_after::parse(&text, now.saturating_add(Duration::from_secs(30)));
    assert_eq!(wait.is_some(), later.is_some());
    assert!(later <= wait, "{text:?}: {later:?} after {wait:?}");
    assert!(!digits.starts_with(['-', '+']) || wait.is_none(), "{text:?}");
    let Ok(value) = HeaderValue::from_bytes(value) else { return };
    let headers = HeaderMap::from_iter([(header::RETRY_AFTER, value.clone())]);
    let read = retry_after::retry_after(&headers, now);
    assert_eq!(read, value.to_str().ok().and(wait), "{value:?}");
    limits(&value);
}

/// Whatever stands in the headers about limits is read as a sensible number or not at all.
fn limits(value: &HeaderValue) {
    let names = ["x-ms-throttle-limit-percentage", "x-ms-resource-unit", "x-ms-throttle-scope"];
    let headers: HeaderMap =
        names.into_iter().map(|name| (header::HeaderName::from_static(name), value.clone())).collect();
    let signals = Signals::microsoft(&headers);
    assert!(signals.used.is_none_or(|used| used.is_finite() && used >= 0.0), "{signals:?}");
    assert_eq!(microsoft_scope(&headers), microsoft_scope(&headers));
}
