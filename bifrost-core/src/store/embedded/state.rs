//! The state: every record as of the last applied group, in sled. The only file that names sled.
//!
//! Nothing acknowledged rests on it: it can be rebuilt from snapshot and journal, and it is checked when it is opened.
//! sled is known to drop data or to panic on a damaged file, so every entrance is guarded: a panic becomes an error, and
//! a sum over all records, carried in the same atomic batch as the records, tells whether any of them is missing.
//!
//! Once the engine has met a full disk it takes nothing more, and part of the group at hand may be in it. The journal
//! has that group, so its changes are laid over the records and the state is stuck: it reads as it should, and takes
//! nothing until it is opened again.
//!
//! One tree. Under meta: the point the state stands at, how many records there are, and their sum. While a state is
//! being filled it has records but no meta, so half a state is never taken for a whole one.

use std::collections::BTreeMap;
use std::fs::File;
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::time::Duration;

use bytes::Bytes;

use super::super::export::ArchiveEntry;
use super::super::key::{Key, Prefix};
use super::super::resolve::View;
use super::super::{CommitSeq, MAX_SCAN_LIMIT, Scan, ScanPage, Usage, Versioned};
use super::disk::{Disk, is_full, open_failed};
use super::frame::Point;
use super::meta::Meta;
use super::pin::Pins;
#[cfg(shuttle)]
use super::races::engine as sled;
use super::record::{Head, MAX_PIECE, META, RECORD, record_key};
use crate::error::{Error, ErrorKind, Result, Retry};
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Mutex, MutexGuard, RwLock, RwLockWriteGuard};

const META_KEY: [u8; 5] = [META, b'm', b'e', b't', b'a'];

/// Records to write with the version they get, or `None` to remove; what a group comes to.
pub(super) type Changes = BTreeMap<Key, Option<Versioned>>;

/// The opened state.
pub(super) struct State {
    slot: RwLock<Slot>,
    /// True when the engine has to be opened again before it takes anything.
    stuck: AtomicBool,
    /// Held while a group is applied, and by whoever keeps groups from being applied.
    gate: Mutex<()>,
    pub(super) pins: Pins,
}

enum Slot {
    Open(Inner),
    /// It ran out of room, and again when it was to be opened.
    Away,
    Closed,
}

struct Inner {
    db: sled::Db,
    /// Our own descriptor of the engine's file: its flush does not sync on Linux, this does.
    file: File,
    file_path: PathBuf,
    disk: Disk,
    meta: Meta,
    /// Changes the engine has no room for: what it holds under their keys does not count.
    over: Changes,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").finish_non_exhaustive()
    }
}

/// Runs `call` so that a panic inside the engine comes out as an error.
fn guarded<T>(call: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(call))
        .unwrap_or_else(|_| Err(Error::new(ErrorKind::StoreCorrupt, "use state", "the state engine panicked")))
}

fn engine(error: sled::Error) -> Error {
    let kind = match &error {
        sled::Error::Corruption { .. } => ErrorKind::StoreCorrupt,
        sled::Error::Io(error) if is_full(error) => ErrorKind::StoreFull,
        _ => ErrorKind::StorePoisoned,
    };
    Error::new(kind, "use state", "the state engine failed").source(error)
}

fn closed() -> Error {
    Error::new(ErrorKind::Closed, "use store", "the store is closed")
}

/// The disk was full when the engine was to be opened again; commits try it anew.
fn away() -> Error {
    Error::new(ErrorKind::StoreFull, "use state", "the disk is full, and the state needs room to be opened again")
        .retry(Retry::Later)
        .next_action("free some space on the store's disk")
}

impl State {
    /// Opens what lies under `path`, or makes an empty state there. With `verify`, reads every record.
    pub(super) fn open(path: &Path, disk: &Disk, cache_capacity: u64, verify: bool) -> Result<Self> {
        let inner = guarded(|| {
            remove_drafts(path)?;
            let db = sled::Config::new()
                .path(path)
                .cache_capacity(cache_capacity)
                .flush_every_ms(None)
                .open()
                .map_err(engine)?;
            let file_path = path.join("db");
            let file = File::open(&file_path).map_err(|error| open_failed(&file_path, error))?;
            let meta = load_meta(&db)?;
            let disk = disk.clone();
            let inner = Inner { db, file, file_path, disk, meta, over: Changes::new() };
            if verify {
                inner.verify()?;
            }
            Ok(inner)
        })?;
        Ok(Self {
            slot: RwLock::new(Slot::Open(inner)),
            stuck: AtomicBool::new(false),
            gate: Mutex::new(()),
            pins: Pins::default(),
        })
    }

