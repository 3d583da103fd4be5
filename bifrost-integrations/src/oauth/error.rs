//! Names the failures of token exchanges: the cause a person can act on, and whether time helps.
//!
//! Decided first on the standard `error`, refined by numeric codes, never on text (RFC 6749 section 5.2; Microsoft's
//! page "Microsoft Entra authentication and authorization error codes").

use bifrost_core::connection::Cause;
use bifrost_core::credential::ExchangeFailure;
use bifrost_core::{Error, ErrorKind, Retry, Timestamp};
use http::{HeaderMap, StatusCode};
use serde_json::Value;

use super::endpoint::Dialect;
use super::entra::{self, Verdict};
use crate::http::classify::{Classified, excerpt};
use crate::http::redact::Scrubber;
use crate::http::retry_after::retry_after;
use crate::http::transport::{TransportError, TransportErrorKind};

/// The longest code or id of a provider that enters an error, in characters.
const MAX_WORD: usize = 64;

/// The body of a refusal, read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refusal {
    /// The standard error, such as `invalid_grant`.
    pub error: String,
    /// A finer one.
    pub suberror: Option<String>,
    /// Microsoft's numeric codes.
    pub codes: Vec<u64>,
    /// What the provider says in words.
    pub description: Option<String>,
    /// Microsoft's ids, for a support case.
    pub trace_id: Option<String>,
    /// The same, over several systems.
    pub correlation_id: Option<String>,
}

impl Refusal {
    /// Reads a body; `None` when it is not JSON with an `error`.
    pub fn read(body: &[u8]) -> Option<Self> {
        let document: Value = serde_json::from_slice(body).ok()?;
        let codes = document["error_codes"].as_array().map(Vec::as_slice).unwrap_or_default();
        Some(Self {
            error: word(&document["error"])?,
            suberror: word(&document["suberror"]),
            codes: codes.iter().filter_map(Value::as_u64).take(16).collect(),
            description: document["error_description"].as_str().map(excerpt).filter(|text| !text.is_empty()),
            trace_id: word(&document["trace_id"]),
            correlation_id: word(&document["correlation_id"]),
        })
    }

    /// What to do about it.
    pub fn verdict(&self, dialect: Dialect) -> Verdict {
        let listed = || self.codes.iter().find_map(|code| entra::verdict(*code));
        match dialect {
            Dialect::Entra => listed().unwrap_or_else(|| Verdict::of(self.standard())),
            _ => Verdict::of(self.standard()),
        }
    }

    /// The cause by the standard error, refined by the finer one.
    fn standard(&self) -> Cause {
        match self.suberror.as_deref() {
            Some("consent_required") => return Cause::ConsentMissing,
            Some("protection_policy_required" | "device_authentication_failed") => return Cause::BlockedByPolicy,
            Some("client_mismatch") => return Cause::WrongConfiguration,
            _ => {}
        }
        match self.error.as_str() {
            "temporarily_unavailable" | "server_error" | "slow_down" => Cause::ProviderDown,
            "invalid_grant" | "login_required" | "expired_token" => Cause::Revoked,
            "interaction_required" => Cause::MfaRequired,
            "consent_required" => Cause::ConsentMissing,
            "access_denied" => Cause::BlockedByPolicy,
            "invalid_client" => Cause::CredentialExpired,
            // A bug or a setting either way.
            _ => Cause::WrongConfiguration,
        }
    }
}

/// Names an answer that holds no token.
pub(super) fn of_answer(
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    now: Timestamp,
    dialect: Dialect,
    scrubber: &Scrubber,
) -> ExchangeFailure {
    let wait = retry_after(headers, now);
    let refusal = Refusal::read(body);
    let mut failure = match &refusal {
        _ if status == StatusCode::TOO_MANY_REQUESTS => down(ErrorKind::Throttled, "the token endpoint is throttling"),
        Some(refusal) if !status.is_success() => refused(refusal, dialect, scrubber),
        _ if dialect == Dialect::HaloPsa && status == StatusCode::INTERNAL_SERVER_ERROR => halopsa_agent(),
        _ if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT => {
            down(ErrorKind::Unavailable, "the token endpoint is down")
        }
        // JSON that is broken has broken on its way; anything else comes from somebody else.
        _ if status.is_success() && says_json(headers) => {
            down(ErrorKind::Unavailable, "the token endpoint's answer cannot be read")
        }
        _ if status.is_success() => not_a_token("the token endpoint answered with something that is no token"),
        _ => needs_person(Cause::WrongConfiguration, "the token endpoint refuses the request")
            .map_action("check authority, tenant and client id of the connection"),
    };
    if let (Some(wait), true) = (wait, failure.cause.passes_by_itself()) {
        failure.error = failure.error.retry(Retry::After(wait));
    }
    failure.error = failure.error.with("status", status.as_u16());
    failure
}

