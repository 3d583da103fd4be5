//! Opening: what is there, what belongs together, and what is rebuilt from what.
//!
//! Three parts hold history: the journal (every group since the last snapshot), the state, and the snapshot. A base is a
//! point to start from: the state where it stands, a snapshot, or nothing at all. From a base, the journal's frames are
//! followed as long as each begins where the one before ended and names its hash. A base is good when this reaches the
//! last batch that is known to have been acknowledged: the farthest of state, snapshots, journal, the note of what was
//! acknowledged, and of the mark if the store was closed in order. The state is preferred, then the newest snapshot, then nothing.
//!
//! | journal | state | snapshot | what happens |
//! |---|---|---|---|
//! | whole | whole | whole, or none yet | the state is used, groups after it are replayed |
//! | whole | whole | damaged | the same; a new snapshot is taken |
//! | whole | missing, refusing, damaged, behind, of another store | whole, or none yet | the state is moved aside and rebuilt |
//! | ends before what the state was left half changed towards | left half changed | any | the state is not used |
//! | torn after what was noted as acknowledged | behind that | any | the end is cut off, and the report says so |
//! | torn before that | behind that | behind that | refused: `AcknowledgedDataMissing` |
//! | torn at its end | holds what is torn | any | nothing is lost; a new snapshot is taken |
//! | damaged in the middle | past the damage | any | nothing is lost; a new snapshot is taken |
//! | damaged in the middle | before the damage | past the damage | rebuilt from the snapshot |
//! | damaged in the middle | before the damage, or bad | before the damage, or bad | refused: `AcknowledgedDataMissing` |
//! | missing, store was closed in order | whole | any | nothing is lost; a new snapshot is taken |
//! | missing, store was closed in order | bad | at its end | rebuilt from the snapshot |
//! | newest segment missing, store was not closed | any | any | refused, "last" is unknown: the others may be behind |
//! | of another store than state and snapshot | | | refused: `StoreCorrupt` |
//!
//! So damage to one of the three costs time, except where only the journal held something, which is while the store is
//! open and after a crash: then damage is refused by name, never passed over. The note is not synced, so after a power
//! cut it may be behind; a bad end of the journal after it cannot be told from a group that was being written.
//!
//! Whenever journal and snapshot alone could not rebuild the store any more, a snapshot is taken before it is used.
//! With `accept_loss` an operator takes what the farthest base reaches; the report says what is gone.

use std::path::Path;

use super::disk::{Disk, open_failed};
use super::frame::Point;
use super::journal::{self, ClosedSegment, Survey};
use super::mark::{self, Found, Mark};
use super::replay::{Reach, reach, replay};
use super::room::RESERVE;
use super::shared::Layout;
use super::snapshot::{self, Snapshot};
use super::state::State;
use super::{EmbeddedOptions, acked};
use crate::error::{Error, ErrorKind, Result};

/// A store brought back, before it takes anything new.
pub(super) struct Recovered {
    pub(super) state: State,
    pub(super) head: Point,
    pub(super) segments: Vec<ClosedSegment>,
    pub(super) snapshot_bytes: u64,
    pub(super) epoch: u64,
    pub(super) report: Vec<String>,
}

/// What was found.
struct Finds {
    mark: Found,
    /// The last batch that was noted as acknowledged.
    acked: u64,
    survey: Survey,
    /// Whole ones, newest first.
    snapshots: Vec<Snapshot>,
    damaged_snapshots: usize,
    state: Option<State>,
    state_is_bad: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Base {
    State,
    Snapshot(usize),
    Nothing,
}

/// What is known to have been acknowledged.
struct Known {
    last: u64,
    /// False when there may have been more.
    certain: bool,
    closed_at: Option<u64>,
}

struct Recovery<'a> {
    layout: &'a Layout,
    options: &'a EmbeddedOptions,
    disk: &'a Disk,
    report: Vec<String>,
}

/// Opens what lies under `layout`, mends what can be mended, refuses what cannot.
pub(super) fn recover(layout: &Layout, options: &EmbeddedOptions, disk: &Disk) -> Result<Recovered> {
    let mut recovery = Recovery { layout, options, disk, report: Vec::new() };
    let mut finds = recovery.find()?;
    let known = recovery.known(&finds)?;
    let (base, reach) = recovery.choose(&finds, &known)?;
    let state = recovery.bring_to(&mut finds, base, reach.end)?;
    recovery.finish(&finds, state, reach.end)
}

