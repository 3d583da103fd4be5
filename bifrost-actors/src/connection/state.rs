//! What a connection actor holds, and its decisions as plain functions.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bifrost_core::connection::{Cause, ConnectionEvent, ConnectionRecord, ConnectionState, ConnectionStatus};
use bifrost_core::credential::{Credential, Freshness, Token, TokenKey, TokenSet};
use bifrost_core::{Error, ErrorKind, Integration, Result, Retry, Secret, Timestamp};
use ractor::RpcReplyPort;

use super::records::{Deferral, RefreshRecord, Refusal, TokenRecord, fingerprint};
use crate::task::Task;
use crate::tenant::shared::InUse;

/// The delay after the first exchange that failed in a way that passes; it doubles with each further one.
const FIRST_RETRY: Duration = Duration::from_secs(2);
/// The longest delay, unless the provider asks for more.
const LAST_RETRY: Duration = Duration::from_secs(5 * 60);
/// How long a refusal that may have been mended at the provider is believed before it is tried again.
const BELIEVE_REFUSAL: Duration = Duration::from_secs(5 * 60);

/// What was read from the store, and what has happened since.
pub(crate) struct Book {
    pub(crate) record: ConnectionRecord,
    pub(crate) integration: Arc<dyn Integration>,
    pub(crate) credential: Arc<Credential>,
    pub(crate) refresh: RefreshRecord,
    pub(crate) tokens: HashMap<TokenKey, TokenRecord>,
    pub(crate) machine: ConnectionState,
    /// A refresh token was spent and its answer never came: a refusal now means that the rotation is lost.
    pub(crate) rotation_in_doubt: bool,
    /// The stored refresh token was read again after a refusal.
    pub(crate) reread: bool,
    pub(crate) failures: u32,
    /// An answer that could not be stored yet, and so was shown to nobody.
    pub(crate) unsaved: Option<(TokenKey, TokenSet, Timestamp)>,
}

/// The state of one connection actor.
#[derive(Default)]
pub(crate) struct Waiting {
    pub(crate) queue: VecDeque<TokenKey>,
    pub(crate) callers: HashMap<TokenKey, Vec<RpcReplyPort<Result<Token>>>>,
    pub(crate) exchange: Option<Task>,
    /// Held while an exchange is under way, or its answer not stored: a tenant that was put to rest would lose it.
    pub(crate) in_use: Option<InUse>,
    pub(crate) renewals: HashMap<TokenKey, Task>,
}

/// What to do for somebody who wants a token.
#[derive(Debug)]
pub(crate) enum Decision {
    /// Here is one.
    Live(Token),
    /// There is none, and an exchange would not help now.
    Refuse(Error),
    /// Get one.
    Exchange,
}

impl Book {
    /// Decides what to do for somebody who wants a token for `key`, other than the `rejected` one.
    pub(crate) fn decide(&self, key: &TokenKey, rejected: Option<u64>, now: Timestamp) -> Decision {
        if !self.record.enabled {
            let error = Error::new(ErrorKind::Suspended, "exchange token", "the connection is disabled");
            return Decision::Refuse(error.next_action("enable it with `tenant.connections().enable(..)`"));
        }
        if let Some(record) = self.tokens.get(key) {
            let token = record.to_token();
            let newer = rejected.is_none_or(|rejected| token.generation() > rejected);
            if newer && token.freshness(now, 0.0) != Freshness::Expired {
                return Decision::Live(token);
            }
        }
        if let Some(refusal) = self.refresh.refused.as_ref().filter(|refusal| still_believed(refusal, now)) {
            return Decision::Refuse(refused(refusal));
        }
        match &self.refresh.deferred {
            Some(Deferral { until, error }) if *until > now => {
                Decision::Refuse(error.to_error().retry(Retry::After(until.since(now))))
            }
            _ => Decision::Exchange,
        }
    }

    /// The refresh token to spend, where the credential uses one.
    pub(crate) fn refresh_token(&self) -> Option<Secret> {
        match self.credential.as_ref() {
            Credential::RefreshToken { refresh_token, .. } => {
                Some(self.refresh.refresh_token.clone().unwrap_or_else(|| refresh_token.clone()))
            }
            _ => None,
        }
    }

    /// Moves by the table. A move the table does not know is a defect and changes nothing.
    pub(crate) fn happen(&mut self, event: ConnectionEvent) {
        match self.machine.next(event) {
            Some(next) => self.machine = next,
            None => tracing::error!(connection = %self.record.id, state = ?self.machine, ?event, "impossible move"),
        }
    }

    /// Takes a new token set in: the records to store.
    pub(crate) fn accept(&self, key: &TokenKey, set: &TokenSet, now: Timestamp) -> (TokenRecord, RefreshRecord) {
        let lifetime = set.expires_in.unwrap_or(bifrost_core::credential::DEFAULT_TOKEN_LIFETIME);
        let token = TokenRecord {
            key: key.clone(),
            access: set.access.clone(),
            issued_at: now,
            expires_at: now.saturating_add(lifetime),
            generation: self.tokens.get(key).map_or(1, |old| old.generation + 1),
        };
        let refresh = RefreshRecord {
            // Where the answer carries none, the one that was spent stays valid (RFC 6749 section 6).
            refresh_token: set.refresh_token.clone().or_else(|| self.refresh.refresh_token.clone()),
            intent: None,
            refused: None,
            deferred: None,
            last_success: Some(now),
        };
        (token, refresh)
    }

