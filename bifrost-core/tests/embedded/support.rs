//! Stores in folders, images of them as a crash would leave them, and ways to damage them.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bifrost_core::id::TenantId;
use bifrost_core::store::embedded::{EmbeddedOptions, EmbeddedStore};
use bifrost_core::store::key::{Key, Kind, Scope};
use bifrost_core::store::{Batch, CommitSeq, SharedStore, Store, Versioned};
use bifrost_core::testing::store_suite;
use bifrost_core::{Error, Result};
use tempfile::TempDir;

/// Small parts, so that little data makes many of them.
pub(crate) fn options() -> EmbeddedOptions {
    EmbeddedOptions::default().with_segment_bytes(32 * 1024).with_ballast_bytes(64 * 1024)
}

pub(crate) async fn open(path: &Path) -> Result<EmbeddedStore> {
    EmbeddedStore::open(path, options()).await
}

pub(crate) fn key(number: u64) -> Key {
    let tenant = Scope::tenant(TenantId::new("contoso").unwrap());
    tenant.key(Kind::Config, &[format!("{number:06}").as_bytes()]).unwrap()
}

pub(crate) fn batch(number: u64) -> Batch {
    let mut batch = Batch::new();
    // Every fifth value is split.
    let length = if number.is_multiple_of(5) { 6_000 } else { 150 };
    batch.put(key(number), vec![number as u8; length]);
    batch
}

/// Commits `batch(first)` to `batch(last)`, each in a group of its own, on an empty or continued store.
pub(crate) async fn fill(store: &EmbeddedStore, numbers: std::ops::RangeInclusive<u64>) {
    for number in numbers {
        assert_eq!(store.commit(batch(number)).await.unwrap(), CommitSeq(number));
    }
}

/// Checks that exactly `batch(1)` to `batch(last)` are there, and that writing goes on.
pub(crate) async fn check(store: &EmbeddedStore, last: u64) {
    assert_eq!(store.health().last_commit, CommitSeq(last));
    for number in 1..=last {
        let Versioned { value, version } = store.get(&key(number)).await.unwrap().expect("nothing is lost");
        assert_eq!((version, value[0]), (CommitSeq(number), number as u8), "record {number}");
    }
    assert_eq!(store.get(&key(last + 1)).await.unwrap(), None);
    fill(store, last + 1..=last + 1).await;
    let mut undo = Batch::new();
    undo.delete(key(last + 1));
    store.commit(undo).await.unwrap();
}

/// What the folder would hold had the machine's process ended now.
pub(crate) fn crash_image(path: &Path) -> TempDir {
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
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// The files in a folder of the store, in order of their names.
pub(crate) fn files(path: &Path, folder: &str) -> Vec<PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(path.join(folder)).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

pub(crate) fn flip(path: &Path, offset: u64) {
    let file = File::options().read(true).write(true).open(path).unwrap();
    let mut byte = [0; 1];
    file.read_exact_at(&mut byte, offset).unwrap();
    file.write_all_at(&[byte[0] ^ 0x55], offset).unwrap();
}

pub(crate) fn cut(path: &Path, length: u64) {
    File::options().write(true).open(path).unwrap().set_len(length).unwrap();
}

/// Where the frames of a segment begin, found by their magic.
pub(crate) fn frames(path: &Path) -> Vec<u64> {
    let bytes = std::fs::read(path).unwrap();
    let starts = (64..bytes.len().saturating_sub(64)).step_by(8);
    starts.filter(|at| bytes[*at..].starts_with(b"BJF1")).map(|at| at as u64).collect()
}

/// Nothing of ours may reach the files sled never syncs.
pub(crate) fn assert_no_blobs(path: &Path) {
    let blobs = path.join("state/blobs");
    if blobs.exists() {
        assert_eq!(std::fs::read_dir(blobs).unwrap().count(), 0, "values were spilled to blobs");
    }
}

pub(crate) fn report(store: &EmbeddedStore) -> String {
    store.health().open_report.join("; ")
}

/// The whole content, for comparing.
pub(crate) async fn contents(store: EmbeddedStore) -> Vec<(Key, Versioned)> {
    let store: SharedStore = Arc::new(store);
    store_suite::contents(&store).await
}

pub(crate) fn describe(error: &Error) -> String {
    format!("{error:?}")
}
