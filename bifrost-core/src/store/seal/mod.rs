//! Sealing: every record is encrypted and bound to its place before an engine sees it.
//!
//! Envelope encryption. Each scope has a data key ([`DataKey`]); a [`Sealer`] encrypts its records with it. Data keys lie
//! in the store, wrapped by a master key that does not: a [`KeyProvider`] holds that one. [`KeyRing`] joins the two:
//! it finds, unwraps, makes and destroys data keys. Destroying a scope's data key makes all its records noise, also
//! those in backups.

#[cfg(feature = "testing")]
pub(crate) mod fuzz;
mod key_file;
mod nonces;
mod provider;
mod ring;

pub use key_file::LocalKeyFile;
pub use provider::{EphemeralKey, KeyProvider};
pub use ring::KeyRing;

use nonces::Nonces;

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

use super::key::{Key, Scope};
use crate::entropy::Entropy;
use crate::error::{Error, ErrorKind, Result};

/// The length of every key here, in bytes.
pub const KEY_LEN: usize = 32;

const NONCE_LEN: usize = 24;
const TAG_LEN: usize = 16;

/// The first byte of a sealed value: algorithm and layout.
const FORMAT: u8 = 1;

/// By how much sealing lengthens a value.
pub const SEAL_OVERHEAD: usize = 1 + NONCE_LEN + TAG_LEN;

/// The key that seals one scope's records; wiped from memory when dropped.
#[derive(Clone)]
pub struct DataKey(Zeroizing<[u8; KEY_LEN]>);

impl DataKey {
    /// A new random key.
    pub fn generate(entropy: &dyn Entropy) -> Self {
        let mut bytes = Zeroizing::new([0; KEY_LEN]);
        entropy.fill(bytes.as_mut());
        Self(bytes)
    }

    /// The key of these bytes, for a [`KeyProvider`] that has unwrapped them.
    ///
    /// # Errors
    /// `InvalidInput` when there are not exactly [`KEY_LEN`] of them.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let mut key = Zeroizing::new([0; KEY_LEN]);
        if bytes.len() != KEY_LEN {
            return Err(Error::invalid("read data key", "the key has the wrong length")
                .with("limit", KEY_LEN)
                .with("used", bytes.len()));
        }
        key.copy_from_slice(bytes);
        Ok(Self(key))
    }

    /// The bytes, for a [`KeyProvider`] to wrap. Keep them nowhere else.
    pub fn expose(&self) -> &[u8; KEY_LEN] {
        &self.0
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataKey(***)")
    }
}

/// Encrypts `plain` under `key`; `nonce` must never have been used with it, and `place` must be given again to open it.
fn encrypt(key: &DataKey, nonce: [u8; NONCE_LEN], place: &[u8], plain: &[u8]) -> Result<Vec<u8>> {
    let cipher = XChaCha20Poly1305::new(key.expose().into());
    let payload = Payload { msg: plain, aad: place };
    let sealed = cipher
        .encrypt(&XNonce::from(nonce), payload)
        .map_err(|_| Error::internal("seal record", "the cipher refused"))?;
    let mut out = Vec::with_capacity(1 + NONCE_LEN + sealed.len());
    out.push(FORMAT);
    out.extend_from_slice(&nonce);
    out.extend_from_slice(&sealed);
    Ok(out)
}

/// Undoes [`encrypt`]; `None` for a wrong key, a wrong place or a changed value, which are the same to a cipher.
fn decrypt(key: &DataKey, place: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (format, rest) = sealed.split_first()?;
    let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>()?;
    if *format != FORMAT {
        return None;
    }
    let cipher = XChaCha20Poly1305::new(key.expose().into());
    let payload = Payload { msg: sealed, aad: place };
    cipher.decrypt(&XNonce::from(*nonce), payload).ok().map(Zeroizing::new)
}

/// What a value is bound to: format, scope and the whole key. Lengths keep two places from reading the same.
fn place(domain: &[u8], scope: &Scope, key: &[u8]) -> Vec<u8> {
    let scope = scope.as_str().as_bytes();
    let mut place = Vec::with_capacity(domain.len() + scope.len() + key.len() + 9);
    place.extend_from_slice(domain);
    place.push(FORMAT);
    place.extend_from_slice(&(scope.len() as u64).to_be_bytes());
    place.extend_from_slice(scope);
    place.extend_from_slice(key);
    place
}

const RECORD: &[u8] = b"bifrost record";

/// Seals and opens the records of one scope.
pub struct Sealer {
    scope: Scope,
    /// `None` once destroyed: whoever still holds this sealer can do nothing more with it.
    key: RwLock<Option<DataKey>>,
    nonces: Nonces,
}

