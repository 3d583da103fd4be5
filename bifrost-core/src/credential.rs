//! Tokens, what obtains them, and when one is stale.
//!
//! Single flight, persistence and health are the connection actor's; the exchange over the network is an
//! [`Integration`](crate::integration::Integration)'s. Both meet here.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::id::{ConnectionId, TenantId};
use crate::secret::Secret;
use crate::time::Timestamp;

use crate::connection::{Cause, ConnectionSettings};

/// The longest a token is renewed ahead of its expiry.
pub const MAX_REFRESH_AHEAD: Duration = Duration::from_secs(10 * 60);
/// The part of that time over which renewals are spread. Ten thousand connections that were set up together are renewed
/// within five minutes then, which a token endpoint bears, and each has as long again before its token ends.
const SPREAD: f64 = 0.5;
/// The lifetime assumed when a provider names none (RFC 6749 section 5.1 leaves it open).
pub const DEFAULT_TOKEN_LIFETIME: Duration = Duration::from_secs(60 * 60);

/// What a token is for: the audience and the scopes within it, in one canonical order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TokenKey {
    audience: Arc<str>,
    scopes: Arc<[String]>,
}

impl TokenKey {
    /// A key for `audience` and `scopes`; order and repetition of scopes do not matter.
    pub fn new<I, S>(audience: impl AsRef<str>, scopes: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: Into<String>,
    {
        let mut scopes: Vec<String> = scopes.into_iter().map(Into::into).collect();
        scopes.sort();
        scopes.dedup();
        Self { audience: audience.as_ref().into(), scopes: scopes.into() }
    }

    /// Who accepts the token.
    pub fn audience(&self) -> &str {
        &self.audience
    }

    /// What it allows, sorted.
    pub fn scopes(&self) -> &[String] {
        &self.scopes
    }

    /// The scopes as OAuth writes them.
    pub fn scope_text(&self) -> String {
        self.scopes.join(" ")
    }
}

impl fmt::Display for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}]", self.audience, self.scopes.join(" "))
    }
}

/// A live access token. A clone shares the text.
#[derive(Debug, Clone)]
pub struct Token(Arc<TokenInner>);

#[derive(Debug)]
struct TokenInner {
    access: Secret,
    issued_at: Timestamp,
    expires_at: Timestamp,
    generation: u64,
}

impl Token {
    /// A token issued at `issued_at`; `generation` counts the tokens of one key.
    pub fn new(access: Secret, issued_at: Timestamp, expires_at: Timestamp, generation: u64) -> Self {
        Self(Arc::new(TokenInner { access, issued_at, expires_at, generation }))
    }

    /// The text to send.
    pub fn access(&self) -> &Secret {
        &self.0.access
    }

    /// When it was issued.
    pub fn issued_at(&self) -> Timestamp {
        self.0.issued_at
    }

    /// When it stops to be accepted.
    pub fn expires_at(&self) -> Timestamp {
        self.0.expires_at
    }

    /// Which token of its key this is: a later one has a higher number.
    pub fn generation(&self) -> u64 {
        self.0.generation
    }

    /// Whether it may still be used, and whether it is time to renew it. `jitter` in `0.0..1.0` spreads renewals of
    /// many connections that were issued together over half of the window.
    pub fn freshness(&self, now: Timestamp, jitter: f64) -> Freshness {
        freshness(self.0.issued_at, self.0.expires_at, now, jitter)
    }

    /// Whether it may still be used: what [`Token::freshness`] says, without asking when to renew it.
    #[inline]
    pub fn is_live(&self, now: Timestamp) -> bool {
        !is_expired(self.0.expires_at, now)
    }

    /// When to renew it.
    pub fn refresh_at(&self, jitter: f64) -> Timestamp {
        refresh_at(self.0.issued_at, self.0.expires_at, jitter)
    }
}

/// Whether a token is usable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// Use it.
    Fresh,
    /// Use it, and renew it meanwhile.
    RefreshDue,
    /// Do not use it.
    Expired,
}

/// How far ahead of expiry a token of this lifetime is renewed: `min(10 min, half of the lifetime)`.
pub fn refresh_ahead(lifetime: Duration) -> Duration {
    MAX_REFRESH_AHEAD.min(lifetime / 2)
}

/// When to renew: ahead of expiry, moved later by up to half of that lead by `jitter` in `0.0..1.0`.
pub fn refresh_at(issued_at: Timestamp, expires_at: Timestamp, jitter: f64) -> Timestamp {
    let ahead = refresh_ahead(expires_at.since(issued_at));
    let spread = ahead.mul_f64(SPREAD * jitter.clamp(0.0, 1.0));
    expires_at.saturating_sub(ahead).saturating_add(spread)
}

/// The last two seconds count as expired: a request sent then would arrive too late.
#[inline]
fn is_expired(expires_at: Timestamp, now: Timestamp) -> bool {
    const MARGIN: Duration = Duration::from_secs(2);
    now.saturating_add(MARGIN) >= expires_at
}

/// Decides about a token by its times alone. The last two seconds count as expired.
pub fn freshness(issued_at: Timestamp, expires_at: Timestamp, now: Timestamp, jitter: f64) -> Freshness {
    if is_expired(expires_at, now) {
        Freshness::Expired
    } else if now >= refresh_at(issued_at, expires_at, jitter) {
        Freshness::RefreshDue
    } else {
        Freshness::Fresh
    }
}