    /// The point the state stands at.
    pub(super) fn at(&self) -> Result<Point> {
        self.with(|inner| Ok(inner.meta.at))
    }

    fn with<T>(&self, call: impl FnOnce(&Inner) -> Result<T>) -> Result<T> {
        match &*self.slot.read().unwrap_or_else(PoisonError::into_inner) {
            Slot::Open(inner) => guarded(|| call(inner)),
            Slot::Away => Err(away()),
            Slot::Closed => Err(closed()),
        }
    }

    fn write(&self) -> RwLockWriteGuard<'_, Slot> {
        self.slot.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn with_mut<T>(&self, call: impl FnOnce(&mut Inner) -> Result<T>) -> Result<T> {
        match &mut *self.write() {
            Slot::Open(inner) => guarded(|| call(inner)),
            Slot::Away => Err(away()),
            Slot::Closed => Err(closed()),
        }
    }

    pub(super) fn get(&self, key: &Key) -> Result<Option<Versioned>> {
        self.with(|inner| inner.get(key))
    }

    /// A page as of one commit: no group is applied while it is read.
    pub(super) fn scan(&self, scan: &Scan) -> Result<ScanPage> {
        let bounds = scan.bounds()?;
        self.with(|inner| inner.scan(bounds, scan.reverse, scan.limit.min(MAX_SCAN_LIMIT)))
    }

    /// True when it has to be opened again before it takes anything.
    pub(super) fn is_stuck(&self) -> bool {
        self.stuck.load(Ordering::Acquire)
    }

    /// Takes a group the engine had no room for: for reading only, until it is opened again.
    pub(super) fn lay_over(&self, changes: Changes, next: Point) -> Result<()> {
        self.stuck.store(true, Ordering::Release);
        self.with_mut(|inner| {
            inner.over = changes;
            inner.meta.at = next;
            Ok(())
        })
    }

    /// Closes it and takes what `open` brings in its place. Views held in place end.
    pub(super) fn reopen(&self, open: impl FnOnce() -> Result<Self>) -> Result<()> {
        let _gate = self.hold();
        let mut slot = self.write();
        self.pins.end();
        match std::mem::replace(&mut *slot, Slot::Away) {
            Slot::Open(inner) => inner.close(),
            Slot::Away => {}
            Slot::Closed => {
                *slot = Slot::Closed;
                return Err(closed());
            }
        }
        let opened = open()?;
        *slot = opened.slot.into_inner().unwrap_or_else(PoisonError::into_inner);
        self.stuck.store(false, Ordering::Release);
        Ok(())
    }

    /// Counts in short strides, so that a large prefix does not hold up commits.
    pub(super) fn usage(&self, prefix: &Prefix) -> Result<Usage> {
        let mut usage = Usage::default();
        let mut scan = Scan::prefix(prefix.clone());
        loop {
            let bounds = scan.bounds()?;
            let last = self.with(|inner| inner.count(bounds, &mut usage))?;
            match last {
                Some(last) => scan.after = Some(last),
                None => break,
            }
        }
        self.with(|inner| {
            inner.count_over(prefix, &mut usage);
            Ok(())
        })?;
        Ok(usage)
    }

    /// Applies a group. Pins keep what it overwrites.
    pub(super) fn apply(&self, changes: &Changes, next: Point) -> Result<()> {
        let _gate = self.hold();
        self.with_mut(|inner| {
            self.pins.keep(changes, |key| inner.get(key))?;
            inner.apply(changes, 0, Some(next))
        })
    }

    /// Fills an empty state: `records` in any order, then the point they stand for.
    pub(super) fn fill(&self, mut records: impl FnMut() -> Result<Option<ArchiveEntry>>, at: Point) -> Result<()> {
        self.with_mut(|inner| {
            inner.db.remove(META_KEY).map_err(engine)?;
            let mut changes = Changes::new();
            let (mut bytes, mut ordinal) = (0, 0);
            while let Some(ArchiveEntry { key, value, version }) = records()? {
                bytes += key.as_bytes().len() + value.len();
                changes.insert(key, Some(Versioned { value, version }));
                if changes.len() >= 1_000 || bytes > 1024 * 1024 {
                    inner.apply(&changes, ordinal, None)?;
                    // One commit's records may lie in many strides, and their chunks must not share names.
                    ordinal += changes.len() as u32;
                    bytes = 0;
                    changes.clear();
                }
            }
            inner.apply(&changes, ordinal, Some(at))
        })
    }

