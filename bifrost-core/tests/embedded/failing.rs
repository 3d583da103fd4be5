//! Disks that fill up and disks that break.

use std::io;
use std::sync::Arc;
use std::sync::Mutex;

use bifrost_core::store::embedded::{DiskHook, DiskOp, EmbeddedStore};
use bifrost_core::store::{CommitSeq, Store};
use bifrost_core::{ErrorKind, Retry};

use super::support::{batch, check, crash_image, fill, key, open, options, report};

/// Which changes fail, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    None,
    /// Nothing can be written any more; half of a frame still can.
    Full,
    FailWrite,
    FailSync,
}

#[derive(Debug)]
struct Faults(Mutex<Rule>);

impl Faults {
    fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(Rule::None)))
    }

    fn set(&self, rule: Rule) {
        *self.0.lock().unwrap() = rule;
    }
}

impl DiskHook for Faults {
    fn before(&self, op: DiskOp<'_>) -> io::Result<()> {
        let rule = *self.0.lock().unwrap();
        match (rule, op) {
            (Rule::Full, DiskOp::Write(path, offset, bytes)) => {
                let file = std::fs::File::options().write(true).open(path)?;
                std::os::unix::fs::FileExt::write_all_at(&file, &bytes[..bytes.len() / 2], offset)?;
                Err(io::Error::from(io::ErrorKind::StorageFull))
            }
            (Rule::FailWrite, DiskOp::Write(..)) | (Rule::FailSync, DiskOp::Sync(_)) => {
                Err(io::Error::other("the disk is broken"))
            }
            _ => Ok(()),
        }
    }
}

#[tokio::test]
async fn a_full_disk_is_said_and_passes() {
    let (folder, faults) = (tempfile::tempdir().unwrap(), Faults::new());
    let store = EmbeddedStore::open(folder.path(), options().with_disk_hook(faults.clone())).await.unwrap();
    fill(&store, 1..=20).await;
    let ballast = folder.path().join("ballast");
    assert!(ballast.exists());
    faults.set(Rule::Full);
    for _ in 0..3 {
        let error = store.commit(batch(21)).await.unwrap_err();
        assert_eq!((error.kind(), error.retryability()), (ErrorKind::StoreFull, Retry::Later));
        assert!(store.health().refusing.unwrap().contains("full"));
        // It is for closing and opening again, and nobody else gets it before.
        assert!(ballast.exists());
    }
    // Reading goes on, and what a crash would leave is in order.
    assert!(store.get(&key(20)).await.unwrap().is_some());
    let image = crash_image(folder.path());
    let copy = open(image.path()).await.unwrap();
    assert!(report(&copy).is_empty(), "{}", report(&copy));
    check(&copy, 20).await;
    faults.set(Rule::None);
    fill(&store, 21..=40).await;
    assert!(store.health().refusing.is_none());
    assert!(ballast.exists());
    store.close().await.unwrap();
    let store = open(folder.path()).await.unwrap();
    assert!(report(&store).is_empty(), "{}", report(&store));
    check(&store, 40).await;
}

#[tokio::test]
async fn a_disk_full_when_a_segment_begins_is_said_and_passes() {
    let (folder, faults) = (tempfile::tempdir().unwrap(), Faults::new());
    let tiny = options().with_segment_bytes(1).with_disk_hook(faults.clone());
    let store = EmbeddedStore::open(folder.path(), tiny).await.unwrap();
    fill(&store, 1..=5).await;
    faults.set(Rule::Full);
    assert_eq!(store.commit(batch(6)).await.unwrap_err().kind(), ErrorKind::StoreFull);
    faults.set(Rule::None);
    fill(&store, 6..=10).await;
    drop(store);
    check(&open(folder.path()).await.unwrap(), 10).await;
}

#[tokio::test]
async fn a_store_can_be_closed_while_the_disk_is_full() {
    let (folder, faults) = (tempfile::tempdir().unwrap(), Faults::new());
    let store = EmbeddedStore::open(folder.path(), options().with_disk_hook(faults.clone())).await.unwrap();
    fill(&store, 1..=20).await;
    faults.set(Rule::Full);
    store.commit(batch(21)).await.unwrap_err();
    // The mark cannot be written, so closing says so; nothing is lost by that.
    assert_eq!(store.close().await.unwrap_err().kind(), ErrorKind::StoreFull);
    check(&open(folder.path()).await.unwrap(), 20).await;
}

#[tokio::test]
async fn after_a_failed_write_or_sync_nothing_is_acknowledged() {
    for rule in [Rule::FailWrite, Rule::FailSync] {
        let (folder, faults) = (tempfile::tempdir().unwrap(), Faults::new());
        let store = EmbeddedStore::open(folder.path(), options().with_disk_hook(faults.clone())).await.unwrap();
        fill(&store, 1..=20).await;
        faults.set(rule);
        let error = store.commit(batch(21)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StorePoisoned, "{error}");
        // The disk recovers; the store does not believe it.
        faults.set(Rule::None);
        let error = store.commit(batch(21)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StorePoisoned);
        assert!(error.context("cause").unwrap().contains("the disk is broken"), "{error}");
        assert!(error.suggested_action().unwrap().contains("reopen"));
        assert!(store.health().refusing.is_some());
        assert!(store.get(&key(20)).await.unwrap().is_some());
        assert_eq!(store.close().await.unwrap_err().kind(), ErrorKind::StorePoisoned);
        let store = open(folder.path()).await.unwrap();
        let last = store.health().last_commit;
        // The batch that was not acknowledged may be there, but only whole.
        assert!((CommitSeq(20)..=CommitSeq(21)).contains(&last), "{last}");
        assert_eq!(store.get(&key(21)).await.unwrap().is_some(), last == CommitSeq(21));
        check(&store, last.0).await;
    }
}

/// Fails the k-th change, whichever it is, for every k; then opens again and looks.
#[tokio::test]
async fn a_failure_at_any_moment_loses_nothing_acknowledged() {
    #[derive(Debug)]
    struct KthFails(Mutex<u64>);

    impl DiskHook for KthFails {
        fn before(&self, _op: DiskOp<'_>) -> io::Result<()> {
            let mut left = self.0.lock().unwrap();
            *left = left.saturating_sub(1);
            // Once broken it stays broken, as disks do.
            if *left == 0 { Err(io::Error::other("the disk is broken")) } else { Ok(()) }
        }
    }

    let mut reached_the_end = false;
    let mut k = 1;
    while !reached_the_end {
        let folder = tempfile::tempdir().unwrap();
        let hook = Arc::new(KthFails(Mutex::new(k)));
        let small = options().with_segment_bytes(1_000).with_ballast_bytes(0).with_disk_hook(hook);
        let mut acknowledged = 0;
        if let Ok(store) = EmbeddedStore::open(folder.path(), small).await {
            for number in 1..=12 {
                if number == 6 && store.checkpoint().await.is_err() {
                    break;
                }
                match store.commit(batch(number)).await {
                    Ok(seq) => acknowledged = seq.0,
                    Err(_) => break,
                }
            }
            reached_the_end = store.close().await.is_ok();
        }
        let store = open(folder.path()).await.unwrap_or_else(|error| panic!("failure {k}: {error:?}"));
        let last = store.health().last_commit.0;
        assert!((acknowledged..=acknowledged + 1).contains(&last), "failure {k}: {acknowledged} {last}");
        check(&store, last).await;
        k += 1;
    }
    assert!(k > 40, "only {k} changes were made to fail");
}
