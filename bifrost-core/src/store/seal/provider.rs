//! Who holds the master key.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use sha2::{Digest, Sha256};

use super::nonces::Nonces;
use super::{DataKey, KEY_LEN, decrypt, encrypt, place};
use crate::entropy::Entropy;
use crate::error::{Error, ErrorKind, Result};
use crate::store::key::Scope;

/// Holds a master key outside the store and wraps data keys with it: a file, a key vault, a hardware module.
#[async_trait]
pub trait KeyProvider: Send + Sync + fmt::Debug + 'static {
    /// Names the master key, so that a store can say which one it was sealed with. At most 255 bytes, never secret.
    fn id(&self) -> &str;

    /// Encrypts `key`, bound to `scope`.
    ///
    /// # Errors
    /// When the master key cannot be reached.
    async fn wrap(&self, scope: &Scope, key: &DataKey) -> Result<Vec<u8>>;

    /// Decrypts what [`KeyProvider::wrap`] returned for the same scope.
    ///
    /// # Errors
    /// `PermissionDenied` when it was wrapped with another master key or for another scope; otherwise when the master
    /// key cannot be reached.
    async fn unwrap(&self, scope: &Scope, wrapped: &[u8]) -> Result<DataKey>;
}

const WRAPPED: &[u8] = b"bifrost data key";

/// A master key in this process's memory: wrapping and unwrapping for the providers below.
pub(super) struct MasterKey {
    id: String,
    key: DataKey,
    nonces: Nonces,
}

impl MasterKey {
    pub(super) fn new(source: &str, key: DataKey, entropy: &dyn Entropy) -> Self {
        Self { id: format!("{source}:{}", fingerprint(key.expose())), key, nonces: Nonces::draw(entropy) }
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn wrap(&self, scope: &Scope, key: &DataKey) -> Result<Vec<u8>> {
        encrypt(&self.key, self.nonces.next(), &place(WRAPPED, scope, b""), key.expose())
    }

    pub(super) fn unwrap(&self, scope: &Scope, wrapped: &[u8]) -> Result<DataKey> {
        let bytes = decrypt(&self.key, &place(WRAPPED, scope, b""), wrapped).ok_or_else(|| {
            Error::new(
                ErrorKind::PermissionDenied,
                "unwrap data key",
                "the data key does not open with this master key",
            )
            .with("tenant", scope)
            .with("name", &self.id)
        })?;
        DataKey::from_bytes(&bytes)
    }
}

/// The first bytes of a hash: enough to tell master keys apart, useless to find one.
fn fingerprint(key: &[u8; KEY_LEN]) -> String {
    let hash = Sha256::new().chain_update(b"bifrost master key").chain_update(key).finalize();
    hash[..6].iter().map(|byte| format!("{byte:02x}")).collect()
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MasterKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A master key that lives as long as this value: for stores in memory and for tests.
///
/// What it sealed on disk is lost with it.
#[derive(Debug)]
pub struct EphemeralKey(MasterKey);

impl EphemeralKey {
    /// A new random master key.
    pub fn generate(entropy: Arc<dyn Entropy>) -> Self {
        let key = DataKey::generate(&*entropy);
        Self(MasterKey::new("ephemeral", key, &*entropy))
    }
}

#[async_trait]
impl KeyProvider for EphemeralKey {
    fn id(&self) -> &str {
        self.0.id()
    }

    async fn wrap(&self, scope: &Scope, key: &DataKey) -> Result<Vec<u8>> {
        self.0.wrap(scope, key)
    }

    async fn unwrap(&self, scope: &Scope, wrapped: &[u8]) -> Result<DataKey> {
        self.0.unwrap(scope, wrapped)
    }
}
