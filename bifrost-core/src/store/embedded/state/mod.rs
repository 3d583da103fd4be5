//! The state: every record as of the last commit, in the engine and, what is newer than that, in memory.
//!
//! ```text
//! committer ── lay() ──▶ memtable ── drain(), behind the commits ──▶ engine (sled)
//!                            ▲                                         ▲
//! get(), scan() ─────────────┴── what is not there, or not yet ────────┘
//! ```
//!
//! Nothing acknowledged rests on it: it can be rebuilt from snapshot and journal, and it is checked when it is opened.
//! Every entrance is guarded: a panic in the engine becomes an error.
//!
//! Once the engine has met a full disk it takes nothing more, reads little, and part of what was to be brought in may be
//! in it. Those changes stay in the memtable, and the state is stuck until the engine is opened again.

mod engine;
mod memtable;
mod walk;

use std::cell::Cell;
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, PoisonError};

use bytes::Bytes;

use super::super::export::ArchiveEntry;
use super::super::key::{Key, Prefix};
use super::super::resolve::View;
use super::super::{CommitSeq, MAX_SCAN_LIMIT, Scan, ScanPage, Usage, Versioned};
use super::disk::Disk;
use super::frame::Point;
use super::pin::Pins;
use super::room::Reserve;
use crate::error::{Error, ErrorKind, Result, Retry};
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Mutex, MutexGuard, RwLock, RwLockWriteGuard};
use engine::{Bounds, Engine, Stored};
pub(super) use memtable::{Change, Changes, add};
use memtable::{Draining, Memtable};
use walk::Merged;

/// The opened state. Its locks are taken in the order in which they stand here, from the bottom up.
pub(super) struct State {
    slot: RwLock<Slot>,
    /// True when the engine has to be opened again before it takes anything.
    stuck: AtomicBool,
    /// Held while a group is laid in, and by whoever keeps groups from being laid in.
    gate: Mutex<()>,
    pub(super) pins: Pins,
    /// Held by whoever brings changes into the engine, makes it durable or closes it.
    works: Mutex<()>,
}

enum Slot {
    Open(Open),
    /// It ran out of room, and again when it was to be opened.
    Away,
    Closed,
}

struct Open {
    engine: Arc<Engine>,
    memtable: Memtable,
    /// The point it stands at, which the engine reaches later.
    at: Point,
}

