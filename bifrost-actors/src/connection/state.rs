//! What a connection actor holds, and its decisions as plain functions.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bifrost_core::connection::{Cause, ConnectionEvent, ConnectionRecord, ConnectionState, ConnectionStatus};
use bifrost_core::credential::{Credential, Freshness, Token, TokenKey};
use bifrost_core::store::CommitSeq;
use bifrost_core::{Error, ErrorKind, Integration, Result, Retry, Secret, Timestamp};
use ractor::RpcReplyPort;

use super::errand::Answer;
use super::records::{Deferral, RefreshRecord, Refusal, TokenRecord, fingerprint};
use crate::task::Task;
use crate::tenant::shared::InUse;

/// The delay after the first exchange that failed in a way that passes; it doubles with each further one.
const FIRST_RETRY: Duration = Duration::from_secs(2);
/// The longest delay, unless the provider asks for more.
const LAST_RETRY: Duration = Duration::from_secs(5 * 60);
/// The longest a deferral lasts that a provider asked for.
const LONGEST_DEFERRAL: Duration = Duration::from_secs(60 * 60);
/// How long a refusal that may have been mended at the provider is believed before it is tried again.
const BELIEVE_REFUSAL: Duration = Duration::from_secs(5 * 60);

/// What was read from the store, and what has happened since.
pub(crate) struct Book {
    pub(crate) record: ConnectionRecord,
    pub(crate) integration: Arc<dyn Integration>,
    pub(crate) credential: Arc<Credential>,
    /// The commit that wrote it: what is noted of one credential must not be taken for another's.
    pub(crate) credential_version: CommitSeq,
    pub(crate) refresh: RefreshRecord,
    pub(crate) tokens: BTreeMap<TokenKey, TokenRecord>,
    pub(crate) machine: ConnectionState,
    /// A refresh token was spent and its answer never came: a refusal now means that the rotation is lost.
    pub(crate) rotation_in_doubt: bool,
    /// The stored refresh token was read again after a refusal.
    pub(crate) reread: bool,
    pub(crate) failures: u32,
    /// An answer that could not be stored yet, and so was shown to nobody.
    pub(crate) unsaved: Option<Answer>,
    /// Before when no exchange is sent, on the monotonic count: a wall clock that is set back must not prolong it.
    pub(crate) not_before: Option<Duration>,
}

/// An exchange that has not ended.
#[derive(Debug)]
pub(crate) enum UnderWay {
    /// Ours: it ends with the actor.
    #[allow(dead_code, reason = "held so that it goes with the actor")]
    Ours(Task),
    /// A rotation, which belongs to the hub.
    Rotation,
}

/// The state of one connection actor.
#[derive(Default)]
pub(crate) struct Waiting {
    pub(crate) queue: VecDeque<TokenKey>,
    pub(crate) callers: BTreeMap<TokenKey, Vec<RpcReplyPort<Result<Token>>>>,
    pub(crate) exchange: Option<UnderWay>,
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
    pub(crate) fn decide(
        &self,
        key: &TokenKey,
        rejected: Option<u64>,
        now: Timestamp,
        monotonic: Duration,
    ) -> Decision {
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
        match (&self.refresh.deferred, self.not_before) {
            (Some(Deferral { error, .. }), Some(not_before)) if not_before > monotonic => {
                Decision::Refuse(error.to_error().retry(Retry::After(not_before - monotonic)))
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
    pub(crate) fn defer(&mut self, error: &Error, now: Timestamp, monotonic: Duration, jitter: f64) -> Duration {
        self.failures = self.failures.saturating_add(1);
        let delay = retry_delay(self.failures, error.retry_after(), jitter);
        self.not_before = Some(monotonic.saturating_add(delay));
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
                .map(|refusal| &refusal.error)
                .or(deferred.map(|deferral| &deferral.error))
                .map(ToString::to_string),
            next_action: match refused {
                Some(refusal) => Some(refusal.next_action().to_owned()),
                None => cause.map(|cause| cause.next_action().to_owned()),
            },
            last_success: self.refresh.last_success,
            next_refresh: deferred.map(|deferral| deferral.until).or(renewal),
        }
    }
}

/// Before when a stored deferral lets no exchange be sent, on the monotonic count of this process.
pub(crate) fn not_before(refresh: &RefreshRecord, now: Timestamp, monotonic: Duration) -> Option<Duration> {
    let until = refresh.deferred.as_ref()?.until;
    // Whatever the clock was when it was stored: nobody asks for more than this.
    Some(monotonic.saturating_add(until.since(now).min(LONGEST_DEFERRAL)))
}

/// The refusal as an error: what the provider said, once, and what to do.
pub(crate) fn refused(refusal: &Refusal) -> Error {
    let seen = refusal.error.clone();
    let mut error = Error::new(ErrorKind::ReauthRequired, seen.operation, seen.message);
    for (name, value) in seen.context {
        error = error.with(name, value);
    }
    error.with("cause", format!("{:?}", refusal.cause)).next_action(refusal.next_action())
}

/// What only a new grant can mend is believed for good; what a person may have mended at the provider, for a while.
fn still_believed(refusal: &Refusal, now: Timestamp) -> bool {
    let for_good = matches!(refusal.cause, Cause::Revoked | Cause::RotationLost | Cause::MfaRequired);
    // By a wall clock that was set back it lies ahead, and would for as long as that.
    for_good || (refusal.at <= now && now.since(refusal.at) < BELIEVE_REFUSAL)
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
        let refusal = |cause| Refusal {
            cause,
            error: Error::new(ErrorKind::ReauthRequired, "exchange token", "refused").to_report(),
            at: Timestamp::from_millis(0),
        };
        let later = Timestamp::from_millis(10 * 60 * 1000);
        assert!(still_believed(&refusal(Cause::Revoked), later));
        assert!(!still_believed(&refusal(Cause::ConsentMissing), later));
        assert!(still_believed(&refusal(Cause::ConsentMissing), Timestamp::from_millis(1000)));
    }

    #[test]
    fn a_wall_clock_that_was_set_back_does_not_lengthen_belief() {
        let (at, back) = (Timestamp::from_millis(86_400_000), Timestamp::from_millis(0));
        let error = Error::new(ErrorKind::ReauthRequired, "exchange token", "refused").to_report();
        let refusal = Refusal { cause: Cause::ConsentMissing, error, at };
        assert!(still_believed(&refusal, at) && !still_believed(&refusal, back));
    }

    #[test]
    fn a_refusal_is_told_once_and_with_the_advice_of_whoever_saw_it() {
        let seen = Error::new(ErrorKind::ReauthRequired, "exchange token", "the agent is missing")
            .with("code", "invalid_client")
            .next_action("choose an agent");
        let at = Timestamp::from_millis(0);
        let told = refused(&Refusal { cause: Cause::WrongConfiguration, error: seen.to_report(), at }).to_string();
        assert_eq!(told.matches("exchange token").count(), 1, "{told}");
        assert_eq!(told.matches("next:").count(), 1, "{told}");
        assert!(told.contains("choose an agent") && told.contains("cause=WrongConfiguration"), "{told}");
        let lost = Refusal { cause: Cause::RotationLost, error: seen.to_report(), at };
        assert_eq!(refused(&lost).suggested_action(), Some(Cause::RotationLost.next_action()));
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
