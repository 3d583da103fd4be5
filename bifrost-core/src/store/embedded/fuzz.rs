//! Bodies of fuzz targets: what lies in the journal and in the state.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a body speaks by panicking")]

use std::collections::HashMap;

use bytes::Bytes;

use super::super::key::Key;
use super::super::resolve::Writes;
use super::frame::{self, HEADER_LEN, Point};
use super::mark;
use super::meta::Meta;
use super::record::{Head, MAX_PIECE};
use crate::error::ErrorKind;
use crate::testing::fuzz::Noise;

/// Reads `data` as a frame of the journal, and builds frames from it.
pub fn frame(data: &[u8]) {
    if let Some(found) = frame::decode(data) {
        let at = Point { seq: found.first - 1, hash: found.previous };
        let (bytes, next) = frame::encode(at, found.last - at.seq, found.payload).unwrap();
        let unpadded = HEADER_LEN + found.payload.len();
        assert_eq!((&bytes[..unpadded], next.hash), (&data[..unpadded], found.hash), "another frame came of it");
    }
    let mut noise = Noise::new(data);
    let at = Point { seq: noise.number() >> 1, hash: [noise.byte(); 32] };
    let count = u64::from(noise.byte() % 4) + 1;
    let place = noise.number() as usize;
    around_noise(at, count, noise.clone().rest(), place);
    around_batches(at, &mut noise);
}

/// Whatever the payload is, the frame around it is sound, and holds batches or is refused.
fn around_noise(at: Point, count: u64, payload: &[u8], place: usize) {
    let (bytes, next) = frame::encode(at, count, payload).unwrap();
    let found = frame::decode(&bytes).unwrap();
    assert_eq!((found.first, found.last, found.previous), (at.seq + 1, next.seq, at.hash));
    assert_eq!((found.payload, found.length, found.hash), (payload, bytes.len(), next.hash));
    match frame::decode_writes(&found) {
        Ok(batches) => {
            assert_eq!(batches.len() as u64, count);
            assert_eq!(written(at, &batches), batches);
        }
        Err(error) => assert_eq!(error.kind(), ErrorKind::StoreCorrupt),
    }
    let at = place % (HEADER_LEN + payload.len());
    let mut changed = bytes.clone();
    changed[at] ^= 1 << (place % 8);
    assert!(frame::decode(&changed).is_none(), "byte {at} was changed");
    assert!(frame::decode(&bytes[..at]).is_none(), "cut at {at}");
}

/// Batches come back as they went in.
fn around_batches(at: Point, noise: &mut Noise<'_>) {
    let mut batches = Vec::new();
    while !noise.is_empty() && batches.len() < 8 {
        let mut writes = Writes::new();
        for _ in 0..noise.byte() % 8 {
            let value = (!noise.byte().is_multiple_of(3)).then(|| Bytes::copy_from_slice(noise.part()));
            writes.insert(Key::from_stored(noise.part().to_vec()), value);
        }
        batches.push(writes);
    }
    if !batches.is_empty() {
        assert_eq!(written(at, &batches), batches);
    }
}

fn written(at: Point, batches: &[Writes]) -> Vec<Writes> {
    let mut payload = Vec::new();
    batches.iter().for_each(|writes| frame::encode_writes(&mut payload, writes));
    let (bytes, _) = frame::encode(at, batches.len() as u64, &payload).unwrap();
    frame::decode_writes(&frame::decode(&bytes).unwrap()).unwrap()
}

/// Reads `data` as what the state and the mark hold, and stores records made from it.
pub fn stored_record(data: &[u8]) {
    if let Some((meta, plan)) = Meta::decode(data) {
        assert_eq!(meta.encode(&plan), data);
    }
    if let Some(found) = mark::parse(data) {
        assert_eq!(mark::parse(mark::text(found).unwrap().as_bytes()), Some(found));
    }
    as_found(data);
    let mut noise = Noise::new(data);
    let (version, ordinal) = (noise.number(), noise.number() as u32);
    let (place, key) = (noise.number() as usize, noise.part());
    // Some values are long enough to be cut into pieces.
    let value = noise.rest().repeat(1 + place % 40);
    as_written(key, version, ordinal, &value, place);
}

/// Noise in the place of a record is refused, or is a record.
fn as_found(stored: &[u8]) {
    let nothing = |_: &[u8]| Ok(None::<Bytes>);
    match Head::decode(b"key", stored).and_then(|head| Ok((head, head.value(b"key", stored, nothing)?))) {
        Ok((head, found)) => assert_eq!((found.version.0, head.encode(&found.value)), (head.version, stored.to_vec())),
        Err(error) => assert_eq!(error.kind(), ErrorKind::StoreCorrupt),
    }
}

fn as_written(key: &[u8], version: u64, ordinal: u32, value: &[u8], place: usize) {
    let head = Head::of(key, version, ordinal, value);
    let stored = head.encode(value);
    let pieces: HashMap<_, _> = head.chunk_keys().zip(value.chunks(MAX_PIECE).map(<[u8]>::to_vec)).collect();
    assert!(stored.len() <= MAX_PIECE && pieces.values().all(|piece| piece.len() <= MAX_PIECE));
    let read = |key: &[u8], stored: &[u8], pieces: &HashMap<[u8; 17], Vec<u8>>| {
        Head::decode(key, stored)?.value(key, stored, |chunk| Ok(pieces.get(chunk)))
    };
    let found = read(key, &stored, &pieces).unwrap();
    assert_eq!((found.version.0, found.value.as_ref()), (version, value));
    let mut changed = stored.clone();
    let at = place % changed.len();
    changed[at] ^= 1 << (place % 8);
    // The ordinal only names pieces: of a short value it says nothing.
    if !(9..13).contains(&at) || !pieces.is_empty() {
        assert_eq!(read(key, &changed, &pieces).unwrap_err().kind(), ErrorKind::StoreCorrupt, "byte {at}");
    }
    let mut pieces = pieces;
    if let Some(name) = head.chunk_keys().nth(place % pieces.len().max(1)) {
        pieces.remove(&name);
        assert_eq!(read(key, &stored, &pieces).unwrap_err().kind(), ErrorKind::StoreCorrupt, "a piece is missing");
    }
    assert!(read(&[key, b"x"].concat(), &stored, &pieces).is_err(), "it reads under another key");
}
