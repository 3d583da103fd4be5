//! Scripted faults: which requests go wrong, when, and how.
//!
//! ```
//! use bifrost_integrations::testing::{Fault, FaultRule, Provider, RetryAfter, Simulators};
//!
//! let sims = Simulators::builder().with_seed(7).build();
//! // The second creation of a user in `contoso` is applied, but its answer is lost.
//! sims.script(FaultRule::new(Fault::DropAnswer).on(Provider::Graph).method("POST").path("/v1.0/users").tenant("contoso").nth(2));
//! // HaloPSA refuses the next three requests, whatever they are.
//! sims.script(FaultRule::new(Fault::throttled(RetryAfter::Absent)).on(Provider::Halopsa).times(3));
//! ```

use std::time::{Duration, UNIX_EPOCH};

use bifrost_core::Timestamp;
use serde::{Deserialize, Serialize};

use super::identity::AadError;

/// The forms in which a `Retry-After` header is met, good and bad.
///
/// RFC 9110 section 10.2.3 knows whole seconds and HTTP dates; Microsoft Graph also sends decimals, see
/// <https://learn.microsoft.com/graph/throttling>.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RetryAfter {
    /// No header.
    #[default]
    Absent,
    /// Whole seconds.
    Seconds(u64),
    /// Milliseconds, written as seconds with three decimals.
    Decimal(u64),
    /// An HTTP date this many seconds ahead of the simulators' clock.
    DateIn(u64),
    /// Exactly this text.
    Raw(String),
}

impl RetryAfter {
    /// A number no client should believe: more than three years.
    pub fn absurd() -> Self {
        Self::Raw("99999999".to_owned())
    }

    /// A text that is neither number nor date.
    pub fn garbage() -> Self {
        Self::Raw("in a little while".to_owned())
    }

    /// The header's value at `now`; `None` for no header.
    pub(super) fn render(&self, now: Timestamp) -> Option<String> {
        match self {
            Self::Absent => None,
            Self::Seconds(seconds) => Some(seconds.to_string()),
            Self::Decimal(millis) => Some(format!("{}.{:03}", millis / 1000, millis % 1000)),
            Self::DateIn(seconds) => Some(http_date(now.saturating_add(Duration::from_secs(*seconds)))),
            Self::Raw(text) => Some(text.clone()),
        }
    }
}

/// `time` as HTTP writes it.
pub(super) fn http_date(time: Timestamp) -> String {
    /// The last second of the year 9999, the last one the format can write.
    const LAST: u64 = 253_402_300_799;
    let seconds = u64::try_from(time.as_millis() / 1000).unwrap_or(0).min(LAST);
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds))
}

/// What goes wrong. Unless a variant says otherwise the request has no effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Fault {
    /// An error status with the body that the provider sends with it.
    Status {
        /// The status code.
        status: u16,
        /// The `Retry-After` header.
        #[serde(default)]
        retry_after: RetryAfter,
    },
    /// Exactly this answer.
    Answer {
        /// The status code.
        status: u16,
        /// The `Content-Type` header.
        content_type: String,
        /// The body.
        body: String,
    },
    /// An error of the token endpoint of the identity platform.
    Aad {
        /// Which one.
        error: AadError,
    },
    /// The connection is reset before any byte of an answer.
    Reset,
    /// The request **takes effect**, then the connection closes without an answer.
    DropAnswer,
    /// No answer, ever; the connection stays open.
    Hang,
    /// The request **takes effect** at once, its answer comes late.
    Delay {
        /// Milliseconds on the simulators' clock.
        millis: u64,
    },
    /// The request **takes effect**, the body of its answer trickles.
    SlowBody {
        /// In about how many pieces.
        pieces: usize,
        /// Milliseconds before each piece.
        pause_millis: u64,
    },
    /// The request **takes effect**, the body of its answer breaks off.
    CutBody {
        /// How many bytes arrive.
        after_bytes: usize,
    },
    /// The request **takes effect**, its answer is announced as JSON and is not.
    MalformedJson,
    /// The request **takes effect**, its answer is a JSON text of this many bytes.
    OversizedBody {
        /// How many bytes.
        bytes: usize,
    },
    /// A redirect, where providers send none: a client that follows it hands its token to a stranger.
    Redirect {
        /// Where to.
        location: String,
    },
}

impl Fault {
    /// 429.
    pub fn throttled(retry_after: RetryAfter) -> Self {
        Self::Status { status: 429, retry_after }
    }

    /// 503.
    pub fn unavailable(retry_after: RetryAfter) -> Self {
        Self::Status { status: 503, retry_after }
    }

    /// An error status without `Retry-After`.
    pub fn status(status: u16) -> Self {
        Self::Status { status, retry_after: RetryAfter::Absent }
    }

    /// The name used in logs and JSON.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Status { .. } => "status",
            Self::Answer { .. } => "answer",
            Self::Aad { .. } => "aad",
            Self::Reset => "reset",
            Self::DropAnswer => "drop_answer",
            Self::Hang => "hang",
            Self::Delay { .. } => "delay",
            Self::SlowBody { .. } => "slow_body",
            Self::CutBody { .. } => "cut_body",
            Self::MalformedJson => "malformed_json",
            Self::OversizedBody { .. } => "oversized_body",
            Self::Redirect { .. } => "redirect",
        }
    }

    /// True where only whole answers make sense, as inside a batch.
    pub(super) fn is_plain_answer(&self) -> bool {
        matches!(self, Self::Status { .. } | Self::Answer { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_retry_after() {
        let now = Timestamp::from_millis(784_111_777_000);
        for (form, expected) in [
            (RetryAfter::Absent, None),
            (RetryAfter::Seconds(7), Some("7")),
            (RetryAfter::Decimal(249), Some("0.249")),
            (RetryAfter::DateIn(10), Some("Sun, 06 Nov 1994 08:49:47 GMT")),
            (RetryAfter::absurd(), Some("99999999")),
            (RetryAfter::garbage(), Some("in a little while")),
        ] {
            assert_eq!(form.render(now).as_deref(), expected);
        }
    }
}