    /// Makes the state durable as it is.
    pub(super) fn flush(&self) -> Result<()> {
        let flushed = self.with(|inner| {
            inner.db.flush().map_err(engine)?;
            let failed = |error: std::io::Error| {
                let kind = if is_full(&error) { ErrorKind::StoreFull } else { ErrorKind::StorePoisoned };
                Error::new(kind, "sync state", "the state could not be synced").source(error)
            };
            inner.disk.sync(&inner.file, &inner.file_path).map_err(failed)
        });
        if flushed.as_ref().is_err_and(|error| error.kind() == ErrorKind::StoreFull) {
            self.stuck.store(true, Ordering::Release);
        }
        flushed
    }

    /// Gives the files back; everything after this answers `Closed`.
    pub(super) fn close(&self) {
        if let Slot::Open(inner) = std::mem::replace(&mut *self.write(), Slot::Closed) {
            inner.close();
        }
    }

    /// The point the state stands at while `register` runs.
    pub(super) fn pin(&self, register: impl FnOnce()) -> Result<Point> {
        self.with(|inner| {
            register();
            Ok(inner.meta.at)
        })
    }

    /// Keeps groups from being applied for as long as the guard lives; reads go on.
    pub(super) fn hold(&self) -> MutexGuard<'_, ()> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next records after `cursor`, at most `limit`, for a pin; no group is applied while `take` runs.
    pub(super) fn stride<T>(
        &self,
        cursor: Option<&Key>,
        limit: usize,
        take: impl FnOnce(ScanPage) -> Result<T>,
    ) -> Result<T> {
        let start = cursor.map_or(Bound::Unbounded, |key| Bound::Excluded(key.clone()));
        self.with(|inner| take(inner.scan((start, Bound::Unbounded), false, limit)?))
    }
}

impl View for State {
    fn version(&self, key: &Key) -> Result<Option<CommitSeq>> {
        self.with(|inner| match inner.over.get(key) {
            Some(change) => Ok(change.as_ref().map(|found| found.version)),
            None => Ok(inner.head(key.as_bytes())?.map(|head| CommitSeq(head.version))),
        })
    }

    fn last_under(&self, prefix: &Prefix, before: Option<&Key>) -> Result<Option<(Key, Bytes)>> {
        let mut scan = Scan::prefix(prefix.clone()).reverse().limit(1);
        scan.after = before.cloned();
        let page = self.scan(&scan)?;
        Ok(page.entries.into_iter().next().map(|(key, found)| (key, found.value)))
    }
}

type Bounds = (Bound<Key>, Bound<Key>);

impl Inner {
    fn close(self) {
        let Self { db, file, .. } = self;
        // The engine may panic on its way out as well.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(db)));
        wait_until_released(&file);
    }

    fn head(&self, key: &[u8]) -> Result<Option<Head>> {
        match self.db.get(record_key(key)).map_err(engine)? {
            Some(stored) => Head::decode(key, &stored).map(Some),
            None => Ok(None),
        }
    }

    fn get(&self, key: &Key) -> Result<Option<Versioned>> {
        if let Some(change) = self.over.get(key) {
            return Ok(change.clone());
        }
        let key = key.as_bytes();
        match self.db.get(record_key(key)).map_err(engine)? {
            Some(stored) => self.read(key, &stored).map(Some),
            None => Ok(None),
        }
    }

    fn read(&self, key: &[u8], stored: &[u8]) -> Result<Versioned> {
        Head::decode(key, stored)?.value(key, stored, |chunk| self.db.get(chunk).map_err(engine))
    }

    fn range(&self, bounds: Bounds) -> sled::Iter {
        let start = match bounds.0 {
            Bound::Unbounded => Bound::Included(vec![RECORD]),
            other => other.map(|key| record_key(key.as_bytes())),
        };
        let end = match bounds.1 {
            Bound::Unbounded => Bound::Excluded(vec![RECORD + 1]),
            other => other.map(|key| record_key(key.as_bytes())),
        };
        self.db.range((start, end))
    }

