//! The committer: the one thread that changes the store.
//!
//! It takes what queued while the last sync ran, checks every batch against the state as the batches before it will
//! leave it, writes all of them as one frame, syncs once, lays them into the state, and only then answers. So a batch
//! costs a share of one sync, an answer means durable and readable, and there is nothing to lock across a sync. What was
//! laid in is brought into the state's engine by the keeper; only where it falls behind does the committer do that.
//!
//! What fails, and what it means: a precondition concerns its batch alone. Without room for a group (`room`) it is
//! refused, `StoreFull`, before anything is written; if the disk fills up faster than that, the frame is taken back. In
//! both cases writing goes on when there is room. If the frame found room and the state's engine did not, the group
//! counts: it is read from memory, and before the next group the engine is opened again. Any other failure of a write or
//! sync leaves it unknown what the disk holds: the store is poisoned, answers nothing more, and opening it again decides.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use tokio::sync::oneshot;

use super::super::resolve::resolve;
use super::super::{CommitSeq, export};
use super::acked::Acked;
use super::frame::{self, Point};
use super::journal::{AppendError, ClosedSegment, Journal, sort};
use super::keeper::{Errand, Keeper};
use super::lock::Lock;
use super::mark::{self, Mark};
use super::overlay::Overlay;
use super::queue::{Control, Request, Work};
use super::shared::Shared;
use super::snapshot::{self, Snapshot};
use crate::error::{Error, ErrorKind, Result};

/// What the committer writes down about the journal.
pub(super) struct Notes {
    pub(super) mark: Mark,
    pub(super) acked: Acked,
}

pub(super) struct Committer {
    shared: Arc<Shared>,
    journal: Journal,
    keeper: Keeper,
    notes: Notes,
    /// Segments that are closed, and which the mark may still name.
    closed: Vec<ClosedSegment>,
    /// Bytes appended since the keeper was last told.
    grown: u64,
    /// True once the keeper was sent to make room, until a group was written.
    relief_sent: bool,
    lock: Lock,
}

/// Batches that passed their preconditions, on their way to the disk.
struct Group<'a> {
    overlay: Overlay<'a>,
    payload: Vec<u8>,
    count: u64,
}

impl Committer {
    pub(super) fn new(shared: Arc<Shared>, notes: Notes, journal: Journal, keeper: Keeper, lock: Lock) -> Self {
        Self { shared, journal, keeper, notes, closed: Vec::new(), grown: 0, relief_sent: false, lock }
    }

    /// Works until the store is closed or let go of.
    pub(super) fn run(mut self) {
        loop {
            match self.shared.queue.take() {
                Work::Group(requests) => self.group(requests),
                Work::Control(Control::Mend) => self.mend(),
                Work::Control(Control::Roll(reply)) => answer(reply, self.guarded(Self::roll)),
                Work::Control(Control::Install(draft, at, reply)) => {
                    let installed = self.guarded(|committer| committer.install(&draft, at));
                    answer(reply, installed);
                }
                Work::Control(Control::Close(reply)) => {
                    let finished = self.guarded(Self::finish);
                    self.give_back();
                    answer(reply, finished);
                    return;
                }
                Work::Control(Control::Abandon) => return self.give_back(),
            }
        }
    }

    /// Refuses when poisoned; a panic poisons.
    fn guarded<T>(&mut self, call: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.shared.check_poison("commit batch")?;
        catch_unwind(AssertUnwindSafe(|| call(self))).unwrap_or_else(|_| {
            let error = Error::internal("commit batch", "the committer panicked");
            Err(self.shared.poison(&error))
        })
    }

    fn group(&mut self, requests: Vec<Request>) {
        let (batches, replies): (Vec<_>, Vec<_>) =
            requests.into_iter().map(|request| (request.batch, request.reply)).unzip();
        match self.guarded(|committer| committer.commit(&batches)) {
            Ok(results) => replies.into_iter().zip(results).for_each(|(reply, result)| answer(reply, result)),
            Err(error) => replies.into_iter().for_each(|reply| answer(reply, Err(error.duplicate()))),
        }
    }

