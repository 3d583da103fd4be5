//! The note of what was acknowledged: written after each group, and never waited for.
//!
//! A group that was being written when the process ended looks like an acknowledged one that was damaged since. The note
//! tells them apart, because a process that is killed leaves it as it was. After a power cut it may be older, and then
//! says less; it never says more than is true.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::disk::Disk;
use super::frame::u64_at;

#[derive(Debug)]
pub(super) struct Acked {
    file: File,
    path: PathBuf,
    disk: Disk,
}

impl Acked {
    /// Begins anew at batch `seq`, whatever the note said before.
    pub(super) fn begin(dir: &Path, disk: &Disk, seq: u64) -> std::io::Result<Self> {
        let path = path(dir);
        disk.replace(&path, &encode(seq))?;
        let file = File::options().write(true).open(&path)?;
        Ok(Self { file, path, disk: disk.clone() })
    }

    /// Notes that batch `seq` is durable. Nothing rests on it, so it may fail.
    pub(super) fn note(&self, seq: u64) {
        let _ = self.disk.write_at(&self.file, &self.path, 0, &encode(seq));
    }
}

/// The last batch that is noted; 0 when nothing is, `None` when it cannot be told.
pub(super) fn read(dir: &Path) -> Option<u64> {
    match std::fs::read(path(dir)) {
        Ok(bytes) => decode(&bytes),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Some(0),
        Err(_) => None,
    }
}

fn path(dir: &Path) -> PathBuf {
    dir.join("acked")
}

fn encode(seq: u64) -> [u8; 12] {
    let mut note = [0; 12];
    note[..8].copy_from_slice(&seq.to_le_bytes());
    note[8..].copy_from_slice(&crc32c::crc32c(&seq.to_le_bytes()).to_le_bytes());
    note
}

fn decode(bytes: &[u8]) -> Option<u64> {
    let note: &[u8; 12] = bytes.try_into().ok()?;
    let seq = u64_at(note, 0);
    (encode(seq) == *note).then_some(seq)
}
