//! How much room the store leaves on its disk, so that it refuses before anything in it fails.
//!
//! The state engine writes later than it is told to, and once it has met a full disk it takes nothing more until it is
//! opened again. So a group is taken only while there is room for its frame, for what the state makes of it, and for
//! the reserve: what the engine may still have to write, the next step of the journal, and the files of a restart.

use super::ballast;
use super::disk::Disk;
use super::shared::Layout;

const MIB: u64 = 1024 * 1024;

/// Room that no group may take.
pub(super) const RESERVE: u64 = 4 * MIB;

/// What a checkpoint and the files of closing take at most.
pub(super) const CLOSING: u64 = MIB;

/// Room that snapshots and imports leave to the groups that are committed meanwhile.
pub(super) const SPARE: u64 = 2 * MIB;

/// Room that is left when the store keeps all other room for the next time it is opened.
pub(super) const MARGIN: u64 = MIB / 4;

/// The engine rewrites pages around what it is given: what it takes, in parts of that.
const GROWTH: u64 = 6;

/// Whether what is written may take the room that no group may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reserve {
    /// It is left alone.
    Kept,
    /// It is there for this: opening and closing.
    Used,
}

/// What a group of this length needs to find.
pub(super) fn needed(frame: u64) -> u64 {
    RESERVE + frame * (1 + GROWTH)
}

/// Before opening: where there is little room, what was kept for this moment and what nobody needs is removed.
pub(super) fn make(layout: &Layout, disk: &Disk) -> std::io::Result<()> {
    if disk.room(&layout.root) >= RESERVE {
        return Ok(());
    }
    disk.remove(&ballast::path(&layout.root))?;
    match std::fs::remove_dir_all(layout.damaged_state()) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
