//! What every engine must do, as functions that panic when it does not. Run them all with [`run_all`].
//!
//! An engine's own tests call this with a [`StoreFactory`]; an engine that passes can take the place of any other.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a suite speaks by panicking")]

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::sync::{Arc, Mutex, mpsc};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::join_all;
use tokio::sync::oneshot;

use super::SeededEntropy;
use crate::error::ErrorKind;
use crate::id::TenantId;
use crate::store::chain::{Entry, Head};
use crate::store::key::{Key, Kind, Prefix, Scope};
use crate::store::{
    Batch, CommitSeq, MAX_BATCH_BYTES, MAX_BATCH_OPS, MAX_KEY_LEN, MAX_SCAN_LIMIT, MAX_VALUE_LEN, Precondition, Scan,
    SharedStore, Usage, Versioned,
};

/// Makes stores of one engine.
#[async_trait]
pub trait StoreFactory: Send + Sync {
    /// An empty store.
    async fn fresh(&self) -> SharedStore;

    /// The same store after it was closed and opened again; `None` if the engine forgets.
    async fn reopen(&self, store: SharedStore) -> Option<SharedStore>;
}

/// Runs every property. Needs a runtime with several threads.
pub async fn run_all(factory: &dyn StoreFactory) {
    agrees_with_a_model(factory).await;
    commits_all_or_nothing(factory).await;
    versions_only_grow(factory).await;
    one_of_many_racing_writers_wins(factory).await;
    readers_see_whole_commits(factory).await;
    scans_stay_in_their_prefix(factory).await;
    scans_page_both_ways(factory).await;
    limits_hold_to_the_byte(factory).await;
    large_values_come_back(factory).await;
    sequence_has_no_gaps(factory).await;
    commits_keep_the_order_of_calls(factory).await;
    logs_are_numbered_and_chained(factory).await;
    many_writers_make_progress(factory).await;
    exports_import_equal(factory).await;
    imports_are_all_or_nothing(factory).await;
    exports_hold_one_commit(factory).await;
    closing_finishes_what_was_begun(factory).await;
}

fn scope(name: &str) -> Scope {
    Scope::tenant(TenantId::new(name).unwrap())
}

fn key(name: &str) -> Key {
    scope("suite").key(Kind::Config, &[name.as_bytes()]).unwrap()
}

fn put(name: &str, value: impl Into<Bytes>) -> Batch {
    let mut batch = Batch::new();
    batch.put(key(name), value);
    batch
}

async fn everything(store: &SharedStore, prefix: &Prefix) -> Vec<(Key, Versioned)> {
    let mut all = Vec::new();
    let mut scan = Scan::prefix(prefix.clone());
    loop {
        let page = store.scan(scan.clone()).await.unwrap();
        all.extend(page.entries);
        match all.last() {
            Some((last, _)) if page.more => scan = scan.after(last.clone()),
            _ => return all,
        }
    }
}

/// Random batches leave what they leave in a plain map, also after a restart.
pub async fn agrees_with_a_model(factory: &dyn StoreFactory) {
    for seed in 0..8 {
        let random = SeededEntropy::new(seed);
        let mut store = factory.fresh().await;
        let mut model = BTreeMap::new();
        for step in 0..150 {
            let batch = random_batch(&random, &model);
            let expected = apply_to_model(&batch, &model, CommitSeq(store.health().last_commit.0 + 1));
            let found = store.commit(batch).await;
            match expected {
                Some(next) => {
                    found.unwrap_or_else(|error| panic!("seed {seed} step {step}: {error}"));
                    model = next;
                }
                None => assert_eq!(found.unwrap_err().kind(), ErrorKind::Conflict, "seed {seed} step {step}"),
            }
        }
        compare(&store, &model, seed).await;
        if let Some(reopened) = factory.reopen(store.clone()).await {
            store = reopened;
            compare(&store, &model, seed).await;
        }
        store.close().await.unwrap();
    }
}

type Model = BTreeMap<Key, Versioned>;

fn random_batch(random: &SeededEntropy, model: &Model) -> Batch {
    let mut batch = Batch::new();
    for _ in 0..=random.next_u64() % 4 {
        let key = key(&format!("{:02}", random.next_u64() % 40));
        match random.next_u64() % 10 {
            0..=5 => {
                let length = [0, 1, 300, 4_000, 5_000, 20_000][(random.next_u64() % 6) as usize];
                batch.put(key, vec![random.next_u64() as u8; length]);
            }
            6 | 7 => drop(batch.delete(key)),
            8 => drop(batch.require(Precondition::Absent(key))),
            _ => {
                let version = model.get(&key).map_or(CommitSeq(1), |found| found.version);
                batch.require(Precondition::At(key, version));
            }
        }
    }
    batch
}

