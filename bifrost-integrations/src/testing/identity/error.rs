//! The errors of the token endpoint.

use bifrost_core::Timestamp;
use bifrost_core::testing::SeededEntropy;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::testing::outcome::SimResponse;
use crate::testing::random;

/// Why the token endpoint refuses, by `AADSTS` number.
///
/// Numbers: <https://learn.microsoft.com/entra/identity-platform/reference-error-codes>. The texts are ours: a client
/// must branch on `error` and `error_codes` alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AadError {
    /// 7000215: the client secret is wrong.
    WrongSecret,
    /// 7000222: the client secret has expired.
    ExpiredSecret,
    /// 7000218: neither secret nor assertion was sent.
    NoSecret,
    /// 90002: there is no such tenant.
    UnknownTenant,
    /// 700016: the application is not in the tenant.
    AppNotInTenant,
    /// 65001: nobody consented to the application.
    ConsentRequired,
    /// 50076: multi-factor authentication is required.
    MfaRequired,
    /// 53003: a Conditional Access policy blocks the request.
    ConditionalAccess,
    /// 50173: the grant was revoked; a fresh sign-in is needed.
    Revoked,
    /// 700082: the refresh token has expired by inactivity.
    RefreshExpired,
    /// 9001023: the grant does not work on `/common` or `/consumers`.
    TenantAlias,
    /// 70011: the scope is not valid.
    InvalidScope,
    /// 500011: the resource in the scope is not in the tenant.
    UnknownResource,
    /// 70000: the refresh token is not valid.
    InvalidGrant,
    /// 900144: the body lacks a required parameter.
    MissingParameter,
    /// 70003: the grant type is not supported.
    UnsupportedGrant,
    /// 90033: the directory is down for a moment.
    DirectoryUnavailable,
    /// 50196: the same request came too often.
    LoopDetected,
}

struct Row {
    code: u32,
    error: &'static str,
    status: StatusCode,
    text: &'static str,
    suberror: Option<&'static str>,
}

const fn row(code: u32, error: &'static str, status: StatusCode, text: &'static str) -> Row {
    Row { code, error, status, text, suberror: None }
}

impl Row {
    const fn sub(self, suberror: &'static str) -> Self {
        Self { suberror: Some(suberror), ..self }
    }
}

const BAD: StatusCode = StatusCode::BAD_REQUEST;
const DENIED: StatusCode = StatusCode::UNAUTHORIZED;

impl AadError {
    fn row(self) -> Row {
        match self {
            Self::WrongSecret => row(7_000_215, "invalid_client", DENIED, "the client secret is wrong"),
            Self::ExpiredSecret => row(7_000_222, "invalid_client", DENIED, "the client secret has expired"),
            Self::NoSecret => row(7_000_218, "invalid_client", DENIED, "no client secret or assertion was sent"),
            Self::UnknownTenant => row(90_002, "invalid_request", BAD, "there is no such tenant"),
            Self::AppNotInTenant => row(700_016, "unauthorized_client", BAD, "the application is not in the tenant"),
            Self::ConsentRequired => {
                row(65_001, "invalid_grant", BAD, "nobody consented to the application").sub("consent_required")
            }
            Self::MfaRequired => {
                row(50_076, "interaction_required", BAD, "multi-factor authentication is required").sub("basic_action")
            }
            Self::ConditionalAccess => {
                row(53_003, "interaction_required", BAD, "a policy blocks the request").sub("message_only")
            }
            Self::Revoked => row(50_173, "invalid_grant", BAD, "the grant was revoked").sub("bad_token"),
            Self::RefreshExpired => {
                row(700_082, "invalid_grant", BAD, "the refresh token has expired").sub("bad_token")
            }
            Self::TenantAlias => row(9_001_023, "invalid_request", BAD, "the grant needs a tenant of its own"),
            Self::InvalidScope => row(70_011, "invalid_scope", BAD, "the scope is not valid"),
            Self::UnknownResource => row(500_011, "invalid_resource", BAD, "the resource is not in the tenant"),
            Self::InvalidGrant => row(70_000, "invalid_grant", BAD, "the refresh token is not valid"),
            Self::MissingParameter => row(900_144, "invalid_request", BAD, "the body lacks a required parameter"),
            Self::UnsupportedGrant => row(70_003, "unsupported_grant_type", BAD, "the grant type is not supported"),
            Self::DirectoryUnavailable => {
                row(90_033, "temporarily_unavailable", StatusCode::SERVICE_UNAVAILABLE, "the directory is down")
            }
            Self::LoopDetected => row(50_196, "invalid_request", BAD, "the same request came too often"),
        }
    }

    /// The `AADSTS` number.
    pub fn code(self) -> u32 {
        self.row().code
    }

    /// The OAuth `error` that goes with it.
    pub fn error(self) -> &'static str {
        self.row().error
    }

    /// The body documented at
    /// <https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow#error-response>.
    pub(super) fn response(self, now: Timestamp, entropy: &SeededEntropy, correlation: Option<&str>) -> SimResponse {
        let row = self.row();
        let trace = random::guid(entropy);
        let correlation = match correlation {
            Some(id) if random::is_guid(id) => id.to_owned(),
            _ => random::guid(entropy),
        };
        let timestamp = aad_time(now);
        let description = format!(
            "AADSTS{}: {}. Trace ID: {trace} Correlation ID: {correlation} Timestamp: {timestamp}",
            row.code, row.text
        );
        let mut body = json!({
            "error": row.error,
            "error_description": description,
            "error_codes": [row.code],
            "timestamp": timestamp,
            "trace_id": trace,
            "correlation_id": correlation,
            "error_uri": format!("https://login.microsoftonline.com/error?code={}", row.code),
        });
        if let Some(suberror) = row.suberror {
            body["suberror"] = suberror.into();
        }
        if matches!(self, Self::MfaRequired | Self::ConditionalAccess) {
            body["claims"] = r#"{"access_token":{"capolids":{"essential":true,"values":["simulated-policy"]}}}"#.into();
        }
        SimResponse::json(row.status, &body)
    }
}

/// `2016-01-09 02:02:12Z`, as the endpoint writes time.
fn aad_time(now: Timestamp) -> String {
    let text = now.to_string();
    let seconds = text.split('.').next().unwrap_or_default();
    format!("{}Z", seconds.replace('T', " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_has_the_documented_members() {
        let now = Timestamp::from_millis(1_452_304_932_000);
        let response = AadError::Revoked.response(now, &SeededEntropy::new(1), None);
        let body: serde_json::Value = serde_json::from_slice(&response.body.to_bytes()).unwrap();
        assert_eq!(body["error"], "invalid_grant");
        assert_eq!(body["error_codes"], json!([50_173]));
        assert_eq!(body["timestamp"], "2016-01-09 02:02:12Z");
        assert!(body["error_description"].as_str().unwrap().starts_with("AADSTS50173: "));
        for id in ["trace_id", "correlation_id"] {
            assert!(random::is_guid(body[id].as_str().unwrap()), "{id}");
        }
    }
}
