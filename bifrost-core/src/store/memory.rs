//! The store that forgets: the same contract without a disk, for tests and throw-away hubs.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::{self, BoxFuture, FutureExt};

use super::export::{self, ArchiveEntry};
use super::key::{Key, Prefix};
use super::resolve::{View, Writes, resolve};
use super::{Batch, CommitSeq, MAX_SCAN_LIMIT, Scan, ScanPage, Store, StoreHealth, Usage, Versioned, blocking, full};
use crate::error::{Error, ErrorKind, Result};

/// A store in memory.
///
/// ```
/// use bifrost_core::store::memory::MemoryStore;
/// use bifrost_core::store::key::{Kind, Scope};
/// use bifrost_core::store::{Batch, Store};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let store = MemoryStore::new();
/// let key = Scope::hub().key(Kind::Hub, &[b"motto"])?;
/// let mut batch = Batch::new();
/// batch.put(key.clone(), "durable enough");
/// let seq = store.commit(batch).await?;
/// assert_eq!(store.get(&key).await?.map(|found| found.version), Some(seq));
/// # Ok::<(), bifrost_core::Error>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct MemoryStore(Arc<RwLock<State>>);

#[derive(Debug, Default)]
struct State {
    map: BTreeMap<Key, Versioned>,
    last: CommitSeq,
    closed: bool,
    full: bool,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// An open copy of what is in it now, on its own from here on: what a process that is killed at this moment would
    /// leave behind.
    #[must_use]
    pub fn fork(&self) -> Self {
        let state = self.read();
        Self(Arc::new(RwLock::new(State { map: state.map.clone(), last: state.last, ..State::default() })))
    }

    /// From now on it refuses to write, or writes again, as if its disk were full or had room: for tests of what then
    /// becomes of its users.
    pub fn set_full(&self, full: bool) {
        self.write().full = full;
    }

    /// Whoever panicked with the lock held left whole batches behind: every change below is made after the last thing
    /// that can fail.
    fn read(&self) -> std::sync::RwLockReadGuard<'_, State> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, State> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn commit_now(&self, batch: &Batch) -> Result<CommitSeq> {
        batch.check_limits()?;
        let mut state = self.write();
        state.check_open("commit batch")?;
        if state.full {
            return Err(full());
        }
        let writes = resolve(&*state, batch)?;
        Ok(state.apply(writes))
    }
}

impl State {
    fn check_open(&self, operation: &'static str) -> Result<()> {
        if self.closed {
            return Err(Error::new(ErrorKind::Closed, operation, "the store is closed"));
        }
        Ok(())
    }

    fn apply(&mut self, writes: Writes) -> CommitSeq {
        let version = CommitSeq(self.last.0 + 1);
        for (key, value) in writes {
            match value {
                Some(value) => drop(self.map.insert(key, Versioned { value, version })),
                None => drop(self.map.remove(&key)),
            }
        }
        self.last = version;
        version
    }

    fn range(&self, prefix: &Prefix) -> impl DoubleEndedIterator<Item = (&Key, &Versioned)> {
        let end = prefix.end().map_or(Bound::Unbounded, |end| Bound::Excluded(Key::from_stored(end)));
        let start = Bound::Included(Key::from_stored(prefix.as_bytes().to_vec()));
        self.map.range((start, end))
    }

    fn scan(&self, scan: &Scan) -> Result<ScanPage> {
        let range = self.map.range(scan.bounds()?);
        Ok(if scan.reverse { page(range.rev(), scan.limit) } else { page(range, scan.limit) })
    }
}

fn page<'a>(mut range: impl Iterator<Item = (&'a Key, &'a Versioned)>, limit: usize) -> ScanPage {
    let entries: Vec<_> =
        range.by_ref().take(limit.min(MAX_SCAN_LIMIT)).map(|(key, value)| (key.clone(), value.clone())).collect();
    ScanPage { entries, more: range.next().is_some() }
}

impl View for State {
    fn version(&self, key: &Key) -> Result<Option<CommitSeq>> {
        Ok(self.map.get(key).map(|found| found.version))
    }

    fn last_under(&self, prefix: &Prefix, before: Option<&Key>) -> Result<Option<(Key, Bytes)>> {
        Ok(self
            .range(prefix)
            .rev()
            .find(|(key, _)| before.is_none_or(|before| *key < before))
            .map(|(key, found)| (key.clone(), found.value.clone())))
    }
}

fn read_all(source: Box<dyn Read + Send>) -> Result<(BTreeMap<Key, Versioned>, CommitSeq)> {
    let mut reader = export::ArchiveReader::open(source)?;
    let mut map = BTreeMap::new();
    while let Some(ArchiveEntry { key, value, version }) = reader.next_entry()? {
        map.insert(key, Versioned { value, version });
    }
    Ok((map, reader.last_commit()))
}

#[async_trait]
impl Store for MemoryStore {
    fn commit(&self, batch: Batch) -> BoxFuture<'static, Result<CommitSeq>> {
        future::ready(self.commit_now(&batch)).boxed()
    }

    async fn get(&self, key: &Key) -> Result<Option<Versioned>> {
        let state = self.read();
        state.check_open("read record")?;
        Ok(state.map.get(key).cloned())
    }

    async fn scan(&self, scan: Scan) -> Result<ScanPage> {
        let state = self.read();
        state.check_open("scan records")?;
        state.scan(&scan)
    }

    async fn usage(&self, prefix: &Prefix) -> Result<Usage> {
        let state = self.read();
        state.check_open("measure records")?;
        let mut usage = Usage::default();
        for (key, found) in state.range(prefix) {
            usage.keys += 1;
            usage.bytes += (key.as_bytes().len() + found.value.len()) as u64;
        }
        Ok(usage)
    }

    async fn export(&self, sink: Box<dyn Write + Send>) -> Result<CommitSeq> {
        let (last, entries) = {
            let state = self.read();
            state.check_open("export store")?;
            let entries: Vec<_> = state.map.iter().map(|(key, found)| (key.clone(), found.clone())).collect();
            (state.last, entries)
        };
        let entries =
            entries.into_iter().map(|(key, Versioned { value, version })| Ok(ArchiveEntry { key, value, version }));
        blocking("export store", move || export::write_archive(sink, last, entries)).await?;
        Ok(last)
    }

    async fn import(&self, source: Box<dyn Read + Send>) -> Result<CommitSeq> {
        let (map, last) = blocking("import store", move || read_all(source)).await?;
        let mut state = self.write();
        state.check_open("import store")?;
        if state.last != CommitSeq(0) {
            return Err(export::not_empty(state.last));
        }
        state.last = last;
        state.map = map;
        Ok(last)
    }

    fn health(&self) -> StoreHealth {
        let state = self.read();
        StoreHealth {
            engine: "memory",
            last_commit: state.last,
            queued: 0,
            refusing: state.closed.then(|| "the store is closed".to_owned()),
            open_report: Vec::new(),
        }
    }

    async fn close(&self) -> Result<()> {
        self.write().closed = true;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::SharedStore;
    use crate::testing::store_suite::{StoreFactory, run_all};

    struct Fresh;

    #[async_trait]
    impl StoreFactory for Fresh {
        async fn fresh(&self) -> SharedStore {
            Arc::new(MemoryStore::new())
        }

        async fn reopen(&self, _store: SharedStore) -> Option<SharedStore> {
            None
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn behaves_like_every_store() {
        run_all(&Fresh).await;
    }
}
