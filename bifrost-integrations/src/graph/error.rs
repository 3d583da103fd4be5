//! What Graph says when it refuses, and what that means.
//!
//! Shape: <https://learn.microsoft.com/graph/errors>. Both `innerError` and `innererror` occur, and they nest; the
//! code that says most is the deepest one.

use bifrost_core::ErrorKind;
use bifrost_core::policy::rate::LimitScope;
use http::{HeaderMap, StatusCode, header};
use serde_json::Value;

use crate::http::classify::{Answer, Classified, Classifier, Closure, excerpt};
use crate::http::retry_after::retry_after;
use crate::http::signals::{Direction, Signals, microsoft_scope};

/// How deep inner errors are followed.
const MAX_DEPTH: usize = 8;

/// The body of a failed answer, read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GraphError {
    /// The outermost code, such as `Request_BadRequest`; may be empty.
    pub code: String,
    /// The deepest inner code that is not empty.
    pub inner_code: Option<String>,
    /// The codes in `details`.
    pub details: Vec<String>,
    /// The message.
    pub message: String,
    /// Microsoft's id of the request, for a support case.
    pub request_id: Option<String>,
}

impl GraphError {
    /// Reads an error answer; anything that is not JSON of the agreed shape leaves fields empty.
    pub fn read(headers: &HeaderMap, body: &[u8]) -> Self {
        let document: Value = serde_json::from_slice(body).unwrap_or_default();
        let error = &document["error"];
        let header = headers.get("request-id").and_then(|id| id.to_str().ok());
        Self {
            code: text(&error["code"]).unwrap_or_default(),
            inner_code: deepest(error, |inner| text(&inner["code"])),
            details: details(error),
            message: text(&error["message"]).unwrap_or_default(),
            request_id: header.map(str::to_owned).or_else(|| deepest(error, |inner| text(&inner["request-id"]))),
        }
    }

    /// The code that says most.
    pub fn best_code(&self) -> &str {
        match &self.inner_code {
            // A bare number repeats the status.
            Some(inner) if inner.parse::<u16>().is_err() => inner,
            _ => &self.code,
        }
    }

    /// The kind of failure, where the body says more than the status; `None` leaves it to the status.
    pub fn kind(&self, status: StatusCode) -> Option<ErrorKind> {
        if matches!(status.as_u16(), 400 | 409) && self.says_exists() {
            return Some(ErrorKind::AlreadyExists);
        }
        if status == StatusCode::BAD_REQUEST && self.has_code("Request_ResourceNotFound") {
            return Some(ErrorKind::NotFound);
        }
        None
    }

    /// Creating what exists and adding a member twice are answered with a general 400: codes first, the two
    /// documented texts last (<https://learn.microsoft.com/graph/api/group-post-members>).
    fn says_exists(&self) -> bool {
        const CODES: [&str; 4] =
            ["Request_MultipleObjectsWithSameKeyValue", "ObjectConflict", "nameAlreadyExists", "RoleAssignmentExists"];
        CODES.iter().any(|code| self.has_code(code))
            || self.message.contains("added object references already exist")
            || (self.message.contains("Another object with the same value") && self.message.contains("already exists"))
    }

    fn has_code(&self, code: &str) -> bool {
        let known = [Some(self.code.as_str()), self.inner_code.as_deref()];
        let mut codes = known.into_iter().flatten().chain(self.details.iter().map(String::as_str));
        codes.any(|known| known.eq_ignore_ascii_case(code))
    }
}

