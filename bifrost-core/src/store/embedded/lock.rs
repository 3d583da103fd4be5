//! One process at a time: the kernel's lock on a file, with a note in it for whoever comes second.

use std::collections::HashSet;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::disk::open_failed;
use crate::error::{Error, ErrorKind, Result};

/// Folders whose store was let go of in this process but whose threads have not finished. Opening one of them waits,
/// so that dropping a store and opening it again works without anyone blocking in `drop`.
static ENDING: Mutex<Option<HashSet<PathBuf>>> = Mutex::new(None);
static ENDED: Condvar = Condvar::new();

/// Holds the store's folder for this process. The kernel lets go of it when the process ends, however it ends.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
    dir: PathBuf,
}

impl Lock {
    /// Takes the folder, or says who has it.
    pub(super) fn take(dir: &Path) -> Result<Self> {
        let dir = dir.canonicalize().map_err(|error| open_failed(dir, error))?;
        wait_until_ended(&dir);
        let path = dir.join("lock");
        let failed = |error| open_failed(&path, error);
        let mut options = OpenOptions::new();
        let mut file = options.read(true).write(true).create(true).truncate(false).open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { file, dir }),
            Err(TryLockError::WouldBlock) => Err(locked(&mut file, &dir)),
            Err(TryLockError::Error(error)) => Err(open_failed(&path, error)),
        }
    }

    /// Notes who holds it, for the one who is refused.
    pub(super) fn note(&mut self, epoch: u64) -> Result<()> {
        let note = format!("pid {} epoch {epoch}\n", std::process::id());
        let written = self
            .file
            .set_len(0)
            .and_then(|()| self.file.seek(SeekFrom::Start(0)))
            .and_then(|_| self.file.write_all(note.as_bytes()));
        written.map_err(|error| open_failed(&self.dir.join("lock"), error))
    }

    /// The folder, as the file system names it.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing the file would do the same, but only once every duplicate of it is closed.
        let _ = self.file.unlock();
        ending().get_or_insert_default().remove(&self.dir);
        ENDED.notify_all();
    }
}

/// Says that the holder of `dir` is about to let go of it.
pub(super) fn announce_end(dir: &Path) {
    ending().get_or_insert_default().insert(dir.to_owned());
}

fn ending() -> MutexGuard<'static, Option<HashSet<PathBuf>>> {
    ENDING.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(shuttle)]
fn wait_until_ended(dir: &Path) {
    // What outlives a schedule cannot be part of the model, so it is asked again and again.
    while ending().get_or_insert_default().contains(dir) {
        crate::sync::thread::yield_now();
    }
}

#[cfg(not(shuttle))]
fn wait_until_ended(dir: &Path) {
    let mut dirs = ending();
    while dirs.get_or_insert_default().contains(dir) {
        dirs = ENDED.wait(dirs).unwrap_or_else(PoisonError::into_inner);
    }
}

fn locked(file: &mut File, dir: &Path) -> Error {
    let mut note = String::new();
    // The note is for people: whatever can be read of it is good enough.
    let _ = file.take(64).read_to_string(&mut note);
    let pid = note.split_whitespace().nth(1).unwrap_or("unknown").to_owned();
    Error::new(ErrorKind::StoreLocked, "open store", "another hub has this store open")
        .with("path", dir.display())
        .with("pid", &pid)
        .next_action(format!("stop process {pid}, or give this hub a folder of its own"))
}