/// What a connection presents to obtain tokens. Sealed in the store, never shown.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Credential {
    /// OAuth 2.0 client credentials with a secret (RFC 6749 section 4.4).
    ClientSecret {
        /// The application's id.
        client_id: String,
        /// Its secret.
        #[serde(with = "crate::secret::sealed")]
        client_secret: Secret,
    },
    /// A refresh token that was granted to an application (RFC 6749 section 6). The token given here is the first one;
    /// what the provider rotates it to is kept in a record of its own.
    RefreshToken {
        /// The application's id.
        client_id: String,
        /// Its secret, for a confidential application.
        #[serde(with = "crate::secret::sealed_option", default)]
        client_secret: Option<Secret>,
        /// The first refresh token.
        #[serde(with = "crate::secret::sealed")]
        refresh_token: Secret,
    },
}

impl Credential {
    /// Client credentials with a secret.
    pub fn client_secret(client_id: impl Into<String>, client_secret: impl Into<Secret>) -> Self {
        Self::ClientSecret { client_id: client_id.into(), client_secret: client_secret.into() }
    }

    /// A refresh token that was granted to a confidential application, or to a public one when there is no secret.
    pub fn refresh_token(
        client_id: impl Into<String>,
        client_secret: Option<Secret>,
        refresh_token: impl Into<Secret>,
    ) -> Self {
        Self::RefreshToken { client_id: client_id.into(), client_secret, refresh_token: refresh_token.into() }
    }

    /// The application's id, which is no secret.
    pub fn client_id(&self) -> &str {
        match self {
            Self::ClientSecret { client_id, .. } | Self::RefreshToken { client_id, .. } => client_id,
        }
    }

    /// True when both stand for the same grant: the same application was granted the same first refresh token. What the
    /// provider has rotated it to belongs to either. Client credentials are no grant.
    pub fn same_grant(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::RefreshToken { client_id, refresh_token, .. },
                Self::RefreshToken { client_id: other_id, refresh_token: other_token, .. },
            ) => client_id == other_id && refresh_token == other_token,
            _ => false,
        }
    }

    /// True when tokens come from a refresh token, which the provider may rotate.
    pub fn uses_refresh_token(&self) -> bool {
        matches!(self, Self::RefreshToken { .. })
    }
}

/// One request for a token, as the connection actor hands it to the integration.
#[derive(Debug, Clone)]
pub struct ExchangeRequest {
    /// Whose connection.
    pub tenant: TenantId,
    /// Which connection.
    pub connection: ConnectionId,
    /// The connection's settings.
    pub settings: Arc<ConnectionSettings>,
    /// What to present.
    pub credential: Arc<Credential>,
    /// The refresh token to spend, where the credential uses one; newer than the one in the credential.
    pub refresh_token: Option<Secret>,
    /// What the token is for.
    pub key: TokenKey,
}

/// What the provider answered.
#[derive(Debug, Clone)]
pub struct TokenSet {
    /// The access token.
    pub access: Secret,
    /// How long it lives, where the provider said so.
    pub expires_in: Option<Duration>,
    /// The refresh token to use from now on, where the provider sent one.
    pub refresh_token: Option<Secret>,
}

/// Why no token was obtained.
#[derive(Debug)]
pub struct ExchangeFailure {
    /// The class a person or the connection can act on.
    pub cause: Cause,
    /// The error to show, with the least time to wait where the provider named one.
    pub error: Error,
}

/// Where the outbound stack gets tokens: implemented by the connection actor's handle.
#[async_trait]
pub trait TokenSource: Send + Sync + fmt::Debug + 'static {
    /// A token that is there and live now: what every call asks first. It waits for nobody and allocates nothing;
    /// `None` where one has to be asked for with [`TokenSource::token`].
    fn live(&self, key: &TokenKey) -> Option<Token> {
        let _ = key;
        None
    }

    /// A token that is live now. Fresh ones are read without waiting for anybody.
    ///
    /// # Errors
    /// `ReauthRequired` with the next action, `Unavailable`, `Timeout`, `Closed`.
    async fn token(&self, key: &TokenKey) -> Result<Token>;

    /// A token other than `rejected`, which the provider refused: one forced refresh, however many callers ask.
    ///
    /// # Errors
    /// As [`TokenSource::token`].
    async fn replace(&self, key: &TokenKey, rejected: &Token) -> Result<Token>;

    /// The id of the application the tokens are issued to, where known: limits a provider counts per application are
    /// shared by all connections of that application.
    fn application(&self) -> Option<Arc<str>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn scopes_have_one_order() {
        assert_eq!(TokenKey::new("a", ["y", "x", "y"]), TokenKey::new("a", ["x", "y"]));
    }

    proptest! {
        #[test]
        fn a_token_is_fresh_then_due_then_expired(lifetime in 10_000_i64..100_000_000, jitter in 0.0..1.0_f64) {
            let (issued, expires) = (Timestamp::from_millis(0), Timestamp::from_millis(lifetime));
            let token = Token::new("t".into(), issued, expires, 1);
            let mut last = 0;
            for step in 0..200 {
                let now = Timestamp::from_millis(lifetime * step / 150);
                prop_assert_eq!(token.is_live(now), token.freshness(now, jitter) != Freshness::Expired);
                let stage = match freshness(issued, expires, now, jitter) {
                    Freshness::Fresh => 0,
                    Freshness::RefreshDue => 1,
                    Freshness::Expired => 2,
                };
                prop_assert!(stage >= last);
                last = stage;
            }
            prop_assert_eq!(last, 2);
            prop_assert_eq!(freshness(issued, expires, issued, jitter), Freshness::Fresh);
        }

        #[test]
        fn renewal_falls_into_its_window(lifetime in 10_000_i64..100_000_000, jitter in 0.0..1.0_f64) {
            let (issued, expires) = (Timestamp::from_millis(0), Timestamp::from_millis(lifetime));
            let at = refresh_at(issued, expires, jitter);
            prop_assert!(at >= expires.saturating_sub(MAX_REFRESH_AHEAD));
            prop_assert!(at < expires && at > issued);
        }
    }
}
