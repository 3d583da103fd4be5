//! The behaviour suite on the embedded engine.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bifrost_core::store::SharedStore;
use bifrost_core::store::embedded::{EmbeddedOptions, EmbeddedStore};
use bifrost_core::testing::store_suite::{StoreFactory, run_all};
use tempfile::TempDir;

use super::support::assert_no_blobs;

/// Stores in folders under one that goes away at the end.
struct Folders {
    root: TempDir,
    paths: Mutex<HashMap<usize, PathBuf>>,
    options: EmbeddedOptions,
}

impl Folders {
    fn new(options: EmbeddedOptions) -> Self {
        Self { root: tempfile::tempdir().unwrap(), paths: Mutex::new(HashMap::new()), options }
    }

    async fn open(&self, path: PathBuf) -> SharedStore {
        let store: SharedStore = Arc::new(EmbeddedStore::open(&path, self.options.clone()).await.unwrap());
        assert!(store.health().open_report.is_empty(), "{:?}", store.health().open_report);
        self.paths.lock().unwrap().insert(address(&store), path);
        store
    }
}

fn address(store: &SharedStore) -> usize {
    Arc::as_ptr(store).cast::<()>() as usize
}

#[async_trait]
impl StoreFactory for Folders {
    async fn fresh(&self) -> SharedStore {
        let folder = tempfile::tempdir_in(self.root.path()).unwrap().keep();
        self.open(folder).await
    }

    async fn reopen(&self, store: SharedStore) -> Option<SharedStore> {
        store.close().await.unwrap();
        let path = self.paths.lock().unwrap()[&address(&store)].clone();
        assert_no_blobs(&path);
        Some(self.open(path).await)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn behaves_like_every_store() {
    let folders = Folders::new(EmbeddedOptions::default());
    run_all(&folders).await;
    for entry in std::fs::read_dir(folders.root.path()).unwrap() {
        assert_no_blobs(&entry.unwrap().path());
    }
}

/// The same with parts so small that segments, checkpoints and snapshots come and go all the time.
#[tokio::test(flavor = "multi_thread")]
async fn behaves_like_every_store_while_snapshots_are_taken() {
    let options = EmbeddedOptions::default()
        .with_segment_bytes(16 * 1024)
        .with_checkpoint_bytes(64 * 1024)
        .with_snapshot_bytes(64 * 1024)
        .with_cache_bytes(4 * 1024 * 1024)
        .with_ballast_bytes(0);
    run_all(&Folders::new(options)).await;
}
