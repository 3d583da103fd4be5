//! Room kept for the day the disk is full: a file of zeros, given up so that the store can close and open again.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use super::disk::Disk;

const STEP: usize = 64 * 1024;

#[derive(Debug)]
pub(super) struct Ballast {
    path: PathBuf,
    disk: Disk,
    held: AtomicBool,
}

impl Ballast {
    /// Makes sure there is a ballast of `bytes`. Without room for one there is none: that is what it is for.
    pub(super) fn hold(dir: &Path, disk: &Disk, bytes: u64) -> Self {
        let path = dir.join("ballast");
        let present = std::fs::metadata(&path).is_ok_and(|found| found.len() == bytes);
        let held = present || bytes > 0 && fill(disk, &path, bytes).is_ok();
        let ballast = Self { path, disk: disk.clone(), held: AtomicBool::new(held) };
        if !held {
            ballast.give_up();
        }
        ballast
    }

    /// Takes the room up again, if there is any.
    pub(super) fn take_up(&self, bytes: u64) -> bool {
        let held = bytes == 0 || self.held.load(Ordering::Relaxed) || fill(&self.disk, &self.path, bytes).is_ok();
        if !held {
            self.give_up();
        }
        self.held.store(held, Ordering::Relaxed);
        held
    }

    /// Frees the room; true if there was some to free.
    pub(super) fn give_up(&self) -> bool {
        // Nothing depends on the file being gone, and it may be gone already.
        let removed = self.disk.remove(&self.path).is_ok();
        self.held.swap(false, Ordering::Relaxed) && removed
    }
}

/// Zeros, not a hole: a hole takes no room.
fn fill(disk: &Disk, path: &Path, bytes: u64) -> std::io::Result<()> {
    disk.remove(path)?;
    let file = disk.create(path)?;
    let zeros = [0; STEP];
    let mut offset = 0;
    while offset < bytes {
        let step = (bytes - offset).min(STEP as u64) as usize;
        disk.write_at(&file, path, offset, &zeros[..step])?;
        offset += step as u64;
    }
    Ok(())
}
