//! An exchange from being sent to being stored. It stores what it brings by itself, so that the answer is safe whoever
//! is still there to want it.

use std::sync::Arc;

use bifrost_core::credential::{
    Credential, DEFAULT_TOKEN_LIFETIME, ExchangeFailure, ExchangeRequest, TokenKey, TokenSet,
};
use bifrost_core::store::{Batch, CommitSeq, Precondition};
use bifrost_core::time::within;
use bifrost_core::{ConnectionId, Error, ErrorKind, Integration, Result, Retry, Timestamp};

use super::records::{self, RefreshRecord, TokenRecord};
use crate::tenant::shared::TenantShared;

/// An exchange that is about to be sent.
pub(super) struct Errand {
    pub(super) tenant: Arc<TenantShared>,
    pub(super) integration: Arc<dyn Integration>,
    pub(super) request: ExchangeRequest,
    /// What the answer is stored in place of.
    pub(super) before: Before,
}

/// What was stored when the exchange began.
#[derive(Debug, Clone)]
pub(crate) struct Before {
    /// The commit that wrote the credential.
    pub(crate) credential: CommitSeq,
    pub(crate) refresh: RefreshRecord,
    /// How many tokens of the key there were.
    pub(crate) generation: u64,
}

/// A token set that came.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) key: TokenKey,
    set: TokenSet,
    at: Timestamp,
    credential: Arc<Credential>,
    before: Before,
}

/// A token set that is stored.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) version: CommitSeq,
    pub(crate) token: TokenRecord,
    pub(crate) refresh: RefreshRecord,
}

/// How an exchange that brought a token set ended: it is stored, or the store refused.
#[derive(Debug)]
pub(crate) struct Brought {
    pub(crate) answer: Answer,
    pub(crate) stored: Result<Stored>,
}

impl Errand {
    /// Sends, waits, stores.
    pub(super) async fn run(self) -> Result<Result<Box<Brought>, ExchangeFailure>> {
        let Self { tenant, integration, request, before } = self;
        let (key, credential) = (request.key.clone(), Arc::clone(&request.credential));
        let id = request.connection.clone();
        let (clock, limit) = (Arc::clone(&tenant.hub.clock), tenant.hub.config.exchange_deadline);
        let exchanged = within(clock.as_ref(), limit, integration.exchange(request)).await;
        let set = match exchanged.ok_or_else(deadline_passed)? {
            Ok(set) => set,
            Err(failure) => return Ok(Err(failure)),
        };
        let mut answer = Answer { key, set, at: clock.now(), credential, before };
        let stored = answer.store(&tenant, &id).await;
        Ok(Ok(Box::new(Brought { answer, stored })))
    }
}

impl Answer {
    /// Stores token and refresh token in one commit, if the grant they come from is still the connection's.
    ///
    /// # Errors
    /// `Conflict` when the connection was given another credential meanwhile, or deleted; else as the store says.
    pub(super) async fn store(&mut self, tenant: &TenantShared, id: &ConnectionId) -> Result<Stored> {
        loop {
            let (token, refresh) = self.records();
            let store = &tenant.store;
            let mut batch = Batch::new();
            let credential = records::credential_key(store, id)?;
            batch.require(Precondition::At(credential.clone(), self.before.credential));
            store.put(&mut batch, records::token_key(store, id, &self.key)?, &token)?;
            store.put(&mut batch, records::refresh_key(store, id)?, &refresh)?;
            let error = match store.commit(batch).await {
                Ok(version) => return Ok(Stored { version, token, refresh }),
                Err(error) => error,
            };
            // Settings were saved meanwhile. Where they name the same grant, this is its newest refresh token.
            match store.get::<Credential>(&credential).await? {
                Some(now) if error.kind() == ErrorKind::Conflict && now.value.same_grant(&self.credential) => {
                    self.before.credential = now.version;
                }
                _ => return Err(error),
            }
        }
    }

    /// True when it came for this credential's grant.
    pub(super) fn is_of(&self, credential: &Credential) -> bool {
        credential.same_grant(&self.credential)
    }

    fn records(&self) -> (TokenRecord, RefreshRecord) {
        let lifetime = self.set.expires_in.unwrap_or(DEFAULT_TOKEN_LIFETIME);
        let token = TokenRecord {
            key: self.key.clone(),
            access: self.set.access.clone(),
            issued_at: self.at,
            expires_at: self.at.saturating_add(lifetime),
            generation: self.before.generation + 1,
        };
        let refresh = RefreshRecord {
            // Where the answer carries none, the one that was spent stays valid (RFC 6749 section 6).
            refresh_token: self.set.refresh_token.clone().or_else(|| self.before.refresh.refresh_token.clone()),
            last_success: Some(self.at),
            ..RefreshRecord::default()
        };
        (token, refresh)
    }
}

fn deadline_passed() -> Error {
    Error::new(ErrorKind::Timeout, "exchange token", "the provider did not answer within the exchange deadline")
        .retry(Retry::Later)
}
