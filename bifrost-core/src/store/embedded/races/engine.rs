//! In the place of the state's engine: as much of its interface as the state uses, over a map in memory.
//!
//! The engine's own threads and locks cannot be put under the model checker. What it holds is a mutex of the standard
//! library, which no schedule can interrupt: here the engine is taken to be sound.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

pub(in super::super) type Result<T> = std::result::Result<T, Error>;
pub(in super::super) type IVec = Vec<u8>;
type Map = BTreeMap<Vec<u8>, IVec>;

#[derive(Debug)]
#[allow(dead_code, reason = "as the engine has them")]
pub(in super::super) enum Error {
    Corruption { at: Option<u64> },
    Io(std::io::Error),
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self:?}")
    }
}

impl std::error::Error for Error {}

#[derive(Default)]
pub(in super::super) struct Config(PathBuf);

impl Config {
    pub(in super::super) fn new() -> Self {
        Self::default()
    }

    pub(in super::super) fn path(self, path: &Path) -> Self {
        Self(path.to_owned())
    }

    pub(in super::super) fn cache_capacity(self, _: u64) -> Self {
        self
    }

    pub(in super::super) fn flush_every_ms(self, _: Option<u64>) -> Self {
        self
    }

    /// Always empty: what was there before is told again by the journal.
    pub(in super::super) fn open(self) -> Result<Db> {
        std::fs::create_dir_all(&self.0).map_err(Error::Io)?;
        std::fs::File::create(self.0.join("db")).map_err(Error::Io)?;
        Ok(Db::default())
    }
}

#[derive(Clone, Default)]
pub(in super::super) struct Db(Arc<Mutex<Map>>);

impl Db {
    fn with<T>(&self, call: impl FnOnce(&mut Map) -> T) -> T {
        call(&mut self.0.lock().unwrap())
    }

    pub(in super::super) fn get(&self, key: impl AsRef<[u8]>) -> Result<Option<Vec<u8>>> {
        Ok(self.with(|map| map.get(key.as_ref()).cloned()))
    }

    pub(in super::super) fn insert(&self, key: impl AsRef<[u8]>, value: impl Into<Vec<u8>>) -> Result<Option<Vec<u8>>> {
        Ok(self.with(|map| map.insert(key.as_ref().to_vec(), value.into())))
    }

    pub(in super::super) fn remove(&self, key: impl AsRef<[u8]>) -> Result<Option<Vec<u8>>> {
        Ok(self.with(|map| map.remove(key.as_ref())))
    }

    pub(in super::super) fn range(&self, bounds: (Bound<Vec<u8>>, Bound<Vec<u8>>)) -> Iter {
        let entries: Vec<_> =
            self.with(|map| map.range(bounds).map(|(key, value)| (key.clone(), value.clone())).collect());
        Iter(entries.into_iter())
    }

    pub(in super::super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(in super::super) fn len(&self) -> usize {
        self.with(|map| map.len())
    }

    pub(in super::super) fn flush(&self) -> Result<usize> {
        Ok(0)
    }
}

pub(in super::super) struct Iter(std::vec::IntoIter<(Vec<u8>, Vec<u8>)>);

impl Iterator for Iter {
    type Item = Result<(Vec<u8>, Vec<u8>)>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(Ok)
    }
}

impl DoubleEndedIterator for Iter {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.0.next_back().map(Ok)
    }
}
