//! What a stack is set to.

use std::time::Duration;

use http::HeaderName;
use url::Url;

/// Settings of one integration's stack.
#[derive(Debug, Clone)]
pub struct StackConfig {
    /// Where the API is, unless a connection says otherwise.
    pub base_url: Option<Url>,
    /// The longest all attempts of a call take together, unless the call says otherwise.
    pub deadline: Duration,
    /// The longest one attempt takes.
    pub attempt_timeout: Duration,
    /// Bytes of an answer's body, after decompression.
    pub max_body: usize,
    /// Header fields of an answer.
    pub max_headers: usize,
    /// Bytes of an answer's headers.
    pub max_header_bytes: usize,
    /// How often and how fast failures are retried.
    pub retry: RetryConfig,
    /// A header that gets a new UUID with each attempt, such as Graph's `client-request-id`.
    pub request_id: Option<HeaderName>,
}

impl Default for StackConfig {
    fn default() -> Self {
        Self {
            base_url: None,
            deadline: Duration::from_secs(100),
            attempt_timeout: Duration::from_secs(30),
            max_body: 16 * 1024 * 1024,
            max_headers: 100,
            max_header_bytes: 64 * 1024,
            retry: RetryConfig::default(),
            request_id: None,
        }
    }
}

impl StackConfig {
    /// The default settings with the API at `base_url`.
    pub fn at(base_url: Url) -> Self {
        Self { base_url: Some(base_url), ..Self::default() }
    }
}

/// How failures are retried within one call.
#[derive(Debug, Clone)]
pub struct RetryConfig {
    /// Attempts after failures of peer or network; the first one counts. Throttled attempts are counted apart.
    pub max_attempts: u32,
    /// Attempts that were answered "slow down". Each waits for the budget, so they cost time rather than load.
    pub max_throttled: u32,
    /// The delay after the first failure; it grows by half each time.
    pub initial_delay: Duration,
    /// The longest delay, unless the provider names one.
    pub max_delay: Duration,
    /// How long a node of the budget closes when the provider says "slow down" and not for how long: doubled each
    /// time it says so again, up to `max_pause`.
    pub initial_pause: Duration,
    /// The longest such pause.
    pub max_pause: Duration,
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self {
            max_attempts: 4,
            max_throttled: 12,
            initial_delay: Duration::from_millis(500),
            max_delay: Duration::from_secs(20),
            initial_pause: Duration::from_secs(2),
            max_pause: Duration::from_secs(60),
        }
    }
}