/// Names an exchange without an answer: the provider, or the way to it, is down.
pub(super) fn of_transport(error: TransportError) -> ExchangeFailure {
    let named = Classified::of_transport(&error);
    if error.kind() == TransportErrorKind::Blocked {
        let mut failure = needs_person(Cause::WrongConfiguration, &named.message);
        if let Some(action) = named.next_action {
            failure = failure.map_action(&action);
        }
        return failure.caused_by(error);
    }
    down(ErrorKind::Unavailable, &named.message).caused_by(error)
}

/// Names an answer that says success and holds no token that could be used.
pub(super) fn not_a_token(message: &str) -> ExchangeFailure {
    needs_person(Cause::WrongConfiguration, message)
        .map_action("check `authority` of the connection: a proxy or another service may answer there")
}

fn refused(refusal: &Refusal, dialect: Dialect, scrubber: &Scrubber) -> ExchangeFailure {
    let verdict = refusal.verdict(dialect);
    let code = match (dialect, refusal.codes.first()) {
        (Dialect::Entra, Some(code)) => format!("AADSTS{code}"),
        _ => scrubber.scrub(&refusal.error),
    };
    let mut message = format!("the provider refuses to issue a token: {code}");
    // Microsoft's descriptions name people; its codes are explained in public.
    if let (false, Some(description)) = (dialect == Dialect::Entra, &refusal.description) {
        message = format!("{message}: {}", scrubber.scrub(description));
    }
    let mut failure = match verdict.cause.passes_by_itself() {
        true => down(ErrorKind::Unavailable, &message),
        false => needs_person(verdict.cause, &message),
    };
    failure.error = failure.error.retry(verdict.retry).with("code", code);
    for (name, id) in [("trace_id", &refusal.trace_id), ("request_id", &refusal.correlation_id)] {
        if let Some(id) = id {
            failure.error = failure.error.with(name, scrubber.scrub(id));
        }
    }
    match verdict.next_action {
        Some(action) => failure.map_action(action),
        None => failure,
    }
}

/// HaloPSA answers with a page of HTML when the application's agent is missing, disabled or not allowed.
fn halopsa_agent() -> ExchangeFailure {
    needs_person(Cause::WrongConfiguration, "the token endpoint failed, as it does without a valid agent to log in as")
        .map_action("check \"Agent to log in as\" of the API application in HaloPSA, and that the agent is active")
}

fn down(kind: ErrorKind, message: &str) -> ExchangeFailure {
    let cause = Cause::ProviderDown;
    ExchangeFailure {
        cause,
        error: Error::new(kind, "exchange token", message).retry(Retry::Later).next_action(cause.next_action()),
    }
}

fn needs_person(cause: Cause, message: &str) -> ExchangeFailure {
    ExchangeFailure {
        cause,
        error: Error::new(ErrorKind::ReauthRequired, "exchange token", message).next_action(cause.next_action()),
    }
}

fn says_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(http::header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.to_ascii_lowercase().starts_with("application/json"))
}

trait Refine: Sized {
    fn map_action(self, action: &str) -> Self;
    fn caused_by(self, error: TransportError) -> Self;
}

impl Refine for ExchangeFailure {
    fn map_action(mut self, action: &str) -> Self {
        self.error = self.error.next_action(action);
        self
    }

    fn caused_by(mut self, error: TransportError) -> Self {
        self.error = self.error.source(error);
        self
    }
}