    /// The outcome of each batch, or the error that befell them all.
    fn commit(&mut self, batches: &[super::super::Batch]) -> Result<Vec<Result<CommitSeq>>> {
        self.restore()?;
        self.keep_up()?;
        let shared = self.shared.clone();
        let at = self.journal.head();
        let mut group = Group { overlay: Overlay::new(&shared.state), payload: Vec::new(), count: 0 };
        let results = batches.iter().map(|batch| group.add(batch, at)).collect();
        if group.count > 0 {
            let (frame, next) = frame::encode(at, group.count, &group.payload)?;
            self.find_room(frame.len() as u64)?;
            self.append(&frame, next)?;
            shared.state.lay(group.overlay.into_changes(), next).map_err(|error| shared.poison(&error))?;
            shared.advance(next.seq);
            self.notes.acked.note(next.seq);
            self.relief_sent = false;
            self.tell_keeper(frame.len() as u64);
        }
        Ok(results)
    }

    /// Opens the state again if it ran out of room.
    fn restore(&self) -> Result<()> {
        if !self.shared.state.is_stuck() {
            return Ok(());
        }
        self.shared.check_room(0)?;
        self.shared.reopen_state(self.journal.head())
    }

    /// Does the keeper's work when it falls behind, so that what is held in memory stays within bounds.
    fn keep_up(&self) -> Result<()> {
        let is_behind = self.shared.state.undrained() >= 3 * self.shared.options.memtable_bytes;
        if is_behind { self.drain() } else { Ok(()) }
    }

    fn drain(&self) -> Result<()> {
        self.shared.drain().inspect_err(|_| self.mend())
    }

    /// An engine that met a full disk does not even read. What was kept for such a moment mostly suffices to open it
    /// again; if not, the next commit tries.
    fn mend(&self) {
        if self.shared.state.is_stuck() && !self.shared.is_short_of_room() {
            // What is wrong is remembered as the reason why nothing is written.
            let _ = self.shared.reopen_state(self.journal.head());
        }
    }

    /// There must be room for the frame, and for the engine to take all that waits for it. Where that is tight, the
    /// engine takes it now, and what it really took is seen.
    fn find_room(&mut self, frame: u64) -> Result<()> {
        let undrained = self.shared.state.undrained();
        let is_tight = undrained > 0 && !self.shared.has_room(frame + undrained);
        let drained = if is_tight { self.drain() } else { Ok(()) };
        drained.and_then(|()| self.shared.check_room(frame)).inspect_err(|_| self.relieve())
    }

    /// What fills the disk may be the journal, which a snapshot makes superfluous.
    fn relieve(&mut self) {
        let is_useful = !self.relief_sent && self.shared.has_room_to_close();
        if is_useful && self.roll().is_ok() {
            self.relief_sent = true;
            self.keeper.wake(Errand::Relief);
        }
    }

    fn append(&mut self, frame: &[u8], next: Point) -> Result<()> {
        if self.journal.is_full_for(frame.len()) {
            self.roll()?;
        }
        // Nothing goes into a segment the mark does not name: if that one went missing, nobody would notice.
        self.name_segment()?;
        self.journal.append(frame, next).map_err(|error| self.failed(error))
    }

    fn failed(&self, error: AppendError) -> Error {
        match error {
            AppendError::Full(error) => self.shared.full(error),
            AppendError::Broken(error) => self
                .shared
                .poison(&Error::new(ErrorKind::StorePoisoned, "write journal", "a write or sync failed").source(error)),
        }
    }

    /// Begins a new segment, unless the current one is as good as new: the next would get its name, and whoever
    /// removes the old one would remove the one in use.
    fn roll(&mut self) -> Result<()> {
        if self.journal.is_fresh() { Ok(()) } else { self.roll_to(self.journal.head()) }
    }

