//! Opening and closing: locks, leftovers, restarts, snapshots.

use std::sync::Arc;

use bifrost_core::ErrorKind;
use bifrost_core::store::embedded::EmbeddedStore;
use bifrost_core::store::{Batch, CommitSeq, Store};

use super::support::{assert_no_blobs, batch, check, crash_image, files, fill, open, options, report};

#[tokio::test]
async fn a_second_opener_is_told_who_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await.unwrap();
    let error = open(folder.path()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StoreLocked);
    assert_eq!(error.context("pid"), Some(std::process::id().to_string().as_str()));
    assert!(error.suggested_action().is_some());
    store.close().await.unwrap();
    // The handle still exists, the folder is free.
    check(&open(folder.path()).await.unwrap(), 0).await;
}

#[tokio::test]
async fn dropping_without_closing_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..5 {
        let store = open(folder.path()).await.unwrap();
        assert!(report(&store).is_empty(), "{}", report(&store));
        fill(&store, round * 20 + 1..=round * 20 + 20).await;
        // Still in line when the handle goes.
        drop(store);
    }
    check(&open(folder.path()).await.unwrap(), 100).await;
}

#[tokio::test]
async fn what_is_in_line_when_the_handle_goes_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await.unwrap();
    let commits: Vec<_> = (1..=100).map(|number| store.commit(batch(number))).collect();
    drop(store);
    for commit in commits {
        commit.await.unwrap();
    }
    check(&open(folder.path()).await.unwrap(), 100).await;
}

#[tokio::test]
async fn an_image_taken_at_any_moment_holds_everything_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await.unwrap();
    for round in 0..6 {
        fill(&store, round * 30 + 1..=round * 30 + 30).await;
        if round == 3 {
            store.checkpoint().await.unwrap();
        }
        let image = crash_image(folder.path());
        let copy = open(image.path()).await.unwrap();
        assert!(report(&copy).is_empty(), "{}", report(&copy));
        check(&copy, round * 30 + 30).await;
    }
}

#[tokio::test]
async fn drafts_of_the_state_engine_do_not_keep_it_from_opening() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await.unwrap();
    fill(&store, 1..=20).await;
    store.close().await.unwrap();
    for (name, content) in [("snap.00000000000000FF.generating", &b""[..]), ("snap.FFFF.generating", b"garbage")] {
        std::fs::write(folder.path().join("state").join(name), content).unwrap();
    }
    let store = open(folder.path()).await.unwrap();
    assert!(report(&store).is_empty(), "{}", report(&store));
    check(&store, 20).await;
}

#[tokio::test]
async fn a_checkpoint_leaves_one_snapshot_and_an_empty_journal() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await.unwrap();
    fill(&store, 1..=300).await;
    assert!(files(folder.path(), "journal").len() > 3);
    store.checkpoint().await.unwrap();
    assert_eq!(files(folder.path(), "snapshots").len(), 1);
    let segments = files(folder.path(), "journal");
    assert_eq!(segments.len(), 1);
    assert_eq!(segments[0].metadata().unwrap().len(), 64);
    fill(&store, 301..=310).await;
    store.close().await.unwrap();
    let store = open(folder.path()).await.unwrap();
    assert!(report(&store).is_empty(), "{}", report(&store));
    check(&store, 310).await;
}

/// A checkpoint with nothing to do must not take the journal's segment in use for the one it replaces.
#[tokio::test]
async fn checkpoints_in_a_row_leave_the_journal_in_use_alone() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await.unwrap();
    store.checkpoint().await.unwrap();
    fill(&store, 1..=10).await;
    store.checkpoint().await.unwrap();
    store.checkpoint().await.unwrap();
    fill(&store, 11..=20).await;
    let image = crash_image(folder.path());
    std::fs::remove_dir_all(image.path().join("state")).unwrap();
    check(&open(image.path()).await.unwrap(), 20).await;
}

#[tokio::test]
async fn checkpoints_in_a_row_keep_what_is_written_after_them() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await.unwrap();
    fill(&store, 1..=3).await;
    for _ in 0..3 {
        store.checkpoint().await.unwrap();
    }
    assert_eq!(files(folder.path(), "journal").len(), 1);
    fill(&store, 4..=6).await;
    let image = crash_image(folder.path());
    check(&open(image.path()).await.unwrap(), 6).await;
    store.close().await.unwrap();
    check(&open(folder.path()).await.unwrap(), 6).await;
}

#[tokio::test]
async fn erased_data_is_in_no_file_of_ours_after_a_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await.unwrap();
    let key = super::support::key(1);
    let mut batch = Batch::new();
    batch.put(key.clone(), "canary in a coal mine");
    store.commit(batch).await.unwrap();
    let holds = |folder_name: &str| {
        let hold = |path: &std::path::PathBuf| {
            let bytes = std::fs::read(path).unwrap();
            bytes.windows(6).any(|window| window == b"canary")
        };
        files(folder.path(), folder_name).iter().any(hold)
    };
    assert!(holds("journal"));
    let mut batch = Batch::new();
    batch.delete(key);
    store.commit(batch).await.unwrap();
    store.checkpoint().await.unwrap();
    assert!(!holds("journal") && !holds("snapshots"));
}

#[tokio::test]
async fn snapshots_are_taken_by_themselves_and_the_journal_stays_short() {
    let folder = tempfile::tempdir().unwrap();
    let short = options().with_checkpoint_bytes(64 * 1024).with_snapshot_bytes(128 * 1024);
    let store = EmbeddedStore::open(folder.path(), short).await.unwrap();
    let mut number = 0;
    // Overwrites, so that the snapshot stays small while the journal grows.
    let none = |snapshots: Vec<std::path::PathBuf>| snapshots.iter().all(|path| path.extension().unwrap() == "tmp");
    while number < 1_000 || none(files(folder.path(), "snapshots")) {
        number += 1;
        assert!(number < 20_000, "no snapshot was taken");
        store.commit(batch(number % 50)).await.unwrap();
    }
    drop(store);
    let store = open(folder.path()).await.unwrap();
    assert_eq!(store.health().last_commit, CommitSeq(number));
    assert!(report(&store).is_empty(), "{}", report(&store));
    let journal = files(folder.path(), "journal").iter().map(|path| path.metadata().unwrap().len()).sum::<u64>();
    assert!(journal < number * 400, "the journal was not shortened: {journal} bytes of {number} commits");
}

#[tokio::test]
async fn nothing_is_spilled_to_files_that_are_never_synced() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(open(folder.path()).await.unwrap());
    let value = |number: u64, length: usize| vec![number as u8; length];
    for round in 0..10 {
        let mut commits = Vec::new();
        for number in 0..60 {
            let mut batch = Batch::new();
            // The longest values and keys that are stored in one piece, and some that are not.
            let length = if number % 3 == 0 { 50_000 } else { 4_075 };
            let name = format!("{number:03}{}", "k".repeat(240));
            let scope = bifrost_core::store::Scope::hub();
            let key = scope.key(bifrost_core::store::key::Kind::Hub, &[name.as_bytes()]).unwrap();
            batch.put(key, value(round + number, length));
            commits.push(store.commit(batch));
        }
        for commit in commits {
            commit.await.unwrap();
        }
        store.checkpoint().await.unwrap();
    }
    assert_no_blobs(folder.path());
    store.close().await.unwrap();
    assert_no_blobs(folder.path());
}
