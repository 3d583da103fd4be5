//! Records what the store does to its files.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use bifrost::store::embedded::{DiskHook, DiskOp};

use crate::dice::Dice;

/// A change, with paths relative to the outermost folder.
#[derive(Debug, Clone)]
pub(super) enum Change {
    CreateDir(PathBuf),
    Create(PathBuf),
    Write(PathBuf, usize, Vec<u8>),
    SetLen(PathBuf, usize),
    Sync(PathBuf),
    SyncDir(PathBuf),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
}

/// The engine's files, which do not pass the hook: names and contents.
pub(super) type Engine = Arc<BTreeMap<PathBuf, Vec<u8>>>;

#[derive(Debug, Default)]
struct Inner {
    changes: Vec<Change>,
    /// Up to where batches were acknowledged when so many changes had been made.
    acked: Vec<(usize, u64)>,
    /// The engine's files when so many changes had been made, and whether they were just synced.
    engine: Vec<(usize, Engine, bool)>,
    /// The first change of this process.
    begun: usize,
}

/// Everything that happened, in order.
#[derive(Debug)]
pub(super) struct Recorder {
    outer: PathBuf,
    state: PathBuf,
    dice: Dice,
    /// What there was at the beginning, all of it durable.
    pub(super) before: BTreeMap<PathBuf, Option<Vec<u8>>>,
    inner: Mutex<Inner>,
}

/// A moment at which the power goes: before one of the changes is made.
#[derive(Debug, Clone)]
pub(super) struct Moment {
    pub(super) index: usize,
    /// The last batch that was acknowledged before.
    pub(super) acked: u64,
    /// The engine's files as they were last synced, and as they were last.
    pub(super) synced: Option<Engine>,
    pub(super) latest: Option<Engine>,
}

impl Recorder {
    pub(super) fn new(outer: &Path, folder: &Path, seed: u64) -> Self {
        let mut before = BTreeMap::new();
        read_tree(outer, outer, &mut before);
        let state = folder.join("state");
        let recorder =
            Self { outer: outer.to_owned(), state, dice: Dice::new(seed), before, inner: Mutex::new(Inner::default()) };
        let engine = recorder.engine();
        if !engine.is_empty() {
            recorder.inner.lock().unwrap().engine.push((0, engine, true));
        }
        recorder
    }

    /// The same disk after the process was killed at `moment`: nothing more is synced than was. Lies under `outer`.
    pub(super) fn after_kill(&self, moment: &Moment, outer: &Path, folder: &Path, seed: u64) -> Self {
        let inner = self.inner.lock().unwrap();
        let inner = Inner {
            changes: inner.changes[..moment.index].to_vec(),
            acked: vec![(0, moment.acked)],
            engine: moment.synced.iter().map(|engine| (0, engine.clone(), true)).collect(),
            begun: moment.index,
        };
        let (outer, state) = (outer.to_owned(), folder.join("state"));
        Self { outer, state, dice: Dice::new(seed), before: self.before.clone(), inner: Mutex::new(inner) }
    }

    /// Notes that everything up to batch `seq` is acknowledged by now.
    pub(super) fn acknowledged(&self, seq: u64) {
        let mut inner = self.inner.lock().unwrap();
        let count = inner.changes.len();
        inner.acked.push((count, seq));
    }

    /// A moment of which the engine's files are known.
    pub(super) fn moment(&self, dice: &Dice) -> Moment {
        let inner = self.inner.lock().unwrap();
        let known: Vec<_> = inner.engine.iter().filter(|(at, ..)| *at >= inner.begun).collect();
        let (index, latest) = match known.is_empty() {
            true => (inner.begun + dice.below((inner.changes.len() - inner.begun) as u64 + 1) as usize, None),
            false => {
                let (index, engine, _) = dice.pick(&known);
                (*index, Some(engine.clone()))
            }
        };
        let synced = inner.engine.iter().rfind(|(at, _, synced)| *synced && *at < index.max(1));
        let acked = inner.acked.iter().filter(|(at, _)| *at <= index).map(|(_, seq)| *seq).max();
        Moment { index, acked: acked.unwrap_or(0), synced: synced.map(|(_, engine, _)| engine.clone()), latest }
    }

    /// The changes before a moment.
    pub(super) fn changes(&self, moment: &Moment) -> Vec<Change> {
        self.inner.lock().unwrap().changes[..moment.index].to_vec()
    }

    /// The change that is not made, for people.
    pub(super) fn describe(&self, index: usize) -> String {
        match self.inner.lock().unwrap().changes.get(index) {
            Some(Change::Write(path, at, bytes)) => {
                format!("writing {} bytes at {at} of {}", bytes.len(), path.display())
            }
            other => format!("{other:?}"),
        }
    }

    fn engine(&self) -> Engine {
        let mut files = BTreeMap::new();
        for entry in std::fs::read_dir(&self.state).into_iter().flatten().flatten() {
            // A file may go away while the folder is read.
            if let Ok(bytes) = std::fs::read(entry.path()) {
                files.insert(entry.path().strip_prefix(&self.outer).unwrap().to_owned(), bytes);
            }
        }
        Arc::new(files)
    }
}

fn read_tree(outer: &Path, dir: &Path, into: &mut BTreeMap<PathBuf, Option<Vec<u8>>>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.strip_prefix(outer).unwrap().to_owned();
        if !path.is_dir() {
            into.insert(name, Some(std::fs::read(&path).unwrap()));
        } else if !name.ends_with("state") && !name.ends_with("state.damaged") {
            into.insert(name, None);
            read_tree(outer, &path, into);
        }
    }
}

impl DiskHook for Recorder {
    fn before(&self, op: DiskOp<'_>) -> io::Result<()> {
        let relative = |path: &Path| path.strip_prefix(&self.outer).unwrap_or(Path::new("")).to_owned();
        let change = match op {
            DiskOp::CreateDir(path) => Change::CreateDir(relative(path)),
            DiskOp::Create(path) => Change::Create(relative(path)),
            DiskOp::Write(path, offset, bytes) => Change::Write(relative(path), offset as usize, bytes.to_vec()),
            DiskOp::SetLen(path, length) => Change::SetLen(relative(path), length as usize),
            DiskOp::Sync(path) => Change::Sync(relative(path)),
            DiskOp::SyncDir(path) => Change::SyncDir(relative(path)),
            DiskOp::Rename(from, to) => Change::Rename(relative(from), relative(to)),
            DiskOp::Remove(path) => Change::Remove(relative(path)),
            other => return Err(io::Error::other(format!("the lab does not know {other:?}"))),
        };
        let syncs_engine = matches!(op, DiskOp::Sync(path) if path.starts_with(&self.state));
        // More often where something was written and is not safe yet.
        let parts = if matches!(op, DiskOp::Sync(_)) { 3 } else { 1 };
        let engine = (syncs_engine || self.dice.chance(parts, 12)).then(|| self.engine());
        let mut inner = self.inner.lock().unwrap();
        if let Some(engine) = engine {
            // Before the sync the same files are merely the latest.
            let index = inner.changes.len();
            inner.engine.push((index, engine, syncs_engine));
        }
        inner.changes.push(change);
        Ok(())
    }
}
