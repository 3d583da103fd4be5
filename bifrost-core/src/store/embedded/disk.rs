//! Every change this engine makes to its own files, in one place, with a seam for tests that fail or record them.
//!
//! sled writes its own files itself; they are rebuildable, so nothing here covers them but their sync.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Error, ErrorKind};

/// A change that is about to be made.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(not(feature = "testing"), allow(dead_code, unreachable_pub, reason = "only tests bring a hook"))]
#[non_exhaustive]
pub enum DiskOp<'a> {
    /// A folder is created.
    CreateDir(&'a Path),
    /// A file is created, empty.
    Create(&'a Path),
    /// Bytes are written at an offset.
    Write(&'a Path, u64, &'a [u8]),
    /// A file's length is set.
    SetLen(&'a Path, u64),
    /// A file's content is made durable.
    Sync(&'a Path),
    /// A folder's entries are made durable.
    SyncDir(&'a Path),
    /// A file or folder gets another name.
    Rename(&'a Path, &'a Path),
    /// A file is removed.
    Remove(&'a Path),
}

/// Sees every change before it is made, and may make it fail.
#[cfg_attr(not(feature = "testing"), allow(unreachable_pub, reason = "only tests bring a hook"))]
pub trait DiskHook: Send + Sync + fmt::Debug + 'static {
    /// Called before `op`; an error stands in for that of the operating system.
    ///
    /// # Errors
    /// Those the test wants to see.
    fn before(&self, op: DiskOp<'_>) -> io::Result<()>;

    /// How much room the store is to believe there is, where `found` was found.
    fn room(&self, found: u64) -> u64 {
        found
    }
}

/// The disk, perhaps with a hook.
#[derive(Debug, Clone, Default)]
pub(super) struct Disk(pub(super) Option<Arc<dyn DiskHook>>);

impl Disk {
    fn hook(&self, op: DiskOp<'_>) -> io::Result<()> {
        self.0.as_ref().map_or(Ok(()), |hook| hook.before(op))
    }

    /// How many bytes fit on the disk under `path`. One that does not say is taken at its word when it refuses a write.
    pub(super) fn room(&self, path: &Path) -> u64 {
        let found = fs2::available_space(path).unwrap_or(u64::MAX);
        self.0.as_ref().map_or(found, |hook| hook.room(found))
    }

    /// A folder, and those it lies in as far as they are missing, each durable in the one it lies in.
    pub(super) fn create_dirs(&self, path: &Path) -> io::Result<()> {
        if path.is_dir() {
            return Ok(());
        }
        let outer = parent(path);
        self.create_dirs(outer)?;
        self.hook(DiskOp::CreateDir(path))?;
        match std::fs::create_dir(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        self.sync_dir(outer)
    }

    /// Makes the name of a folder durable, and that of each folder on the way to it: whoever made them may have ended
    /// before they were. What may not be synced far above was not made by us.
    pub(super) fn sync_way(&self, path: &Path) -> io::Result<()> {
        let outer = parent(path);
        self.sync_dir(outer)?;
        for above in outer.ancestors().skip(1).filter(|above| !above.as_os_str().is_empty()) {
            match self.sync_dir(above).map_err(|error| error.kind()) {
                Err(io::ErrorKind::PermissionDenied | io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => {
                    break;
                }
                synced => synced?,
            }
        }
        Ok(())
    }

    /// A new file open for reading and writing; one of that name must not exist.
    pub(super) fn create(&self, path: &Path) -> io::Result<File> {
        self.hook(DiskOp::Create(path))?;
        OpenOptions::new().read(true).write(true).create_new(true).open(path)
    }

    pub(super) fn write_at(&self, file: &File, path: &Path, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.hook(DiskOp::Write(path, offset, bytes))?;
        write_all_at(file, offset, bytes)
    }

    pub(super) fn set_len(&self, file: &File, path: &Path, len: u64) -> io::Result<()> {
        self.hook(DiskOp::SetLen(path, len))?;
        file.set_len(len)
    }

    pub(super) fn sync(&self, file: &File, path: &Path) -> io::Result<()> {
        self.hook(DiskOp::Sync(path))?;
        file.sync_data()
    }

    pub(super) fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.hook(DiskOp::SyncDir(path))?;
        sync_folder(path)
    }

    pub(super) fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.hook(DiskOp::Rename(from, to))?;
        std::fs::rename(from, to)
    }

    /// Removes a file; one that is not there is fine.
    pub(super) fn remove(&self, path: &Path) -> io::Result<()> {
        self.hook(DiskOp::Remove(path))?;
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Puts `bytes` under `path` so that after a crash either the old or the new content is there, whole.
    pub(super) fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let draft = path.with_extension("tmp");
        self.remove(&draft)?;
        let file = self.create(&draft)?;
        self.write_at(&file, &draft, 0, bytes)?;
        self.sync(&file, &draft)?;
        self.rename(&draft, path)?;
        self.sync_dir(parent(path))
    }
}

#[cfg(unix)]
fn write_all_at(file: &File, offset: u64, bytes: &[u8]) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, offset)
}

/// Every file here has one writer at a time, so moving its cursor disturbs nobody.
#[cfg(not(unix))]
fn write_all_at(mut file: &File, offset: u64, bytes: &[u8]) -> io::Result<()> {
    use std::io::{Seek, SeekFrom, Write};

    file.seek(SeekFrom::Start(offset))?;
    file.write_all(bytes)
}

#[cfg(unix)]
fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Elsewhere folders cannot be opened for this; their entries become durable with the files.
#[cfg(not(unix))]
fn sync_folder(_path: &Path) -> io::Result<()> {
    Ok(())
}

/// A file written from front to back through the hook.
#[derive(Debug)]
pub(super) struct Draft {
    disk: Disk,
    file: File,
    path: PathBuf,
    offset: u64,
    /// Room it leaves to others.
    spare: u64,
}

impl Draft {
    /// A new draft that ends as on a full disk before it takes the last `spare` bytes of room.
    pub(super) fn create(disk: &Disk, path: &Path, spare: u64) -> io::Result<Self> {
        disk.remove(path)?;
        Ok(Self { disk: disk.clone(), file: disk.create(path)?, path: path.to_owned(), offset: 0, spare })
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        self.disk.sync(&self.file, &self.path)
    }
}

impl io::Write for &mut Draft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.disk.room(parent(&self.path)) < self.spare + bytes.len() as u64 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.disk.write_at(&self.file, &self.path, self.offset, bytes)?;
        self.offset += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(super) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// True when an error says that there is no room, which passes, rather than that the disk is broken, which does not.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// What a file operation's failure means while opening.
pub(super) fn open_failed(path: &Path, error: io::Error) -> Error {
    let (kind, advice) = match error.kind() {
        _ if is_full(&error) => (ErrorKind::StoreFull, "free some space on this disk"),
        io::ErrorKind::PermissionDenied => (ErrorKind::InvalidInput, "let the hub's user read and write this folder"),
        _ => (ErrorKind::Unavailable, "check the disk and the path"),
    };
    Error::new(kind, "open store", "a file of the store cannot be used")
        .with("path", path.display())
        .with("cause", error.kind())
        .next_action(advice)
        .source(error)
}