    /// Whether `stored` holds another refresh token than the one that was `spent`.
    pub(crate) fn has_other_token(stored: &RefreshRecord, spent: Option<&str>) -> bool {
        match (&stored.refresh_token, spent) {
            (Some(token), Some(spent)) => fingerprint(token) != spent,
            _ => false,
        }
    }

    /// The cause to report: a revoked grant right after an answer that never came means that the rotation is lost.
    pub(crate) fn cause(&self, cause: Cause) -> Cause {
        if cause == Cause::Revoked && self.rotation_in_doubt { Cause::RotationLost } else { cause }
    }

    /// Notes a failure that passes by itself: when to try again.
    pub(crate) fn defer(&mut self, error: &Error, now: Timestamp, jitter: f64) -> Duration {
        self.failures = self.failures.saturating_add(1);
        let delay = retry_delay(self.failures, error.retry_after(), jitter);
        self.refresh.deferred = Some(Deferral { until: now.saturating_add(delay), error: error.to_report() });
        delay
    }

    /// How it is doing.
    pub(crate) fn status(&self) -> ConnectionStatus {
        let refused = self.refresh.refused.as_ref();
        let deferred = self.refresh.deferred.as_ref();
        let cause = refused.map(|refusal| refusal.cause).or(deferred.map(|_| Cause::ProviderDown));
        let renewal = self.tokens.values().map(|token| token.to_token().refresh_at(0.0)).min();
        ConnectionStatus {
            id: self.record.id.clone(),
            provider: self.record.settings.provider.clone(),
            state: self.machine,
            cause,
            last_error: refused
                .map(|r| r.message.clone())
                .or_else(|| deferred.map(|deferral| deferral.error.to_string())),
            next_action: cause.map(|cause| cause.next_action().to_owned()),
            last_success: self.refresh.last_success,
            next_refresh: deferred.map(|deferral| deferral.until).or(renewal),
        }
    }
}

/// The refusal as an error.
pub(crate) fn refused(refusal: &Refusal) -> Error {
    Error::new(ErrorKind::ReauthRequired, "exchange token", refusal.message.clone())
        .with("cause", format!("{:?}", refusal.cause))
        .next_action(refusal.cause.next_action())
}

/// What only a new grant can mend is believed for good; what a person may have mended at the provider, for a while.
fn still_believed(refusal: &Refusal, now: Timestamp) -> bool {
    let for_good = matches!(refusal.cause, Cause::Revoked | Cause::RotationLost | Cause::MfaRequired);
    for_good || now.since(refusal.at) < BELIEVE_REFUSAL
}

/// The delay after failure number `failures`.
pub(crate) fn retry_delay(failures: u32, asked: Option<Duration>, jitter: f64) -> Duration {
    let factor = 2_u32.saturating_pow(failures.saturating_sub(1).min(30));
    let own = FIRST_RETRY.saturating_mul(factor).min(LAST_RETRY).mul_f64(1.0 - 0.5 * jitter.clamp(0.0, 1.0));
    asked.map_or(own, |asked| own.max(asked))
}

/// Where a connection stands when its actor starts.
pub(crate) fn initial_state(enabled: bool, refresh: &RefreshRecord, has_tokens: bool) -> ConnectionState {
    if !enabled {
        ConnectionState::Disabled
    } else if refresh.refused.is_some() {
        ConnectionState::ReauthRequired
    } else if refresh.deferred.is_some() {
        ConnectionState::Degraded
    } else if refresh.last_success.is_some() || has_tokens {
        ConnectionState::Active
    } else {
        ConnectionState::NotConnected
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_lost_grant_is_believed_for_good_and_a_missing_consent_for_a_while() {
        let refusal = |cause| Refusal { cause, message: String::new(), at: Timestamp::from_millis(0) };
        let later = Timestamp::from_millis(10 * 60 * 1000);
        assert!(still_believed(&refusal(Cause::Revoked), later));
        assert!(!still_believed(&refusal(Cause::ConsentMissing), later));
        assert!(still_believed(&refusal(Cause::ConsentMissing), Timestamp::from_millis(1000)));
    }

    proptest! {
        #[test]
        fn delays_keep_their_bounds(failures in 1_u32..500, jitter in 0.0..1.0_f64, asked in 0_u64..10_000) {
            let own = retry_delay(failures, None, jitter);
            prop_assert!(own >= FIRST_RETRY / 2 && own <= LAST_RETRY);
            let asked = Duration::from_secs(asked);
            prop_assert!(retry_delay(failures, Some(asked), jitter) >= asked);
        }
    }
}
