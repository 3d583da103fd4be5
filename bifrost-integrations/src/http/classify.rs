//! Names each failure once: its kind, whether trying again can help, whether the request was applied, and which part
//! of the budget to close. Everything above only reads the name.

use std::fmt;
use std::time::Duration;

use bifrost_core::policy::rate::{LimitScope, LimitUnit};
use bifrost_core::{Error, ErrorKind, Retry, Timestamp};
use http::{HeaderMap, Method, StatusCode};

use super::redact::Scrubber;
use super::retry_after::retry_after;
use super::signals::{Direction, Signals};
use super::transport::{TransportError, TransportErrorKind};

/// The most characters of a provider's text that enter an error.
const MAX_MESSAGE: usize = 300;

/// An answer, as a classifier sees it.
#[derive(Debug, Clone, Copy)]
pub struct Answer<'a> {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// Its body, within the limits of the stack; anything may be in it.
    pub body: &'a [u8],
    /// The method of the request.
    pub method: &'a Method,
    /// The path of the request with its parameters named.
    pub endpoint: &'static str,
    /// When it came.
    pub now: Timestamp,
}

/// Whether a failed request had an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    /// It certainly had none.
    No,
    /// Nobody knows.
    Maybe,
}

/// A part of the budget to close.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Closure {
    /// The node.
    pub scope: LimitScope,
    /// Which requests it concerns.
    pub direction: Direction,
    /// For how long, where the provider named it.
    pub wait: Option<Duration>,
}

/// A limit the provider named in an answer, in place of the published one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LearnedLimit {
    /// The node.
    pub scope: LimitScope,
    /// What it counts.
    pub unit: LimitUnit,
    /// How many are allowed …
    pub amount: u32,
    /// … in this time.
    pub per: Duration,
}

/// A failure with its name.
#[derive(Debug, Clone, PartialEq)]
pub struct Classified {
    /// What it is.
    pub kind: ErrorKind,
    /// Whether the same request can succeed later.
    pub retry: Retry,
    /// Whether the request had an effect.
    pub applied: Applied,
    /// What to close, if anything.
    pub close: Option<Closure>,
    /// What limit was named, if one was.
    pub learned: Option<LearnedLimit>,
    /// What happened, in our words or in the provider's as [`excerpt`] lets them through.
    pub message: String,
    /// The provider's code of the failure.
    pub code: Option<String>,
    /// The provider's id of the request, for a support case.
    pub request_id: Option<String>,
    /// What a person can do.
    pub next_action: Option<String>,
}

