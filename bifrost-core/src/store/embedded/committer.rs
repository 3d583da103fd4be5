//! The committer: the one thread that changes the store.
//!
//! It takes what queued while the last sync ran, checks every batch against the state as the batches before it will
//! leave it, writes all of them as one frame, syncs once, applies them to the state, and only then answers. So a batch
//! costs a share of one sync, an answer means durable and readable, and there is nothing to lock across a sync.
//!
//! What fails, and what it means: a precondition concerns its batch alone. No room (`StoreFull`) takes the frame back,
//! and writing goes on when there is room. Any other failure of a write or sync leaves it unknown what the disk holds:
//! the store is poisoned, answers nothing more, and opening it again decides.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use tokio::sync::oneshot;

use super::super::resolve::resolve;
use super::super::{CommitSeq, export};
use super::frame::{self, Point};
use super::journal::{AppendError, ClosedSegment, Journal, sort};
use super::keeper::Keeper;
use super::lock::Lock;
use super::mark::{self, Mark};
use super::overlay::Overlay;
use super::queue::{Control, Request, Work};
use super::shared::Shared;
use super::snapshot::{self, Snapshot};
use crate::error::{Error, ErrorKind, Result};

pub(super) struct Committer {
    shared: Arc<Shared>,
    journal: Journal,
    keeper: Keeper,
    mark: Mark,
    /// Segments that are closed, and which the mark may still name.
    closed: Vec<ClosedSegment>,
    /// Bytes appended since the keeper was last told.
    grown: u64,
    lock: Lock,
}

/// Batches that passed their preconditions, on their way to the disk.
struct Group<'a> {
    overlay: Overlay<'a>,
    payload: Vec<u8>,
    count: u64,
}

impl Committer {
    pub(super) fn new(shared: Arc<Shared>, journal: Journal, keeper: Keeper, mark: Mark, lock: Lock) -> Self {
        Self { shared, journal, keeper, mark, closed: Vec::new(), grown: 0, lock }
    }

    /// Works until the store is closed or let go of.
    pub(super) fn run(mut self) {
        loop {
            match self.shared.queue.take() {
                Work::Group(requests) => self.group(requests),
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
        self.shared.check_room()?;
        let shared = self.shared.clone();
        let at = self.journal.head();
        let mut group = Group { overlay: Overlay::new(&shared.state), payload: Vec::new(), count: 0 };
        let results = batches.iter().map(|batch| group.add(batch, at)).collect();
        if group.count > 0 {
            let (frame, next) = frame::encode(at, group.count, &group.payload)?;
            self.append(&frame, next)?;
            let changes = group.overlay.into_changes();
            shared.state.apply(&changes, next).map_err(|error| shared.poison(&error))?;
            shared.advance(next.seq);
            self.tell_keeper(frame.len() as u64);
        }
        Ok(results)
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

    fn roll(&mut self) -> Result<()> {
        // An empty segment has the name of the one that would follow it: both would be one file.
        if self.journal.is_empty() {
            return self.name_segment();
        }
        self.roll_to(self.journal.head())
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
        if self.mark.segment != segment {
            self.write_mark(Mark { segment, ..self.mark })?;
        }
        self.closed.drain(..).for_each(|closed| self.shared.segment_closed(closed));
        Ok(())
    }

    fn write_mark(&mut self, mark: Mark) -> Result<()> {
        let written = mark::write(&self.shared.disk, &self.shared.layout.root, mark);
        written.map_err(|error| self.failed(sort(error)))?;
        self.mark = mark;
        Ok(())
    }

    fn tell_keeper(&mut self, bytes: u64) {
        self.grown += bytes;
        if self.grown >= self.shared.options.checkpoint_bytes {
            self.grown = 0;
            self.keeper.wake();
        }
    }

    fn install(&mut self, draft: &Path, at: Point) -> Result<CommitSeq> {
        if self.journal.head() != Point::GENESIS {
            return Err(export::not_empty(CommitSeq(self.journal.head().seq)));
        }
        let (shared, dir) = (self.shared.clone(), self.shared.layout.snapshots());
        let installed = snapshot::install(&dir, &shared.disk, draft, at).map_err(|error| {
            Error::new(ErrorKind::StorePoisoned, "import store", "the archive could not be put in place").source(error)
        });
        // From here on the archive is the store's history, whether or not the rest succeeds.
        installed.and_then(|snapshot| self.fill(&snapshot)).map_err(|error| shared.poison(&error))?;
        self.roll_to(at)?;
        shared.advance(at.seq);
        Ok(CommitSeq(at.seq))
    }

    fn fill(&self, snapshot: &Snapshot) -> Result<()> {
        let mut reader = snapshot::open(snapshot)?;
        self.shared.state.fill(|| reader.next_entry(), snapshot.at)?;
        self.shared.state.flush()
    }

    fn finish(&mut self) -> Result<()> {
        self.keeper.stop();
        self.shared.state.flush().map_err(|error| self.shared.poison(&error))?;
        self.journal.trim().map_err(|error| self.failed(AppendError::Broken(error)))?;
        let closed_at = Some(self.journal.head().seq);
        self.write_mark(Mark { closed_at, ..self.mark })
    }

    fn give_back(mut self) {
        self.keeper.stop();
        self.shared.state.close();
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
