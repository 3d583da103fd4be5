//! Chained logs: entries that are numbered by the engine and hold the hash of the entry before.
//!
//! The engine is the one place where all commits stand in line, so it alone can number without a lock that callers
//! would hold across a sync. An entry under log prefix `p` is stored at `p ‖ number (8 bytes, big endian)` as
//! `previous hash (32) ‖ payload`, and its hash is `SHA-256(domain ‖ p ‖ number ‖ previous hash ‖ payload)`.

use bytes::Bytes;
use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};

use super::key::{Key, Prefix};
use crate::error::{Error, ErrorKind, Result};

/// A SHA-256 hash.
pub type Hash = [u8; 32];

/// A hash as people see it.
pub(crate) fn hex(hash: &Hash) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// For `serialize_with`: a hash as people see it.
pub(crate) fn serialize_hex<S: Serializer>(hash: &Hash, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&hex(hash))
}

/// The hash before the first entry.
pub const GENESIS: Hash = [0; 32];

const DOMAIN: &[u8] = b"bifrost chain v1";

/// Where a log ends: the number and hash of its last entry; number 0 before the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Head {
    /// The number of the last entry.
    pub number: u64,
    /// Its hash; serializes as hexadecimal text.
    #[serde(serialize_with = "serialize_hex")]
    pub hash: Hash,
}

impl Head {
    /// The head of an empty log.
    pub const EMPTY: Self = Self { number: 0, hash: GENESIS };

    /// The head of a log whose last stored entry is this.
    ///
    /// # Errors
    /// `StoreCorrupt` when it is no entry of `log`.
    pub fn of_last(log: &Prefix, key: &Key, value: &[u8]) -> Result<Self> {
        let entry = Entry::decode(log, key, value)?;
        Ok(Self { number: entry.number, hash: entry.hash(log) })
    }

    /// Chains `payload` on: the key and value to store, and the head that follows.
    ///
    /// # Errors
    /// `InvalidInput` when the log's prefix leaves no room for the number.
    pub fn append(self, log: &Prefix, payload: &[u8]) -> Result<(Key, Bytes, Self)> {
        let entry = Entry { number: self.number + 1, previous: self.hash, payload: Bytes::copy_from_slice(payload) };
        let key = log.then(&entry.number.to_be_bytes()).into_key()?;
        let next = Self { number: entry.number, hash: entry.hash(log) };
        Ok((key, entry.encode(), next))
    }
}

/// One entry of a chained log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its place, from 1.
    pub number: u64,
    /// The hash of the entry before; [`GENESIS`] for the first.
    pub previous: Hash,
    /// What was appended.
    pub payload: Bytes,
}

impl Entry {
    /// Reads a stored entry of `log`.
    ///
    /// # Errors
    /// `StoreCorrupt` when key or value are not of an entry's form.
    pub fn decode(log: &Prefix, key: &Key, value: &[u8]) -> Result<Self> {
        let corrupt = || Error::new(ErrorKind::StoreCorrupt, "read chained log", "not an entry of this log");
        let number = key.strip(log).and_then(|rest| rest.try_into().ok()).ok_or_else(corrupt)?;
        let (previous, payload) = value.split_first_chunk::<32>().ok_or_else(corrupt)?;
        Ok(Self { number: u64::from_be_bytes(number), previous: *previous, payload: Bytes::copy_from_slice(payload) })
    }

    /// The hash that the next entry holds.
    pub fn hash(&self, log: &Prefix) -> Hash {
        let mut hasher = Sha256::new();
        hasher.update(DOMAIN);
        hasher.update((log.as_bytes().len() as u64).to_be_bytes());
        hasher.update(log.as_bytes());
        hasher.update(self.number.to_be_bytes());
        hasher.update(self.previous);
        hasher.update(&self.payload);
        hasher.finalize().into()
    }

    fn encode(&self) -> Bytes {
        let mut value = Vec::with_capacity(self.previous.len() + self.payload.len());
        value.extend_from_slice(&self.previous);
        value.extend_from_slice(&self.payload);
        Bytes::from(value)
    }
}