impl Classified {
    /// A failure the provider has decided: the request had no effect and the same one fails again.
    pub fn refused(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            retry: Retry::Never,
            applied: Applied::No,
            close: None,
            learned: None,
            message: message.into(),
            code: None,
            request_id: None,
            next_action: None,
        }
    }

    /// What the status alone says (RFC 9110 section 15, RFC 6585).
    ///
    /// A 429 closes the connection's node unless the integration says which one.
    pub fn of_status(status: StatusCode, wait: Option<Duration>) -> Self {
        let mut named = Self::refused(kind_of(status), text_of(status));
        match status.as_u16() {
            429 => {
                named.retry = wait.map_or(Retry::Later, Retry::After);
                named.close = Some(Closure { scope: LimitScope::Connection, direction: Direction::All, wait });
            }
            // With `Retry-After` the server says that it turned the request away.
            503 => {
                named.retry = wait.map_or(Retry::Later, Retry::After);
                named.applied = if wait.is_some() { Applied::No } else { Applied::Maybe };
                named.close = wait.map(|wait| Closure {
                    scope: LimitScope::Connection,
                    direction: Direction::All,
                    wait: Some(wait),
                });
            }
            408 | 500 | 502 | 504 | 509 => {
                named.retry = wait.map_or(Retry::Later, Retry::After);
                named.applied = Applied::Maybe;
            }
            423 => named.retry = wait.map_or(Retry::Later, Retry::After),
            _ => named.next_action = advice(status).map(str::to_owned),
        }
        named
    }

    /// What a transport's error says.
    pub fn of_transport(error: &TransportError) -> Self {
        use TransportErrorKind as K;
        let (kind, retry) = match error.kind() {
            K::Blocked => (ErrorKind::PermissionDenied, Retry::Never),
            K::NotSent | K::Lost => (ErrorKind::Unavailable, Retry::Later),
            K::TimedOut => (ErrorKind::Timeout, Retry::Later),
            K::TooLarge => (ErrorKind::TooLarge, Retry::Never),
        };
        let mut named = Self::refused(kind, error.to_string());
        named.retry = retry;
        if error.maybe_received() {
            named.applied = Applied::Maybe;
        }
        if error.kind() == K::Blocked {
            let action = "check the URL; list an on-premises host in `allow_private_hosts` of the connection";
            named.next_action = Some(action.to_owned());
        }
        named
    }

    /// The same without secrets in what the provider said.
    #[must_use]
    pub fn scrubbed(mut self, scrubber: &Scrubber) -> Self {
        self.message = scrubber.scrub(&self.message);
        self.code = self.code.map(|code| scrubber.scrub(&code));
        self.request_id = self.request_id.map(|id| scrubber.scrub(&id));
        self.next_action = self.next_action.map(|action| scrubber.scrub(&action));
        self
    }

    /// The error to return.
    pub fn to_error(&self) -> Error {
        let mut error = Error::new(self.kind, "call provider", self.message.clone()).retry(self.retry);
        if let Some(code) = &self.code {
            error = error.with("code", code);
        }
        if let Some(id) = &self.request_id {
            error = error.with("request_id", id);
        }
        match &self.next_action {
            Some(action) => error.next_action(action.clone()),
            None => error,
        }
    }
}

/// Reads one provider's answers. Each integration brings its own.
pub trait Classifier: Send + Sync + fmt::Debug + 'static {
    /// True when the answer is what was asked for.
    fn accepts(&self, answer: &Answer<'_>) -> bool {
        answer.status.is_success() || answer.status == StatusCode::NOT_MODIFIED
    }

    /// Names the failure of an answer that is not accepted. The body is hostile input: reading it must not panic.
    fn classify(&self, answer: &Answer<'_>) -> Classified {
        Classified::of_status(answer.status, retry_after(answer.headers, answer.now))
    }

    /// Which parts of the budget an accepted answer closes: one that carries several may hold a refusal among them.
    fn closures(&self, _answer: &Answer<'_>) -> Vec<Closure> {
        Vec::new()
    }

    /// What the answer, accepted or not, says about the limits.
    fn signals(&self, _headers: &HeaderMap) -> Signals {
        Signals::default()
    }
}

/// Reads status and `Retry-After` and nothing else.
#[derive(Debug, Clone, Copy, Default)]
pub struct StatusClassifier;

impl Classifier for StatusClassifier {}

fn kind_of(status: StatusCode) -> ErrorKind {
    match status.as_u16() {
        401 | 403 => ErrorKind::PermissionDenied,
        404 | 410 => ErrorKind::NotFound,
        409 | 412 | 423 => ErrorKind::Conflict,
        408 => ErrorKind::Timeout,
        429 => ErrorKind::Throttled,
        500 | 502 | 503 | 504 | 509 => ErrorKind::Unavailable,
        _ => ErrorKind::Rejected,
    }
}

fn text_of(status: StatusCode) -> String {
    match status.canonical_reason() {
        Some(reason) => format!("the provider answered {} {reason}", status.as_u16()),
        None => format!("the provider answered {}", status.as_u16()),
    }
}

fn advice(status: StatusCode) -> Option<&'static str> {
    match status.as_u16() {
        401 => Some("check that the application may call this endpoint; a renewed token was refused too"),
        403 => Some("check the permissions, roles and licences of the application at the provider"),
        _ => None,
    }
}

