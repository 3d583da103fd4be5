//! What HaloPSA says when it refuses. There is no one shape: bare strings, HTML and several JSON objects occur.

use std::time::Duration;

use bifrost_core::policy::rate::{LimitScope, LimitUnit};
use bifrost_core::{ErrorKind, Retry};
use serde_json::Value;

use crate::http::classify::{Answer, Classified, Classifier, Closure, LearnedLimit, excerpt};
use crate::http::retry_after::retry_after;
use crate::http::signals::Direction;

/// How long to stop after a 429 that names no time: clients in the field wait 15 to 60 s.
const THROTTLE_PAUSE: Duration = Duration::from_secs(30);

/// Reads HaloPSA's failures for the outbound stack.
#[derive(Debug, Clone, Copy, Default)]
pub struct HaloClassifier;

impl Classifier for HaloClassifier {
    fn classify(&self, answer: &Answer<'_>) -> Classified {
        let wait = retry_after(answer.headers, answer.now);
        let mut named = Classified::of_status(answer.status, wait);
        let said = message(answer.body);
        if answer.status.as_u16() == 429 {
            let wait = wait.unwrap_or(THROTTLE_PAUSE);
            named.retry = Retry::After(wait);
            // The window is the instance's: every application and connection of the tenant shares it.
            named.close = Some(Closure { scope: LimitScope::Tenant, direction: Direction::All, wait: Some(wait) });
            named.learned = said.as_deref().and_then(limit);
        }
        if answer.status.as_u16() == 401 {
            named.kind = ErrorKind::PermissionDenied;
            let action = "check in HaloPSA that the application's agent may use this endpoint";
            named.next_action = Some(action.to_owned());
        }
        if let Some(said) = said.filter(|said| !said.is_empty()) {
            named.message = said;
        }
        named
    }
}

/// The text of a failure, in the order of what says most.
pub(crate) fn message(body: &[u8]) -> Option<String> {
    const FIELDS: [&str; 5] = ["error_description", "errorMessage", "Message", "message", "error"];
    let raw = String::from_utf8_lossy(body);
    let text = match serde_json::from_str::<Value>(&raw) {
        Ok(Value::String(text)) => text,
        Ok(Value::Object(fields)) => {
            let found = FIELDS.iter().find_map(|name| fields.get(*name)?.as_str().filter(|text| !text.is_empty()));
            let found = found.map(str::to_owned).or_else(|| fields.get("errors").and_then(field_errors));
            found.or_else(|| fields.get("title")?.as_str().map(str::to_owned))?
        }
        Ok(_) => return None,
        Err(_) => raw.into_owned(),
    };
    Some(excerpt(&text))
}

/// ASP.NET's problem details name each field with what is wrong with it.
fn field_errors(errors: &Value) -> Option<String> {
    let fields = errors.as_object()?.iter();
    let lines: Vec<String> = fields
        .map(|(field, reasons)| match reasons[0].as_str() {
            Some(reason) => format!("{field}: {reason}"),
            None => field.clone(),
        })
        .collect();
    (!lines.is_empty()).then(|| lines.join("; "))
}

/// Reads "Rate Limit Reached - N Requests per rolling M minute window".
fn limit(text: &str) -> Option<LearnedLimit> {
    let (before, after) = text.split_once(" Requests per rolling ")?;
    let amount: u32 = before.rsplit(' ').next()?.parse().ok()?;
    let minutes: u64 = after.split(' ').next()?.parse().ok()?;
    let plausible = (1..=1_000_000).contains(&amount) && (1..=60).contains(&minutes);
    plausible.then(|| LearnedLimit {
        scope: LimitScope::Tenant,
        unit: LimitUnit::Requests,
        amount,
        per: Duration::from_secs(minutes * 60),
    })
}

#[cfg(test)]
mod tests {
    use bifrost_core::Timestamp;
    use http::{HeaderMap, Method, StatusCode};
    use proptest::prelude::*;

    use super::*;

    fn classify(status: u16, body: &[u8]) -> Classified {
        HaloClassifier.classify(&Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: &HeaderMap::new(),
            body,
            method: &Method::POST,
            endpoint: "/Tickets",
            now: Timestamp::default(),
        })
    }

    #[test]
    fn every_known_shape_yields_its_text() {
        for (body, expected) in [
            (r#""An Outcome must be entered""#, "An Outcome must be entered"),
            ("plain text", "plain text"),
            (r#"{"error":"invalid_client","error_description":null}"#, "invalid_client"),
            (r#"{"resultCode":1,"errorMessage":"no"}"#, "no"),
            (r#"{"ClassName":"System.Exception","Message":"broken"}"#, "broken"),
            (
                r#"{"title":"One or more validation errors occurred.","errors":{"summary":["is required"]}}"#,
                "summary: is required",
            ),
            ("<html><body><h1>Oops</h1></body></html>", "Oops"),
        ] {
            assert_eq!(message(body.as_bytes()).as_deref(), Some(expected), "{body}");
        }
    }

    #[test]
    fn the_limit_is_learned_from_the_text() {
        let named = classify(429, b"Rate Limit Reached - 700 Requests per rolling 5 minute window");
        let learned = named.learned.unwrap();
        assert_eq!((learned.amount, learned.per), (700, Duration::from_secs(300)));
        assert_eq!(named.retry, Retry::After(THROTTLE_PAUSE));
        for text in ["Rate Limit Reached - many Requests per rolling 5 minute window", "slow down", ""] {
            assert_eq!(classify(429, text.as_bytes()).learned, None, "{text}");
        }
    }

    #[test]
    fn a_401_that_survived_a_refresh_is_a_missing_right() {
        assert_eq!(classify(401, b"").kind, ErrorKind::PermissionDenied);
    }

    proptest! {
        #[test]
        fn no_body_is_too_odd(status in 400_u16..600, body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = classify(status, &body);
        }
    }
}
