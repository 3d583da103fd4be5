//! How one record lies in the state: a head, and chunks beside it when the value is long.
//!
//! The engine spills pages with long values into files of their own that it never syncs and never reclaims, so no
//! stored piece is longer than [`MAX_PIECE`]. A head is `form (1) ‖ version (8) ‖ ordinal (4) ‖ length (4) ‖ CRC32C (4)`
//! and, for a short value, the value itself; the checksum covers key, version and value. Chunks lie under
//! `version ‖ ordinal ‖ index`, which no other value can have.

use bytes::Bytes;

use super::super::{CommitSeq, Versioned};
use super::frame::{u32_at, u64_at};
use crate::error::{Error, ErrorKind, Result};

/// The longest value the engine is given.
pub(super) const MAX_PIECE: usize = 4096;
pub(super) const HEAD_LEN: usize = 21;
const INLINE: u8 = 1;
const CHUNKED: u8 = 2;

/// The first byte of every key in the engine.
pub(super) const META: u8 = 0;
pub(super) const RECORD: u8 = 1;
const CHUNK: u8 = 2;

/// The fixed part of a stored record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) version: u64,
    ordinal: u32,
    pub(super) length: usize,
    checksum: u32,
    chunked: bool,
}

/// Where a record's head lies.
pub(super) fn record_key(key: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(1 + key.len());
    out.push(RECORD);
    out.extend_from_slice(key);
    out
}

impl Head {
    pub(super) fn of(key: &[u8], version: u64, ordinal: u32, value: &[u8]) -> Self {
        Self {
            version,
            ordinal,
            length: value.len(),
            checksum: checksum(key, version, &[value]),
            chunked: HEAD_LEN + value.len() > MAX_PIECE,
        }
    }

    pub(super) fn decode(key: &[u8], stored: &[u8]) -> Result<Self> {
        let chunked = match stored.first() {
            Some(&INLINE) => false,
            Some(&CHUNKED) => true,
            _ => return Err(corrupt(key)),
        };
        if stored.len() < HEAD_LEN {
            return Err(corrupt(key));
        }
        Ok(Self {
            version: u64_at(stored, 1),
            ordinal: u32_at(stored, 9),
            length: u32_at(stored, 13) as usize,
            checksum: u32_at(stored, 17),
            chunked,
        })
    }

    /// What is stored under the record's key.
    pub(super) fn encode(&self, value: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEAD_LEN + if self.chunked { 0 } else { value.len() });
        out.push(if self.chunked { CHUNKED } else { INLINE });
        out.extend_from_slice(&self.version.to_le_bytes());
        out.extend_from_slice(&self.ordinal.to_le_bytes());
        // A value's length is bounded far below u32 by the limits of a batch.
        out.extend_from_slice(&(self.length as u32).to_le_bytes());
        out.extend_from_slice(&self.checksum.to_le_bytes());
        if !self.chunked {
            out.extend_from_slice(value);
        }
        out
    }

    /// The keys of its chunks.
    pub(super) fn chunk_keys(&self) -> impl Iterator<Item = [u8; 17]> + use<> {
        let count = if self.chunked { self.length.div_ceil(MAX_PIECE) } else { 0 };
        let (version, ordinal) = (self.version, self.ordinal);
        (0..count as u32).map(move |index| {
            let mut key = [CHUNK; 17];
            key[1..9].copy_from_slice(&version.to_be_bytes());
            key[9..13].copy_from_slice(&ordinal.to_be_bytes());
            key[13..].copy_from_slice(&index.to_be_bytes());
            key
        })
    }

    /// The record, from what is stored under its key and a way to read chunks.
    pub(super) fn value<C: AsRef<[u8]>>(
        &self,
        key: &[u8],
        stored: &[u8],
        mut chunk: impl FnMut(&[u8]) -> Result<Option<C>>,
    ) -> Result<Versioned> {
        let mut value = Vec::new();
        if self.chunked {
            for chunk_key in self.chunk_keys() {
                let piece = chunk(&chunk_key)?.ok_or_else(|| corrupt(key))?;
                value.extend_from_slice(piece.as_ref());
            }
        } else {
            value.extend_from_slice(&stored[HEAD_LEN..]);
        }
        if value.len() != self.length || checksum(key, self.version, &[&value]) != self.checksum {
            return Err(corrupt(key));
        }
        Ok(Versioned { value: Bytes::from(value), version: CommitSeq(self.version) })
    }

    /// A number that stands for this record in the sum over all of them: one that is lost, doubled or changed shows.
    pub(super) fn digest(&self, key: &[u8]) -> u64 {
        let identity = u64::from(crc32c::crc32c(key)) << 32 | u64::from(self.checksum);
        mix(identity ^ mix(self.version))
    }
}

fn checksum(key: &[u8], version: u64, parts: &[&[u8]]) -> u32 {
    let start = crc32c::crc32c_append(crc32c::crc32c(key), &version.to_le_bytes());
    parts.iter().fold(start, |sum, part| crc32c::crc32c_append(sum, part))
}

/// Spreads every bit over the whole number, so that sums of unlike records do not meet by accident.
fn mix(mut number: u64) -> u64 {
    number = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ (number >> 31)
}

pub(super) fn corrupt(key: &[u8]) -> Error {
    Error::new(ErrorKind::StoreCorrupt, "read record", "the record does not read back as it was written")
        .with("key", format!("{}", key.escape_ascii()))
        .next_action("close and reopen the store: it rebuilds its state from snapshot and journal")
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn read(key: &[u8], stored: &[u8], chunks: &HashMap<Vec<u8>, Vec<u8>>) -> Result<Versioned> {
        Head::decode(key, stored)?.value(key, stored, |chunk| Ok(chunks.get(chunk)))
    }

    fn write(key: &[u8], value: &[u8]) -> (Vec<u8>, HashMap<Vec<u8>, Vec<u8>>) {
        let head = Head::of(key, 7, 3, value);
        let pieces = value.chunks(MAX_PIECE).map(<[u8]>::to_vec);
        let chunks = head.chunk_keys().map(|key| key.to_vec()).zip(pieces).collect();
        (head.encode(value), chunks)
    }

    #[test]
    fn values_of_all_lengths_come_back_and_no_piece_is_too_long() {
        for length in [0, 1, MAX_PIECE - HEAD_LEN, MAX_PIECE - HEAD_LEN + 1, MAX_PIECE, MAX_PIECE + 1, 3 * MAX_PIECE] {
            let value = vec![b'x'; length];
            let (stored, chunks) = write(b"key", &value);
            assert!(stored.len() <= MAX_PIECE && chunks.values().all(|chunk| chunk.len() <= MAX_PIECE));
            assert_eq!(read(b"key", &stored, &chunks).unwrap().value, value, "{length}");
        }
    }

    #[test]
    fn a_record_reads_only_under_its_key_and_unchanged() {
        let (stored, chunks) = write(b"key", &vec![b'x'; 5000]);
        assert!(read(b"kez", &stored, &chunks).is_err());
        assert!(read(b"key", &stored, &HashMap::new()).is_err());
        let (stored, _) = write(b"key", b"short");
        for at in (0..stored.len()).filter(|at| !(9..13).contains(at)) {
            let mut changed = stored.clone();
            changed[at] ^= 1;
            assert!(read(b"key", &changed, &chunks).is_err(), "byte {at}");
        }
    }

    proptest! {
        #[test]
        fn noise_is_refused_without_a_panic(noise in proptest::collection::vec(any::<u8>(), 0..100)) {
            prop_assert!(read(b"key", &noise, &HashMap::new()).is_err());
        }
    }
}