fn apply_to_model(batch: &Batch, model: &Model, version: CommitSeq) -> Option<Model> {
    for precondition in batch.preconditions() {
        let found = model.get(precondition.key()).map(|found| found.version);
        let holds = match precondition {
            Precondition::Absent(_) => found.is_none(),
            Precondition::At(_, version) => found == Some(*version),
        };
        if !holds {
            return None;
        }
    }
    let mut next = model.clone();
    for op in batch.ops() {
        match op {
            crate::store::Op::Put(key, value) => {
                let value = value.clone();
                drop(next.insert(key.clone(), Versioned { value, version }));
            }
            crate::store::Op::Delete(key) => drop(next.remove(key)),
            crate::store::Op::Append(..) => unreachable!("the model has no logs"),
        }
    }
    Some(next)
}

async fn compare(store: &SharedStore, model: &Model, seed: u64) {
    let prefix = scope("suite").all();
    let found: Model = everything(store, &prefix).await.into_iter().collect();
    assert!(found == *model, "seed {seed}: the scan differs from the model");
    for number in 0..40 {
        let key = key(&format!("{number:02}"));
        assert_eq!(store.get(&key).await.unwrap(), model.get(&key).cloned(), "seed {seed}");
    }
    let bytes = model.iter().map(|(key, found)| key.as_bytes().len() + found.value.len()).sum::<usize>() as u64;
    let keys = model.len() as u64;
    assert_eq!(store.usage(&prefix).await.unwrap(), Usage { keys, bytes }, "seed {seed}");
}

