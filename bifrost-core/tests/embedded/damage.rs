//! Damage to any one part costs nothing but time; damage to more is refused by name, and never passed over.

use std::path::Path;

use bifrost_core::store::embedded::EmbeddedStore;
use bifrost_core::store::{CommitSeq, Store};
use bifrost_core::testing::SeededEntropy;
use bifrost_core::{Error, ErrorKind};
use tempfile::TempDir;

use super::support::{check, contents, crash_image, cut, describe, files, fill, flip, frames, open, options, report};

/// A store with a snapshot at 60 and commits up to 120, closed in order.
async fn closed() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await.unwrap();
    fill(&store, 1..=60).await;
    store.checkpoint().await.unwrap();
    fill(&store, 61..=120).await;
    store.close().await.unwrap();
    folder
}

/// The same, as a crash would leave it: the state is behind the journal.
async fn crashed() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await.unwrap();
    fill(&store, 1..=60).await;
    store.checkpoint().await.unwrap();
    fill(&store, 61..=120).await;
    crash_image(folder.path())
}

/// Opens what is there, finds everything, and finds it mended the next time.
async fn mends(path: &Path, said: &str) {
    let store = open(path).await.unwrap();
    assert!(report(&store).contains(said), "{:?} not in {:?}", said, report(&store));
    store.close().await.unwrap();
    let store = open(path).await.unwrap();
    assert!(report(&store).is_empty(), "again: {}", report(&store));
    check(&store, 120).await;
}

async fn refuses(path: &Path, first: u64, last: &str) {
    let error = open(path).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AcknowledgedDataMissing, "{}", describe(&error));
    assert_eq!(error.context("first"), Some(first.to_string().as_str()), "{error}");
    assert_eq!(error.context("last"), Some(last), "{error}");
    assert!(error.suggested_action().unwrap().contains("accept_loss"));
    // A refusal changes nothing: it comes again.
    let again: Error = open(path).await.unwrap_err();
    assert_eq!(again.context("first"), error.context("first"));
    let store = EmbeddedStore::open(path, options().with_accept_loss(true)).await.unwrap();
    assert!(report(&store).contains("the loss was accepted"), "{}", report(&store));
    check(&store, first - 1).await;
    store.close().await.unwrap();
    let store = open(path).await.unwrap();
    assert!(report(&store).is_empty(), "{}", report(&store));
    assert_eq!(store.health().last_commit, CommitSeq(first + 1));
}

fn snapshot_of(path: &Path) -> std::path::PathBuf {
    files(path, "snapshots").pop().unwrap()
}

#[tokio::test]
async fn a_missing_state_is_rebuilt() {
    for folder in [closed().await, crashed().await] {
        std::fs::remove_dir_all(folder.path().join("state")).unwrap();
        mends(folder.path(), "rebuilt from a snapshot").await;
    }
}

#[tokio::test]
async fn a_store_without_a_snapshot_is_rebuilt_from_its_journal() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await.unwrap();
    fill(&store, 1..=120).await;
    store.close().await.unwrap();
    std::fs::remove_dir_all(folder.path().join("state")).unwrap();
    mends(folder.path(), "rebuilt from nothing").await;
}

#[tokio::test]
async fn a_damaged_state_is_rebuilt_wherever_it_was_hit() {
    let random = SeededEntropy::new(11);
    let (closed, crashed) = (closed().await, crashed().await);
    let expected = contents(open(crash_image(closed.path()).path()).await.unwrap()).await;
    let mut rebuilt = 0;
    for round in 0..24 {
        let image = crash_image(if round % 2 == 0 { closed.path() } else { crashed.path() });
        let database = image.path().join("state/db");
        let bytes = std::fs::read(&database).unwrap();
        let used: Vec<_> = (0..bytes.len()).filter(|at| bytes[*at] != 0).collect();
        if round % 4 < 3 {
            flip(&database, used[random.next_u64() as usize % used.len()] as u64);
        } else {
            cut(&database, random.next_u64() % bytes.len() as u64);
        }
        let store = open(image.path()).await.unwrap();
        rebuilt += u32::from(report(&store).contains("rebuilt"));
        assert!(contents(store).await == expected, "round {round}");
    }
    assert!(rebuilt > 0, "nothing was hit");
}

#[tokio::test]
async fn a_state_from_the_past_catches_up() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await.unwrap();
    fill(&store, 1..=30).await;
    let past = crash_image(folder.path());
    fill(&store, 31..=60).await;
    store.checkpoint().await.unwrap();
    fill(&store, 61..=120).await;
    store.close().await.unwrap();
    std::fs::remove_dir_all(folder.path().join("state")).unwrap();
    std::fs::rename(past.path().join("state"), folder.path().join("state")).unwrap();
    // The journal between it and the snapshot is gone, so it takes the snapshot.
    mends(folder.path(), "rebuilt from a snapshot").await;
}

#[tokio::test]
async fn a_damaged_snapshot_is_taken_anew() {
    for at in [3, 10, 500, 2_000] {
        let folder = closed().await;
        flip(&snapshot_of(folder.path()), at);
        mends(folder.path(), "snapshot at 60 was damaged").await;
        assert!(snapshot_of(folder.path()).to_str().unwrap().contains("/00000000000000000120-"));
    }
    let folder = crashed().await;
    std::fs::remove_file(snapshot_of(folder.path())).unwrap();
    mends(folder.path(), "a snapshot was taken").await;
}