/// A provider's text as it may enter an error: one line of at most 300 characters, tags and control characters gone.
pub fn excerpt(text: &str) -> String {
    let mut tag = false;
    let mut kept = String::new();
    // Reading on after the limit would let a large page cost time for nothing.
    for character in text.chars().take(MAX_MESSAGE * 8) {
        match character {
            '<' => tag = true,
            '>' if tag => tag = false,
            _ if tag => continue,
            _ if character.is_whitespace() || character.is_control() => {}
            _ => {
                kept.push(character);
                continue;
            }
        }
        if !kept.is_empty() && !kept.ends_with(' ') {
            kept.push(' ');
        }
    }
    kept.trim_end().chars().take(MAX_MESSAGE).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_status_has_one_name() {
        use Applied::{Maybe, No};
        use ErrorKind as K;
        let wait = Duration::from_secs(7);
        let after = Retry::After(wait);
        #[rustfmt::skip]
        let table = [
            (400, None, K::Rejected, Retry::Never, No, false),
            (401, None, K::PermissionDenied, Retry::Never, No, false),
            (403, Some(wait), K::PermissionDenied, Retry::Never, No, false),
            (404, None, K::NotFound, Retry::Never, No, false),
            (408, None, K::Timeout, Retry::Later, Maybe, false),
            (409, None, K::Conflict, Retry::Never, No, false),
            (410, None, K::NotFound, Retry::Never, No, false),
            (412, None, K::Conflict, Retry::Never, No, false),
            (413, None, K::Rejected, Retry::Never, No, false),
            (422, None, K::Rejected, Retry::Never, No, false),
            (423, None, K::Conflict, Retry::Later, No, false),
            (423, Some(wait), K::Conflict, after, No, false),
            (424, None, K::Rejected, Retry::Never, No, false),
            (429, None, K::Throttled, Retry::Later, No, true),
            (429, Some(wait), K::Throttled, after, No, true),
            (500, None, K::Unavailable, Retry::Later, Maybe, false),
            (501, None, K::Rejected, Retry::Never, No, false),
            (502, None, K::Unavailable, Retry::Later, Maybe, false),
            (503, None, K::Unavailable, Retry::Later, Maybe, false),
            (503, Some(wait), K::Unavailable, after, No, true),
            (504, Some(wait), K::Unavailable, after, Maybe, false),
            (507, None, K::Rejected, Retry::Never, No, false),
            (302, None, K::Rejected, Retry::Never, No, false),
            (599, None, K::Rejected, Retry::Never, No, false),
        ];
        for (status, wait, kind, retry, applied, closes) in table {
            let named = Classified::of_status(StatusCode::from_u16(status).unwrap(), wait);
            assert_eq!((named.kind, named.retry, named.applied), (kind, retry, applied), "{status}");
            assert_eq!(named.close.is_some(), closes, "{status}");
        }
    }

    #[test]
    fn transport_failures_say_whether_the_request_may_have_arrived() {
        use TransportErrorKind as K;
        for (kind, expected, retry, applied) in [
            (K::Blocked, ErrorKind::PermissionDenied, Retry::Never, Applied::No),
            (K::NotSent, ErrorKind::Unavailable, Retry::Later, Applied::No),
            (K::TimedOut, ErrorKind::Timeout, Retry::Later, Applied::Maybe),
            (K::Lost, ErrorKind::Unavailable, Retry::Later, Applied::Maybe),
            (K::TooLarge, ErrorKind::TooLarge, Retry::Never, Applied::Maybe),
        ] {
            let named = Classified::of_transport(&TransportError::new(kind, "test"));
            assert_eq!((named.kind, named.retry, named.applied), (expected, retry, applied), "{kind:?}");
        }
    }

    #[test]
    fn a_page_of_html_becomes_a_line() {
        let page = "<html><head><title>Oops</title></head>\r\n<body>\tAgent <b>missing</b>\u{7}</body>";
        assert_eq!(excerpt(page), "Oops Agent missing");
    }

    proptest! {
        #[test]
        fn an_excerpt_is_short_and_printable(text in any::<String>()) {
            let kept = excerpt(&text);
            prop_assert!(kept.chars().count() <= MAX_MESSAGE);
            prop_assert!(!kept.chars().any(char::is_control));
        }
    }
}