    fn scan(&self, bounds: Bounds, reverse: bool, limit: usize) -> Result<ScanPage> {
        let mut range = self.range(bounds.clone());
        let mut page = ScanPage::default();
        loop {
            let next = if reverse { range.next_back() } else { range.next() };
            let Some(item) = next else { break };
            let (stored_key, stored) = item.map_err(engine)?;
            let key = Key::from_stored(Bytes::copy_from_slice(&stored_key[1..]));
            if self.over.contains_key(&key) {
                continue;
            }
            if page.entries.len() == limit {
                page.more = true;
                break;
            }
            let value = self.read(key.as_bytes(), &stored)?;
            page.entries.push((key, value));
        }
        Ok(if self.over.is_empty() { page } else { self.lay_over(page, bounds, reverse, limit) })
    }

    /// Adds to a page what belongs on it of the changes that lie over the records.
    fn lay_over(&self, page: ScanPage, bounds: Bounds, reverse: bool, limit: usize) -> ScanPage {
        let edge = page.entries.last().map(|(key, _)| key.clone()).filter(|_| page.more);
        let on_page = |key: &Key| edge.as_ref().is_none_or(|edge| if reverse { key > edge } else { key < edge });
        let mut entries = page.entries;
        let over = self.over.range(bounds).filter(|(key, _)| on_page(key));
        entries.extend(over.filter_map(|(key, change)| Some((key.clone(), change.clone()?))));
        entries.sort_by(|(one, _), (other, _)| if reverse { other.cmp(one) } else { one.cmp(other) });
        let more = page.more || entries.len() > limit;
        entries.truncate(limit);
        ScanPage { entries, more }
    }

    /// Adds the changes that lie over the records to `usage`.
    fn count_over(&self, prefix: &Prefix, usage: &mut Usage) {
        for (key, change) in self.over.iter().filter(|(key, _)| key.starts_with(prefix)) {
            if let Some(found) = change {
                usage.keys += 1;
                usage.bytes += (key.as_bytes().len() + found.value.len()) as u64;
            }
        }
    }

    /// Adds a stride of records to `usage`; the last key counted, or `None` when that was all.
    fn count(&self, bounds: Bounds, usage: &mut Usage) -> Result<Option<Key>> {
        let mut range = self.range(bounds).take(MAX_SCAN_LIMIT);
        let (mut last, mut counted) = (None, 0);
        for item in range.by_ref() {
            let (stored_key, stored) = item.map_err(engine)?;
            let key = &stored_key[1..];
            counted += 1;
            if self.over.is_empty() || !self.over.contains_key(&Key::from_stored(key.to_vec())) {
                usage.keys += 1;
                usage.bytes += (key.len() + Head::decode(key, &stored)?.length) as u64;
            }
            last = Some(stored_key);
        }
        let full = counted == MAX_SCAN_LIMIT;
        Ok(last.filter(|_| full).map(|key| Key::from_stored(key[1..].to_vec())))
    }

    fn apply(&mut self, changes: &Changes, first_ordinal: u32, next: Option<Point>) -> Result<()> {
        let mut batch = sled::Batch::default();
        let mut meta = self.meta;
        for (ordinal, (key, change)) in (first_ordinal..).zip(changes) {
            let key = key.as_bytes();
            if let Some(old) = self.head(key)? {
                meta.count = meta.count.wrapping_sub(1);
                meta.sum = meta.sum.wrapping_sub(old.digest(key));
                old.chunk_keys().for_each(|chunk| batch.remove(&chunk[..]));
                if change.is_none() {
                    batch.remove(record_key(key));
                }
            }
            if let Some(Versioned { value, version }) = change {
                let head = Head::of(key, version.0, ordinal, value);
                meta.count = meta.count.wrapping_add(1);
                meta.sum = meta.sum.wrapping_add(head.digest(key));
                for (chunk, piece) in head.chunk_keys().zip(value.chunks(MAX_PIECE)) {
                    batch.insert(&chunk[..], piece);
                }
                batch.insert(record_key(key), head.encode(value));
            }
        }
        if let Some(next) = next {
            meta.at = next;
            batch.insert(&META_KEY[..], meta.encode());
        }
        self.db.apply_batch(batch).map_err(engine)?;
        self.meta = meta;
        Ok(())
    }

