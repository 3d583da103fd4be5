//! The store's threads under the model checker: committer, keeper, exports, and whoever commits, reads, closes or
//! lets go. All of it is the real code on a real folder; only the state's engine is another one.

pub(super) mod engine;

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use shuttle::future::block_on;
use shuttle::rand::{Rng, thread_rng};
use tempfile::TempDir;

use super::disk::{DiskHook, DiskOp};
use super::*;
use crate::sync::explore;

const WRITERS: u8 = 2;
const COMMITS: u64 = 3;

/// A folder in memory where there is one: nothing here asks what a disk keeps.
fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory).unwrap() } else { tempfile::tempdir().unwrap() }
}

/// Options with which everything happens soon: segments end, checkpoints and snapshots are taken.
fn options() -> EmbeddedOptions {
    EmbeddedOptions::default()
        .with_memtable_bytes(300)
        .with_segment_bytes(400)
        .with_checkpoint_bytes(200)
        .with_snapshot_bytes(1)
        .with_ballast_bytes(0)
}

fn key(writer: u8, part: u8) -> Key {
    Key::from_stored(vec![writer, part])
}

/// The commit that makes both records of a writer say `number`.
fn pair(writer: u8, number: u64) -> Batch {
    let mut batch = Batch::new();
    for part in 0..2 {
        batch.put(key(writer, part), Bytes::from(number.to_string()));
    }
    batch
}

fn number(value: &Bytes) -> u64 {
    std::str::from_utf8(value).unwrap().parse().unwrap()
}

/// What a writer was told.
struct Told {
    writer: u8,
    acknowledged: u64,
    last: CommitSeq,
}

/// Commits and reads what it wrote, until it is refused.
fn write(store: &EmbeddedStore, writer: u8, may_fail: &[ErrorKind]) -> Told {
    let mut told = Told { writer, acknowledged: 0, last: CommitSeq(0) };
    for count in 1..=COMMITS {
        match block_on(store.commit(pair(writer, count))) {
            Ok(seq) => {
                assert!(seq > told.last, "{seq:?} after {:?}", told.last);
                told.acknowledged = count;
                told.last = seq;
            }
            Err(error) => {
                assert!(may_fail.contains(&error.kind()), "{error:?}");
                break;
            }
        }
        match store.shared.state.get(&key(writer, 0)) {
            Ok(found) => assert_eq!(found.map(|found| (number(&found.value), found.version)), Some((count, told.last))),
            Err(error) => assert!(error.kind() == ErrorKind::Closed || may_fail.contains(&error.kind()), "{error:?}"),
        }
    }
    told
}

/// Every commit moved one writer on by one, so the numbers of one commit's view add up to that commit.
fn of_one_commit(archive: &[u8], at: u64) {
    let mut reader = ArchiveReader::open(archive).unwrap();
    let mut numbers = [[0; 2]; WRITERS as usize];
    while let Some(entry) = reader.next_entry().unwrap() {
        let [writer, part] = *entry.key.as_bytes().first_chunk::<2>().unwrap();
        numbers[usize::from(writer)][usize::from(part)] = number(&entry.value);
        assert!(entry.version.0 <= at);
    }
    assert!(numbers.iter().all(|[one, other]| one == other), "half a batch was exported: {numbers:?}");
    assert_eq!(numbers.iter().map(|pair| pair[0]).sum::<u64>(), at, "{numbers:?}");
}

fn exported(store: &EmbeddedStore, patience: Patience) {
    let mut archive = Vec::new();
    match pin::export(&store.shared.state, patience, &mut archive) {
        Ok(at) => of_one_commit(&archive, at.seq),
        Err(error) => assert_eq!(error.kind(), ErrorKind::Closed, "{error:?}"),
    }
}

/// Opens the folder again: what was acknowledged is there, and nothing is half there.
fn kept(folder: &Path, told: &[Told]) {
    let store = open(folder, options()).unwrap();
    for told in told {
        let found = store.shared.state.get(&key(told.writer, 0)).unwrap().map_or(0, |found| number(&found.value));
        assert!(found >= told.acknowledged, "{} was acknowledged, {found} is there", told.acknowledged);
        assert!(store.shared.last() >= told.last.0);
    }
    exported(&store, Patience::GiveUp);
    block_on(store.close()).unwrap();
}

fn writers(store: &Arc<EmbeddedStore>, may_fail: &'static [ErrorKind]) -> Vec<thread::JoinHandle<Told>> {
    (0..WRITERS)
        .map(|writer| {
            let store = Arc::clone(store);
            thread::spawn(move || write(&store, writer, may_fail))
        })
        .collect()
}