/// A batch whose precondition fails changes nothing and takes no number.
pub async fn commits_all_or_nothing(factory: &dyn StoreFactory) {
    let store = factory.fresh().await;
    let first = store.commit(put("a", "1")).await.unwrap();
    let mut batch = put("b", "2");
    batch.delete(key("a")).append(scope("suite").kind(Kind::Audit), "x");
    batch.require(Precondition::Absent(key("a")));
    assert_eq!(store.commit(batch).await.unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(everything(&store, &scope("suite").all()).await.len(), 1);
    assert_eq!(store.health().last_commit, first);
    let mut last_wins = put("c", "first");
    last_wins.delete(key("c")).put(key("c"), "last").delete(key("a"));
    store.commit(last_wins).await.unwrap();
    assert_eq!(&store.get(&key("c")).await.unwrap().unwrap().value[..], b"last");
    assert_eq!(store.get(&key("a")).await.unwrap(), None);
    store.close().await.unwrap();
}

/// A record that went and came back is not mistaken for the one that was read.
pub async fn versions_only_grow(factory: &dyn StoreFactory) {
    let store = factory.fresh().await;
    let first = store.commit(put("a", "same")).await.unwrap();
    let mut delete = Batch::new();
    delete.delete(key("a"));
    store.commit(delete).await.unwrap();
    let second = store.commit(put("a", "same")).await.unwrap();
    assert!(second > first);
    let mut stale = put("a", "lost update");
    stale.require(Precondition::At(key("a"), first));
    assert_eq!(store.commit(stale).await.unwrap_err().kind(), ErrorKind::Conflict);
    let mut fresh = put("a", "update");
    fresh.require(Precondition::At(key("a"), second));
    store.commit(fresh).await.unwrap();
    store.close().await.unwrap();
}

/// Of a thousand who saw the same version, exactly one changes it.
pub async fn one_of_many_racing_writers_wins(factory: &dyn StoreFactory) {
    let store = factory.fresh().await;
    let version = store.commit(put("a", "start")).await.unwrap();
    let racing = (0..1_000).map(|number| {
        let mut batch = put("a", format!("{number}"));
        batch.require(Precondition::At(key("a"), version));
        tokio::spawn(store.commit(batch))
    });
    let outcomes: Vec<_> = join_all(racing).await.into_iter().map(Result::unwrap).collect();
    let won = outcomes.iter().position(Result::is_ok).expect("one wins");
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    let others = outcomes.iter().filter_map(|outcome| outcome.as_ref().err());
    assert!(others.into_iter().all(|error| error.kind() == ErrorKind::Conflict));
    assert_eq!(store.get(&key("a")).await.unwrap().unwrap().value, format!("{won}"));
    store.close().await.unwrap();
}

/// Whoever reads while others write sees a commit whole or not at all.
pub async fn readers_see_whole_commits(factory: &dyn StoreFactory) {
    let store = factory.fresh().await;
    let write = |number: u32| {
        let mut batch = Batch::new();
        // Spread out, so that nothing keeps them together by accident; one is long enough to be split.
        for part in 0..5_u8 {
            let value = number.to_be_bytes().repeat(if part == 3 { 2_000 } else { 1 });
            batch.put(key(&format!("{part}-{}", "x".repeat(50))), value);
        }
        store.commit(batch)
    };
    write(0).await.unwrap();
    let reader = {
        let store = store.clone();
        tokio::spawn(async move {
            let mut seen = 0;
            while seen < 300 {
                let page = store.scan(Scan::prefix(scope("suite").all())).await.unwrap();
                assert_eq!(page.entries.len(), 5);
                let first = &page.entries[0].1;
                for (_, found) in &page.entries {
                    assert_eq!((&found.value[..4], found.version), (&first.value[..4], first.version));
                }
                seen = u32::from_be_bytes(first.value[..4].try_into().unwrap());
            }
        })
    };
    for number in 1..=300 {
        write(number).await.unwrap();
    }
    reader.await.unwrap();
    store.close().await.unwrap();
}

/// No scan returns a key that does not begin with its prefix, whatever the neighbours are called.
pub async fn scans_stay_in_their_prefix(factory: &dyn StoreFactory) {
    let store = factory.fresh().await;
    let parts: [&[u8]; 8] = [b"", b"a", b"a\0", b"ab", b"a\xff", b"a\xff\xff", b"b", b"\xff"];
    let mut batch = Batch::new();
    for owner in ["suite", "suite-2", "suit", "suitf"] {
        for part in parts {
            batch.put(scope(owner).key(Kind::Config, &[part]).unwrap(), owner);
            batch.put(scope(owner).key(Kind::Secret, &[part]).unwrap(), owner);
        }
    }
    store.commit(batch).await.unwrap();
    let config = scope("suite").kind(Kind::Config);
    for part in parts {
        let prefix = config.then(part);
        let expected = parts.iter().filter(|other| other.starts_with(part)).count();
        let found = everything(&store, &prefix).await;
        assert!(found.iter().all(|(key, _)| key.starts_with(&prefix)), "{prefix:?}");
        assert_eq!(found.len(), expected, "{prefix:?}");
        assert_eq!(store.usage(&prefix).await.unwrap().keys, found.len() as u64);
    }
    let outside = Scan::prefix(config).after(scope("suitf").key(Kind::Config, &[b"a"]).unwrap());
    assert_eq!(store.scan(outside).await.unwrap_err().kind(), ErrorKind::InvalidInput);
    store.close().await.unwrap();
}

/// Pages join without gap or overlap, from either end, and are never longer than asked for.
pub async fn scans_page_both_ways(factory: &dyn StoreFactory) {
    let store = factory.fresh().await;
    let count = MAX_SCAN_LIMIT + 30;
    for start in (0..count).step_by(500) {
        let mut batch = Batch::new();
        for number in start..(start + 500).min(count) {
            batch.put(key(&format!("{number:06}")), "x");
        }
        store.commit(batch).await.unwrap();
    }
    let prefix = scope("suite").all();
    let page = store.scan(Scan::prefix(prefix.clone()).limit(usize::MAX)).await.unwrap();
    assert_eq!((page.entries.len(), page.more), (MAX_SCAN_LIMIT, true));
    for reverse in [false, true] {
        let mut found = Vec::new();
        let mut scan = Scan::prefix(prefix.clone()).limit(97);
        scan.reverse = reverse;
        loop {
            let page = store.scan(scan.clone()).await.unwrap();
            assert!(page.entries.len() == 97 || !page.more);
            found.extend(page.entries.into_iter().map(|(key, _)| key));
            if !page.more {
                break;
            }
            scan.after = found.last().cloned();
        }
        if reverse {
            found.reverse();
        }
        assert_eq!(found.len(), count);
        assert!(found.windows(2).all(|pair| pair[0] < pair[1]));
    }
    let exact = store.scan(Scan::prefix(prefix.then(b"\x04000")).limit(1_000)).await.unwrap();
    assert_eq!((exact.entries.len(), exact.more), (1_000, false));
    store.close().await.unwrap();
}

/// What fits is taken and what is one too large is refused, wherever the limit lies.
pub async fn limits_hold_to_the_byte(factory: &dyn StoreFactory) {
    let store = factory.fresh().await;
    let sized = |length| Key::from_stored(vec![b'k'; length]);
    let one = |key: Key, value: usize| {
        let mut batch = Batch::new();
        batch.put(key, vec![b'v'; value]);
        batch
    };
    let many = |count: usize| {
        let mut batch = Batch::new();
        for number in 0..count {
            batch.delete(key(&format!("{number}")));
        }
        batch
    };
    let wide = |last: usize| {
        let mut batch = Batch::new();
        for number in 1..=3 {
            batch.put(sized(number), vec![b'v'; MAX_VALUE_LEN]);
        }
        batch.put(sized(4), vec![b'v'; last]);
        batch
    };
    let rest = MAX_BATCH_BYTES - 3 * MAX_VALUE_LEN - 10;
    let cases = [
        ("key", one(sized(MAX_KEY_LEN), 1), one(sized(MAX_KEY_LEN + 1), 1)),
        ("value", one(key("a"), MAX_VALUE_LEN), one(key("a"), MAX_VALUE_LEN + 1)),
        ("operations", many(MAX_BATCH_OPS), many(MAX_BATCH_OPS + 1)),
        ("batch", wide(rest), wide(rest + 1)),
    ];
    for (what, fits, too_large) in cases {
        store.commit(fits).await.unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(store.commit(too_large).await.unwrap_err().kind(), ErrorKind::TooLarge, "{what}");
    }
    store.close().await.unwrap();
}

/// Values of any length, written over each other, deleted and written again, come back as they are.
pub async fn large_values_come_back(factory: &dyn StoreFactory) {
    let store = factory.fresh().await;
    let random = SeededEntropy::new(5);
    for length in [4_000, 4_075, 4_076, 4_096, 4_097, 8_192, 100_000, 7, 3_000_000, 0, 50_000] {
        let mut value = vec![0; length];
        crate::entropy::Entropy::fill(&random, &mut value);
        let mut batch = put("a", value.clone());
        // Two long values of one commit must not meet.
        batch.put(key("b"), value.iter().rev().copied().collect::<Vec<_>>());
        store.commit(batch).await.unwrap();
        assert!(store.get(&key("a")).await.unwrap().unwrap().value == value, "{length}");
        assert!(store.get(&key("b")).await.unwrap().unwrap().value.iter().eq(value.iter().rev()), "{length}");
        let mut delete = Batch::new();
        delete.delete(key("b"));
        store.commit(delete).await.unwrap();
    }
    store.close().await.unwrap();
}

/// Commits are numbered one by one, whoever makes them, and go on after a restart.
pub async fn sequence_has_no_gaps(factory: &dyn StoreFactory) {
    let mut store = factory.fresh().await;
    let mut seen = Vec::new();
    for round in 0..3 {
        let writers = (0..50).map(|number| tokio::spawn(store.commit(put(&format!("{round}-{number}"), "x"))));
        seen.extend(join_all(writers).await.into_iter().map(|outcome| outcome.unwrap().unwrap().0));
        let mut conflict = put("x", "x");
        conflict.require(Precondition::At(key("absent"), CommitSeq(1)));
        assert!(store.commit(conflict).await.is_err());
        match factory.reopen(store.clone()).await {
            Some(reopened) => store = reopened,
            None => break,
        }
        assert_eq!(store.health().last_commit.0, seen.len() as u64);
    }
    seen.sort_unstable();
    assert!(seen.iter().copied().eq(1..=seen.len() as u64));
    store.close().await.unwrap();
}

/// A batch has its place when `commit` returns, polled or not, and keeps it when nobody waits any more.
pub async fn commits_keep_the_order_of_calls(factory: &dyn StoreFactory) {
    let store = factory.fresh().await;
    let mut commits: Vec<_> = (0..50).map(|number| store.commit(put("a", format!("{number}")))).collect();
    drop(commits.swap_remove(20));
    commits.reverse();
    for outcome in join_all(commits).await {
        outcome.unwrap();
    }
    let found = store.get(&key("a")).await.unwrap().unwrap();
    assert_eq!((&found.value[..], found.version), (&b"49"[..], CommitSeq(50)));
    store.close().await.unwrap();
}

/// Entries of a log are numbered without gaps and chained, whoever appends, in one batch or in many.
pub async fn logs_are_numbered_and_chained(factory: &dyn StoreFactory) {
    let mut store = factory.fresh().await;
    let logs = [scope("suite").kind(Kind::Audit), scope("other").kind(Kind::Audit)];
    let append = |number: usize| {
        let mut batch = put("beside", format!("{number}"));
        for count in 0..=number % 3 {
            batch.append(logs[number % 2].clone(), format!("{number} {count}"));
        }
        batch
    };
    join_all((0..60).map(|number| tokio::spawn(store.commit(append(number))))).await;
    if let Some(reopened) = factory.reopen(store.clone()).await {
        store = reopened;
    }
    join_all((60..120).map(|number| tokio::spawn(store.commit(append(number))))).await;
    for log in &logs {
        let mut head = Head::EMPTY;
        for (key, found) in everything(&store, log).await {
            let entry = Entry::decode(log, &key, &found.value).unwrap();
            assert_eq!((entry.number, entry.previous), (head.number + 1, head.hash));
            head = Head { number: entry.number, hash: entry.hash(log) };
        }
        assert_eq!(head.number, 120);
    }
    let mut misuse = Batch::new();
    misuse.append(Prefix::from_stored(vec![b'k'; MAX_KEY_LEN - 7]), "x");
    assert!(store.commit(misuse).await.is_err());
    store.close().await.unwrap();
}

/// 128 writers at once all get through, and each reads what it wrote.
pub async fn many_writers_make_progress(factory: &dyn StoreFactory) {
    let store = factory.fresh().await;
    let writers = (0..128).map(|writer| {
        let store = store.clone();
        tokio::spawn(async move {
            for round in 0..10 {
                let name = format!("{writer}");
                let version = store.commit(put(&name, format!("{round}"))).await.unwrap();
                let found = store.get(&key(&name)).await.unwrap().unwrap();
                assert_eq!((found.value, found.version), (Bytes::from(format!("{round}")), version));
            }
        })
    });
    join_all(writers).await.into_iter().for_each(|outcome| outcome.unwrap());
    assert_eq!(store.health().last_commit, CommitSeq(1_280));
    assert_eq!(store.health().queued, 0);
    store.close().await.unwrap();
}

/// A sink that can be read again.
#[derive(Debug, Clone, Default)]
pub struct Archive(Arc<Mutex<Vec<u8>>>);

impl Archive {
    /// What was written so far.
    pub fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap().clone()
    }

    /// Reads it from the beginning.
    pub fn source(&self) -> Box<dyn Read + Send> {
        Box::new(std::io::Cursor::new(self.bytes()))
    }
}

