//! The journal: numbered segments of frames, the one thing that must reach the disk before a batch is acknowledged.
//!
//! A segment is named after the first sequence number it may hold and begins with 64 bytes: magic, that number, the
//! hash of the group before it, a checksum. Room is laid out ahead in steps of zeros, so that most syncs write no
//! metadata. Segments are only ever appended to; each opening starts a new one, so that no old damage is written over.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::disk::{Disk, is_full};
use super::frame::{self, Point};

pub(super) const SEGMENT_HEADER_LEN: u64 = 64;
const SEGMENT_MAGIC: &[u8; 8] = b"BIFJRN01";
const EXTENSION: &str = "segment";

/// How much room is laid out at a time.
const STEP: usize = 1024 * 1024;
static ZEROS: [u8; STEP] = [0; STEP];

/// Why an append failed, and whether the journal can go on.
#[derive(Debug)]
pub(super) enum AppendError {
    /// No room; nothing of the frame is left behind.
    Full(io::Error),
    /// What the disk holds is unknown: nothing may be acknowledged after this.
    Broken(io::Error),
}

/// A segment that takes no more frames.
#[derive(Debug, Clone)]
pub(super) struct ClosedSegment {
    pub(super) path: PathBuf,
    /// The last batch it can hold.
    pub(super) last: u64,
    pub(super) bytes: u64,
}

/// The segment that takes frames.
#[derive(Debug)]
pub(super) struct Journal {
    dir: PathBuf,
    disk: Disk,
    file: File,
    path: PathBuf,
    /// Where the next frame goes.
    offset: u64,
    /// Up to where the file is laid out.
    laid_out: u64,
    head: Point,
    segment_bytes: u64,
}

impl Journal {
    /// Begins a segment after `head`. It takes the place of one of its name, which can only be one that never got a
    /// whole frame, and it does so in one step: the mark says that a segment of this name is there.
    pub(super) fn begin(dir: &Path, disk: &Disk, head: Point, segment_bytes: u64) -> io::Result<Self> {
        let path = segment_path(dir, head.seq + 1);
        let draft = path.with_extension("tmp");
        disk.remove(&draft)?;
        let file = disk.create(&draft)?;
        let begun = write_header(disk, &file, &draft, head)
            .and_then(|()| disk.rename(&draft, &path))
            .and_then(|()| disk.sync_dir(dir));
        if let Err(error) = begun {
            // Under either name it is as good as absent: it has no frames.
            let _ = disk.remove(&draft);
            return Err(error);
        }
        Ok(Self {
            dir: dir.to_owned(),
            disk: disk.clone(),
            file,
            path,
            offset: SEGMENT_HEADER_LEN,
            laid_out: SEGMENT_HEADER_LEN,
            head,
            segment_bytes,
        })
    }

    /// The last durable group.
    pub(super) fn head(&self) -> Point {
        self.head
    }

    /// The first batch the current segment can hold.
    pub(super) fn first(&self) -> u64 {
        number_of(&self.path).unwrap_or_default()
    }

    /// True when the current segment holds no frame.
    pub(super) fn is_fresh(&self) -> bool {
        self.offset == SEGMENT_HEADER_LEN
    }

    /// True when a frame of this length should go into a new segment.
    pub(super) fn is_full_for(&self, length: usize) -> bool {
        !self.is_fresh() && self.offset + length as u64 > self.segment_bytes
    }

    /// Goes on in a new segment after `head`; returns the one that is now closed.
    pub(super) fn roll(&mut self, head: Point) -> Result<ClosedSegment, AppendError> {
        let next = Self::begin(&self.dir, &self.disk, head, self.segment_bytes).map_err(sort)?;
        let old = std::mem::replace(self, next);
        Ok(old.into_closed())
    }

    fn into_closed(self) -> ClosedSegment {
        ClosedSegment { path: self.path, last: self.head.seq, bytes: self.offset }
    }

    /// Makes `frame`, which leads to `next`, durable.
    pub(super) fn append(&mut self, frame: &[u8], next: Point) -> Result<(), AppendError> {
        if let Err(error) = self.write(frame) {
            return Err(self.take_back(error));
        }
        // After a failed sync the kernel may have dropped the pages: nothing that was written can be trusted.
        self.disk.sync(&self.file, &self.path).map_err(AppendError::Broken)?;
        self.offset += frame.len() as u64;
        self.head = next;
        Ok(())
    }