    fn roll_to(&mut self, head: Point) -> Result<()> {
        let closed = self.journal.roll(head).map_err(|error| self.failed(error))?;
        self.closed.push(closed);
        self.name_segment()
    }

    /// Lets the mark name the segment in use, and only then lets the keeper have those before it: one that the mark
    /// still names must not be dropped, or the next opening misses it.
    fn name_segment(&mut self) -> Result<()> {
        let segment = self.journal.first();
        if self.notes.mark.segment != segment {
            self.write_mark(Mark { segment, ..self.notes.mark })?;
        }
        self.closed.drain(..).for_each(|closed| self.shared.segment_closed(closed));
        Ok(())
    }

    fn write_mark(&mut self, mark: Mark) -> Result<()> {
        let written = mark::write(&self.shared.disk, &self.shared.layout.root, mark);
        written.map_err(|error| self.failed(sort(error)))?;
        self.notes.mark = mark;
        Ok(())
    }

    fn tell_keeper(&mut self, bytes: u64) {
        self.grown += bytes;
        if self.grown >= self.shared.options.checkpoint_bytes {
            self.grown = 0;
            self.keeper.wake(Errand::Checkpoint);
        } else if self.shared.state.waiting() >= self.shared.options.memtable_bytes {
            self.keeper.wake(Errand::Drain);
        }
    }

    fn install(&mut self, draft: &Path, at: Point) -> Result<CommitSeq> {
        if self.journal.head() != Point::GENESIS {
            return Err(export::not_empty(CommitSeq(self.journal.head().seq)));
        }
        let (shared, dir) = (self.shared.clone(), self.shared.layout.snapshots());
        let bytes = std::fs::metadata(draft).map_or(0, |found| found.len());
        if let Err(error) = shared.check_room(bytes) {
            // It is worth nothing now; its room may be worth a lot.
            let _ = shared.disk.remove(draft);
            return Err(error);
        }
        let installed = snapshot::install(&dir, &shared.disk, draft, at).map_err(|error| {
            Error::new(ErrorKind::StorePoisoned, "import store", "the archive could not be put in place").source(error)
        });
        // From here on the archive is the store's history, whether or not the rest succeeds.
        installed.and_then(|snapshot| self.fill(&snapshot)).map_err(|error| shared.poison(&error))?;
        self.roll_to(at)?;
        shared.advance(at.seq);
        self.notes.acked.note(at.seq);
        Ok(CommitSeq(at.seq))
    }

    fn fill(&self, snapshot: &Snapshot) -> Result<()> {
        let mut reader = snapshot::open(snapshot)?;
        self.shared.state.fill(|| reader.next_entry(), snapshot.at)?;
        self.shared.state.flush().map(drop)
    }

    fn finish(&mut self) -> Result<()> {
        self.keeper.stop();
        self.shared.spend_ballast();
        if self.shared.state.is_stuck() {
            self.shared.reopen_state(self.journal.head())?;
        }
        self.shared.flush()?;
        self.journal.trim().map_err(|error| self.failed(AppendError::Broken(error)))?;
        let closed_at = Some(self.journal.head().seq);
        self.write_mark(Mark { closed_at, ..self.notes.mark })
    }

    fn give_back(mut self) {
        self.keeper.stop();
        self.shared.state.close();
        self.shared.regain_ballast();
        drop(self.lock);
    }
}

impl Group<'_> {
    fn add(&mut self, batch: &super::super::Batch, at: Point) -> Result<CommitSeq> {
        let writes = resolve(&self.overlay, batch)?;
        frame::encode_writes(&mut self.payload, &writes);
        self.count += 1;
        let version = CommitSeq(at.seq + self.count);
        self.overlay.add(writes, version);
        Ok(version)
    }
}

/// Whoever asked may have stopped waiting.
fn answer<T>(reply: oneshot::Sender<Result<T>>, result: Result<T>) {
    let _ = reply.send(result);
}