impl Write for Archive {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Fills a store with records of many lengths, a log, and some deletions.
pub async fn fill(store: &SharedStore, commits: u64) {
    let random = SeededEntropy::new(9);
    for number in 0..commits {
        let mut batch = Batch::new();
        let name = format!("{:04}", random.next_u64() % (commits + 1));
        if number % 7 == 6 {
            batch.delete(key(&name));
        } else {
            let length = [10, 200, 4_076, 9_000][(random.next_u64() % 4) as usize];
            batch.put(key(&name), vec![number as u8; length]);
        }
        batch.append(scope("suite").kind(Kind::Audit), format!("entry {number}"));
        store.commit(batch).await.unwrap();
    }
}

/// Everything in a store, for comparing.
pub async fn contents(store: &SharedStore) -> Vec<(Key, Versioned)> {
    everything(store, &Prefix::from_stored(Bytes::new())).await
}

/// What is exported from one store and imported into another is the same, and goes on alike.
pub async fn exports_import_equal(factory: &dyn StoreFactory) {
    let (store, mut copy) = (factory.fresh().await, factory.fresh().await);
    fill(&store, 400).await;
    let mut large = Batch::new();
    for number in 0..300 {
        large.put(key(&format!("large {number}")), vec![number as u8; 9_000]);
    }
    store.commit(large).await.unwrap();
    let archive = Archive::default();
    let at = store.export(Box::new(archive.clone())).await.unwrap();
    assert_eq!(at, store.health().last_commit);
    assert_eq!(copy.import(archive.source()).await.unwrap(), at);
    assert!(contents(&copy).await == contents(&store).await);
    if let Some(reopened) = factory.reopen(copy.clone()).await {
        copy = reopened;
        assert!(contents(&copy).await == contents(&store).await);
    }
    for store in [&store, &copy] {
        let mut batch = put("after", "x");
        batch.append(scope("suite").kind(Kind::Audit), "after");
        assert_eq!(store.commit(batch).await.unwrap(), CommitSeq(at.0 + 1));
    }
    assert!(contents(&copy).await == contents(&store).await);
    let again = Archive::default();
    copy.export(Box::new(again.clone())).await.unwrap();
    let direct = Archive::default();
    store.export(Box::new(direct.clone())).await.unwrap();
    assert!(again.bytes() == direct.bytes());
    assert_eq!(copy.import(archive.source()).await.unwrap_err().kind(), ErrorKind::Conflict);
    store.close().await.unwrap();
    copy.close().await.unwrap();
}

/// A damaged archive leaves the store empty and usable.
pub async fn imports_are_all_or_nothing(factory: &dyn StoreFactory) {
    let (store, copy) = (factory.fresh().await, factory.fresh().await);
    fill(&store, 50).await;
    let archive = Archive::default();
    store.export(Box::new(archive.clone())).await.unwrap();
    let bytes = archive.bytes();
    let mut flipped = bytes.clone();
    flipped[bytes.len() / 2] ^= 1;
    for damaged in [flipped, bytes[..bytes.len() - 1].to_vec(), bytes[..bytes.len() / 2].to_vec(), Vec::new()] {
        let source = Box::new(std::io::Cursor::new(damaged));
        assert_eq!(copy.import(source).await.unwrap_err().kind(), ErrorKind::StoreCorrupt);
        assert!(contents(&copy).await.is_empty());
        assert_eq!(copy.health().last_commit, CommitSeq(0));
    }
    copy.import(archive.source()).await.unwrap();
    store.close().await.unwrap();
    copy.close().await.unwrap();
}

/// A sink that says when the first bytes come, and takes them only when it is told to.
struct SlowSink {
    archive: Archive,
    started: Option<oneshot::Sender<()>>,
    go: mpsc::Receiver<()>,
}

impl Write for SlowSink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if let Some(started) = self.started.take() {
            started.send(()).unwrap();
            self.go.recv().unwrap();
        }
        self.archive.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// An export holds one commit, although others go on while it is written.
pub async fn exports_hold_one_commit(factory: &dyn StoreFactory) {
    let store = factory.fresh().await;
    let write = |number: u64| {
        let mut batch = Batch::new();
        for part in 0..900 {
            batch.put(key(&format!("{part:04}")), format!("{number:0400}"));
        }
        // Keys that come and go, before and after those.
        for place in ["0", "9999"] {
            batch.put(key(&format!("{place}-{number}")), "x");
            batch.delete(key(&format!("{place}-{}", number - 1)));
        }
        store.commit(batch)
    };
    write(1).await.unwrap();
    let before = contents(&store).await;
    let (archive, (started, has_started), (go, may_go)) = (Archive::default(), oneshot::channel(), mpsc::channel());
    let sink = SlowSink { archive: archive.clone(), started: Some(started), go: may_go };
    let exporting = tokio::spawn({
        let store = store.clone();
        async move { store.export(Box::new(sink)).await.unwrap() }
    });
    has_started.await.unwrap();
    for number in 2..12 {
        write(number).await.unwrap();
    }
    go.send(()).unwrap();
    assert_eq!(exporting.await.unwrap(), CommitSeq(1));
    let copy = factory.fresh().await;
    copy.import(archive.source()).await.unwrap();
    assert!(contents(&copy).await == before);
    copy.close().await.unwrap();
    store.close().await.unwrap();
}

/// What was begun before closing is kept or refused, and nothing hangs.
pub async fn closing_finishes_what_was_begun(factory: &dyn StoreFactory) {
    let store = factory.fresh().await;
    let before: Vec<_> = (0..100).map(|number| store.commit(put(&format!("{number}"), "x"))).collect();
    let closing = store.close();
    closing.await.unwrap();
    for outcome in join_all(before).await {
        outcome.expect("batches in line before closing are kept");
    }
    assert_eq!(store.commit(put("late", "x")).await.unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(store.get(&key("0")).await.unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(store.scan(Scan::prefix(scope("suite").all())).await.unwrap_err().kind(), ErrorKind::Closed);
    store.close().await.unwrap();
    if let Some(reopened) = factory.reopen(store).await {
        assert_eq!(contents(&reopened).await.len(), 100);
        reopened.close().await.unwrap();
    }
}