/// A code or id as it may enter an error: one short word, or nothing.
fn word(value: &Value) -> Option<String> {
    let text = value.as_str()?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let fits = !text.is_empty() && text.len() <= MAX_WORD && text.chars().all(plain);
    fits.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use bifrost_core::Secret;
    use proptest::prelude::*;
    use std::time::Duration;

    fn of(status: u16, headers: &[(&'static str, &str)], body: &str, dialect: Dialect) -> ExchangeFailure {
        let headers =
            headers.iter().map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap())).collect();
        let scrubber = Scrubber::new([&Secret::new("canary-secret")]);
        let status = StatusCode::from_u16(status).unwrap();
        of_answer(status, &headers, body.as_bytes(), Timestamp::from_millis(0), dialect, &scrubber)
    }

    fn entra(error: &str, code: u64) -> ExchangeFailure {
        let body = format!(
            r#"{{"error":"{error}","error_description":"AADSTS{code}: zoe@contoso.com …","error_codes":[{code}],
                "trace_id":"7f3e-1","correlation_id":"c0-2","timestamp":"2026-01-09 02:02:12Z"}}"#
        );
        of(400, &[], &body, Dialect::Entra)
    }

    #[test]
    fn codes_have_causes() {
        use Cause as C;
        #[rustfmt::skip]
        let table = [
            ("invalid_grant", 700_082, C::Revoked), ("invalid_grant", 50_173, C::Revoked), ("invalid_grant", 70_008, C::Revoked),
            ("invalid_grant", 50_076, C::MfaRequired), ("interaction_required", 50_079, C::MfaRequired),
            ("invalid_grant", 65_001, C::ConsentMissing), ("invalid_grant", 90_099, C::ConsentMissing),
            ("unauthorized_client", 700_016, C::ConsentMissing), ("invalid_request", 90_002, C::WrongConfiguration),
            ("invalid_client", 7_000_215, C::CredentialExpired), ("invalid_client", 7_000_222, C::CredentialExpired),
            ("invalid_client", 700_027, C::CredentialExpired), ("invalid_grant", 53_003, C::BlockedByPolicy),
            ("access_denied", 53_000, C::BlockedByPolicy), ("invalid_grant", 50_020, C::PartnerRelationshipExpired),
            ("invalid_grant", 50_177, C::PartnerRelationshipExpired), ("invalid_scope", 70_011, C::WrongConfiguration),
            ("invalid_request", 900_144, C::WrongConfiguration), ("temporarily_unavailable", 90_033, C::ProviderDown),
            ("invalid_grant", 50_196, C::ProviderDown), ("invalid_grant", 50_057, C::Revoked),
            // Not listed: by the standard error.
            ("invalid_grant", 99_999_999, C::Revoked), ("invalid_client", 1, C::CredentialExpired),
            ("server_error", 1, C::ProviderDown), ("consent_required", 1, C::ConsentMissing),
            ("invalid_scope", 1, C::WrongConfiguration), ("new_error", 1, C::WrongConfiguration),
        ];
        for (error, code, cause) in table {
            let failure = entra(error, code);
            assert_eq!(failure.cause, cause, "{error} {code}");
            let (passes, shown) = (cause.passes_by_itself(), format!("{:?}", failure.error));
            assert_eq!(failure.error.is_retryable(), passes, "{error} {code}");
            assert_eq!(failure.error.kind() == ErrorKind::ReauthRequired, !passes, "{error} {code}");
            assert!(failure.error.suggested_action().is_some());
            assert!(!shown.contains("zoe"), "descriptions name people: {shown}");
            assert_eq!(failure.error.context("trace_id"), Some("7f3e-1"));
            assert_eq!(failure.error.context("request_id"), Some("c0-2"));
        }
        assert_eq!(entra("invalid_grant", 50_196).error.retry_after(), Some(Duration::from_secs(300)));
    }

    #[test]
    fn statuses_decide_where_there_is_no_body_to_read() {
        use Cause as C;
        let html = "<html>canary-secret</html>";
        for (status, body, dialect, cause, kind) in [
            (429, "", Dialect::Entra, C::ProviderDown, ErrorKind::Throttled),
            (429, r#"{"error":"invalid_grant"}"#, Dialect::Entra, C::ProviderDown, ErrorKind::Throttled),
            (500, html, Dialect::Entra, C::ProviderDown, ErrorKind::Unavailable),
            (503, html, Dialect::HaloPsa, C::ProviderDown, ErrorKind::Unavailable),
            (500, html, Dialect::HaloPsa, C::WrongConfiguration, ErrorKind::ReauthRequired),
            (500, r#"{"error":"server_error"}"#, Dialect::HaloPsa, C::ProviderDown, ErrorKind::Unavailable),
            (200, html, Dialect::Entra, C::WrongConfiguration, ErrorKind::ReauthRequired),
            (302, "", Dialect::Entra, C::WrongConfiguration, ErrorKind::ReauthRequired),
            (404, html, Dialect::Standard, C::WrongConfiguration, ErrorKind::ReauthRequired),
        ] {
            let failure = of(status, &[("retry-after", "17")], body, dialect);
            assert_eq!((failure.cause, failure.error.kind()), (cause, kind), "{status} {dialect:?}");
            let wait = cause.passes_by_itself().then_some(Duration::from_secs(17));
            assert_eq!(failure.error.retry_after(), wait, "{status} {dialect:?}");
            assert!(!format!("{:?}", failure.error).contains("canary"));
        }
        let halo = of(500, &[], html, Dialect::HaloPsa);
        assert!(halo.error.suggested_action().unwrap().contains("Agent to log in as"));
    }

    #[test]
    fn what_halopsa_says_is_shown_without_secrets() {
        let body = r#"{"error":"invalid_client","error_description":"The secret canary-secret is <b>wrong</b>"}"#;
        let failure = of(400, &[], body, Dialect::HaloPsa);
        assert_eq!(failure.cause, Cause::CredentialExpired);
        let expected = "the provider refuses to issue a token: invalid_client: The secret *** is wrong";
        assert_eq!(failure.error.message(), expected);
    }

    proptest! {
        #[test]
        fn no_body_makes_it_panic_or_claim_success(bytes in proptest::collection::vec(any::<u8>(), 0..300), status in 200_u16..600) {
            let text = String::from_utf8_lossy(&bytes);
            for dialect in [Dialect::Standard, Dialect::Entra, Dialect::HaloPsa] {
                let failure = of(status, &[], &text, dialect);
                prop_assert!(failure.error.suggested_action().is_some());
            }
        }

        #[test]
        fn odd_members_are_left_out(error in "\\PC{0,80}", codes in proptest::collection::vec(any::<i64>(), 0..40)) {
            let body = serde_json::json!({ "error": error, "error_codes": codes, "trace_id": [1], "suberror": 5 });
            let read = Refusal::read(body.to_string().as_bytes());
            prop_assert!(read.is_none_or(|read| read.error.len() <= MAX_WORD && read.codes.len() <= 16));
        }
    }
}