/// The state alone, opened again under the store that is in use: at `head`, from whatever reaches it. All of it is
/// read, for it was left in the middle of something.
pub(super) fn reopen_state(layout: &Layout, options: &EmbeddedOptions, disk: &Disk, head: Point) -> Result<State> {
    let options = options.clone().with_verify_on_open(true).with_accept_loss(false);
    let mut recovery = Recovery { layout, options: &options, disk, report: Vec::new() };
    let mut finds = recovery.find()?;
    let known = recovery.known(&finds)?;
    let (base, reach) = recovery.choose(&finds, &known)?;
    let state = recovery.bring_to(&mut finds, base, reach.end)?;
    if state.at()? == head {
        return Ok(state);
    }
    Err(Error::new(ErrorKind::StoreCorrupt, "reopen state", "journal and snapshot lead elsewhere than they did"))
}

impl Recovery<'_> {
    fn failed(&self) -> impl Fn(std::io::Error) -> Error + use<'_> {
        |error| open_failed(&self.layout.root, error)
    }

    fn say(&mut self, text: impl Into<String>) {
        let text = text.into();
        tracing::warn!(path = %self.layout.root.display(), "opening the store: {text}");
        self.report.push(text);
    }

    fn find(&mut self) -> Result<Finds> {
        let mark = mark::read(&self.layout.root).map_err(self.failed())?;
        if mark == Found::Damaged {
            self.say("the mark was damaged; it is written anew");
        }
        let acked = acked::read(&self.layout.root).unwrap_or_else(|| {
            self.say(
                "the note of what was acknowledged was damaged: a group missing at the journal's end goes unnoticed",
            );
            0
        });
        let survey = journal::survey(&self.layout.journal()).map_err(self.failed())?;
        let (mut snapshots, mut damaged_snapshots) = (Vec::new(), 0);
        for found in snapshot::list(&self.layout.snapshots(), self.disk).map_err(self.failed())? {
            if !self.options.verify_on_open || snapshot::verify(&found).is_ok() {
                snapshots.push(found);
            } else {
                self.say(format!("the snapshot at {} was damaged; it is not used", found.at.seq));
                damaged_snapshots += 1;
            }
        }
        let (state, state_is_bad) = self.open_state()?;
        Ok(Finds { mark, acked, survey, snapshots, damaged_snapshots, state, state_is_bad })
    }

    /// The state, if there is one that can be used; whether there is one that cannot.
    fn open_state(&mut self) -> Result<(Option<State>, bool)> {
        let path = self.layout.state();
        if !path.exists() {
            return Ok((None, false));
        }
        match State::open(&path, self.disk, self.options.cache_bytes, self.options.verify_on_open) {
            Ok(state) => Ok((Some(state), false)),
            // No room says nothing about the state.
            Err(error) if error.kind() == ErrorKind::StoreFull => Err(error),
            Err(error) => {
                let why = std::error::Error::source(&error).map_or_else(String::new, |source| format!(" ({source})"));
                self.say(format!("the state cannot be used: {}{why}", error.message()));
                Ok((None, true))
            }
        }
    }

    fn known(&self, finds: &Finds) -> Result<Known> {
        let state = finds.state.as_ref().map_or(Ok(0), State::reach)?;
        let snapshot = finds.snapshots.first().map_or(0, |snapshot| snapshot.at.seq);
        let mark = match finds.mark {
            Found::Mark(mark) => Some(mark),
            Found::Missing | Found::Damaged => None,
        };
        let closed_at = mark.and_then(|mark| mark.closed_at);
        let last = finds.survey.last().max(state).max(snapshot).max(closed_at.unwrap_or(0)).max(finds.acked);
        let has = |first| finds.survey.segments.iter().any(|segment| segment.first == first);
        let certain = match mark {
            Some(mark) => closed_at.is_some() || has(mark.segment),
            // A store that never held anything has no mark either.
            None => last == 0 || !finds.survey.segments.is_empty(),
        };
        Ok(Known { last, certain, closed_at })
    }

    /// The points there are to start from, each with the batch the journal must lead to from there.
    fn bases(&self, finds: &Finds) -> Result<Vec<(Base, Point, u64)>> {
        let mut bases = Vec::new();
        if let Some(state) = &finds.state {
            bases.push((Base::State, state.at()?, state.reach()?));
        }
        for (index, snapshot) in finds.snapshots.iter().enumerate() {
            bases.push((Base::Snapshot(index), snapshot.at, snapshot.at.seq));
        }
        bases.push((Base::Nothing, Point::GENESIS, 0));
        Ok(bases)
    }

    fn choose(&mut self, finds: &Finds, known: &Known) -> Result<(Base, Reach)> {
        let mut best: Option<(Base, Reach)> = None;
        for (base, point, least) in self.bases(finds)? {
            if known.closed_at.is_some_and(|closed_at| point.seq > closed_at) {
                self.say("a part of the store is from after it was closed, and is not used");
                continue;
            }
            let Some(reach) = reach(&finds.survey, point).map_err(self.failed())? else {
                self.say(format!("{} does not belong to the journal, and is not used", name(base)));
                continue;
            };
            if reach.end.seq < least {
                self.say(format!(
                    "{} was left half changed, and the journal does not end that: it is not used",
                    name(base)
                ));
                continue;
            }
            if known.certain && reach.end.seq >= known.last {
                return Ok((base, reach));
            }
            if best.is_none_or(|(_, farthest)| farthest.end.seq < reach.end.seq) {
                best = Some((base, reach));
            }
        }
        self.settle(best, known)
    }

    /// Nothing reaches what was acknowledged.
    fn settle(&mut self, best: Option<(Base, Reach)>, known: &Known) -> Result<(Base, Reach)> {
        let Some((base, reach)) = best else {
            return Err(Error::new(
                ErrorKind::StoreCorrupt,
                "open store",
                "journal, state and snapshot do not belong together",
            )
            .with("path", self.layout.root.display())
            .next_action("put back the files that belong here, or restore a backup"));
        };
        let first = reach.end.seq + 1;
        let last = match reach.resumes {
            Some(resumes) => (resumes - 1).to_string(),
            None if known.certain => known.last.to_string(),
            None => "unknown".to_owned(),
        };
        if self.options.accept_loss {
            self.say(format!(
                "acknowledged batches {first} to {last}, and any after them, are lost; the loss was accepted"
            ));
            return Ok((base, reach));
        }
        Err(Error::new(
            ErrorKind::AcknowledgedDataMissing,
            "open store",
            "batches that were acknowledged cannot be found",
        )
        .with("path", self.layout.root.display())
        .with("first", first)
        .with("last", last)
        .next_action(
            "restore the missing files or a backup; to go on without the missing batches, open with `accept_loss`",
        ))
    }

    /// The state as of `end`, from `base` on.
    fn bring_to(&mut self, finds: &mut Finds, base: Base, end: Point) -> Result<State> {
        let state = match (base, finds.state.take()) {
            (Base::State, Some(state)) => state,
            (_, unused) => {
                // One that was left on its way from the beginning stands there still, and holds something.
                let was_used = unused.as_ref().map_or(Ok(0), State::reach)? > 0;
                if let Some(unused) = unused {
                    unused.close();
                }
                if finds.state_is_bad || was_used {
                    self.move_aside()?;
                }
                self.rebuild(finds, base)?
            }
        };
        let from = state.at()?;
        replay(&finds.survey, &state, from)?;
        if base != Base::State && end != Point::GENESIS {
            state.flush()?;
            self.say(format!("the state was rebuilt from {} and the journal, up to {}", name(base), end.seq));
        }
        Ok(state)
    }

    /// Keeps the last bad state for whoever wants to know why, if there is room for two.
    fn move_aside(&mut self) -> Result<()> {
        let (path, aside) = (self.layout.state(), self.layout.damaged_state());
        remove_folder(&aside)?;
        if self.disk.room(&self.layout.root) < RESERVE + length(&path.join("db")) {
            self.say("the state that could not be used was removed, for want of room");
            return remove_folder(&path);
        }
        let moved = self.disk.rename(&path, &aside).and_then(|()| self.disk.sync_dir(&self.layout.root));
        moved.map_err(|error| open_failed(&path, error))?;
        self.say(format!("the state that could not be used was moved to {}", aside.display()));
        Ok(())
    }

    fn rebuild(&self, finds: &Finds, base: Base) -> Result<State> {
        let state = State::open(&self.layout.state(), self.disk, self.options.cache_bytes, false)?;
        if let Base::Snapshot(index) = base {
            let snapshot = &finds.snapshots[index];
            let mut reader = snapshot::open(snapshot)?;
            state.fill(|| reader.next_entry(), snapshot.at)?;
        }
        Ok(state)
    }

    fn finish(mut self, finds: &Finds, state: State, head: Point) -> Result<Recovered> {
        self.cut_tail(&finds.survey, head)?;
        let mut segments = closed_segments(&finds.survey, head);
        let mut snapshot_bytes = finds.snapshots.first().map_or(0, |snapshot| length(&snapshot.path));
        if self.must_snapshot(finds, head)? {
            state.flush()?;
            let (_, bytes) = snapshot::take(&self.layout.snapshots(), self.disk, &state, 0)?;
            snapshot_bytes = bytes;
            for segment in segments.drain(..) {
                self.disk.remove(&segment.path).map_err(self.failed())?;
            }
            self.say(format!("a snapshot was taken at {}", head.seq));
        }
        let epoch = match finds.mark {
            Found::Mark(Mark { epoch, .. }) => epoch + 1,
            Found::Missing | Found::Damaged => 1,
        };
        Ok(Recovered { state, head, segments, snapshot_bytes, epoch, report: self.report })
    }

    /// True when the store could not be rebuilt if the state went bad next.
    fn must_snapshot(&self, finds: &Finds, head: Point) -> Result<bool> {
        // What is damaged is replaced, so that it is not met again at every opening.
        if finds.damaged_snapshots > 0 || finds.survey.segments.iter().any(|segment| segment.damaged) {
            return Ok(true);
        }
        let bases = finds.snapshots.iter().map(|snapshot| snapshot.at);
        for base in bases.chain([Point::GENESIS]) {
            let reach = reach(&finds.survey, base).map_err(self.failed())?;
            if reach.is_some_and(|reach| reach.end == head && reach.resumes.is_none()) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Segments end where their last whole frame ends; what is left of the last one's room goes back to the disk.
    fn cut_tail(&mut self, survey: &Survey, head: Point) -> Result<()> {
        let Some(last) = survey.segments.last() else {
            return Ok(());
        };
        for segment in survey.segments.iter().filter(|segment| segment.damaged) {
            self.say(format!("the journal segment that begins at {} is damaged", segment.first));
        }
        if last.torn > 0 {
            self.say(format!(
                "{} bytes of an unfinished group after {} were cut from the journal",
                last.torn,
                survey.last()
            ));
        }
        if head.seq == 0 {
            return Ok(());
        }
        let file = std::fs::File::options().write(true).open(&last.path).map_err(self.failed())?;
        if last.bytes > last.end {
            self.disk.set_len(&file, &last.path, last.end).map_err(self.failed())?;
        }
        // The process may have ended between a write and its sync, and from here on the group counts.
        self.disk.sync(&file, &last.path).map_err(self.failed())
    }
}

fn remove_folder(path: &Path) -> Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(open_failed(path, error)),
        _ => Ok(()),
    }
}