    fn write(&mut self, frame: &[u8]) -> io::Result<()> {
        let end = self.offset + frame.len() as u64;
        while self.laid_out < end {
            // No further than the segment goes, unless the frame does.
            let wanted = self.segment_bytes.max(end) - self.laid_out;
            let step = STEP.min(usize::try_from(wanted).unwrap_or(STEP));
            self.disk.write_at(&self.file, &self.path, self.laid_out, &ZEROS[..step])?;
            self.laid_out += step as u64;
        }
        self.disk.write_at(&self.file, &self.path, self.offset, frame)
    }

    /// A half-written frame must not stand before later ones: cut it off, or take no later ones.
    fn take_back(&mut self, error: io::Error) -> AppendError {
        let cut = self
            .disk
            .set_len(&self.file, &self.path, self.offset)
            .and_then(|()| self.disk.sync(&self.file, &self.path));
        if cut.is_err() {
            return AppendError::Broken(error);
        }
        self.laid_out = self.offset;
        sort(error)
    }

    /// Gives the room back that was laid out ahead.
    pub(super) fn trim(&mut self) -> io::Result<()> {
        self.disk.set_len(&self.file, &self.path, self.offset)?;
        self.laid_out = self.offset;
        self.disk.sync(&self.file, &self.path)
    }
}

/// Tells lack of room from breakage.
pub(super) fn sort(error: io::Error) -> AppendError {
    if is_full(&error) { AppendError::Full(error) } else { AppendError::Broken(error) }
}

fn write_header(disk: &Disk, file: &File, path: &Path, head: Point) -> io::Result<()> {
    let mut header = Vec::with_capacity(64);
    header.extend_from_slice(SEGMENT_MAGIC);
    header.extend_from_slice(&(head.seq + 1).to_le_bytes());
    header.extend_from_slice(&head.hash);
    let checksum = crc32c::crc32c(&header);
    header.extend_from_slice(&checksum.to_le_bytes());
    header.resize(64, 0);
    disk.write_at(file, path, 0, &header)?;
    disk.sync(file, path)
}

fn header_is_sound(bytes: &[u8]) -> bool {
    bytes.len() >= 64 && bytes.starts_with(SEGMENT_MAGIC) && crc32c::crc32c(&bytes[..48]) == frame::u32_at(bytes, 48)
}

pub(super) fn segment_path(dir: &Path, first: u64) -> PathBuf {
    dir.join(format!("{first:020}.{EXTENSION}"))
}

fn number_of(path: &Path) -> Option<u64> {
    if path.extension()? != EXTENSION {
        return None;
    }
    path.file_stem()?.to_str()?.parse().ok()
}

/// An unbroken row of frames in one segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) segment: usize,
    pub(super) offset: u64,
    /// The point before the first frame.
    pub(super) from: Point,
    /// The point after the last.
    pub(super) to: Point,
}

/// A segment as it was found.
#[derive(Debug, Clone)]
pub(super) struct FoundSegment {
    pub(super) path: PathBuf,
    pub(super) first: u64,
    pub(super) bytes: u64,
    /// Where its last whole frame ends.
    pub(super) end: u64,
    /// Bytes after that which are not zero: a frame that was being written, or damage.
    pub(super) torn: u64,
    /// Where whole frames follow on something that is none, or the header is not as written.
    pub(super) damaged: bool,
}

/// Everything readable in a journal.
#[derive(Debug, Default)]
pub(super) struct Survey {
    pub(super) segments: Vec<FoundSegment>,
    pub(super) runs: Vec<Run>,
}

impl Survey {
    /// The last batch any whole frame holds.
    pub(super) fn last(&self) -> u64 {
        self.runs.iter().map(|run| run.to.seq).max().unwrap_or(0)
    }
}

/// Reads all segments under `dir` and notes what is whole.
pub(super) fn survey(dir: &Path) -> io::Result<Survey> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if let Some(first) = number_of(&path) {
            paths.push((first, path));
        }
    }
    paths.sort();
    let mut survey = Survey::default();
    for (first, path) in paths {
        let bytes = std::fs::read(&path)?;
        let (found, runs) = survey_segment(&bytes, survey.segments.len());
        survey.runs.extend(runs);
        survey.segments.push(FoundSegment { path, first, ..found });
    }
    Ok(survey)
}

