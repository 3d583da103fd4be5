//! The engine that keeps records on disk, which is sled. The only file that names it.
//!
//! sled is known to drop data or to panic on a damaged file, so whoever calls into it is guarded (`state`), and a sum over
//! all records, carried in the same atomic batch as the records, tells whether any of them is missing.
//!
//! One tree. Under meta: the point the engine stands at, how many records there are, and their sum. Changes go in by
//! strides, each an atomic batch; while they do, meta also says how far records may be ahead of its point, and only a
//! journal that leads as far as that can be replayed over them. While an engine is being filled it has records but no
//! meta, so half of it is never taken for the whole.

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
#[cfg(shuttle)]
use super::super::races::engine as sled;
use super::super::record::{Head, MAX_PIECE, META, RECORD, record_key};
use super::super::room::{self, Reserve};
use super::memtable::{Change, Changes};
use super::walk::directed;
use crate::error::{Error, ErrorKind, Result};
use crate::sync::{Mutex, MutexGuard};

const META_KEY: [u8; 5] = [META, b'm', b'e', b't', b'a'];

/// How many changes, and how many bytes of them, become one atomic batch. Reading waits that long at most; each batch
/// costs as much as several changes do.
const STRIDE: usize = 256;
const STRIDE_BYTES: usize = 256 * 1024;

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
        let meta = Mutex::new(load_meta(&db)?);
        let engine = Self { db, file, file_path, disk: disk.clone(), meta };
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

    /// Brings changes in, after which the engine stands at `to`; false where it stopped on the way because it would not
    /// have left alone the `reserve`.
    pub(super) fn apply(&self, changes: &Changes, to: Point, reserve: Reserve) -> Result<bool> {
        let mut meta = self.meta();
        meta.reach = to.seq;
        let mut stride = Stride::default();
        for (key, change) in changes {
            if stride.is_full() {
                if !self.has_room(&stride, reserve) {
                    return Ok(false);
                }
                self.take(std::mem::take(&mut stride), meta)?;
            }
            self.change(&mut stride, &mut meta, key, change)?;
        }
        if !self.has_room(&stride, reserve) {
            return Ok(false);
        }
        meta.at = to;
        self.take(stride, meta)?;
        Ok(true)
    }

    fn has_room(&self, stride: &Stride, reserve: Reserve) -> bool {
        reserve == Reserve::Used || self.disk.room(&self.file_path) >= room::needed(stride.bytes as u64)
    }

    /// Fills an empty engine: `records` in any order, then the point they stand for.
    pub(super) fn fill(&self, mut records: impl FnMut() -> Result<Option<ArchiveEntry>>, to: Point) -> Result<()> {
        self.db.remove(META_KEY).map_err(failed)?;
        let mut meta = self.meta();
        let mut stride = Stride::default();
        // One commit's records may lie far apart in an archive, and their chunks must not share names.
        let mut ordinal = 0_u32;
        while let Some(ArchiveEntry { key, value, version }) = records()? {
            if stride.is_full() {
                self.db.apply_batch(std::mem::take(&mut stride).batch).map_err(failed)?;
            }
            self.change(&mut stride, &mut meta, &key, &Change { value: Some(value), version, ordinal })?;
            ordinal = ordinal.wrapping_add(1);
        }
        self.take(stride, Meta { at: to, reach: to.seq, ..meta })
    }

    fn change(&self, stride: &mut Stride, meta: &mut Meta, key: &Key, change: &Change) -> Result<()> {
        let old = self.head(key)?;
        let key = key.as_bytes();
        stride.count += 1;
        stride.bytes += key.len();
        if let Some(old) = &old {
            meta.count = meta.count.wrapping_sub(1);
            meta.sum = meta.sum.wrapping_sub(old.digest(key));
            old.chunk_keys().for_each(|chunk| stride.batch.remove(&chunk[..]));
        }
        match &change.value {
            Some(value) => {
                let head = Head::of(key, change.version.0, change.ordinal, value);
                meta.count = meta.count.wrapping_add(1);
                meta.sum = meta.sum.wrapping_add(head.digest(key));
                stride.bytes += value.len();
                for (chunk, piece) in head.chunk_keys().zip(value.chunks(MAX_PIECE)) {
                    stride.batch.insert(&chunk[..], piece);
                }
                stride.batch.insert(record_key(key), head.encode(value));
            }
            None if old.is_some() => stride.batch.remove(record_key(key)),
            None => {}
        }
        Ok(())
    }

    fn take(&self, mut stride: Stride, meta: Meta) -> Result<()> {
        stride.batch.insert(&META_KEY[..], meta.encode());
        self.db.apply_batch(stride.batch).map_err(failed)?;
        *self.lock_meta() = meta;
        Ok(())
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
        self.take(Stride::default(), Meta { at, ..self.meta() })
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

/// Changes that become one atomic batch.
#[derive(Default)]
struct Stride {
    batch: sled::Batch,
    count: usize,
    bytes: usize,
}

impl Stride {
    fn is_full(&self) -> bool {
        self.count >= STRIDE || self.bytes >= STRIDE_BYTES
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
    match db.get(META_KEY).map_err(failed)? {
        Some(stored) => Meta::decode(&stored).ok_or_else(incomplete),
        None if db.is_empty() => {
            let meta = Meta { at: Point::GENESIS, reach: 0, count: 0, sum: 0 };
            db.insert(META_KEY, meta.encode()).map_err(failed)?;
            Ok(meta)
        }
        None => Err(incomplete()),
    }
}
