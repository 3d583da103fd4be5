//! Folders of stores: what is in them, copies of them, and opening them with a deadline.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bifrost::store::embedded::{EmbeddedOptions, EmbeddedStore};
use bifrost::{Error, Result};
use tempfile::TempDir;

/// Longer than any opening of a small store takes, however busy the machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Parts so small that little data makes many of them.
pub(super) fn options() -> EmbeddedOptions {
    EmbeddedOptions::default()
        .with_segment_bytes(16 * 1024)
        .with_checkpoint_bytes(32 * 1024)
        .with_snapshot_bytes(64 * 1024)
        .with_cache_bytes(2 * 1024 * 1024)
        .with_ballast_bytes(64 * 1024)
}

/// How opening ended.
pub(super) enum Opening {
    Opened(EmbeddedStore),
    Refused(Error),
    /// What must never happen.
    Wrong(String),
}

/// Opens with a deadline, and with whatever panics caught.
pub(super) async fn open(path: &Path, options: EmbeddedOptions) -> Opening {
    let path = path.to_owned();
    let opening = tokio::spawn(async move { EmbeddedStore::open(path, options).await });
    match tokio::time::timeout(PATIENCE, opening).await {
        Ok(Ok(opened)) => Opening::from(opened),
        Ok(Err(panic)) => Opening::Wrong(format!("opening panicked: {panic}")),
        Err(_) => Opening::Wrong("opening hung".to_owned()),
    }
}

impl From<Result<EmbeddedStore>> for Opening {
    fn from(opened: Result<EmbeddedStore>) -> Self {
        opened.map_or_else(Self::Refused, Self::Opened)
    }
}

/// What the folder would hold had the process ended now.
pub(super) fn image(path: &Path) -> TempDir {
    let image = tempfile::tempdir().unwrap();
    copy(path, image.path());
    image
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir(&target).unwrap();
            copy(&entry.path(), &target);
        } else if entry.path().exists() {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// The files in a folder of the store, in order of their names.
pub(super) fn files(path: &Path, folder: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(path.join(folder)) else { return Vec::new() };
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).collect();
    files.sort();
    files
}
