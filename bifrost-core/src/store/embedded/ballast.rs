//! Room kept for the day the disk is full: a file of zeros, given up only when the store closes or opens and there is no
//! other room for that, and taken up again at once, because what is given up is anybody's.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use super::disk::Disk;
use super::room::{MARGIN, RESERVE};

const STEP: usize = 64 * 1024;

#[derive(Debug)]
pub(super) struct Ballast {
    dir: PathBuf,
    path: PathBuf,
    disk: Disk,
    bytes: u64,
    held: AtomicBool,
}

impl Ballast {
    /// Makes sure there is a ballast of `bytes`, or of what there is room for.
    pub(super) fn hold(dir: &Path, disk: &Disk, bytes: u64) -> Self {
        let ballast = Self {
            dir: dir.to_owned(),
            path: path(dir),
            disk: disk.clone(),
            bytes,
            held: AtomicBool::new(bytes == 0 || length(&path(dir)) == bytes),
        };
        if !ballast.take_up() {
            ballast.take_what_fits();
        }
        ballast
    }

    pub(super) fn is_held(&self) -> bool {
        self.held.load(Ordering::Relaxed)
    }

    /// Takes all of the room up again, if it is there and leaves the reserve; whether it is held now.
    pub(super) fn take_up(&self) -> bool {
        if !self.is_held() {
            let room = self.disk.room(&self.dir).saturating_add(length(&self.path));
            self.held.store(room >= self.bytes + RESERVE && self.fill(self.bytes), Ordering::Relaxed);
        }
        self.is_held()
    }

    /// Takes up what there is room for, so that nobody else does before the store opens again. As long as this is not
    /// all of it, no group is taken, so none needs the reserve.
    pub(super) fn take_what_fits(&self) {
        let room = self.disk.room(&self.dir).saturating_add(length(&self.path));
        let bytes = room.saturating_sub(MARGIN).min(self.bytes);
        if !self.is_held() && bytes > 0 {
            self.held.store(self.fill(bytes) && bytes == self.bytes, Ordering::Relaxed);
        }
    }

    /// Frees the room.
    pub(super) fn give_up(&self) {
        // Nothing depends on the file being gone, and it may be gone already.
        let _ = self.disk.remove(&self.path);
        self.held.store(self.bytes == 0, Ordering::Relaxed);
    }

    fn fill(&self, bytes: u64) -> bool {
        let filled = fill(&self.disk, &self.path, bytes).is_ok();
        if !filled {
            // Half a ballast that takes the last of the room is worse than none.
            let _ = self.disk.remove(&self.path);
        }
        filled
    }
}

pub(super) fn path(dir: &Path) -> PathBuf {
    dir.join("ballast")
}

fn length(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |found| found.len())
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
