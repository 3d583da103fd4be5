//! What was committed and is not in the engine yet.
//!
//! A commit is durable in the journal, so bringing it into the engine can wait, and waiting pays: a record that is written
//! three times in a moment, as that of a short execution is, goes there once, and one that was removed again never.

use std::collections::BTreeMap;
use std::ops::RangeBounds;
use std::sync::Arc;

use bytes::Bytes;

use super::super::super::key::Key;
use super::super::super::resolve::Writes;
use super::super::super::{CommitSeq, Versioned};
use super::super::frame::Point;
use super::walk::{Merged, directed};

/// What a commit made of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Change {
    /// `None` where it was removed.
    pub(in super::super) value: Option<Bytes>,
    pub(in super::super) version: CommitSeq,
    /// Which of that commit's writes it is.
    pub(in super::super) ordinal: u32,
}

impl Change {
    pub(in super::super) fn record(&self) -> Option<Versioned> {
        let version = self.version;
        self.value.clone().map(|value| Versioned { value, version })
    }

    /// What it takes up in memory, roughly.
    fn bytes(&self, key_length: usize) -> usize {
        const AROUND: usize = 128;
        AROUND + key_length + self.value.as_ref().map_or(0, Bytes::len)
    }
}

/// What one or more commits made of each record.
pub(in super::super) type Changes = BTreeMap<Key, Change>;

/// Adds what commit `version` writes.
pub(in super::super) fn add(changes: &mut Changes, writes: Writes, version: CommitSeq) {
    for (ordinal, (key, value)) in (0..).zip(writes) {
        changes.insert(key, Change { value, version, ordinal });
    }
}

/// Changes on their way into the engine, and the point they lead to.
#[derive(Debug)]
pub(super) struct Draining {
    pub(super) changes: Changes,
    pub(super) to: Point,
    bytes: usize,
}

/// Changes over the engine: what it holds under their keys does not count.
#[derive(Debug, Default)]
pub(super) struct Memtable {
    fresh: Changes,
    fresh_bytes: usize,
    /// Read as ever while they are brought in, and until all of them are.
    draining: Option<Arc<Draining>>,
}

impl Memtable {
    pub(super) fn get(&self, key: &Key) -> Option<&Change> {
        self.fresh.get(key).or_else(|| self.draining.as_ref()?.changes.get(key))
    }

    /// The changes under keys within `bounds`, in the direction asked for.
    pub(super) fn walk<B>(&self, bounds: B, reverse: bool) -> impl Iterator<Item = (&Key, &Change)>
    where
        B: RangeBounds<Key> + Clone,
    {
        let draining = self.draining.iter().map(|draining| &draining.changes);
        let below = draining.map(|changes| directed(changes.range(bounds.clone()), reverse)).next();
        let above = directed(self.fresh.range(bounds.clone()), reverse);
        Merged::new(above, below.into_iter().flatten(), reverse)
    }

    pub(super) fn add(&mut self, changes: Changes) {
        for (key, change) in changes {
            let length = key.as_bytes().len();
            self.fresh_bytes += change.bytes(length);
            if let Some(older) = self.fresh.insert(key, change) {
                self.fresh_bytes -= older.bytes(length);
            }
        }
    }

    /// How much memory waits to be brought in, and how much is on its way.
    pub(super) fn bytes(&self) -> (usize, usize) {
        (self.fresh_bytes, self.draining.as_ref().map_or(0, |draining| draining.bytes))
    }

    /// What is to be brought in next, which leads to `to`: what could not be brought in before, else all there is.
    pub(super) fn freeze(&mut self, to: Point) -> Option<Arc<Draining>> {
        if self.draining.is_none() && !self.fresh.is_empty() {
            let (changes, bytes) = (std::mem::take(&mut self.fresh), std::mem::take(&mut self.fresh_bytes));
            self.draining = Some(Arc::new(Draining { changes, to, bytes }));
        }
        self.draining.clone()
    }

    /// What was to be brought in is in the engine.
    pub(super) fn drained(&mut self) {
        self.draining = None;
    }
}
