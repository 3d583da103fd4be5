//! A small disk, with a neighbour on it: a real one, or one that is played.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bifrost::store::embedded::{DiskHook, DiskOp, EmbeddedOptions};
use tempfile::TempDir;

use super::super::folder::options;

const MIB: u64 = 1024 * 1024;
pub(super) const SIZE: u64 = 24 * MIB;
const STEP: usize = 16 * 1024;

#[derive(Debug)]
pub(super) enum Disk {
    Real(PathBuf),
    Played(TempDir, Arc<Played>),
}

/// Says how much room there is, and lets writes past it fail.
#[derive(Debug)]
pub(super) struct Played {
    folder: PathBuf,
    size: AtomicU64,
    neighbour: AtomicU64,
}

impl Disk {
    pub(super) fn emulated() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (size, neighbour) = (AtomicU64::new(SIZE), AtomicU64::new(0));
        let played = Arc::new(Played { folder: folder.path().to_owned(), size, neighbour });
        Self::Played(folder, played)
    }

    /// A tmpfs under `path`.
    pub(super) fn mount(path: &Path) -> Option<Self> {
        let size = format!("size={SIZE}");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "none"]).arg(path).status();
        mounted.is_ok_and(|status| status.success()).then(|| Self::Real(path.to_owned()))
    }

    pub(super) fn unmount(&self) {
        if let Self::Real(path) = self {
            let _ = Command::new("umount").arg(path).status();
        }
    }

    /// An empty disk of the first size.
    pub(super) fn clear(&self) {
        for entry in std::fs::read_dir(self.path()).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { std::fs::remove_dir_all(path).unwrap() } else { std::fs::remove_file(path).unwrap() }
        }
        self.leave();
        self.resize(SIZE);
    }

    fn path(&self) -> &Path {
        match self {
            Self::Real(path) => path,
            Self::Played(folder, _) => folder.path(),
        }
    }

    pub(super) fn store(&self) -> PathBuf {
        self.path().join("store")
    }

    pub(super) fn is_real(&self) -> bool {
        matches!(self, Self::Real(_))
    }

    pub(super) fn options(&self) -> EmbeddedOptions {
        let options = options().with_segment_bytes(512 * 1024).with_ballast_bytes(4 * MIB);
        let options = options.with_checkpoint_bytes(512 * 1024).with_snapshot_bytes(2 * MIB);
        match self {
            Self::Real(_) => options,
            Self::Played(_, played) => options.with_disk_hook(played.clone()),
        }
    }

    /// Another size: the operator's disk grows.
    pub(super) fn resize(&self, size: u64) {
        match self {
            Self::Real(path) => {
                let size = format!("remount,size={size}");
                assert!(Command::new("mount").args(["-o", &size]).arg(path).status().unwrap().success());
            }
            Self::Played(_, played) => played.size.store(size, Ordering::SeqCst),
        }
    }

    /// A neighbour takes all room but `left` bytes.
    pub(super) fn crowd(&self, left: u64) {
        match self {
            Self::Real(path) => {
                use std::io::Write;

                let name = path.join("neighbour");
                let mut file = std::fs::File::options().create(true).append(true).open(name).unwrap();
                let mut taken = room(path).saturating_sub(left);
                while taken > 0 && file.write_all(&[7; STEP]).is_ok() {
                    taken = taken.saturating_sub(STEP as u64);
                }
            }
            Self::Played(_, played) => {
                let room = played.left();
                played.neighbour.fetch_add(room.saturating_sub(left), Ordering::SeqCst);
            }
        }
    }

    /// The neighbour goes.
    pub(super) fn leave(&self) {
        match self {
            Self::Real(path) => drop(std::fs::remove_file(path.join("neighbour"))),
            Self::Played(_, played) => played.neighbour.store(0, Ordering::SeqCst),
        }
    }
}

/// How many bytes fit on the disk under `path`.
fn room(path: &Path) -> u64 {
    let output = Command::new("stat").args(["-f", "-c", "%a %S"]).arg(path).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let mut numbers = text.split_whitespace().map(|number| number.parse::<u64>().unwrap());
    numbers.next().unwrap() * numbers.next().unwrap()
}

impl Played {
    fn left(&self) -> u64 {
        let used = used(&self.folder) + self.neighbour.load(Ordering::SeqCst);
        self.size.load(Ordering::SeqCst).saturating_sub(used)
    }
}

fn used(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.metadata() {
        Ok(found) if found.is_dir() => used(&entry.path()),
        Ok(found) => found.len(),
        // Gone meanwhile.
        Err(_) => 0,
    });
    sizes.sum()
}

impl DiskHook for Played {
    fn before(&self, op: DiskOp<'_>) -> io::Result<()> {
        let grows = match op {
            DiskOp::Create(_) => 1,
            DiskOp::Write(path, offset, bytes) => {
                let length = std::fs::metadata(path).map_or(0, |found| found.len());
                (offset + bytes.len() as u64).saturating_sub(length)
            }
            _ => 0,
        };
        if grows > 0 && grows > self.left() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn room(&self, _found: u64) -> u64 {
        self.left()
    }
}