#[tokio::test]
async fn a_torn_tail_is_cut_and_said() {
    let folder = crashed().await;
    let segment = files(folder.path(), "journal").pop().unwrap();
    // Half of one more group, as if the power had gone.
    let last = *frames(&segment).last().unwrap();
    let bytes = std::fs::read(&segment).unwrap();
    let end = (bytes.iter().rposition(|byte| *byte != 0).unwrap() as u64 + 8) / 8 * 8;
    let file = std::fs::File::options().write(true).open(&segment).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &bytes[last as usize..last as usize + 100], end).unwrap();
    mends(folder.path(), "unfinished group after 120").await;
}

#[tokio::test]
async fn a_lost_tail_the_state_holds_is_taken_from_there() {
    let folder = closed().await;
    let segment = files(folder.path(), "journal").pop().unwrap();
    cut(&segment, *frames(&segment).last().unwrap() + 20);
    mends(folder.path(), "a snapshot was taken at 120").await;
}

#[tokio::test]
async fn a_journal_damaged_where_the_state_is_ahead_costs_nothing() {
    for which in [0, 1, 20] {
        let folder = closed().await;
        let segments = files(folder.path(), "journal");
        let segment = segments.iter().find(|segment| frames(segment).len() > which).unwrap();
        flip(segment, frames(segment)[which] + 80);
        mends(folder.path(), "is damaged").await;
    }
    let folder = closed().await;
    std::fs::remove_dir_all(folder.path().join("journal")).unwrap();
    mends(folder.path(), "a snapshot was taken at 120").await;
}

#[tokio::test]
async fn a_damaged_segment_header_is_said_and_costs_nothing() {
    let folder = closed().await;
    flip(&files(folder.path(), "journal")[0], 20);
    mends(folder.path(), "is damaged").await;
}

#[tokio::test]
async fn a_journal_damaged_where_only_it_held_the_data_is_refused() {
    let folder = crashed().await;
    std::fs::remove_dir_all(folder.path().join("state")).unwrap();
    let segment = &files(folder.path(), "journal")[0];
    flip(segment, frames(segment)[4] + 70);
    refuses(folder.path(), 65, "65").await;
}

#[tokio::test]
async fn an_end_of_the_journal_that_was_acknowledged_is_not_taken_for_an_unfinished_group() {
    for damage in ["flipped", "cut", "zeroed"] {
        let folder = crashed().await;
        std::fs::remove_dir_all(folder.path().join("state")).unwrap();
        let segment = &files(folder.path(), "journal").pop().unwrap();
        let last = *frames(segment).last().unwrap();
        match damage {
            "flipped" => flip(segment, last + 70),
            "cut" => cut(segment, last),
            _ => {
                let length = segment.metadata().unwrap().len();
                cut(segment, last);
                cut(segment, length);
            }
        }
        refuses(folder.path(), 120, "120").await;
    }
}

#[tokio::test]
async fn a_snapshot_past_the_damage_makes_up_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await.unwrap();
    fill(&store, 1..=60).await;
    // The journal of the time before the snapshot, kept and damaged.
    let before = crash_image(folder.path());
    store.checkpoint().await.unwrap();
    fill(&store, 61..=120).await;
    store.close().await.unwrap();
    let segment = &files(before.path(), "journal")[0];
    flip(segment, frames(segment)[4] + 70);
    std::fs::copy(segment, folder.path().join("journal").join(segment.file_name().unwrap())).unwrap();
    std::fs::remove_dir_all(folder.path().join("state")).unwrap();
    mends(folder.path(), "rebuilt from a snapshot").await;
}

#[tokio::test]
async fn a_missing_newest_segment_after_a_crash_is_missed() {
    let folder = crashed().await;
    let segments = files(folder.path(), "journal");
    assert!(segments.len() > 2);
    let newest = segments.last().unwrap();
    let first: u64 = newest.file_stem().unwrap().to_str().unwrap().parse().unwrap();
    std::fs::remove_file(newest).unwrap();
    std::fs::remove_dir_all(folder.path().join("state")).unwrap();
    refuses(folder.path(), first, "unknown").await;
}

#[tokio::test]
async fn state_and_snapshot_both_gone_are_refused_not_forgotten() {
    let folder = closed().await;
    std::fs::remove_dir_all(folder.path().join("state")).unwrap();
    std::fs::remove_file(snapshot_of(folder.path())).unwrap();
    refuses(folder.path(), 1, "60").await;
}

#[tokio::test]
async fn parts_of_another_store_are_not_taken_for_one_s_own() {
    let (folder, other) = (closed().await, tempfile::tempdir().unwrap());
    let store = open(other.path()).await.unwrap();
    for number in 1..=120 {
        store.commit(super::support::batch(number + 1_000)).await.unwrap();
    }
    store.close().await.unwrap();
    std::fs::remove_dir_all(folder.path().join("state")).unwrap();
    std::fs::rename(other.path().join("state"), folder.path().join("state")).unwrap();
    mends(folder.path(), "does not belong").await;
}

#[tokio::test]
async fn a_damaged_or_missing_mark_is_written_anew() {
    let folder = crashed().await;
    flip(&folder.path().join("mark"), 5);
    mends(folder.path(), "mark was damaged").await;
    let folder = crashed().await;
    std::fs::remove_file(folder.path().join("mark")).unwrap();
    check(&open(folder.path()).await.unwrap(), 120).await;
}
