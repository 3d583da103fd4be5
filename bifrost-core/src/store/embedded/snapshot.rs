//! Snapshots: archives of the state on disk, so that the journal before them can go.
//!
//! A snapshot is named after the point it was taken at, sequence number and hash, and holds exactly what an export
//! holds. It gets its name only once it is whole and durable.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::super::export::ArchiveReader;
use super::disk::{Disk, Draft, is_full, open_failed};
use super::frame::Point;
use super::pin::{Patience, export};
use super::state::State;
use crate::error::{Error, ErrorKind, Result};

const EXTENSION: &str = "snapshot";

/// A snapshot by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Snapshot {
    pub(super) path: PathBuf,
    pub(super) at: Point,
}

/// All snapshots under `dir`, newest first. Drafts are removed.
pub(super) fn list(dir: &Path, disk: &Disk) -> std::io::Result<Vec<Snapshot>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        match parse_name(&path) {
            Some(at) => found.push(Snapshot { path, at }),
            None if path.extension().is_some_and(|extension| extension == "tmp") => disk.remove(&path)?,
            None => {}
        }
    }
    found.sort_by_key(|snapshot| std::cmp::Reverse(snapshot.at.seq));
    Ok(found)
}

fn parse_name(path: &Path) -> Option<Point> {
    let name = path.file_name()?.to_str()?.strip_suffix(EXTENSION)?.strip_suffix('.')?;
    let (seq, hex) = name.split_once('-')?;
    if hex.len() != 64 || !hex.is_ascii() {
        return None;
    }
    let mut hash = [0; 32];
    for (at, byte) in hash.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&hex[at * 2..at * 2 + 2], 16).ok()?;
    }
    Some(Point { seq: seq.parse().ok()?, hash })
}

fn path_of(dir: &Path, at: Point) -> PathBuf {
    let hex: String = at.hash.iter().map(|byte| format!("{byte:02x}")).collect();
    dir.join(format!("{:020}-{hex}.{EXTENSION}", at.seq))
}

pub(super) fn draft_path(dir: &Path, name: &str) -> PathBuf {
    dir.join(format!("{name}.tmp"))
}

/// Reads all of it; whether it is whole.
pub(super) fn verify(snapshot: &Snapshot) -> Result<()> {
    let mut reader = open(snapshot)?;
    while reader.next_entry()?.is_some() {}
    Ok(())
}

/// Opens it for reading.
pub(super) fn open(snapshot: &Snapshot) -> Result<ArchiveReader<File>> {
    let file = File::open(&snapshot.path).map_err(|error| open_failed(&snapshot.path, error))?;
    let reader = ArchiveReader::open(file)?;
    if reader.last_commit().0 != snapshot.at.seq {
        return Err(Error::new(ErrorKind::StoreCorrupt, "read snapshot", "it does not hold what its name says")
            .with("path", snapshot.path.display()));
    }
    Ok(reader)
}

/// Takes a snapshot of `state`, unless that would leave less room than `spare`. When this returns, it is durable, and
/// older ones are gone.
pub(super) fn take(dir: &Path, disk: &Disk, state: &State, spare: u64) -> Result<(Snapshot, u64)> {
    let failed = |error: std::io::Error| {
        let kind = if is_full(&error) { ErrorKind::StoreFull } else { ErrorKind::StorePoisoned };
        Error::new(kind, "take snapshot", "the snapshot could not be written").source(error)
    };
    let draft_path = draft_path(dir, "snapshot");
    let mut draft = Draft::create(disk, &draft_path, spare).map_err(failed)?;
    let written = export(state, Patience::HoldCommits, &mut draft).and_then(|at| {
        draft.sync().map_err(failed)?;
        Ok(at)
    });
    let at = match written {
        Ok(at) => at,
        Err(error) => {
            // A draft is worth nothing; its room may be worth a lot.
            let _ = disk.remove(&draft_path);
            return Err(error);
        }
    };
    let snapshot = install(dir, disk, &draft_path, at).map_err(failed)?;
    let bytes = std::fs::metadata(&snapshot.path).map_or(0, |found| found.len());
    for older in list(dir, disk).map_err(failed)? {
        if older != snapshot {
            disk.remove(&older.path).map_err(failed)?;
        }
    }
    Ok((snapshot, bytes))
}

/// Gives a whole, durable draft its name.
pub(super) fn install(dir: &Path, disk: &Disk, draft: &Path, at: Point) -> std::io::Result<Snapshot> {
    let path = path_of(dir, at);
    disk.rename(draft, &path)?;
    disk.sync_dir(dir)?;
    Ok(Snapshot { path, at })
}