#[test]
fn commits_reads_exports_snapshots_and_a_close() {
    explore(|| {
        let folder = folder();
        let store = Arc::new(open(folder.path(), options()).unwrap());
        let writers = writers(&store, &[ErrorKind::Closed]);
        let patience = if thread_rng().gen_bool(0.5) { Patience::GiveUp } else { Patience::HoldCommits };
        let others = [
            thread::spawn({
                let store = Arc::clone(&store);
                move || exported(&store, patience)
            }),
            thread::spawn({
                let store = Arc::clone(&store);
                move || block_on(store.close()).unwrap()
            }),
        ];
        let told: Vec<_> = writers.into_iter().map(|writer| writer.join().unwrap()).collect();
        others.into_iter().for_each(|other| other.join().unwrap());
        block_on(store.close()).unwrap();
        drop(store);
        kept(folder.path(), &told);
    });
}

/// What `checkpoint` does, without its threads.
fn checkpointed(store: &EmbeddedStore) {
    let (reply, rolled) = oneshot::channel();
    match block_on(store.control(Control::Roll(reply), rolled)).and_then(|()| store.shared.maintain(true)) {
        Ok(()) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::Closed, "{error:?}"),
    }
}

#[test]
fn checkpoints_while_others_commit() {
    explore(|| {
        let folder = folder();
        let store = Arc::new(open(folder.path(), options()).unwrap());
        let writers = writers(&store, &[]);
        let checkpoints: Vec<_> = (0..2)
            .map(|_| {
                let store = Arc::clone(&store);
                thread::spawn(move || checkpointed(&store))
            })
            .collect();
        let told: Vec<_> = writers.into_iter().map(|writer| writer.join().unwrap()).collect();
        checkpoints.into_iter().for_each(|checkpoint| checkpoint.join().unwrap());
        block_on(store.close()).unwrap();
        drop(store);
        kept(folder.path(), &told);
    });
}

/// Fails one change, of those to come, as a disk would.
#[derive(Debug)]
struct Failing {
    left: AtomicUsize,
    kind: std::io::ErrorKind,
    /// What failed.
    told: std::sync::Mutex<String>,
}

impl DiskHook for Failing {
    fn before(&self, op: DiskOp<'_>) -> std::io::Result<()> {
        if self.left.fetch_sub(1, Ordering::SeqCst) != 1 {
            return Ok(());
        }
        *self.told.lock().unwrap() = match op {
            DiskOp::Write(path, at, bytes) => format!("write {} bytes at {at} of {}", bytes.len(), path.display()),
            op => format!("{op:?}"),
        };
        Err(self.kind.into())
    }
}

#[test]
fn a_disk_that_fails_at_any_moment() {
    explore(|| {
        let folder = folder();
        let kind = if thread_rng().gen_bool(0.5) { std::io::ErrorKind::Other } else { std::io::ErrorKind::StorageFull };
        let hook = Arc::new(Failing { left: AtomicUsize::new(usize::MAX), kind, told: Default::default() });
        let options = options().with_disk_hook(Arc::clone(&hook) as Arc<dyn DiskHook>);
        let store = Arc::new(open(folder.path(), options).unwrap());
        hook.left.store(thread_rng().gen_range(1..25), Ordering::SeqCst);
        let writers = writers(&store, &[ErrorKind::StorePoisoned, ErrorKind::StoreFull]);
        let told: Vec<_> = writers.into_iter().map(|writer| writer.join().unwrap()).collect();
        hook.left.store(usize::MAX, Ordering::SeqCst);
        let refusing = || store.health().refusing.is_some();
        let before = refusing();
        let after = block_on(store.commit(pair(0, COMMITS)));
        assert!(!before || after.is_err() || kind == std::io::ErrorKind::StorageFull, "a store that fails goes on");
        assert!(after.is_ok() || refusing(), "it refuses, and does not say so: {after:?}");
        // Whether it could be closed in order or not, it has let go.
        let _ = block_on(store.close());
        drop(store);
        let failed = hook.told.lock().unwrap().clone();
        let store =
            open(folder.path(), self::options()).unwrap_or_else(|error| panic!("{kind:?}: {failed}: {error:?}"));
        for told in &told {
            let found = store.shared.state.get(&key(told.writer, 0)).unwrap().map_or(0, |found| number(&found.value));
            assert!(found >= told.acknowledged, "{} was acknowledged, {found} is there: {failed}", told.acknowledged);
        }
        block_on(store.close()).unwrap();
    });
}

#[test]
fn a_store_that_is_let_go_of_finishes_what_is_queued_before_it_opens_again() {
    explore(|| {
        let folder = folder();
        let store = open(folder.path(), options()).unwrap();
        let waiting: Vec<_> = (1..=COMMITS).map(|count| store.commit(pair(0, count))).collect();
        let answers = thread::spawn(move || waiting.into_iter().map(|answer| block_on(answer).unwrap()).max().unwrap());
        drop(store);
        let again = open(folder.path(), options()).unwrap();
        let last = answers.join().unwrap();
        assert_eq!(again.shared.last(), last.0);
        block_on(again.close()).unwrap();
        kept(folder.path(), &[Told { writer: 0, acknowledged: COMMITS, last }]);
    });
}
