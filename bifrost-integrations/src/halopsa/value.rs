//! Values as HaloPSA writes them: ids as whole numbers, fractions or text; dates with and without an offset, and
//! dates before 1901 for "unset".

use bifrost_core::Timestamp;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// Dates up to the end of this year mean that there is none.
const LAST_UNSET_YEAR: i32 = 1900;

/// Reads an id that may come as `95`, `95.0`, `"95"` or not at all.
pub(crate) fn id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    Ok(whole(&Value::deserialize(deserializer)?))
}

/// Reads an instant; without an offset it is UTC, unset or unreadable it is `None`.
pub(crate) fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    Ok(Value::deserialize(deserializer)?.as_str().and_then(instant))
}

/// Reads a number that may come as text.
pub(crate) fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    let from_text = || value.as_str().and_then(|text| text.trim().parse().ok());
    Ok(value.as_f64().or_else(from_text).filter(|number| number.is_finite()))
}

/// Reads a yes or no that may come as a number or text.
pub(crate) fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Bool(value) => Some(value),
        Value::Number(number) => number.as_f64().map(|number| number != 0.0),
        Value::String(text) => text.trim().to_ascii_lowercase().parse().ok(),
        _ => None,
    })
}

/// Reads text; a number becomes its digits.
pub(crate) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::String(text) => Some(text),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    })
}

/// `value` as a whole number, if it is one in any form.
pub(crate) fn whole(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64().or_else(|| number.as_f64().and_then(exact)),
        Value::String(text) => {
            let text = text.trim();
            text.parse().ok().or_else(|| text.parse().ok().and_then(exact))
        }
        _ => None,
    }
}

/// A fraction without a fractional part; up to 2⁵³ every whole number has one.
fn exact(number: f64) -> Option<i64> {
    const LIMIT: f64 = 9_007_199_254_740_992.0;
    #[allow(clippy::cast_possible_truncation, reason = "the range is checked")]
    (number.fract() == 0.0 && number.abs() <= LIMIT).then_some(number as i64)
}

/// Reads a date as HaloPSA writes it.
fn instant(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    let year: i32 = text.get(..4)?.parse().ok()?;
    if year <= LAST_UNSET_YEAR {
        return None;
    }
    let complete = match text.find(['T', ' ']) {
        None => format!("{text}T00:00:00Z"),
        Some(at) if has_offset(&text[at..]) => text.to_owned(),
        Some(_) => format!("{text}Z"),
    };
    complete.parse().ok()
}

fn has_offset(time: &str) -> bool {
    time.ends_with(['Z', 'z']) || time.contains(['+', '-'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn ids_come_in_every_form() {
        for value in [json!(95), json!(95.0), json!("95"), json!(" 95 "), json!("95.0")] {
            assert_eq!(whole(&value), Some(95), "{value}");
        }
        for value in [json!(null), json!(9.5), json!("x"), json!(""), json!(1e300), json!([95])] {
            assert_eq!(whole(&value), None, "{value}");
        }
        assert_eq!(whole(&json!(-1)), Some(-1));
    }

    #[test]
    fn dates_come_in_every_form() {
        let expected = "2026-08-01T06:30:00.123Z".parse().ok();
        for text in [
            "2026-08-01T06:30:00.123Z",
            "2026-08-01T06:30:00.123",
            "2026-08-01T06:30:00.1234567",
            "2026-08-01 06:30:00.123",
            "2026-08-01T08:30:00.123+02:00",
        ] {
            assert_eq!(instant(text), expected, "{text}");
        }
        assert_eq!(instant("2026-08-01"), "2026-08-01T00:00:00Z".parse().ok());
        for unset in ["1899-12-30T00:00:00", "1900-01-01T00:00:00", "0001-01-01T00:00:00", "", "soon", "20é"] {
            assert_eq!(instant(unset), None, "{unset}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_odd(text in any::<String>()) {
            let _ = instant(&text);
            let _ = whole(&json!(text));
        }
    }
}