fn name(base: Base) -> &'static str {
    match base {
        Base::State => "the state",
        Base::Snapshot(_) => "a snapshot",
        Base::Nothing => "nothing",
    }
}

fn length(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |found| found.len())
}

/// What each segment holds at most; the name of an empty one is that of the segment that comes next.
fn closed_segments(survey: &Survey, head: Point) -> Vec<ClosedSegment> {
    let found = survey.segments.iter().enumerate();
    let closed = found.filter(|(_, segment)| segment.first != head.seq + 1);
    closed
        .map(|(index, segment)| {
            let runs = survey.runs.iter().filter(|run| run.segment == index);
            ClosedSegment {
                path: segment.path.clone(),
                last: runs.map(|run| run.to.seq).max().unwrap_or(0),
                bytes: segment.end,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::super::key::Key;
    use super::super::super::{Batch, CommitSeq, Store};
    use super::super::EmbeddedStore;
    use super::super::state::{Change, Changes};
    use super::*;

    fn put(key: &Key) -> Batch {
        let mut batch = Batch::new();
        batch.put(key.clone(), Bytes::from_static(b"value"));
        batch
    }

    #[tokio::test]
    async fn a_state_left_on_its_way_past_the_journal_is_not_built_upon() {
        let [kept, gone] = [b"kept", b"gone"].map(|key| Key::from_stored(&key[..]));
        for at in [Point::GENESIS, Point { seq: 1, hash: [0; 32] }] {
            let dir = tempfile::tempdir().unwrap();
            let open = || EmbeddedStore::open(dir.path(), EmbeddedOptions::default());
            let store = open().await.unwrap();
            store.commit(put(&gone)).await.unwrap();
            let mut removal = put(&kept);
            removal.delete(gone.clone());
            store.commit(removal).await.unwrap();
            // From here on the journal does not lead to where the state was going.
            store.checkpoint().await.unwrap();
            store.close().await.unwrap();

            let state = dir.path().join("state");
            std::fs::remove_dir_all(&state).unwrap();
            let state = State::open(&state, &Disk::default(), 1024 * 1024, true).unwrap();
            let change = |version| Change { value: Some(Bytes::new()), version: CommitSeq(version), ordinal: 0 };
            if at != Point::GENESIS {
                state.lay(Changes::from([(gone.clone(), change(1))]), at).unwrap();
                state.flush().unwrap();
            }
            let other = Key::from_stored(&b"other"[..]);
            let changes = Changes::from([(gone.clone(), change(2)), (other.clone(), change(2))]);
            state.leave_within(&changes, Point { seq: 2, hash: [0; 32] }).unwrap();
            state.close();

            let store = open().await.unwrap();
            let report = store.health().open_report;
            assert!(report.iter().any(|said| said.contains("rebuilt from a snapshot")), "{report:?}");
            assert_eq!(store.get(&kept).await.unwrap().unwrap().version, CommitSeq(2));
            for gone in [&gone, &other] {
                assert_eq!(store.get(gone).await.unwrap(), None);
            }
            store.close().await.unwrap();
            assert_eq!(open().await.unwrap().health().open_report, Vec::<String>::new());
        }
    }
}
