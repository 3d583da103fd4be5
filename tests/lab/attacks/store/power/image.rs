//! Makes the image of a power cut.
//!
//! Files and names have two lives. A name lives in its folder and is safe once the folder is synced; a file's content
//! is safe once the file is synced. What is not safe is there, or not, each for itself; a write that is not safe may
//! have reached the disk in some of its sectors.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::recorder::{Change, Engine, Moment, Recorder};
use crate::dice::Dice;

const SECTOR: usize = 512;

/// What a name leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Node {
    Folder,
    File(usize),
}

/// A change to names that its folder's sync has not covered.
#[derive(Debug, Clone)]
enum Naming {
    Add(PathBuf, Node),
    Move(PathBuf, PathBuf, Node),
    Drop(PathBuf),
}

/// A change to content that the file's sync has not covered.
#[derive(Debug)]
enum Writing {
    Bytes(usize, Vec<u8>),
    Length(usize),
}

#[derive(Debug, Default)]
struct File {
    safe: Vec<u8>,
    unsafe_writes: Vec<Writing>,
}

/// A disk before the power goes.
#[derive(Debug, Default)]
struct Model {
    files: Vec<File>,
    /// Names as the store sees them, and as they are safe.
    names: BTreeMap<PathBuf, Node>,
    safe: BTreeMap<PathBuf, Node>,
    namings: Vec<Naming>,
}

/// Puts under `target` what may be left when the power goes at `moment`.
pub(super) fn after_power_cut(dice: &Dice, recorder: &Recorder, moment: &Moment, target: &Path) {
    model(recorder, moment).leave(dice, target);
    leave_engine(dice, moment, target);
}

/// Puts under `target` what is left when the process is killed at `moment`: all of it.
pub(super) fn after_kill(recorder: &Recorder, moment: &Moment, target: &Path) {
    let mut model = model(recorder, moment);
    for file in &mut model.files {
        file.sync();
    }
    make_tree(&model.names, target, |file| model.files[file].safe.clone());
    for (name, content) in moment.latest.iter().flat_map(|engine| engine.iter()) {
        let path = target.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
}

fn model(recorder: &Recorder, moment: &Moment) -> Model {
    let mut model = Model::default();
    for (path, content) in &recorder.before {
        let node = content.as_ref().map_or(Node::Folder, |content| model.add_file(content.clone()));
        model.names.insert(path.clone(), node);
        model.safe.insert(path.clone(), node);
    }
    for change in recorder.changes(moment) {
        model.make(change);
    }
    model
}

/// Folders sort before what is in them; what is in one that is not there is gone with it.
fn make_tree(names: &BTreeMap<PathBuf, Node>, target: &Path, content: impl Fn(usize) -> Vec<u8>) {
    for (path, node) in names {
        let path = target.join(path);
        match node {
            _ if !path.parent().is_some_and(Path::exists) => {}
            Node::Folder => std::fs::create_dir(path).unwrap(),
            Node::File(file) => std::fs::write(path, content(*file)).unwrap(),
        }
    }
}

impl Model {
    fn add_file(&mut self, safe: Vec<u8>) -> Node {
        self.files.push(File { safe, unsafe_writes: Vec::new() });
        Node::File(self.files.len() - 1)
    }

    fn make(&mut self, change: Change) {
        match change {
            Change::CreateDir(path) => self.name(Naming::Add(path, Node::Folder)),
            Change::Create(path) => {
                let node = self.add_file(Vec::new());
                self.name(Naming::Add(path, node));
            }
            Change::Write(path, offset, bytes) => self.write(&path, Writing::Bytes(offset, bytes)),
            Change::SetLen(path, length) => self.write(&path, Writing::Length(length)),
            Change::Sync(path) => {
                // The engine's own file is not known here.
                if let Some(Node::File(file)) = self.names.get(&path) {
                    self.files[*file].sync();
                }
            }
            Change::SyncDir(dir) => self.sync_dir(&dir),
            Change::Rename(from, to) => {
                if let Some(node) = self.names.get(&from) {
                    self.name(Naming::Move(from, to, *node));
                }
            }
            Change::Remove(path) => self.name(Naming::Drop(path)),
        }
    }

    fn name(&mut self, naming: Naming) {
        naming.apply(&mut self.names);
        self.namings.push(naming);
    }

    fn write(&mut self, path: &Path, writing: Writing) {
        match self.names.get(path) {
            Some(Node::File(file)) => self.files[*file].unsafe_writes.push(writing),
            other => panic!("{} is written to and is {other:?}", path.display()),
        }
    }

    fn sync_dir(&mut self, dir: &Path) {
        for naming in std::mem::take(&mut self.namings) {
            if naming.folder() == dir { naming.apply(&mut self.safe) } else { self.namings.push(naming) }
        }
    }

    fn leave(mut self, dice: &Dice, target: &Path) {
        for naming in self.namings.iter().filter(|_| dice.chance(1, 2)) {
            naming.apply(&mut self.safe);
        }
        make_tree(&self.safe, target, |file| self.files[file].leave(dice));
    }
}

impl Naming {
    fn folder(&self) -> &Path {
        let (Self::Add(path, _) | Self::Move(path, ..) | Self::Drop(path)) = self;
        path.parent().unwrap_or(Path::new(""))
    }

    fn apply(&self, names: &mut BTreeMap<PathBuf, Node>) {
        match self {
            Self::Add(path, node) => drop(names.insert(path.clone(), *node)),
            Self::Move(from, to, node) => {
                names.remove(from);
                names.insert(to.clone(), *node);
            }
            Self::Drop(path) => drop(names.remove(path)),
        }
    }
}

impl Writing {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Self::Bytes(offset, bytes) => put(content, *offset, bytes),
            Self::Length(length) => content.resize(*length, 0),
        }
    }
}