impl Sealer {
    /// A sealer of `scope` with `key`.
    pub fn new(scope: Scope, key: DataKey, entropy: Arc<dyn Entropy>) -> Self {
        Self { scope, key: RwLock::new(Some(key)), nonces: Nonces::draw(&*entropy) }
    }

    /// Whose records it seals.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Encrypts `plain` for storing under `key` and nowhere else.
    ///
    /// # Errors
    /// `Closed` when the scope's data key was destroyed.
    pub fn seal(&self, key: &Key, plain: &[u8]) -> Result<Bytes> {
        let place = place(RECORD, &self.scope, key.as_bytes());
        self.with_key(|data_key| encrypt(data_key, self.nonces.next(), &place, plain))?.map(Bytes::from)
    }

    /// Decrypts what was stored under `key`.
    ///
    /// # Errors
    /// `StoreCorrupt` when it was sealed for another key or scope, with another data key, or changed since; `Closed`
    /// when the scope's data key was destroyed.
    pub fn open(&self, key: &Key, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        let place = place(RECORD, &self.scope, key.as_bytes());
        self.with_key(|data_key| decrypt(data_key, &place, sealed))?.ok_or_else(|| {
            Error::new(ErrorKind::StoreCorrupt, "open record", "the record does not open under its key")
                .with("tenant", &self.scope)
                .with("key", format!("{key:?}"))
        })
    }

    fn with_key<T>(&self, use_key: impl FnOnce(&DataKey) -> T) -> Result<T> {
        let key = self.key.read().unwrap_or_else(PoisonError::into_inner);
        key.as_ref().map(use_key).ok_or_else(|| destroyed(&self.scope))
    }

    fn destroy(&self) {
        *self.key.write().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

fn destroyed(scope: &Scope) -> Error {
    Error::new(ErrorKind::Closed, "open data key", "the data key was destroyed").with("tenant", scope)
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer").field("scope", &self.scope).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::id::TenantId;
    use crate::store::key::Kind;
    use crate::testing::SeededEntropy;

    fn scope(name: &str) -> Scope {
        Scope::tenant(TenantId::new(name).unwrap())
    }

    fn sealer(name: &str) -> Sealer {
        let key = DataKey::from_bytes(&[7; KEY_LEN]).unwrap();
        Sealer::new(scope(name), key, Arc::new(SeededEntropy::new(1)))
    }

    #[test]
    fn a_value_opens_only_in_its_place() {
        let key = scope("a").key(Kind::Secret, &[b"one"]).unwrap();
        let other = scope("a").key(Kind::Secret, &[b"two"]).unwrap();
        let sealed = sealer("a").seal(&key, b"canary").unwrap();
        assert_eq!(sealed.len(), 6 + SEAL_OVERHEAD);
        assert_eq!(&**sealer("a").open(&key, &sealed).unwrap(), b"canary");
        // The same data key on purpose: it is the place that must not fit.
        assert_eq!(sealer("a").open(&other, &sealed).unwrap_err().kind(), ErrorKind::StoreCorrupt);
        assert_eq!(sealer("b").open(&key, &sealed).unwrap_err().kind(), ErrorKind::StoreCorrupt);
    }

    #[test]
    fn any_changed_byte_is_noticed() {
        let key = scope("a").key(Kind::Secret, &[b"one"]).unwrap();
        let sealed = sealer("a").seal(&key, b"canary").unwrap();
        for at in 0..sealed.len() {
            let mut changed = sealed.to_vec();
            changed[at] ^= 1;
            assert!(sealer("a").open(&key, &changed).is_err(), "byte {at}");
        }
    }

    #[test]
    fn nothing_seals_or_opens_after_destruction() {
        let key = scope("a").key(Kind::Secret, &[b"one"]).unwrap();
        let sealer = sealer("a");
        let sealed = sealer.seal(&key, b"canary").unwrap();
        sealer.destroy();
        assert_eq!(sealer.open(&key, &sealed).unwrap_err().kind(), ErrorKind::Closed);
        assert_eq!(sealer.seal(&key, b"more").unwrap_err().kind(), ErrorKind::Closed);
    }

    #[test]
    fn keys_do_not_show() {
        let key = DataKey::from_bytes(&[0x41; KEY_LEN]).unwrap();
        assert_eq!(format!("{key:?}"), "DataKey(***)");
        assert!(!format!("{:?}", sealer("a")).contains('7'));
    }

    proptest! {
        #[test]
        fn noise_does_not_open_and_does_not_panic(noise in proptest::collection::vec(any::<u8>(), 0..200)) {
            let key = scope("a").key(Kind::Secret, &[b"one"]).unwrap();
            prop_assert!(sealer("a").open(&key, &noise).is_err());
        }
    }
}
