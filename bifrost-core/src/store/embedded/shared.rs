//! What the handle, the committer and the keeper have in common.

use std::path::PathBuf;
use std::sync::PoisonError;

use super::super::full;
use super::EmbeddedOptions;
use super::ballast::Ballast;
use super::disk::Disk;
use super::frame::Point;
use super::journal::ClosedSegment;
use super::queue::Queue;
use super::state::State;
use super::{recovery, room, snapshot};
use crate::error::{Error, ErrorKind, Result};
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{Mutex, MutexGuard};

/// Where things lie.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pub(super) root: PathBuf,
}

impl Layout {
    pub(super) fn journal(&self) -> PathBuf {
        self.root.join("journal")
    }

    pub(super) fn snapshots(&self) -> PathBuf {
        self.root.join("snapshots")
    }

    pub(super) fn state(&self) -> PathBuf {
        self.root.join("state")
    }

    /// Where the last state that could not be used is kept.
    pub(super) fn damaged_state(&self) -> PathBuf {
        self.root.join("state.damaged")
    }
}

/// Why nothing can be written.
#[derive(Debug, Clone)]
enum Refusal {
    Full,
    Poisoned(String),
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) layout: Layout,
    pub(super) options: EmbeddedOptions,
    pub(super) disk: Disk,
    pub(super) queue: Queue,
    pub(super) state: State,
    pub(super) report: Vec<String>,
    ballast: Ballast,
    last: AtomicU64,
    refusal: Mutex<Option<Refusal>>,
    /// Segments before the current one.
    segments: Mutex<Vec<ClosedSegment>>,
    /// Held while a checkpoint or snapshot is taken; how large the last snapshot was.
    maintenance: Mutex<u64>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What opening brings along.
pub(super) struct Opened {
    pub(super) layout: Layout,
    pub(super) options: EmbeddedOptions,
    pub(super) disk: Disk,
    pub(super) state: State,
    pub(super) last: u64,
    pub(super) segments: Vec<ClosedSegment>,
    pub(super) snapshot_bytes: u64,
    pub(super) report: Vec<String>,
}

impl Shared {
    pub(super) fn new(opened: Opened) -> Self {
        let ballast = Ballast::hold(&opened.layout.root, &opened.disk, opened.options.ballast_bytes);
        Self {
            refusal: Mutex::new((!ballast.is_held()).then_some(Refusal::Full)),
            ballast,
            layout: opened.layout,
            options: opened.options,
            disk: opened.disk,
            queue: Queue::default(),
            state: opened.state,
            report: opened.report,
            last: AtomicU64::new(opened.last),
            segments: Mutex::new(opened.segments),
            maintenance: Mutex::new(opened.snapshot_bytes),
        }
    }

    pub(super) fn last(&self) -> u64 {
        self.last.load(Ordering::Acquire)
    }

    pub(super) fn advance(&self, seq: u64) {
        self.last.store(seq, Ordering::Release);
    }

    /// Why nothing can be written, in words.
    pub(super) fn refusing(&self) -> Option<String> {
        match &*lock(&self.refusal) {
            Some(Refusal::Full) => Some("the disk is full".to_owned()),
            Some(Refusal::Poisoned(why)) => Some(why.clone()),
            None => None,
        }
    }

    pub(super) fn check_poison(&self, operation: &'static str) -> Result<()> {
        match &*lock(&self.refusal) {
            Some(Refusal::Poisoned(why)) => Err(poisoned(operation, why)),
            _ => Ok(()),
        }
    }

    /// Whether there is room for a group of this length. After the disk was full, only once there is room for the
    /// ballast as well, so that what is kept for closing and opening is not eaten up by writing.
    pub(super) fn check_room(&self, frame: u64) -> Result<()> {
        let mut refusal = lock(&self.refusal);
        let was_full = match &*refusal {
            Some(Refusal::Poisoned(why)) => return Err(poisoned("commit batch", why)),
            Some(Refusal::Full) => true,
            None => false,
        };
        let has_room = (!was_full || self.ballast.take_up()) && self.has_room(frame);
        if !has_room && !was_full {
            self.warn_full();
        }
        *refusal = (!has_room).then_some(Refusal::Full);
        if has_room { Ok(()) } else { Err(full()) }
    }

    /// Whether a group of this length would find room now.
    pub(super) fn has_room(&self, frame: u64) -> bool {
        self.disk.room(&self.layout.root) >= room::needed(frame)
    }

    /// Notes that the disk was full where there should have been room.
    pub(super) fn full(&self, error: impl std::error::Error + Send + Sync + 'static) -> Error {
        let mut refusal = lock(&self.refusal);
        if !matches!(*refusal, Some(Refusal::Poisoned(_))) {
            *refusal = Some(Refusal::Full);
        }
        self.warn_full();
        full().source(error)
    }

    fn warn_full(&self) {
        tracing::warn!(path = %self.layout.root.display(), "the disk is full: the store takes no writes");
    }

    /// True when a failure without a reason is best explained by a full disk.
    pub(super) fn is_short_of_room(&self) -> bool {
        self.disk.room(&self.layout.root) < room::SPARE
    }