fn text(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

fn details(error: &Value) -> Vec<String> {
    let details = error["details"].as_array().map(Vec::as_slice).unwrap_or_default();
    details.iter().filter_map(|detail| text(&detail["code"])).collect()
}

/// What `read` finds in the innermost error that has it.
fn deepest(error: &Value, read: impl Fn(&Value) -> Option<String>) -> Option<String> {
    let mut found = None;
    let mut current = error;
    for _ in 0..MAX_DEPTH {
        let inner = current.get("innerError").or_else(|| current.get("innererror"));
        let Some(inner) = inner else { break };
        found = read(inner).or(found);
        current = inner;
    }
    found
}

/// Reads Graph's failures for the outbound stack.
#[derive(Debug, Clone, Copy, Default)]
pub struct GraphClassifier;

impl Classifier for GraphClassifier {
    fn accepts(&self, answer: &Answer<'_>) -> bool {
        // A batch with a throttled member may come as 424 and still carry all answers.
        let batch = answer.endpoint == super::batch::ENDPOINT && answer.status == StatusCode::FAILED_DEPENDENCY;
        batch || answer.status.is_success() || answer.status == StatusCode::NOT_MODIFIED
    }

    fn classify(&self, answer: &Answer<'_>) -> Classified {
        let error = GraphError::read(answer.headers, answer.body);
        let wait = retry_after(answer.headers, answer.now);
        let mut named = Classified::of_status(answer.status, wait);
        if let Some(kind) = error.kind(answer.status) {
            named.kind = kind;
        }
        if wants_claims(answer) {
            named.kind = ErrorKind::ReauthRequired;
            named.next_action = Some("sign in again: a policy of the customer asks for more proof".to_owned());
        }
        if let Some(close) = &mut named.close {
            let (scope, direction) = microsoft_scope(answer.headers).unwrap_or((LimitScope::AppTenant, Direction::All));
            *close = Closure { scope, direction, ..*close };
        }
        if !error.message.is_empty() {
            named.message = excerpt(&error.message);
        }
        let code = error.best_code();
        named.code = (!code.is_empty()).then(|| excerpt(code));
        named.request_id = error.request_id.as_deref().map(excerpt);
        named
    }

    fn closures(&self, answer: &Answer<'_>) -> Vec<Closure> {
        super::batch::closures(answer)
    }

    fn signals(&self, headers: &HeaderMap) -> Signals {
        Signals::microsoft(headers)
    }
}

/// A claims challenge of Continuous Access Evaluation or Conditional Access: no token of this grant will do.
fn wants_claims(answer: &Answer<'_>) -> bool {
    let challenges = answer.headers.get_all(header::WWW_AUTHENTICATE);
    let asks =
        challenges.iter().filter_map(|value| value.to_str().ok()).any(|text| text.contains("insufficient_claims"));
    asks && matches!(answer.status.as_u16(), 401 | 403)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bifrost_core::{Retry, Timestamp};
    use http::Method;

    use super::*;

    fn classify(status: u16, headers: &[(&'static str, &str)], body: &str) -> Classified {
        let headers = headers.iter().map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()));
        GraphClassifier.classify(&Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: &headers.collect(),
            body: body.as_bytes(),
            method: &Method::GET,
            endpoint: "/users",
            now: Timestamp::default(),
        })
    }

    #[test]
    fn a_throttled_answer_closes_the_scope_it_names() {
        let body = r#"{"error":{"code":"TooManyRequests","message":"slow <b>down</b>","innerError":{"code":"429","request-id":"r-1"}}}"#;
        let scope = ("x-ms-throttle-scope", "Tenant/Write/a/t");
        let named = classify(429, &[("retry-after", "2.5"), scope], body);
        let wait = Duration::from_millis(2500);
        assert_eq!((named.kind, named.retry), (ErrorKind::Throttled, Retry::After(wait)));
        let close = named.close.unwrap();
        assert_eq!((close.scope, close.direction, close.wait), (LimitScope::Tenant, Direction::Writes, Some(wait)));
        assert_eq!((named.code.as_deref(), named.request_id.as_deref()), (Some("TooManyRequests"), Some("r-1")));
        assert_eq!(named.message, "slow down");
        assert_eq!(classify(429, &[], "").close.unwrap().scope, LimitScope::AppTenant);
    }

    #[test]
    fn a_claims_challenge_needs_a_person() {
        let challenge = ("www-authenticate", r#"Bearer error="insufficient_claims", claims="e30=""#);
        assert_eq!(classify(401, &[challenge], "").kind, ErrorKind::ReauthRequired);
        assert_eq!(classify(401, &[], "").kind, ErrorKind::PermissionDenied);
    }

    fn read(body: &str) -> GraphError {
        GraphError::read(&HeaderMap::new(), body.as_bytes())
    }

    #[test]
    fn walks_down_to_the_code_that_says_most() {
        let error = read(
            r#"{"error":{"code":"Forbidden","message":"no","innerError":{"code":"a","request-id":"r1",
                "innererror":{"code":"insufficient_claims"}}}}"#,
        );
        assert_eq!(error.best_code(), "insufficient_claims");
        assert_eq!(error.request_id.as_deref(), Some("r1"));
        let throttled = read(r#"{"error":{"code":"TooManyRequests","message":"","innerError":{"code":"429"}}}"#);
        assert_eq!(throttled.best_code(), "TooManyRequests");
    }

    #[test]
    fn what_exists_already_is_told_from_other_bad_requests() {
        let member = read(
            r#"{"error":{"code":"Request_BadRequest","message":"One or more added object references already exist for the following modified properties: 'members'."}}"#,
        );
        assert_eq!(member.kind(StatusCode::BAD_REQUEST), Some(ErrorKind::AlreadyExists));
        let user = read(
            r#"{"error":{"code":"Request_BadRequest","message":"x","details":[{"code":"ObjectConflict","target":"userPrincipalName"}]}}"#,
        );
        assert_eq!(user.kind(StatusCode::BAD_REQUEST), Some(ErrorKind::AlreadyExists));
        let other = read(r#"{"error":{"code":"Request_BadRequest","message":"Invalid value"}}"#);
        assert_eq!(other.kind(StatusCode::BAD_REQUEST), None);
    }

    #[test]
    fn anything_else_reads_as_nothing() {
        for body in ["", "<html>", "null", "[]", r#"{"error":"x"}"#, r#"{"error":{"code":5,"innerError":[]}}"#] {
            assert_eq!(read(body).best_code(), "", "{body}");
        }
    }
}
