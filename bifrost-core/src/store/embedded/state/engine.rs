//! The engine that keeps records on disk, which is sled. The only file that names it.
//!
//! sled is known to drop data or to panic on a damaged file, so whoever calls into it is guarded (`state`), and a sum over
//! all records, kept beside them, tells whether any of them is missing.
//!
//! One tree. Under meta: the point the engine stands at, how many records there are, their sum, and the few changes that
//! are being made right now (`plan`). While changes go in, meta also says how far records may be ahead of its point, and
//! only a journal that leads as far as that can be replayed over them. While an engine is being filled it has records but
//! no meta, so half of it is never taken for the whole.

use std::cell::Cell;
use std::fs::File;
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::time::Duration;

use bytes::Bytes;

use super::super::super::Versioned;
use super::super::super::export::ArchiveEntry;
use super::super::super::key::Key;
use super::super::disk::{Disk, is_full, open_failed};
use super::super::frame::Point;
use super::super::meta::Meta;
use super::super::plan::Planned;
#[cfg(shuttle)]
use super::super::races::engine as sled;
use super::super::record::{Head, META, RECORD, corrupt, record_key};
use super::super::room::{self, Reserve};
use super::memtable::{Change, Changes};
use super::stride::{Move, Stride, moves_of};
use super::walk::directed;
use crate::error::{Error, ErrorKind, Result};
use crate::sync::{Mutex, MutexGuard};

const META_KEY: [u8; 5] = [META, b'm', b'e', b't', b'a'];

#[cfg(test)]
pub(super) type Raw = sled::Db;

pub(super) type Bounds = (Bound<Key>, Bound<Key>);

/// An opened engine. One thread at a time changes it.
pub(super) struct Engine {
    db: sled::Db,
    /// Our own descriptor of the engine's file: its flush does not sync on Linux, this does.
    file: File,
    file_path: PathBuf,
    disk: Disk,
    meta: Mutex<Meta>,
}

/// What lies under a record's key.
pub(super) struct Stored(sled::IVec);

fn failed(error: sled::Error) -> Error {
    let kind = match &error {
        sled::Error::Corruption { .. } => ErrorKind::StoreCorrupt,
        sled::Error::Io(error) if is_full(error) => ErrorKind::StoreFull,
        _ => ErrorKind::StorePoisoned,
    };
    Error::new(kind, "use state", "the state engine failed").source(error)
}

impl Engine {
    /// Opens what lies under `path`, or makes an empty one there. With `verify`, reads every record.
    pub(super) fn open(path: &Path, disk: &Disk, cache_capacity: u64, verify: bool) -> Result<Self> {
        remove_drafts(path)?;
        let config = sled::Config::new().path(path).cache_capacity(cache_capacity).flush_every_ms(None);
        let db = config.open().map_err(failed)?;
        let file_path = path.join("db");
        let file = File::open(&file_path).map_err(|error| open_failed(&file_path, error))?;
        let (meta, plan) = load_meta(&db)?;
        let engine = Self { db, file, file_path, disk: disk.clone(), meta: Mutex::new(meta) };
        engine.settle(&plan)?;
        if verify {
            engine.verify()?;
        }
        Ok(engine)
    }

    fn lock_meta(&self) -> MutexGuard<'_, Meta> {
        self.meta.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn meta(&self) -> Meta {
        *self.lock_meta()
    }

    /// Gives the files back.
    pub(super) fn close(self) {
        let Self { db, file, .. } = self;
        // The engine may panic on its way out as well.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(db)));
        wait_until_released(&file);
    }

    pub(super) fn head(&self, key: &Key) -> Result<Option<Head>> {
        let key = key.as_bytes();
        match self.db.get(record_key(key)).map_err(failed)? {
            Some(stored) => Head::decode(key, &stored).map(Some),
            None => Ok(None),
        }
    }

    pub(super) fn get(&self, key: &Key) -> Result<Option<Versioned>> {
        match self.db.get(record_key(key.as_bytes())).map_err(failed)? {
            Some(stored) => self.read(key, &Stored(stored)).map(Some),
            None => Ok(None),
        }
    }

