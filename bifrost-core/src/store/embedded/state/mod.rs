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
mod stride;
#[cfg(test)]
mod tests;
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

    /// Makes the engine durable as it is in the middle of `changes`, on the way to `to`.
    #[cfg(test)]
    pub(super) fn leave_within(&self, changes: &Changes, to: Point) -> Result<()> {
        self.with(|open| {
            open.engine.leave_within(changes, to, |_| true)?;
            open.engine.flush()
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
        let mut scan = Scan::prefix(prefix.clone()).reverse();
        scan.after = before.cloned();
        let bounds = scan.bounds()?;
        self.with(|open| open.last(bounds))
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
            let record = self.record(&key, found)?;
            page.entries.extend(record.map(|record| (key, record)));
        }
        failure.take().map_or(Ok(page), Err)
    }

    /// The last record between `bounds`; nothing before it is read.
    fn last(&self, bounds: Bounds) -> Result<Option<(Key, Bytes)>> {
        let failure = Cell::new(None);
        for (key, found) in self.walk(bounds, true, &failure) {
            if let Some(record) = self.record(&key, found)? {
                return Ok(Some((key, record.value)));
            }
        }
        failure.take().map_or(Ok(None), Err)
    }

    fn record(&self, key: &Key, found: Found<'_>) -> Result<Option<Versioned>> {
        match found {
            Found::Changed(change) => Ok(change.record()),
            Found::Stored(stored) => self.engine.read(key, &stored).map(Some),
        }
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