    /// Reads every record and compares their number and sum with the meta.
    fn verify(&self) -> Result<()> {
        let (mut count, mut sum) = (0_u64, 0_u64);
        for item in self.range((Bound::Unbounded, Bound::Unbounded)) {
            let (stored_key, stored) = item.map_err(engine)?;
            let key = &stored_key[1..];
            self.read(key, &stored)?;
            count += 1;
            sum = sum.wrapping_add(Head::decode(key, &stored)?.digest(key));
        }
        if (count, sum) != (self.meta.count, self.meta.sum) {
            return Err(Error::new(ErrorKind::StoreCorrupt, "open state", "records are missing or changed")
                .with("used", count)
                .with("expected", self.meta.count));
        }
        Ok(())
    }
}

/// The engine's threads let go of its file some moments after it is dropped; opening it before that would fail, and
/// the state would be taken for one that cannot be used. If they never let go, exactly that happens, which is safe.
fn wait_until_released(file: &File) {
    const PATIENCE: u32 = 1_000;
    for _ in 0..PATIENCE {
        if file.try_lock().is_ok() {
            // The lock goes with the descriptor, which is ours alone.
            return;
        }
        std::thread::park_timeout(Duration::from_millis(2));
    }
}

/// The drafts of the engine's own snapshots keep it from opening (sled#1527); the finished ones beside them do not.
fn remove_drafts(path: &Path) -> Result<()> {
    let entries = match std::fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(open_failed(path, error)),
    };
    for entry in entries {
        let draft: PathBuf = entry.map_err(|error| open_failed(path, error))?.path();
        if draft.extension().is_some_and(|extension| extension == "generating") {
            std::fs::remove_file(&draft).map_err(|error| open_failed(&draft, error))?;
        }
    }
    Ok(())
}