fn put(content: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[offset..end].copy_from_slice(bytes);
}

impl File {
    fn sync(&mut self) {
        for writing in std::mem::take(&mut self.unsafe_writes) {
            writing.apply(&mut self.safe);
        }
    }

    /// Its content after the power went.
    fn leave(&self, dice: &Dice) -> Vec<u8> {
        let mut content = self.safe.clone();
        // Often everything or nothing reached the disk, or all up to some write: these are the hard cases as well.
        let taken = dice.below(self.unsafe_writes.len() as u64 + 1) as usize;
        let in_order = dice.chance(1, 2);
        for (number, writing) in self.unsafe_writes.iter().enumerate() {
            match (in_order, number.cmp(&taken), writing) {
                (true, std::cmp::Ordering::Less, _) => writing.apply(&mut content),
                (true, std::cmp::Ordering::Greater, _) => {}
                (_, _, Writing::Bytes(offset, bytes)) => tear(dice, &mut content, *offset, bytes),
                (_, _, Writing::Length(_)) if dice.chance(1, 2) => writing.apply(&mut content),
                _ => {}
            }
        }
        content
    }
}

/// Writes some sectors of it. The file may have grown to any length up to its end.
fn tear(dice: &Dice, content: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    if content.len() < end {
        let grown = dice.below((end - content.len()) as u64 + 1) as usize;
        content.resize(content.len() + grown, 0);
    }
    let mut at = offset;
    while at < end {
        let next = (at / SECTOR * SECTOR + SECTOR).min(end);
        let shown = next.min(content.len());
        if shown > at && dice.chance(1, 2) {
            content[at..shown].copy_from_slice(&bytes[at - offset..shown - offset]);
        }
        at = next;
    }
}

/// The engine's files: every sector as it was last synced or as it was last, files that were never synced perhaps not
/// there at all.
fn leave_engine(dice: &Dice, moment: &Moment, target: &Path) {
    let Some(latest) = &moment.latest else { return };
    let none = Engine::default();
    let synced = moment.synced.as_ref().unwrap_or(&none);
    if dice.chance(1, 10) {
        return;
    }
    let whole = dice.chance(1, 4);
    let names = synced.keys().chain(latest.keys().filter(|name| !synced.contains_key(*name)));
    for name in names {
        let content = match (synced.get(name), latest.get(name)) {
            (_, Some(latest)) if whole => latest.clone(),
            (Some(synced), Some(latest)) => mix(dice, synced, latest),
            (None, Some(latest)) if dice.chance(1, 2) => mix(dice, &[], latest),
            (Some(synced), None) if dice.chance(1, 2) => synced.clone(),
            _ => continue,
        };
        let path = target.join(name);
        if path.parent().and_then(Path::parent).is_some_and(Path::exists) {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
    }
}

fn mix(dice: &Dice, synced: &[u8], latest: &[u8]) -> Vec<u8> {
    let (shorter, longer) = (synced.len().min(latest.len()), synced.len().max(latest.len()));
    let length =
        *dice.pick(&[synced.len(), latest.len(), shorter + dice.below((longer - shorter) as u64 + 1) as usize]);
    let mut content = vec![0; length];
    for at in (0..length).step_by(SECTOR) {
        let from = if dice.chance(1, 2) { latest } else { synced };
        let end = (at + SECTOR).min(length).min(from.len());
        if at < end {
            content[at..end].copy_from_slice(&from[at..end]);
        }
    }
    content
}
