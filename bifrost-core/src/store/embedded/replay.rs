//! From a point onwards: how far the journal leads, and going there.

use super::super::CommitSeq;
use super::frame::{Frame, Point, decode_writes};
use super::journal::{self, Survey};
use super::room::Reserve;
use super::state::{self, Changes, State};
use crate::error::{Error, ErrorKind, Result};

/// How far the journal leads from a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reach {
    pub(super) end: Point,
    /// The first batch after the journal goes on, if it does.
    pub(super) resumes: Option<u64>,
}

/// Follows the journal from `base`; `None` when it tells another history.
pub(super) fn reach(survey: &Survey, base: Point) -> std::io::Result<Option<Reach>> {
    let mut end = base;
    for run in &survey.runs {
        if run.to.seq < end.seq {
            continue;
        }
        if run.from.seq > end.seq {
            let resumes = Some(run.from.seq + 1);
            return Ok(Some(Reach { end, resumes }));
        }
        if journal::hash_after(survey, run, end.seq)? != Some(end.hash) {
            return Ok(None);
        }
        end = run.to;
    }
    Ok(Some(Reach { end, resumes: None }))
}

/// Applies every group after `from`, many at a time.
pub(super) fn replay(survey: &Survey, state: &State, from: Point) -> Result<()> {
    let mut pending = Pending { state, changes: Changes::new(), bytes: 0, at: from };
    for run in &survey.runs {
        if run.to.seq <= pending.at.seq {
            continue;
        }
        if run.from != pending.at && run.from.seq >= pending.at.seq {
            break;
        }
        let after = pending.at.seq;
        journal::replay(survey, run, after, |frame| pending.add(frame).map_err(Failed))
            .map_err(|Failed(error)| error)?;
    }
    pending.apply()
}

/// Lets one closure fail in two ways.
struct Failed(Error);

impl From<std::io::Error> for Failed {
    fn from(error: std::io::Error) -> Self {
        Self(Error::new(ErrorKind::Unavailable, "replay journal", "the journal cannot be read").source(error))
    }
}

struct Pending<'a> {
    state: &'a State,
    changes: Changes,
    bytes: usize,
    at: Point,
}

impl Pending<'_> {
    fn add(&mut self, frame: &Frame<'_>) -> Result<()> {
        for (version, writes) in (frame.first..).zip(decode_writes(frame)?) {
            state::add(&mut self.changes, writes, CommitSeq(version));
        }
        self.at = Point { seq: frame.last, hash: frame.hash };
        self.bytes += frame.length;
        if self.bytes > 1024 * 1024 { self.apply() } else { Ok(()) }
    }

    fn apply(&mut self) -> Result<()> {
        if self.bytes > 0 {
            self.state.lay(std::mem::take(&mut self.changes), self.at)?;
            self.state.drain(Reserve::Used)?;
        }
        self.bytes = 0;
        Ok(())
    }
}