fn load_meta(db: &sled::Db) -> Result<Meta> {
    let incomplete = || Error::new(ErrorKind::StoreCorrupt, "open state", "the state was never completed");
    match db.get(META_KEY).map_err(engine)? {
        Some(stored) => Meta::decode(&stored).ok_or_else(incomplete),
        None if db.is_empty() => {
            let meta = Meta { at: Point::GENESIS, count: 0, sum: 0 };
            db.insert(META_KEY, meta.encode()).map_err(engine)?;
            Ok(meta)
        }
        None => Err(incomplete()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(key: u8, length: Option<usize>, version: u64) -> Changes {
        let value =
            length.map(|length| Versioned { value: Bytes::from(vec![key; length]), version: CommitSeq(version) });
        Changes::from([(Key::from_stored(vec![key]), value)])
    }

    fn at(seq: u64) -> Point {
        Point { seq, hash: [1; 32] }
    }

    fn open(path: &Path) -> Result<State> {
        State::open(path, &Disk::default(), 1024 * 1024, true)
    }

    fn pieces(state: &State) -> usize {
        state.with(|inner| Ok(inner.db.len())).unwrap()
    }

    #[test]
    fn overwriting_and_deleting_leaves_no_chunks_behind() {
        let dir = tempfile::tempdir().unwrap();
        let state = open(dir.path()).unwrap();
        for (seq, length) in (1..).zip([Some(20_000), Some(9_000), Some(10), Some(50_000), None]) {
            state.apply(&change(1, length, seq), at(seq)).unwrap();
            let chunks = length.filter(|length| *length > MAX_PIECE).map_or(0, |length| length.div_ceil(MAX_PIECE));
            assert_eq!(pieces(&state), 1 + chunks + usize::from(length.is_some()));
        }
    }

    #[test]
    fn a_record_that_vanished_or_came_back_is_missed() {
        let dir = tempfile::tempdir().unwrap();
        let state = open(dir.path()).unwrap();
        for seq in 1..=3 {
            state.apply(&change(seq as u8, Some(10), seq), at(seq)).unwrap();
        }
        state.close();
        open(dir.path()).unwrap().close();
        let tamper = |tamper: &dyn Fn(&sled::Db)| {
            let state = open(dir.path()).unwrap();
            state
                .with(|inner| {
                    tamper(&inner.db);
                    Ok(())
                })
                .unwrap();
            state.close();
            let found = State::open(dir.path(), &Disk::default(), 1024 * 1024, true).map(|state| state.close());
            assert_eq!(found.unwrap_err().kind(), ErrorKind::StoreCorrupt);
        };
        let key = record_key(&[2]);
        let old = Head::of(&[2], 1, 0, b"older").encode(b"older");
        let current = Head::of(&[2], 2, 0, &[2; 10]).encode(&[2; 10]);
        tamper(&|db| drop(db.remove(&key).unwrap()));
        let repair = |db: &sled::Db| drop(db.insert(&key, current.clone()).unwrap());
        let unverified = |call: &dyn Fn(&sled::Db)| {
            let state = State::open(dir.path(), &Disk::default(), 1024 * 1024, false).unwrap();
            state
                .with(|inner| {
                    call(&inner.db);
                    Ok(())
                })
                .unwrap();
            state.close();
        };
        unverified(&repair);
        tamper(&|db| drop(db.insert(&key, old.clone()).unwrap()));
        unverified(&repair);
        tamper(&|db| {
            db.insert(record_key(&[9]), Head::of(&[9], 1, 0, b"").encode(b"")).unwrap();
        });
    }

    #[test]
    fn what_lies_over_the_records_reads_as_if_it_was_among_them() {
        let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (stuck, applied) = (open(dir.path()).unwrap(), open(other.path()).unwrap());
        let key = |number: u8| Key::from_stored(vec![b'k', number]);
        let value = |seq: u64, length: usize| {
            Some(Versioned { value: Bytes::from(vec![seq as u8; length]), version: CommitSeq(seq) })
        };
        let first: Changes = (0..40).map(|number| (key(number * 2), value(1, 100 * usize::from(number)))).collect();
        // Some new, some longer, some gone, at both ends and in the middle.
        let second: Changes = [0, 1, 2, 30, 31, 33, 40, 77, 78, 79]
            .map(|number| (key(number), (number % 3 > 0).then(|| value(2, 6_000)).flatten()))
            .into();
        for state in [&stuck, &applied] {
            state.apply(&first, at(1)).unwrap();
        }
        stuck.lay_over(second.clone(), at(2)).unwrap();
        applied.apply(&second, at(2)).unwrap();
        assert!(stuck.is_stuck() && !applied.is_stuck());
        let prefix = Prefix::from_stored(Bytes::from_static(b"k"));
        assert_eq!(stuck.usage(&prefix).unwrap(), applied.usage(&prefix).unwrap());
        assert_eq!(stuck.at().unwrap(), at(2));
        for number in 0..80 {
            assert_eq!(stuck.get(&key(number)).unwrap(), applied.get(&key(number)).unwrap());
            assert_eq!(stuck.version(&key(number)).unwrap(), applied.version(&key(number)).unwrap());
        }
        for (limit, reverse) in [(1, false), (1, true), (3, false), (3, true), (7, true), (100, false), (100, true)] {
            let mut scan = Scan { prefix: prefix.clone(), after: None, limit, reverse };
            loop {
                let (one, other) = (stuck.scan(&scan).unwrap(), applied.scan(&scan).unwrap());
                assert_eq!(one.entries, other.entries, "{limit} {reverse}");
                match one.entries.last() {
                    Some((last, _)) if one.more || other.more => scan.after = Some(last.clone()),
                    _ => break,
                }
            }
        }
        stuck
            .reopen(|| {
                applied.close();
                open(other.path())
            })
            .unwrap();
        assert!(!stuck.is_stuck());
        assert_eq!(stuck.at().unwrap(), at(2));
    }

    #[test]
    fn a_state_that_was_never_completed_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let state = open(dir.path()).unwrap();
        let mut left = 1_500_u32;
        let records = || {
            left = left.checked_sub(1).ok_or_else(|| Error::internal("test", "stop"))?;
            let key = Key::from_stored(left.to_be_bytes().to_vec());
            let (value, version) = (Bytes::from_static(b"x"), CommitSeq(1));
            Ok(Some(ArchiveEntry { key, value, version }))
        };
        state.fill(records, at(1)).unwrap_err();
        state.close();
        let unverified = State::open(dir.path(), &Disk::default(), 1024 * 1024, false);
        assert_eq!(unverified.unwrap_err().kind(), ErrorKind::StoreCorrupt);
    }
}
