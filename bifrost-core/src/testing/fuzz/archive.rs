//! Archives: what was written is read, what was damaged is refused, and nothing else is taken for one.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a body speaks by panicking")]

use std::sync::OnceLock;

use bytes::Bytes;
use tokio::runtime::Runtime;

use super::Noise;
use crate::error::{ErrorKind, Result};
use crate::store::export::{ArchiveEntry, ArchiveReader, write_archive};
use crate::store::key::Key;
use crate::store::memory::MemoryStore;
use crate::store::{CommitSeq, MAX_KEY_LEN, Store};

/// Reads `data` as an archive, and writes one of entries made from it.
pub fn archive(data: &[u8]) {
    match read(data) {
        // What reads as an archive is one: written again it is the same.
        Ok((last, entries)) => assert!(data.starts_with(&write(last, &entries)), "another archive came of it"),
        Err(error) => assert_eq!(error.kind(), ErrorKind::StoreCorrupt),
    }
    let mut noise = Noise::new(data);
    let (last, entries) = (CommitSeq(noise.number()), entries(&mut noise));
    let bytes = write(last, &entries);
    let ascending = entries.windows(2).all(|pair| pair[0].key < pair[1].key);
    let fits = entries.iter().all(|entry| entry.version <= last && entry.key.as_bytes().len() <= MAX_KEY_LEN);
    match read(&bytes) {
        Ok(found) => assert!(ascending && fits && found == (last, entries)),
        Err(error) => {
            assert!(!(ascending && fits), "a sound archive was refused: {error}");
            assert_eq!(error.kind(), ErrorKind::StoreCorrupt);
            return;
        }
    }
    refuse_damage(&bytes, &mut Noise::new(data));
    moves(&bytes);
}

fn entries(noise: &mut Noise<'_>) -> Vec<ArchiveEntry> {
    let mut entries = Vec::new();
    while !noise.is_empty() && entries.len() < 64 {
        let (key, value) = (noise.part().to_vec(), noise.part());
        let version = CommitSeq(noise.number() >> (noise.byte() % 64));
        entries.push(ArchiveEntry { key: Key::from_stored(key), value: Bytes::copy_from_slice(value), version });
    }
    // Half of them in the order an engine would give.
    if entries.len().is_multiple_of(2) {
        entries.sort_by(|one, other| one.key.cmp(&other.key));
        entries.dedup_by(|one, other| one.key == other.key);
    }
    entries
}

fn write(last: CommitSeq, entries: &[ArchiveEntry]) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_archive(&mut bytes, last, entries.iter().cloned().map(Ok)).unwrap();
    bytes
}

fn read(bytes: &[u8]) -> Result<(CommitSeq, Vec<ArchiveEntry>)> {
    let mut reader = ArchiveReader::open(bytes)?;
    let mut entries = Vec::new();
    while let Some(entry) = reader.next_entry()? {
        entries.push(entry);
    }
    assert!(reader.next_entry()?.is_none(), "there is something after the end");
    Ok((reader.last_commit(), entries))
}

fn refuse_damage(whole: &[u8], noise: &mut Noise<'_>) {
    let at = noise.number() as usize % whole.len();
    let mut changed = whole.to_vec();
    changed[at] ^= noise.byte().max(1);
    for (what, bytes) in [("changed", &changed[..]), ("cut", &whole[..at])] {
        match read(bytes) {
            Err(error) => assert_eq!(error.kind(), ErrorKind::StoreCorrupt),
            Ok(_) => panic!("an archive {what} at {at} was read"),
        }
    }
}

/// An archive that was taken in goes out again as it came.
fn moves(bytes: &[u8]) {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    let runtime = RUNTIME.get_or_init(|| tokio::runtime::Builder::new_current_thread().build().unwrap());
    let store = MemoryStore::new();
    let source = Box::new(std::io::Cursor::new(bytes.to_vec()));
    runtime.block_on(store.import(source)).unwrap();
    let (sink, copy) = Sink::new();
    runtime.block_on(store.export(Box::new(sink))).unwrap();
    assert_eq!(copy.try_iter().flatten().collect::<Vec<u8>>(), bytes);
}

/// Where an export writes to when somebody wants to see it.
struct Sink(std::sync::mpsc::Sender<Vec<u8>>);

impl Sink {
    fn new() -> (Self, std::sync::mpsc::Receiver<Vec<u8>>) {
        let (sender, receiver) = std::sync::mpsc::channel();
        (Self(sender), receiver)
    }
}

impl std::io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.send(bytes.to_vec()).map_err(std::io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
