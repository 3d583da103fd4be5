//! A pin holds one commit's view of the state in place while commits go on: for exports and snapshots.
//!
//! Before a group overwrites a record that a pin has not passed yet, the old one is kept for it. That costs memory in
//! proportion to what is overwritten meanwhile, so it is bounded: past the bound a snapshot holds commits up until it
//! is done, while an export, whose sink may be anybody's slow pipe, gives up.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Arc, PoisonError, Weak};

use super::super::export::{ArchiveEntry, ArchiveWriter};
use super::super::key::Key;
use super::super::{CommitSeq, ScanPage, Versioned, full};
use super::frame::Point;
use super::state::{Changes, State};
use crate::error::{Error, ErrorKind, Result, Retry};
use crate::sync::{Mutex, MutexGuard};

/// How many records are read at once; few, where what happens in between is what matters.
const STRIDE: usize = if cfg!(shuttle) { 1 } else { 256 };
const MAX_KEPT_BYTES: usize = 64 * 1024 * 1024;

/// What a pin does when too much is overwritten under it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    /// Commits wait until the pin is done.
    HoldCommits,
    /// The pin fails.
    GiveUp,
}

/// All pins of a state.
#[derive(Debug, Default)]
pub(super) struct Pins(Mutex<Vec<Weak<Mutex<Kept>>>>);

/// Records as they were at the pin, where they have changed since; `None` for those that were not there.
#[derive(Debug, Default)]
struct Kept {
    passed: Option<Key>,
    records: BTreeMap<Key, Option<Versioned>>,
    bytes: usize,
    /// The state was opened again under it.
    ended: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pins {
    /// Keeps what `changes` overwrite. Called while nothing reads.
    pub(super) fn keep(&self, changes: &Changes, read: impl Fn(&Key) -> Result<Option<Versioned>>) -> Result<()> {
        let mut pins = lock(&self.0);
        pins.retain(|pin| pin.strong_count() > 0);
        for pin in pins.iter().filter_map(Weak::upgrade) {
            let mut kept = lock(&pin);
            for key in changes.keys() {
                kept.keep(key, &read)?;
            }
        }
        Ok(())
    }
}

impl Pins {
    /// Nobody keeps anything for the pins there are any more.
    pub(super) fn end(&self) {
        for pin in lock(&self.0).drain(..).filter_map(|pin| pin.upgrade()) {
            lock(&pin).ended = true;
        }
    }
}

impl Kept {
    fn keep(&mut self, key: &Key, read: impl Fn(&Key) -> Result<Option<Versioned>>) -> Result<()> {
        let passed = self.passed.as_ref().is_some_and(|passed| key <= passed);
        if passed || self.records.contains_key(key) {
            return Ok(());
        }
        let old = read(key)?;
        self.bytes += key.as_bytes().len() + old.as_ref().map_or(0, |old| old.value.len());
        self.records.insert(key.clone(), old);
        Ok(())
    }

    /// Puts the records of a stride back to how they were, and passes them.
    fn correct(&mut self, page: ScanPage) -> Vec<(Key, Versioned)> {
        let last = page.entries.last().map(|(key, _)| key.clone()).filter(|_| page.more);
        let mut entries: BTreeMap<_, _> = page.entries.into_iter().collect();
        let later = match &last {
            Some(last) => {
                let mut later = self.records.split_off(last);
                // `split_off` leaves the key itself on the far side.
                if let Some(old) = later.remove(last) {
                    self.records.insert(last.clone(), old);
                }
                later
            }
            None => BTreeMap::new(),
        };
        for (key, old) in std::mem::replace(&mut self.records, later) {
            self.bytes =
                self.bytes.saturating_sub(key.as_bytes().len() + old.as_ref().map_or(0, |old| old.value.len()));
            match old {
                Some(old) => drop(entries.insert(key, old)),
                None => drop(entries.remove(&key)),
            }
        }
        self.passed = last;
        entries.into_iter().collect()
    }
}

/// One view held in place.
pub(super) struct Pin<'a> {
    state: &'a State,
    patience: Patience,
    kept: Arc<Mutex<Kept>>,
    /// The commit it holds.
    pub(super) at: Point,
    cursor: Option<Key>,
    done: bool,
    max_kept: usize,
    /// Keeps commits waiting.
    hold: Option<MutexGuard<'a, ()>>,
}

