//! The bytes of a journal frame: one group of batches that became durable with one sync.
//!
//! | offset | what |
//! |---|---|
//! | 0 | magic `BJF1` |
//! | 4 | payload length (u32) |
//! | 8 | CRC32C of bytes 4–8, 12–64 and the payload |
//! | 12 | zero |
//! | 16 | first and last sequence number (u64 each) |
//! | 32 | hash of the group before |
//! | 64 | payload: per batch the number of writes (u32), per write a tag, the key and, unless removed, the value |
//!
//! Frames begin at multiples of eight, so that whoever lost the thread can search for the next one. A group's hash is
//! SHA-256 over everything but magic and checksum; through it a journal, a state and a snapshot can tell whether they
//! belong together.

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::super::chain::Hash;
use super::super::key::Key;
use super::super::resolve::Writes;
use crate::error::{Error, ErrorKind, Result};

pub(super) const HEADER_LEN: usize = 64;
const MAGIC: [u8; 4] = *b"BJF1";
const PUT: u8 = 1;
const DELETE: u8 = 2;

/// A place in history: the last batch before it, and the hash of that batch's group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Point {
    pub(super) seq: u64,
    pub(super) hash: Hash,
}

impl Point {
    /// Before the first batch.
    pub(super) const GENESIS: Self = Self { seq: 0, hash: [0; 32] };
}

/// A frame found in a segment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame<'a> {
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) previous: Hash,
    pub(super) payload: &'a [u8],
    /// Its length with padding: where the next one begins.
    pub(super) length: usize,
    pub(super) hash: Hash,
}

/// Builds the frame of the batches after `at` whose encoded writes are `payload`; with it, the point it leads to.
pub(super) fn encode(at: Point, count: u64, payload: &[u8]) -> Result<(Vec<u8>, Point)> {
    let length = u32::try_from(payload.len())
        .map_err(|_| Error::internal("commit batch", "a group is larger than the journal's format allows"))?;
    let last = at.seq + count;
    let mut frame = Vec::with_capacity(HEADER_LEN + payload.len() + 8);
    frame.extend_from_slice(&MAGIC);
    frame.extend_from_slice(&length.to_le_bytes());
    frame.extend_from_slice(&[0; 8]);
    frame.extend_from_slice(&(at.seq + 1).to_le_bytes());
    frame.extend_from_slice(&last.to_le_bytes());
    frame.extend_from_slice(&at.hash);
    frame.extend_from_slice(payload);
    let checksum = checksum(&frame);
    frame[8..12].copy_from_slice(&checksum.to_le_bytes());
    let hash = hash(&frame);
    frame.resize(frame.len().next_multiple_of(8), 0);
    Ok((frame, Point { seq: last, hash }))
}

fn checksum(frame: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&frame[4..8]), &frame[12..])
}

fn hash(frame: &[u8]) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update(b"bifrost journal group 1");
    hasher.update(&frame[4..8]);
    hasher.update(&frame[12..]);
    hasher.finalize().into()
}

/// The frame at the beginning of `bytes`, if there is a whole and unchanged one.
pub(super) fn decode(bytes: &[u8]) -> Option<Frame<'_>> {
    let header = bytes.first_chunk::<HEADER_LEN>()?;
    if header[..4] != MAGIC || header[12..16] != [0; 4] {
        return None;
    }
    let length = usize::try_from(u32_at(header, 4)).ok()?;
    let frame = bytes.get(..HEADER_LEN.checked_add(length)?)?;
    let (first, last) = (u64_at(header, 16), u64_at(header, 24));
    if checksum(frame) != u32_at(header, 8) || first == 0 || last < first {
        return None;
    }
    let mut previous = [0; 32];
    previous.copy_from_slice(&header[32..]);
    Some(Frame {
        first,
        last,
        previous,
        payload: &frame[HEADER_LEN..],
        length: frame.len().next_multiple_of(8),
        hash: hash(frame),
    })
}

