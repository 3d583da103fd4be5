//! Errors as Graph writes them: <https://learn.microsoft.com/graph/errors>.

use bifrost_core::Timestamp;
use http::StatusCode;
use serde_json::{Value, json};

use crate::testing::outcome::SimResponse;

/// A refusal, before the ids of the request are put in.
#[derive(Debug)]
pub(crate) struct GraphError {
    status: StatusCode,
    code: &'static str,
    message: String,
    /// Code and target of `details`.
    detail: Option<(&'static str, &'static str)>,
}

/// The ids and the time that go into every error body.
#[derive(Debug, Clone)]
pub(crate) struct RequestIds {
    pub(crate) request: String,
    pub(crate) client: String,
    pub(crate) at: Timestamp,
}

impl GraphError {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), detail: None }
    }

    /// The caller's mistake.
    pub(crate) fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "Request_BadRequest", message)
    }

    /// A query that needs `ConsistencyLevel: eventual`, or that nobody supports.
    pub(crate) fn unsupported_query(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "Request_UnsupportedQuery", message)
    }

    /// The one answer for whatever is not there.
    pub(crate) fn not_found(id: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "Request_ResourceNotFound",
            format!("Resource '{id}' does not exist or one of its queried reference-property objects are not present."),
        )
    }

    pub(crate) fn no_such_segment(segment: &str) -> Self {
        let message = format!("Resource not found for the segment '{segment}'.");
        Self::new(StatusCode::BAD_REQUEST, "BadRequest", message)
    }

    pub(crate) fn method_not_allowed() -> Self {
        let message = "the method is not allowed here";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "Request_BadRequest", message)
    }

    /// Another object has the same value already.
    pub(crate) fn conflict(property: &'static str) -> Self {
        Self {
            detail: Some(("ObjectConflict", property)),
            ..Self::bad(format!("Another object with the same value for property {property} already exists."))
        }
    }

    pub(crate) fn response(&self, ids: &RequestIds) -> SimResponse {
        let details: Vec<Value> = self
            .detail
            .iter()
            .map(|(code, target)| json!({"code": code, "target": target, "message": self.message}))
            .collect();
        let mut error = json!({
            "code": self.code,
            "message": self.message,
            "innerError": inner_error(ids),
        });
        if !details.is_empty() {
            error["details"] = details.into();
        }
        SimResponse::json(self.status, &json!({"error": error}))
    }
}

/// An error body for a status alone, as scripted faults ask for it.
pub(crate) fn for_status(status: StatusCode, ids: &RequestIds) -> SimResponse {
    let code = match status.as_u16() {
        401 => "InvalidAuthenticationToken",
        403 => "Authorization_RequestDenied",
        404 => "Request_ResourceNotFound",
        409 => "Request_MultipleObjectsWithSameKeyValue",
        423 => "resourceLocked",
        429 => "TooManyRequests",
        500 => "InternalServerError",
        502 => "BadGateway",
        503 => "Service_ServiceUnavailable",
        504 => "GatewayTimeout",
        _ => "Request_BadRequest",
    };
    let mut inner = inner_error(ids);
    inner["code"] = status.as_str().into();
    let error = json!({"code": code, "message": "a scripted fault", "innerError": inner});
    SimResponse::json(status, &json!({"error": error}))
}

/// The body of a 429.
pub(crate) fn throttled(ids: &RequestIds) -> SimResponse {
    let mut inner = inner_error(ids);
    inner["code"] = "429".into();
    let error = json!({"code": "TooManyRequests", "message": "Too many requests.", "innerError": inner});
    SimResponse::json(StatusCode::TOO_MANY_REQUESTS, &json!({"error": error}))
}

fn inner_error(ids: &RequestIds) -> Value {
    let text = ids.at.to_string();
    let date = text.split('.').next().unwrap_or_default();
    json!({"date": date, "request-id": ids.request, "client-request-id": ids.client})
}