impl<'a> Pin<'a> {
    pub(super) fn take(state: &'a State, patience: Patience) -> Result<Self> {
        let kept = Arc::new(Mutex::new(Kept::default()));
        let at = state.pin(|| lock(&state.pins.0).push(Arc::downgrade(&kept)))?;
        Ok(Self { state, patience, kept, at, cursor: None, done: false, max_kept: MAX_KEPT_BYTES, hold: None })
    }

    /// The next records in key order; `None` after the last.
    pub(super) fn next(&mut self) -> Result<Option<Vec<(Key, Versioned)>>> {
        if self.done {
            return Ok(None);
        }
        if self.hold.is_none() && lock(&self.kept).bytes > self.max_kept {
            match self.patience {
                Patience::HoldCommits => self.hold = Some(self.state.hold()),
                Patience::GiveUp => return Err(fell_behind()),
            }
        }
        let kept = &self.kept;
        let (entries, passed) = self.state.stride(self.cursor.as_ref(), STRIDE, |page| {
            let mut kept = lock(kept);
            if kept.ended {
                return Err(full());
            }
            let entries = kept.correct(page);
            Ok((entries, kept.passed.clone()))
        })?;
        self.done = passed.is_none();
        self.cursor = passed;
        Ok(Some(entries))
    }
}

/// Writes the archive of `state` as of one commit; returns which, and the hash there.
pub(super) fn export<W: Write>(state: &State, patience: Patience, sink: W) -> Result<Point> {
    let mut pin = Pin::take(state, patience)?;
    let mut writer = ArchiveWriter::new(sink, CommitSeq(pin.at.seq))?;
    while let Some(entries) = pin.next()? {
        for (key, Versioned { value, version }) in entries {
            writer.push(&ArchiveEntry { key, value, version })?;
        }
    }
    writer.finish()?;
    Ok(pin.at)
}

fn fell_behind() -> Error {
    Error::new(ErrorKind::Overloaded, "export store", "records change faster than the export is taken")
        .retry(Retry::Later)
        .next_action("export to a faster place, or at a quieter time")
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::disk::Disk;
    use super::super::state::Change;
    use super::*;

    fn write(state: &State, seq: u64) {
        let change = |number: u32| {
            let change = Change { value: Some(Bytes::from(seq.to_string())), version: CommitSeq(seq), ordinal: number };
            (Key::from_stored(number.to_be_bytes().to_vec()), change)
        };
        state.lay((0..1_000).map(change).collect(), Point { seq, hash: [1; 32] }).unwrap();
    }

    fn crowded(state: &State, patience: Patience) -> (Pin<'_>, usize) {
        let mut pin = Pin::take(state, patience).unwrap();
        pin.max_kept = 100;
        let first = pin.next().unwrap().unwrap().len();
        write(state, 2);
        (pin, first)
    }

    #[test]
    fn a_crowded_export_gives_up() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(dir.path(), &Disk::default(), 1024 * 1024, false).unwrap();
        write(&state, 1);
        let (mut pin, _) = crowded(&state, Patience::GiveUp);
        assert_eq!(pin.next().unwrap_err().kind(), ErrorKind::Overloaded);
    }

    #[test]
    fn a_crowded_snapshot_holds_commits_until_it_is_done() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(dir.path(), &Disk::default(), 1024 * 1024, false).unwrap();
        write(&state, 1);
        let (mut pin, mut seen) = crowded(&state, Patience::HoldCommits);
        seen += pin.next().unwrap().unwrap().len();
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| write(&state, 3));
            while let Some(entries) = pin.next().unwrap() {
                assert!(entries.iter().all(|(_, found)| found.version == CommitSeq(1)));
                seen += entries.len();
            }
            assert_eq!((seen, pin.at.seq), (1_000, 1));
            // Give the writer every chance to get past.
            std::thread::park_timeout(std::time::Duration::from_millis(30));
            assert_eq!(state.at().unwrap().seq, 2, "a group was applied");
            drop(pin);
            writer.join().unwrap();
        });
        assert_eq!(state.at().unwrap().seq, 3);
        // Nobody needs what the next group overwrites.
        write(&state, 4);
        assert!(lock(&state.pins.0).is_empty());
    }
}