/// Adds the writes of one batch to a payload.
pub(super) fn encode_writes(payload: &mut Vec<u8>, writes: &Writes) {
    // Counts and lengths are bounded far below these types by the limits of a batch.
    payload.extend_from_slice(&(writes.len() as u32).to_le_bytes());
    for (key, value) in writes {
        payload.push(if value.is_some() { PUT } else { DELETE });
        payload.extend_from_slice(&(key.as_bytes().len() as u16).to_le_bytes());
        payload.extend_from_slice(key.as_bytes());
        if let Some(value) = value {
            payload.extend_from_slice(&(value.len() as u32).to_le_bytes());
            payload.extend_from_slice(value);
        }
    }
}

/// The writes of each batch of a frame.
pub(super) fn decode_writes(frame: &Frame<'_>) -> Result<Vec<Writes>> {
    let corrupt = || Error::new(ErrorKind::StoreCorrupt, "read journal", "a frame holds no batches");
    let mut rest = frame.payload;
    let mut batches = Vec::new();
    for _ in frame.first..=frame.last {
        batches.push(take_writes(&mut rest).ok_or_else(corrupt)?);
    }
    if rest.is_empty() { Ok(batches) } else { Err(corrupt()) }
}

fn take_writes(rest: &mut &[u8]) -> Option<Writes> {
    let count = take_u32(rest)?;
    let mut writes = Writes::new();
    for _ in 0..count {
        let tag = take(rest, 1)?[0];
        let key_len = take(rest, 2)?;
        let key = take(rest, usize::from(u16::from_le_bytes([key_len[0], key_len[1]])))?;
        let value = match tag {
            PUT => {
                let length = usize::try_from(take_u32(rest)?).ok()?;
                Some(Bytes::copy_from_slice(take(rest, length)?))
            }
            DELETE => None,
            _ => return None,
        };
        writes.insert(Key::from_stored(key.to_vec()), value);
    }
    Some(writes)
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(count)?;
    *rest = left;
    Some(taken)
}

fn take_u32(rest: &mut &[u8]) -> Option<u32> {
    take(rest, 4).map(|bytes| u32_at(bytes, 0))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut number = [0; 4];
    number.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(number)
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut number = [0; 8];
    number.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn writes(number: u8) -> Writes {
        let key = |part: u8| Key::from_stored(vec![number, part]);
        Writes::from([(key(1), Some(Bytes::from(vec![number; 20]))), (key(2), None)])
    }

    fn frame() -> (Vec<u8>, Point) {
        let mut payload = Vec::new();
        encode_writes(&mut payload, &writes(1));
        encode_writes(&mut payload, &writes(2));
        encode(Point { seq: 6, hash: [9; 32] }, 2, &payload).unwrap()
    }

    #[test]
    fn what_was_framed_is_read() {
        let (bytes, end) = frame();
        let found = decode(&bytes).unwrap();
        assert_eq!((found.first, found.last, found.previous), (7, 8, [9; 32]));
        assert_eq!((found.length, found.hash), (bytes.len(), end.hash));
        assert_eq!(decode_writes(&found).unwrap(), [writes(1), writes(2)]);
    }

    #[test]
    fn any_flipped_byte_and_any_cut_is_noticed() {
        let (bytes, _) = frame();
        let unpadded = HEADER_LEN + u32_at(&bytes, 4) as usize;
        for at in 0..unpadded {
            let mut changed = bytes.clone();
            changed[at] ^= 0x20;
            assert!(decode(&changed).is_none(), "byte {at}");
            assert!(decode(&bytes[..at]).is_none(), "cut at {at}");
        }
    }

    proptest! {
        #[test]
        fn noise_is_refused_without_a_panic(noise in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(decode(&noise).is_none());
            let mut framed = MAGIC.to_vec();
            framed.extend_from_slice(&noise);
            prop_assert!(decode(&framed).is_none());
        }

        #[test]
        fn a_sound_frame_around_noise_is_refused_without_a_panic(noise in proptest::collection::vec(any::<u8>(), 0..300)) {
            let (bytes, _) = encode(Point::GENESIS, 3, &noise).unwrap();
            let _ = decode_writes(&decode(&bytes).unwrap());
        }
    }
}
