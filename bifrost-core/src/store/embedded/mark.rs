//! The mark: what the store should be found like, so that a part that is missing altogether is missed.
//!
//! Journal and state say what they hold, not what they ought to hold. The mark names the segment in use while the store
//! is open, and where history ended once it was closed in order.

use std::path::{Path, PathBuf};

use super::disk::Disk;

/// What is known about the store from the last time it was open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub(super) struct Mark {
    /// How many times it was opened.
    pub(super) epoch: u64,
    /// The first batch of the segment in use.
    pub(super) segment: u64,
    /// The last batch, if it was closed in order.
    pub(super) closed_at: Option<u64>,
}

/// What was found of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    Mark(Mark),
    Missing,
    Damaged,
}

pub(super) fn path(dir: &Path) -> PathBuf {
    dir.join("mark")
}

/// One line of JSON, one line with its checksum.
pub(super) fn write(disk: &Disk, dir: &Path, mark: Mark) -> std::io::Result<()> {
    disk.replace(&path(dir), text(mark)?.as_bytes())
}

pub(super) fn text(mark: Mark) -> std::io::Result<String> {
    let json = serde_json::to_string(&mark).map_err(std::io::Error::other)?;
    Ok(format!("{json}\n{:08x}\n", crc32c::crc32c(json.as_bytes())))
}

pub(super) fn read(dir: &Path) -> std::io::Result<Found> {
    match std::fs::read(path(dir)) {
        Ok(bytes) => Ok(parse(&bytes).map_or(Found::Damaged, Found::Mark)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Found::Missing),
        Err(error) => Err(error),
    }
}

pub(super) fn parse(bytes: &[u8]) -> Option<Mark> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (json, checksum) = text.split_once('\n')?;
    let checksum = u32::from_str_radix(checksum.trim_end(), 16).ok()?;
    if checksum != crc32c::crc32c(json.as_bytes()) {
        return None;
    }
    serde_json::from_str(json).ok()
}
