//! What is stored of a connection: settings, credential, refresh token and access tokens, each under its own key and
//! version, so that changing one never overwrites another.

use bifrost_core::connection::{Cause, ConnectionRecord};
use bifrost_core::credential::{Credential, Token, TokenKey};
use bifrost_core::error::ErrorReport;
use bifrost_core::store::CommitSeq;
use bifrost_core::store::key::{Key, Kind};
use bifrost_core::store::records::TenantStore;
use bifrost_core::{ConnectionId, Result, Secret, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A connection's settings, and the commit that wrote them.
#[derive(Debug, Clone)]
pub(crate) struct StoredConnection {
    pub(crate) record: ConnectionRecord,
    pub(crate) version: CommitSeq,
}

/// The refresh token and what is under way with it; also what the last exchange came to.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct RefreshRecord {
    /// The refresh token to spend next; `None` until one came that is newer than the credential's.
    #[serde(with = "bifrost_core::secret::sealed_option", default)]
    pub(crate) refresh_token: Option<Secret>,
    /// An exchange that was about to be sent and has no result yet.
    #[serde(default)]
    pub(crate) intent: Option<RefreshIntent>,
    /// Why a person must act, if so.
    #[serde(default)]
    pub(crate) refused: Option<Refusal>,
    /// Not before when the next exchange may be sent, and why: a restart must not forget what the provider asked for.
    #[serde(default)]
    pub(crate) deferred: Option<Deferral>,
    /// When a token was last obtained.
    #[serde(default)]
    pub(crate) last_success: Option<Timestamp>,
}

/// An exchange that is about to be sent.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct RefreshIntent {
    /// Which token is spent.
    pub(crate) fingerprint: String,
    /// When.
    pub(crate) at: Timestamp,
}

/// An exchange that failed in a way that passes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Deferral {
    /// When it failed.
    #[serde(default)]
    pub(crate) at: Timestamp,
    pub(crate) until: Timestamp,
    pub(crate) error: ErrorReport,
}

impl Deferral {
    /// Whether it is still too early. Before it failed, it was not: a wall clock that was set back would lengthen the
    /// delay by as much.
    pub(crate) fn holds(&self, now: Timestamp) -> bool {
        self.at <= now && now < self.until
    }
}

/// Why a person must act.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Refusal {
    pub(crate) cause: Cause,
    pub(crate) message: String,
    pub(crate) at: Timestamp,
}

/// An access token.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct TokenRecord {
    pub(crate) key: TokenKey,
    #[serde(with = "bifrost_core::secret::sealed")]
    pub(crate) access: Secret,
    pub(crate) issued_at: Timestamp,
    pub(crate) expires_at: Timestamp,
    pub(crate) generation: u64,
}

impl TokenRecord {
    pub(crate) fn to_token(&self) -> Token {
        Token::new(self.access.clone(), self.issued_at, self.expires_at, self.generation)
    }
}

/// Everything a connection actor starts from.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) credential: Credential,
    pub(crate) refresh: RefreshRecord,
    pub(crate) tokens: Vec<TokenRecord>,
}

/// Reads credential, refresh record and tokens.
pub(crate) async fn load(store: &TenantStore, id: &ConnectionId) -> Result<Option<Loaded>> {
    let Some(credential) = store.get::<Credential>(&credential_key(store, id)?).await? else {
        return Ok(None);
    };
    let refresh = refresh_record(store, id).await?;
    let tokens = store.scope().kind(Kind::Token).then(id.as_str().as_bytes()).then(b"\0");
    let tokens = store.all::<TokenRecord>(&tokens).await?;
    Ok(Some(Loaded {
        credential: credential.value,
        refresh,
        tokens: tokens.into_iter().map(|(_, entry)| entry.value).collect(),
    }))
}

/// The refresh record as it is stored; empty when there is none.
pub(crate) async fn refresh_record(store: &TenantStore, id: &ConnectionId) -> Result<RefreshRecord> {
    let found = store.get::<RefreshRecord>(&refresh_key(store, id)?).await?;
    Ok(found.map(|found| found.value).unwrap_or_default())
}

pub(crate) fn credential_key(store: &TenantStore, id: &ConnectionId) -> Result<Key> {
    store.key(Kind::Credential, &[id.as_str().as_bytes()])
}

pub(crate) fn refresh_key(store: &TenantStore, id: &ConnectionId) -> Result<Key> {
    store.key(Kind::Refresh, &[id.as_str().as_bytes()])
}

/// Audience and scopes can be long: a hash of them stands in the key.
pub(crate) fn token_key(store: &TenantStore, id: &ConnectionId, key: &TokenKey) -> Result<Key> {
    let mut hasher = Sha256::new();
    hasher.update(key.audience().as_bytes());
    hasher.update([0]);
    hasher.update(key.scope_text().as_bytes());
    store.key(Kind::Token, &[id.as_str().as_bytes(), b"\0", &hasher.finalize()])
}

/// Tells refresh tokens apart without showing them.
pub(crate) fn fingerprint(refresh_token: &Secret) -> String {
    let digest = Sha256::digest(refresh_token.expose().as_bytes());
    digest[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}
