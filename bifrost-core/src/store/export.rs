//! The portable archive: the whole store at one commit, in one stream any engine can write and read.
//!
//! | part | bytes |
//! |---|---|
//! | header | magic `BIFARC01`, last commit (u64), CRC32C of both (u32) |
//! | entry, in key order | tag 1, key length (u16), value length (u32), version (u64), key, value, CRC32C (u32) |
//! | trailer | tag 2, count (u64), SHA-256 of everything before the trailer (32), CRC32C of the trailer (u32) |
//!
//! Numbers are little-endian. An entry's checksum covers everything in it including its tag. Values go out as they are
//! stored, that is sealed: an archive is no more readable than the store, and useless without the master key.
//! Reading holds one entry in memory; an archive without its trailer is refused, so half a copy never counts as one.

use std::io::{Read, Write};

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::chain::Hash;
use super::key::Key;
use super::{CommitSeq, MAX_KEY_LEN, MAX_VALUE_LEN};
use crate::error::{Error, ErrorKind, Result};

const MAGIC: &[u8; 8] = b"BIFARC01";
const ENTRY: u8 = 1;
const TRAILER: u8 = 2;

/// Room for the hash an engine chains to an entry: logs add 32 bytes to a payload of the largest size.
const MAX_STORED_VALUE_LEN: usize = MAX_VALUE_LEN + 32;

/// One record of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiveEntry {
    /// Its key.
    pub key: Key,
    /// Its value, as stored.
    pub value: Bytes,
    /// The commit that wrote it.
    pub version: CommitSeq,
}

/// The refusal to import into a store that holds something.
pub(crate) fn not_empty(last: CommitSeq) -> Error {
    Error::new(ErrorKind::Conflict, "import store", "the store is not empty")
        .with("last_commit", last)
        .next_action("import into a new store")
}

fn write_failed(error: std::io::Error) -> Error {
    let kind = match error.kind() {
        std::io::ErrorKind::StorageFull => ErrorKind::StoreFull,
        _ => ErrorKind::Unavailable,
    };
    Error::new(kind, "write archive", "the archive could not be written").source(error)
}

/// Writes the archive of `entries`, which must come in key order, as of commit `last`. Returns how many there were.
///
/// # Errors
/// When `sink` fails, or with the first error among `entries`.
pub fn write_archive<W: Write>(
    sink: W,
    last: CommitSeq,
    entries: impl IntoIterator<Item = Result<ArchiveEntry>>,
) -> Result<u64> {
    let mut writer = ArchiveWriter::new(sink, last)?;
    for entry in entries {
        writer.push(&entry?)?;
    }
    writer.finish()
}

/// Writes an archive entry by entry.
pub(crate) struct ArchiveWriter<W: Write> {
    sink: std::io::BufWriter<W>,
    hash: Sha256,
    count: u64,
    scratch: Vec<u8>,
}

impl<W: Write> ArchiveWriter<W> {
    pub(crate) fn new(sink: W, last: CommitSeq) -> Result<Self> {
        let mut writer = Self {
            sink: std::io::BufWriter::with_capacity(64 * 1024, sink),
            hash: Sha256::new(),
            count: 0,
            scratch: Vec::new(),
        };
        writer.scratch.extend_from_slice(MAGIC);
        writer.scratch.extend_from_slice(&last.0.to_le_bytes());
        writer.flush_scratch()?;
        Ok(writer)
    }

    pub(crate) fn push(&mut self, entry: &ArchiveEntry) -> Result<()> {
        let (key, value) = (entry.key.as_bytes(), &entry.value);
        let too_large = || Error::internal("write archive", "an entry is larger than the format allows");
        self.scratch.push(ENTRY);
        let key_len = u16::try_from(key.len()).map_err(|_| too_large())?;
        let value_len = u32::try_from(value.len()).map_err(|_| too_large())?;
        self.scratch.extend_from_slice(&key_len.to_le_bytes());
        self.scratch.extend_from_slice(&value_len.to_le_bytes());
        self.scratch.extend_from_slice(&entry.version.0.to_le_bytes());
        self.scratch.extend_from_slice(key);
        self.scratch.extend_from_slice(value);
        self.count += 1;
        self.flush_scratch()
    }

    /// Writes the trailer; without it the archive is refused.
    pub(crate) fn finish(mut self) -> Result<u64> {
        self.scratch.push(TRAILER);
        self.scratch.extend_from_slice(&self.count.to_le_bytes());
        let hash = self.hash.clone().finalize();
        self.scratch.extend_from_slice(&hash);
        self.flush_scratch()?;
        self.sink.flush().map_err(write_failed)?;
        Ok(self.count)
    }

    fn flush_scratch(&mut self) -> Result<()> {
        let checksum = crc32c::crc32c(&self.scratch);
        self.scratch.extend_from_slice(&checksum.to_le_bytes());
        self.hash.update(&self.scratch);
        self.sink.write_all(&self.scratch).map_err(write_failed)?;
        self.scratch.clear();
        Ok(())
    }
}

fn damaged(what: &str) -> Error {
    Error::new(ErrorKind::StoreCorrupt, "read archive", format!("the archive is damaged: {what}"))
        .next_action("use another copy of the archive")
}

/// Reads an archive entry by entry, checking each as it comes.
pub struct ArchiveReader<R: Read> {
    source: std::io::BufReader<R>,
    hash: Sha256,
    last: CommitSeq,
    count: u64,
    previous: Option<Key>,
    done: Option<Hash>,
}

impl<R: Read> std::fmt::Debug for ArchiveReader<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ArchiveReader").field("last", &self.last).field("count", &self.count).finish_non_exhaustive()
    }
}