/// Where a record is found.
enum Found<'a> {
    Changed(&'a Change),
    Stored(Stored),
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

fn closed() -> Error {
    Error::new(ErrorKind::Closed, "use store", "the store is closed")
}

/// The engine has met a full disk; commits try it anew.
fn away() -> Error {
    Error::new(ErrorKind::StoreFull, "use state", "the disk is full, and the state needs room to be opened again")
        .retry(Retry::Later)
        .next_action("free some space on the store's disk")
}

/// The engine is as it was; there is just no room for more in it.
fn no_room() -> Error {
    Error::new(ErrorKind::StoreFull, "write state", "the disk is full")
        .retry(Retry::Later)
        .next_action("free some space on the store's disk")
}

fn lock(mutex: &Mutex<()>) -> MutexGuard<'_, ()> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    /// Opens what lies under `path`, or makes an empty state there. With `verify`, reads every record.
    pub(super) fn open(path: &Path, disk: &Disk, cache_capacity: u64, verify: bool) -> Result<Self> {
        let engine = guarded(|| Engine::open(path, disk, cache_capacity, verify))?;
        let at = engine.meta().at;
        let open = Open { engine: Arc::new(engine), memtable: Memtable::default(), at };
        Ok(Self {
            slot: RwLock::new(Slot::Open(open)),
            stuck: AtomicBool::new(false),
            gate: Mutex::new(()),
            pins: Pins::default(),
            works: Mutex::new(()),
        })
    }

    /// The point the state stands at.
    pub(super) fn at(&self) -> Result<Point> {
        self.with(|open| Ok(open.at))
    }

    /// The last batch of which the engine may hold something already: it may have been left on its way there.
    pub(super) fn reach(&self) -> Result<u64> {
        self.with(|open| Ok(open.engine.meta().reach))
    }

    fn with<T>(&self, call: impl FnOnce(&Open) -> Result<T>) -> Result<T> {
        match &*self.slot.read().unwrap_or_else(PoisonError::into_inner) {
            Slot::Open(open) => guarded(|| call(open)),
            Slot::Away => Err(away()),
            Slot::Closed => Err(closed()),
        }
    }

    fn write(&self) -> RwLockWriteGuard<'_, Slot> {
        self.slot.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn with_mut<T>(&self, call: impl FnOnce(&mut Open) -> Result<T>) -> Result<T> {
        match &mut *self.write() {
            Slot::Open(open) => guarded(|| call(open)),
            Slot::Away => Err(away()),
            Slot::Closed => Err(closed()),
        }
    }

    pub(super) fn get(&self, key: &Key) -> Result<Option<Versioned>> {
        self.with(|open| open.get(key))
    }

    /// A page as of one commit: no group is laid in while it is read.
    pub(super) fn scan(&self, scan: &Scan) -> Result<ScanPage> {
        let bounds = scan.bounds()?;
        self.with(|open| open.scan(bounds, scan.reverse, scan.limit.min(MAX_SCAN_LIMIT)))
    }

    /// Counts in short strides, so that a large prefix does not hold up commits.
    pub(super) fn usage(&self, prefix: &Prefix) -> Result<Usage> {
        let mut usage = Usage::default();
        let mut scan = Scan::prefix(prefix.clone());
        loop {
            let bounds = scan.bounds()?;
            match self.with(|open| open.count(bounds, &mut usage))? {
                Some(last) => scan.after = Some(last),
                None => return Ok(usage),
            }
        }
    }

    /// Takes a group: from here on it is read. Pins keep what it overwrites.
    pub(super) fn lay(&self, changes: Changes, to: Point) -> Result<()> {
        let _gate = self.hold();
        self.with_mut(|open| {
            self.pins.keep(&changes, |key| open.get(key))?;
            open.memtable.add(changes);
            open.at = to;
            Ok(())
        })
    }

    /// How many bytes wait to be brought into the engine.
    pub(super) fn waiting(&self) -> u64 {
        self.with(|open| Ok(open.memtable.bytes().0 as u64)).unwrap_or(0)
    }

    /// How many bytes are not in the engine, or not for certain.
    pub(super) fn undrained(&self) -> u64 {
        let sum = |(waiting, on_their_way)| (waiting + on_their_way) as u64;
        self.with(|open| Ok(sum(open.memtable.bytes()))).unwrap_or(0)
    }

    /// Brings into the engine what waits for it, while others go on reading and laying in.
    pub(super) fn drain(&self, reserve: Reserve) -> Result<()> {
        let _works = lock(&self.works);
        self.bring_in(reserve)
    }

    fn bring_in(&self, reserve: Reserve) -> Result<()> {
        if self.is_stuck() {
            return Err(away());
        }
        let begin = |open: &mut Open| Ok(open.memtable.freeze(open.at).map(|draining| (open.engine.clone(), draining)));
        let Some((engine, draining)) = self.with_mut(begin)? else {
            return Ok(());
        };
        let Draining { changes, to, .. } = &*draining;
        if !self.written(|| engine.apply(changes, *to, reserve))? {
            return Err(no_room());
        }
        self.with_mut(|open| {
            open.memtable.drained();
            Ok(())
        })
    }

    /// Brings in what waits, whatever room there is, and makes the engine durable. Returns the point that is.
    pub(super) fn flush(&self) -> Result<Point> {
        let _works = lock(&self.works);
        self.bring_in(Reserve::Used)?;
        let engine = self.with(|open| Ok(open.engine.clone()))?;
        self.written(|| engine.flush())?;
        Ok(engine.meta().at)
    }

    /// What comes of writing to the engine.
    fn written<T>(&self, write: impl FnOnce() -> Result<T>) -> Result<T> {
        guarded(write).inspect_err(|error| {
            if error.kind() == ErrorKind::StoreFull {
                self.stick();
            }
        })
    }

    /// True when the engine has to be opened again before it takes anything.
    pub(super) fn is_stuck(&self) -> bool {
        self.stuck.load(Ordering::Acquire)
    }

    /// The engine has met a full disk.
    pub(super) fn stick(&self) {
        self.stuck.store(true, Ordering::Release);
    }

    /// Closes it and takes what `open` brings in its place. Views held in place end.
    pub(super) fn reopen(&self, open: impl FnOnce() -> Result<Self>) -> Result<()> {
        let _works = lock(&self.works);
        let _gate = self.hold();
        let mut slot = self.write();
        self.pins.end();
        match std::mem::replace(&mut *slot, Slot::Away) {
            Slot::Open(open) => open.close(),
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

    /// Fills an empty state: `records` in any order, then the point they stand for.
    pub(super) fn fill(&self, records: impl FnMut() -> Result<Option<ArchiveEntry>>, at: Point) -> Result<()> {
        let _works = lock(&self.works);
        self.with_mut(|open| {
            open.engine.fill(records, at)?;
            open.at = at;
            Ok(())
        })
    }

    /// Gives the files back; everything after this answers `Closed`.
    pub(super) fn close(&self) {
        let _works = lock(&self.works);
        if let Slot::Open(open) = std::mem::replace(&mut *self.write(), Slot::Closed) {
            open.close();
        }
    }

    /// The point the state stands at while `register` runs.
    pub(super) fn pin(&self, register: impl FnOnce()) -> Result<Point> {
        self.with(|open| {
            register();
            Ok(open.at)
        })
    }

    /// Keeps groups from being laid in for as long as the guard lives; reads go on.
    pub(super) fn hold(&self) -> MutexGuard<'_, ()> {
        lock(&self.gate)
    }

    /// The next records after `cursor`, at most `limit`, for a pin; no group is laid in while `take` runs.
    pub(super) fn stride<T>(
        &self,
        cursor: Option<&Key>,
        limit: usize,
        take: impl FnOnce(ScanPage) -> Result<T>,
    ) -> Result<T> {
        let start = cursor.map_or(Bound::Unbounded, |key| Bound::Excluded(key.clone()));
        self.with(|open| take(open.scan((start, Bound::Unbounded), false, limit)?))
    }
}

impl View for State {
    fn version(&self, key: &Key) -> Result<Option<CommitSeq>> {
        self.with(|open| match open.memtable.get(key) {
            Some(change) => Ok(change.value.as_ref().map(|_| change.version)),
            None => Ok(open.engine.head(key)?.map(|head| CommitSeq(head.version))),
        })
    }

    fn last_under(&self, prefix: &Prefix, before: Option<&Key>) -> Result<Option<(Key, Bytes)>> {
        let mut scan = Scan::prefix(prefix.clone()).reverse().limit(1);
        scan.after = before.cloned();
        let page = self.scan(&scan)?;
        Ok(page.entries.into_iter().next().map(|(key, found)| (key, found.value)))
    }
}

impl Open {
    /// Whoever else holds the engine works with it, and nobody does while it is closed.
    fn close(self) {
        if let Some(engine) = Arc::into_inner(self.engine) {
            engine.close();
        }
    }

    fn get(&self, key: &Key) -> Result<Option<Versioned>> {
        match self.memtable.get(key) {
            Some(change) => Ok(change.record()),
            None => self.engine.get(key),
        }
    }

    /// Everything between `bounds`, removed records among it.
    fn walk<'a>(
        &'a self,
        bounds: Bounds,
        reverse: bool,
        failure: &'a Cell<Option<Error>>,
    ) -> impl Iterator<Item = (Key, Found<'a>)> {
        let changed = self.memtable.walk(bounds.clone(), reverse);
        let stored = self.engine.walk(bounds, reverse, failure);
        Merged::new(
            changed.map(|(key, change)| (key.clone(), Found::Changed(change))),
            stored.map(|(key, stored)| (key, Found::Stored(stored))),
            reverse,
        )
    }

    fn scan(&self, bounds: Bounds, reverse: bool, limit: usize) -> Result<ScanPage> {
        let failure = Cell::new(None);
        let mut page = ScanPage::default();
        for (key, found) in self.walk(bounds, reverse, &failure) {
            if page.entries.len() == limit {
                page.more = true;
                break;
            }
            let record = match found {
                Found::Changed(change) => change.record(),
                Found::Stored(stored) => Some(self.engine.read(&key, &stored)?),
            };
            page.entries.extend(record.map(|record| (key, record)));
        }
        failure.take().map_or(Ok(page), Err)
    }

    /// Adds a stride of records to `usage`; the last key looked at, or `None` when that was all.
    fn count(&self, bounds: Bounds, usage: &mut Usage) -> Result<Option<Key>> {
        let failure = Cell::new(None);
        let (mut last, mut looked_at) = (None, 0);
        for (key, found) in self.walk(bounds, false, &failure).take(MAX_SCAN_LIMIT) {
            let length = match found {
                Found::Changed(change) => change.value.as_ref().map(Bytes::len),
                Found::Stored(stored) => Some(stored.length(&key)?),
            };
            if let Some(length) = length {
                usage.keys += 1;
                usage.bytes += (key.as_bytes().len() + length) as u64;
            }
            looked_at += 1;
            last = Some(key);
        }
        failure.take().map_or(Ok(last.filter(|_| looked_at == MAX_SCAN_LIMIT)), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::{Head, MAX_PIECE, record_key};
    use super::*;

    fn change(key: u8, length: Option<usize>, version: u64) -> Changes {
        let value = length.map(|length| Bytes::from(vec![key; length]));
        Changes::from([(Key::from_stored(vec![key]), Change { value, version: CommitSeq(version), ordinal: 0 })])
    }

    fn at(seq: u64) -> Point {
        Point { seq, hash: [1; 32] }
    }

    fn open(path: &Path) -> Result<State> {
        State::open(path, &Disk::default(), 1024 * 1024, true)
    }

    fn pieces(state: &State) -> usize {
        state.with(|inner| Ok(inner.engine.db().len())).unwrap()
    }

    #[test]
    fn overwriting_and_deleting_leaves_no_chunks_behind() {
        let dir = tempfile::tempdir().unwrap();
        let state = open(dir.path()).unwrap();
        for (seq, length) in (1..).zip([Some(20_000), Some(9_000), Some(10), Some(50_000), None]) {
            state.lay(change(1, length, seq), at(seq)).unwrap();
            state.drain(Reserve::Kept).unwrap();
            let chunks = length.filter(|length| *length > MAX_PIECE).map_or(0, |length| length.div_ceil(MAX_PIECE));
            assert_eq!(pieces(&state), 1 + chunks + usize::from(length.is_some()));
        }
    }

    #[test]
    fn a_record_that_vanished_or_came_back_is_missed() {
        let dir = tempfile::tempdir().unwrap();
        let state = open(dir.path()).unwrap();
        for seq in 1..=3 {
            state.lay(change(seq as u8, Some(10), seq), at(seq)).unwrap();
            state.drain(Reserve::Kept).unwrap();
        }
        state.close();
        open(dir.path()).unwrap().close();
        let tamper = |tamper: &dyn Fn(&engine::Raw)| {
            let state = open(dir.path()).unwrap();
            state
                .with(|inner| {
                    tamper(inner.engine.db());
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
        let repair = |db: &engine::Raw| drop(db.insert(&key, current.clone()).unwrap());
        let unverified = |call: &dyn Fn(&engine::Raw)| {
            let state = State::open(dir.path(), &Disk::default(), 1024 * 1024, false).unwrap();
            state
                .with(|inner| {
                    call(inner.engine.db());
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

    fn key(number: u8) -> Key {
        Key::from_stored(vec![b'k', number])
    }

    /// What `seq` makes of the records numbered so: removes each third, writes the others.
    fn commit(seq: u64, length: usize, numbers: impl IntoIterator<Item = u8>) -> Changes {
        let change = |(ordinal, number): (u32, u8)| {
            let value = (number % 3 > 0).then(|| Bytes::from(vec![seq as u8; length]));
            (key(number), Change { value, version: CommitSeq(seq), ordinal })
        };
        (0..).zip(numbers).map(change).collect()
    }

    fn reads_alike(one: &State, other: &State) {
        let prefix = Prefix::from_stored(Bytes::from_static(b"k"));
        assert_eq!(one.usage(&prefix).unwrap(), other.usage(&prefix).unwrap());
        assert_eq!(one.at().unwrap(), other.at().unwrap());
        for number in 0..80 {
            assert_eq!(one.get(&key(number)).unwrap(), other.get(&key(number)).unwrap());
            assert_eq!(one.version(&key(number)).unwrap(), other.version(&key(number)).unwrap());
        }
        for (limit, reverse) in [(1, false), (1, true), (3, false), (3, true), (7, true), (100, false), (100, true)] {
            let mut scan = Scan { prefix: prefix.clone(), after: None, limit, reverse };
            loop {
                let (one, other) = (one.scan(&scan).unwrap(), other.scan(&scan).unwrap());
                assert_eq!(one.entries, other.entries, "{limit} {reverse}");
                match one.entries.last() {
                    Some((last, _)) if one.more || other.more => scan.after = Some(last.clone()),
                    _ => break,
                }
            }
        }
    }

    #[test]
    fn what_is_in_memory_reads_as_if_it_was_in_the_engine() {
        let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (state, drained) = (open(dir.path()).unwrap(), open(other.path()).unwrap());
        let begin = |state: &State| {
            let begun = state.with_mut(|open| Ok(open.memtable.freeze(open.at).is_some()));
            assert!(begun.unwrap());
        };
        // Some new, some longer, some gone, at both ends and in the middle; one part in the engine, one on its way
        // there, one fresh.
        let commits = [
            commit(1, 1_000, (0..40).map(|number| number * 2)),
            commit(2, 6_000, [0, 1, 2, 30, 31, 33, 40, 77, 78, 79]),
            commit(3, 10, [1, 3, 5, 7, 31, 32, 34, 40, 41, 79]),
        ];
        for (seq, changes) in (1..).zip(commits) {
            drained.lay(changes.clone(), at(seq)).unwrap();
            drained.drain(Reserve::Kept).unwrap();
            state.lay(changes, at(seq)).unwrap();
            match seq {
                1 => state.drain(Reserve::Kept).unwrap(),
                2 => begin(&state),
                _ => {}
            }
            reads_alike(&state, &drained);
        }
        for _ in 0..2 {
            state.drain(Reserve::Kept).unwrap();
            reads_alike(&state, &drained);
        }
        assert_eq!(pieces(&state), pieces(&drained));
        state.stick();
        assert_eq!(state.drain(Reserve::Kept).unwrap_err().kind(), ErrorKind::StoreFull);
        state
            .reopen(|| {
                drained.close();
                open(other.path())
            })
            .unwrap();
        assert!(!state.is_stuck());
        assert_eq!(state.at().unwrap(), at(3));
    }

    #[test]
    fn an_engine_that_was_left_half_changed_says_so_and_takes_the_same_changes_again() {
        let dir = tempfile::tempdir().unwrap();
        let state = open(dir.path()).unwrap();
        state.lay(commit(1, 5_000, 0..40), at(1)).unwrap();
        state.drain(Reserve::Kept).unwrap();
        let second = commit(2, 6_000, 0..80);
        let half = second.iter().map(|(key, change)| (key.clone(), change.clone())).take(40).collect();
        state
            .with(|open| {
                assert!(open.engine.apply(&half, at(2), Reserve::Used)?);
                open.engine.put_back(at(1))
            })
            .unwrap();
        state.close();
        let state = open(dir.path()).unwrap();
        assert_eq!((state.at().unwrap(), state.reach().unwrap()), (at(1), 2));
        state.lay(second.clone(), at(2)).unwrap();
        state.drain(Reserve::Kept).unwrap();
        assert_eq!((state.at().unwrap(), state.reach().unwrap()), (at(2), 2));
        for (key, change) in &second {
            assert_eq!(state.get(key).unwrap(), change.record());
        }
        let chunks = 53 * 2;
        assert_eq!(pieces(&state), 1 + 53 + chunks);
        state.close();
        open(dir.path()).unwrap().close();
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