    /// The record of which `stored` was found under `key`.
    pub(super) fn read(&self, key: &Key, Stored(stored): &Stored) -> Result<Versioned> {
        let key = key.as_bytes();
        Head::decode(key, stored)?.value(key, stored, |chunk| self.db.get(chunk).map_err(failed))
    }

    /// What lies between `bounds`. A walk that fails ends early, and `failure` tells why.
    pub(super) fn walk<'a>(
        &self,
        bounds: Bounds,
        reverse: bool,
        failure: &'a Cell<Option<Error>>,
    ) -> impl Iterator<Item = (Key, Stored)> + use<'a> {
        let start = match bounds.0 {
            Bound::Unbounded => Bound::Included(vec![RECORD]),
            other => other.map(|key| record_key(key.as_bytes())),
        };
        let end = match bounds.1 {
            Bound::Unbounded => Bound::Excluded(vec![RECORD + 1]),
            other => other.map(|key| record_key(key.as_bytes())),
        };
        directed(self.db.range((start, end)), reverse).map_while(move |item| match item {
            Ok((key, stored)) => Some((Key::from_stored(Bytes::copy_from_slice(&key[1..])), Stored(stored))),
            Err(error) => {
                failure.set(Some(failed(error)));
                None
            }
        })
    }

    /// What was being done when the engine was left, as far as it was, becomes part of what the meta says.
    fn settle(&self, plan: &[Planned]) -> Result<()> {
        let mut meta = self.meta();
        let mut goes_on = true;
        for planned in plan {
            let found = self.head(&planned.key)?;
            let made = found == planned.new;
            if !made && found != planned.old || made && !goes_on {
                return Err(corrupt(planned.key.as_bytes()));
            }
            goes_on = made;
            if made {
                meta = meta.after(planned);
            }
            planned.left_over(made).try_for_each(|piece| self.remove(&piece))?;
        }
        if plan.is_empty() { Ok(()) } else { self.note(meta, &[]) }
    }

    /// Brings changes in, after which the engine stands at `to`; false where it stopped on the way because it would not
    /// have left alone the `reserve`.
    pub(super) fn apply(&self, changes: &Changes, to: Point, reserve: Reserve) -> Result<bool> {
        let mut changes = changes.iter().peekable();
        while changes.peek().is_some() {
            let stride = Stride::gather(&mut changes, |key, change| self.planned(key, change))?;
            if !self.has_room(&stride, reserve) {
                return Ok(false);
            }
            self.take(&stride, to)?;
        }
        self.note(Meta { at: to, reach: to.seq, ..self.meta() }, &[])?;
        Ok(true)
    }

    fn planned(&self, key: &Key, change: &Change) -> Result<Planned> {
        let head = |value| Head::of(key.as_bytes(), change.version.0, change.ordinal, value);
        Ok(Planned { key: key.clone(), old: self.head(key)?, new: change.value.as_deref().map(head) })
    }

    fn has_room(&self, stride: &Stride<'_>, reserve: Reserve) -> bool {
        reserve == Reserve::Used || self.disk.room(&self.file_path) >= room::needed(stride.bytes as u64)
    }

    fn take(&self, stride: &Stride<'_>, to: Point) -> Result<()> {
        let meta = Meta { reach: to.seq, ..self.meta() };
        self.note(meta, &stride.plan)?;
        stride.moves().try_for_each(|step| self.make(step))?;
        *self.lock_meta() = stride.plan.iter().fold(meta, Meta::after);
        Ok(())
    }

    fn make(&self, (key, value): Move) -> Result<()> {
        match value {
            Some(value) => self.db.insert(key, value).map(drop).map_err(failed),
            None => self.remove(&key),
        }
    }

    fn remove(&self, key: &[u8]) -> Result<()> {
        self.db.remove(key).map(drop).map_err(failed)
    }

    /// Writes down where it stands and what it is about to do.
    fn note(&self, meta: Meta, plan: &[Planned]) -> Result<()> {
        self.db.insert(&META_KEY[..], meta.encode(plan)).map_err(failed)?;
        *self.lock_meta() = meta;
        Ok(())
    }

    /// Fills an empty engine: `records` in any order, then the point they stand for.
    pub(super) fn fill(&self, mut records: impl FnMut() -> Result<Option<ArchiveEntry>>, to: Point) -> Result<()> {
        self.remove(&META_KEY)?;
        let mut meta = self.meta();
        // One commit's records may lie far apart in an archive, and their chunks must not share names.
        let mut ordinal = 0_u32;
        while let Some(ArchiveEntry { key, value, version }) = records()? {
            let change = Change { value: Some(value), version, ordinal };
            let planned = self.planned(&key, &change)?;
            moves_of(&planned, change.value.as_ref()).try_for_each(|step| self.make(step))?;
            meta = meta.after(&planned);
            ordinal = ordinal.wrapping_add(1);
        }
        self.note(Meta { at: to, reach: to.seq, ..meta }, &[])
    }

    /// Makes all of it durable as it is.
    pub(super) fn flush(&self) -> Result<()> {
        self.db.flush().map_err(failed)?;
        self.disk.sync(&self.file, &self.file_path).map_err(|error| {
            let kind = if is_full(&error) { ErrorKind::StoreFull } else { ErrorKind::StorePoisoned };
            Error::new(kind, "sync state", "the state could not be synced").source(error)
        })
    }

    /// Reads every record and compares their number and sum with the meta.
    fn verify(&self) -> Result<()> {
        let (mut count, mut sum) = (0_u64, 0_u64);
        let failure = Cell::new(None);
        for (key, stored) in self.walk((Bound::Unbounded, Bound::Unbounded), false, &failure) {
            self.read(&key, &stored)?;
            count += 1;
            sum = sum.wrapping_add(Head::decode(key.as_bytes(), &stored.0)?.digest(key.as_bytes()));
        }
        failure.take().map_or(Ok(()), Err)?;
        let meta = self.meta();
        if (count, sum) != (meta.count, meta.sum) {
            return Err(Error::new(ErrorKind::StoreCorrupt, "open state", "records are missing or changed")
                .with("used", count)
                .with("expected", meta.count));
        }
        Ok(())
    }

    /// Lets it say that it is on its way from `at`.
    #[cfg(test)]
    pub(super) fn put_back(&self, at: Point) -> Result<()> {
        self.note(Meta { at, ..self.meta() }, &[])
    }

    /// Writes down what `changes` would do on the way to `to`, and makes the moves that `is_made` says of.
    #[cfg(test)]
    pub(super) fn leave_within(&self, changes: &Changes, to: Point, is_made: impl Fn(usize) -> bool) -> Result<()> {
        let stride = Stride::gather(&mut changes.iter().peekable(), |key, change| self.planned(key, change))?;
        self.note(Meta { reach: to.seq, ..self.meta() }, &stride.plan)?;
        let made = stride.moves().enumerate().filter(|(number, _)| is_made(*number));
        made.map(|(_, step)| step).try_for_each(|step| self.make(step))
    }

    /// What it is underneath, to be tampered with.
    #[cfg(test)]
    pub(super) fn db(&self) -> &Raw {
        &self.db
    }
}

impl Stored {
    /// How long the record's value is.
    pub(super) fn length(&self, key: &Key) -> Result<usize> {
        Ok(Head::decode(key.as_bytes(), &self.0)?.length)
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

fn load_meta(db: &sled::Db) -> Result<(Meta, Vec<Planned>)> {
    let incomplete = || Error::new(ErrorKind::StoreCorrupt, "open state", "the state was never completed");
    match db.get(META_KEY).map_err(failed)? {
        Some(stored) => Meta::decode(&stored).ok_or_else(incomplete),
        None if db.is_empty() => {
            db.insert(META_KEY, Meta::EMPTY.encode(&[])).map_err(failed)?;
            Ok((Meta::EMPTY, Vec::new()))
        }
        None => Err(incomplete()),
    }
}