    /// Whether there is room for the files that close a store, or a segment.
    pub(super) fn has_room_to_close(&self) -> bool {
        self.disk.room(&self.layout.root) >= room::CLOSING
    }

    /// Where there is too little room to close, gives up what was kept for that.
    pub(super) fn spend_ballast(&self) {
        if !self.has_room_to_close() {
            self.ballast.give_up();
        }
    }

    /// Keeps what is left for the next time.
    pub(super) fn regain_ballast(&self) {
        self.ballast.take_what_fits();
    }

    /// After the state ran out of room: opens it again and brings it to `head`, as a restart would. Reads wait.
    pub(super) fn reopen_state(&self, head: Point) -> Result<()> {
        let _maintenance = lock(&self.maintenance);
        let reopened = self.state.reopen(|| recovery::reopen_state(&self.layout, &self.options, &self.disk, head));
        reopened.map_err(|error| match error.kind() {
            ErrorKind::StoreFull => self.full(error),
            _ => self.poison(&error),
        })
    }

    /// Takes nothing more after `error`.
    pub(super) fn poison(&self, error: &Error) -> Error {
        let mut refusal = lock(&self.refusal);
        let why = match &*refusal {
            // The first failure is the one that explains the others.
            Some(Refusal::Poisoned(why)) => why.clone(),
            _ => format!("{error:?}").replace('\n', ";"),
        };
        if error.kind() == ErrorKind::StoreFull {
            self.ballast.give_up();
        }
        tracing::error!(path = %self.layout.root.display(), %why, "the store takes no more writes until it is reopened");
        *refusal = Some(Refusal::Poisoned(why.clone()));
        poisoned("commit batch", &why)
    }

    pub(super) fn segment_closed(&self, segment: ClosedSegment) {
        lock(&self.segments).push(segment);
    }

    /// Brings into the state's engine what was committed.
    pub(super) fn drain(&self) -> Result<()> {
        self.check_poison("write state")?;
        self.state.drain(room::Reserve::Kept).map_err(|error| self.unsettled(error))
    }

    /// Makes the state durable; returns the last batch of which that is so.
    pub(super) fn flush(&self) -> Result<u64> {
        self.state.flush().map(|at| at.seq).map_err(|error| self.unsettled(error))
    }

    /// What it means when the state cannot be written. One that met a full disk is to be opened again, with the room
    /// that was kept for such a moment.
    fn unsettled(&self, error: Error) -> Error {
        if error.kind() != ErrorKind::StoreFull {
            if !self.is_short_of_room() {
                return self.poison(&error);
            }
            self.state.stick();
        }
        if self.state.is_stuck() {
            self.spend_ballast();
        }
        self.full(error)
    }

    /// Makes the state durable, and takes a snapshot when asked to or when enough journal has gathered for one.
    pub(super) fn maintain(&self, force_snapshot: bool) -> Result<()> {
        let mut snapshot_bytes = lock(&self.maintenance);
        self.check_poison("checkpoint store")?;
        // The ballast is not for this: a checkpoint can wait, and what is given up is anybody's meanwhile.
        if !self.has_room_to_close() {
            return Err(full());
        }
        let durable = match self.drain().and_then(|()| self.flush()) {
            Ok(durable) => durable,
            // The snapshot holds all of it, and what fills the disk may be the journal before it.
            Err(error) if force_snapshot && error.kind() == ErrorKind::StoreFull && !self.state.is_stuck() => u64::MAX,
            Err(error) => return Err(error),
        };
        let gathered: u64 = lock(&self.segments).iter().map(|segment| segment.bytes).sum();
        // A snapshot costs what it is long, so it waits until the journal is longer.
        if !force_snapshot && gathered < self.options.snapshot_bytes.max(*snapshot_bytes) {
            return Ok(());
        }
        match snapshot::take(&self.layout.snapshots(), &self.disk, &self.state, room::CLOSING) {
            Ok((taken, bytes)) => {
                *snapshot_bytes = bytes;
                // What the state does not hold durably stays, so that it can go on from where it stands.
                self.drop_segments(taken.at.seq.min(durable))
            }
            // The journal holds all of it: there is just more of it to read when opening.
            Err(error) if error.kind() == ErrorKind::StoreFull => Err(error),
            Err(error) => Err(self.poison(&error)),
        }
    }

    /// Removes segments that hold nothing after `seq`.
    fn drop_segments(&self, seq: u64) -> Result<()> {
        let mut segments = lock(&self.segments);
        while let Some(at) = segments.iter().position(|segment| segment.last <= seq) {
            let removed = self.disk.remove(&segments[at].path);
            removed.map_err(|error| {
                Error::new(ErrorKind::Unavailable, "drop journal", "a segment could not be removed")
                    .with("path", segments[at].path.display())
                    .source(error)
            })?;
            segments.swap_remove(at);
        }
        Ok(())
    }
}

fn poisoned(operation: &'static str, why: &str) -> Error {
    Error::new(ErrorKind::StorePoisoned, operation, "the store takes no more writes after a failure")
        .with("cause", why)
        .next_action("check the disk, then close and reopen the store")
}