impl<R: Read> ArchiveReader<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// `StoreCorrupt` when it is no archive or damaged; `Unavailable` when `source` fails.
    pub fn open(source: R) -> Result<Self> {
        let mut reader = Self {
            source: std::io::BufReader::with_capacity(64 * 1024, source),
            hash: Sha256::new(),
            last: CommitSeq(0),
            count: 0,
            previous: None,
            done: None,
        };
        let mut header = [0; 16];
        reader.fill(&mut header)?;
        if !header.starts_with(MAGIC) {
            return Err(damaged("it does not begin like one"));
        }
        reader.checksum(&[&header])?;
        reader.last = CommitSeq(u64_at(&header, 8));
        Ok(reader)
    }

    /// The commit the archive was taken at.
    pub fn last_commit(&self) -> CommitSeq {
        self.last
    }

    /// The hash of the whole archive, once all of it was read and agreed with its trailer.
    #[cfg(feature = "embedded")]
    pub(crate) fn hash(&self) -> Option<Hash> {
        self.done
    }

    /// The next entry; `None` once the trailer was read and everything agreed with it.
    ///
    /// # Errors
    /// `StoreCorrupt` on any damage, also a missing trailer; `Unavailable` when the source fails.
    pub fn next_entry(&mut self) -> Result<Option<ArchiveEntry>> {
        if self.done.is_some() {
            return Ok(None);
        }
        let mut tag = [0; 1];
        let before = self.hash.clone();
        self.fill(&mut tag)?;
        match tag[0] {
            ENTRY => self.entry().map(Some),
            TRAILER => self.trailer(before).map(|()| None),
            _ => Err(damaged("an entry has an unknown form")),
        }
    }

    fn entry(&mut self) -> Result<ArchiveEntry> {
        let mut head = [0; 14];
        self.fill(&mut head)?;
        let key_len = usize::from(u16::from_le_bytes([head[0], head[1]]));
        let value_len = u32::from_le_bytes([head[2], head[3], head[4], head[5]]) as usize;
        // Before the checksum is known these lengths are just noise: bound them so that noise cannot ask for memory.
        if key_len > MAX_KEY_LEN || value_len > MAX_STORED_VALUE_LEN {
            return Err(damaged("an entry is too large"));
        }
        let mut key = vec![0; key_len];
        self.fill(&mut key)?;
        let mut value = vec![0; value_len];
        self.fill(&mut value)?;
        self.checksum(&[&[ENTRY], &head, &key, &value])?;
        let entry = ArchiveEntry {
            key: Key::from_stored(key),
            value: Bytes::from(value),
            version: CommitSeq(u64_at(&head, 6)),
        };
        if self.previous.as_ref().is_some_and(|previous| *previous >= entry.key) || entry.version > self.last {
            return Err(damaged("an entry is out of place"));
        }
        self.previous = Some(entry.key.clone());
        self.count += 1;
        Ok(entry)
    }

    fn trailer(&mut self, before: Sha256) -> Result<()> {
        let mut trailer = [0; 40];
        self.fill(&mut trailer)?;
        self.checksum(&[&[TRAILER], &trailer])?;
        let hash: Hash = before.finalize().into();
        if u64_at(&trailer, 0) != self.count || trailer[8..] != hash {
            return Err(damaged("it does not agree with its trailer"));
        }
        self.done = Some(hash);
        Ok(())
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<()> {
        self.source.read_exact(bytes).map_err(|error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => damaged("it ends too early"),
            _ => Error::new(ErrorKind::Unavailable, "read archive", "the archive could not be read").source(error),
        })?;
        self.hash.update(&*bytes);
        Ok(())
    }

    fn checksum(&mut self, parts: &[&[u8]]) -> Result<()> {
        let found = parts.iter().fold(0, |sum, part| crc32c::crc32c_append(sum, part));
        let mut stored = [0; 4];
        self.fill(&mut stored)?;
        if u32::from_le_bytes(stored) != found {
            return Err(damaged("a checksum does not match"));
        }
        Ok(())
    }
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut number = [0; 8];
    number.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn archive() -> Vec<u8> {
        let mut out = Vec::new();
        let entries = (0_u8..5).map(|number| {
            Ok(ArchiveEntry {
                key: Key::from_stored(vec![number]),
                value: Bytes::from(vec![number; usize::from(number) * 100]),
                version: CommitSeq(u64::from(number)),
            })
        });
        assert_eq!(write_archive(&mut out, CommitSeq(9), entries).unwrap(), 5);
        out
    }

    fn read_all(bytes: &[u8]) -> Result<Vec<ArchiveEntry>> {
        let mut reader = ArchiveReader::open(bytes)?;
        let mut entries = Vec::new();
        while let Some(entry) = reader.next_entry()? {
            entries.push(entry);
        }
        Ok(entries)
    }

    #[test]
    fn what_was_written_is_read() {
        let entries = read_all(&archive()).unwrap();
        assert_eq!(entries.len(), 5);
        assert_eq!(entries[4].value.len(), 400);
    }

    #[test]
    fn any_flipped_byte_and_any_cut_is_refused() {
        let whole = archive();
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 0x40;
            assert_eq!(read_all(&changed).unwrap_err().kind(), ErrorKind::StoreCorrupt, "byte {at}");
            assert_eq!(read_all(&whole[..at]).unwrap_err().kind(), ErrorKind::StoreCorrupt, "cut at {at}");
        }
    }

    proptest! {
        #[test]
        fn noise_is_refused_without_a_panic(noise in proptest::collection::vec(any::<u8>(), 0..400)) {
            prop_assert!(read_all(&noise).is_err());
            let mut after_header = archive()[..20].to_vec();
            after_header.extend_from_slice(&noise);
            prop_assert!(read_all(&after_header).is_err());
        }
    }
}