fn survey_segment(bytes: &[u8], segment: usize) -> (FoundSegment, Vec<Run>) {
    let mut runs: Vec<Run> = Vec::new();
    let mut damaged = !header_is_sound(bytes);
    let mut at = SEGMENT_HEADER_LEN as usize;
    let mut end = at.min(bytes.len());
    while let Some((offset, found)) = next_frame(bytes, at) {
        let from = Point { seq: found.first - 1, hash: found.previous };
        let to = Point { seq: found.last, hash: found.hash };
        damaged |= offset != at;
        match runs.last_mut() {
            Some(run) if offset == at && run.to == from => run.to = to,
            _ => runs.push(Run { segment, offset: offset as u64, from, to }),
        }
        at = offset + found.length;
        end = at.min(bytes.len());
    }
    let torn = match bytes[end..].iter().rposition(|byte| *byte != 0) {
        Some(last) => last as u64 + 1,
        None => 0,
    };
    let found =
        FoundSegment { path: PathBuf::new(), first: 0, bytes: bytes.len() as u64, end: end as u64, torn, damaged };
    (found, runs)
}

/// The next whole frame at or after `at`, wherever frames may begin.
fn next_frame(bytes: &[u8], at: usize) -> Option<(usize, frame::Frame<'_>)> {
    if let Some(found) = frame::decode(bytes.get(at..)?) {
        return Some((at, found));
    }
    // Zeros to the end are the usual case: a segment that is not full.
    let something = at + bytes[at..].iter().position(|byte| *byte != 0)?;
    let mut offset = something / 8 * 8;
    while offset + frame::HEADER_LEN <= bytes.len() {
        if let Some(found) = frame::decode(&bytes[offset..]) {
            return Some((offset, found));
        }
        offset += 8;
    }
    None
}

/// Calls `each` with every frame of `run` after `after`, in order.
pub(super) fn replay<E: From<io::Error>>(
    survey: &Survey,
    run: &Run,
    after: u64,
    mut each: impl FnMut(&frame::Frame<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let bytes = std::fs::read(&survey.segments[run.segment].path)?;
    let mut at = run.offset as usize;
    while let Some(found) = bytes.get(at..).and_then(frame::decode) {
        if found.last > run.to.seq {
            break;
        }
        if found.first > after {
            each(&found)?;
        }
        at += found.length;
    }
    Ok(())
}

/// The hash after batch `seq`, if a group of `run` ends or begins there.
pub(super) fn hash_after(survey: &Survey, run: &Run, seq: u64) -> io::Result<Option<super::super::chain::Hash>> {
    if run.from.seq == seq {
        return Ok(Some(run.from.hash));
    }
    let mut hash = None;
    replay(survey, run, 0, |found| {
        if found.last == seq {
            hash = Some(found.hash);
        }
        Ok::<_, io::Error>(())
    })?;
    Ok(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn append(journal: &mut Journal, payload: &[u8]) {
        let (frame, next) = frame::encode(journal.head(), 1, payload).unwrap();
        if journal.is_full_for(frame.len()) {
            journal.roll(journal.head()).unwrap();
        }
        journal.append(&frame, next).unwrap();
    }

    fn filled(dir: &Path) -> Journal {
        let mut journal = Journal::begin(dir, &Disk::default(), Point::GENESIS, 600).unwrap();
        for number in 1..=10_u8 {
            append(&mut journal, &[number; 100]);
        }
        journal
    }

    #[test]
    fn frames_come_back_in_rows_that_join() {
        let dir = tempfile::tempdir().unwrap();
        let journal = filled(dir.path());
        let survey = survey(dir.path()).unwrap();
        assert!(survey.segments.len() > 2);
        assert!(survey.segments.iter().all(|segment| !segment.damaged && segment.torn == 0));
        assert_eq!(survey.runs.first().unwrap().from, Point::GENESIS);
        assert!(survey.runs.windows(2).all(|pair| pair[0].to == pair[1].from));
        assert_eq!(survey.runs.last().unwrap().to, journal.head());
    }

    #[test]
    fn damage_in_the_middle_leaves_what_is_around_it() {
        let dir = tempfile::tempdir().unwrap();
        filled(dir.path());
        let path = segment_path(dir.path(), 1);
        let mut bytes = std::fs::read(&path).unwrap();
        // The second frame of the first segment.
        bytes[64 + 168 + 70] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let survey = survey(dir.path()).unwrap();
        assert!(survey.segments[0].damaged);
        let rows: Vec<_> = survey.runs.iter().map(|run| (run.from.seq, run.to.seq)).collect();
        assert_eq!(rows[..2], [(0, 1), (2, 3)]);
    }

    #[test]
    fn a_frame_cut_in_half_is_torn_not_damaged() {
        let dir = tempfile::tempdir().unwrap();
        let journal = filled(dir.path());
        let path = journal.path.clone();
        let file = File::options().write(true).open(&path).unwrap();
        file.set_len(journal.offset - 50).unwrap();
        let survey = survey(dir.path()).unwrap();
        let last = survey.segments.last().unwrap();
        assert!(!last.damaged && last.torn > 0);
        assert_eq!(survey.last(), 9);
    }
}
