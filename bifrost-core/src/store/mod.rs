//! The store: one durable, ordered map from scoped keys to values, with atomic batches and chained logs.
//!
//! | engine | durable | where |
//! |---|---|---|
//! | [`MemoryStore`](memory::MemoryStore) | no | tests, throw-away hubs |
//! | [`EmbeddedStore`](embedded::EmbeddedStore) | yes | default: journal as truth, sled as rebuildable state |
//!
//! Both resolve a batch the same way (`resolve`: preconditions, numbering of chained logs) and both read and write
//! the same archive ([`export`]). Records reach an engine through a [`TenantStore`](records::TenantStore), which serializes and seals them. Every
//! engine passes the behaviour suite in [`testing::store_suite`](crate::testing).

pub mod chain;
#[cfg(feature = "embedded")]
pub mod embedded;
pub mod export;
pub mod key;
pub mod memory;
pub mod records;
mod resolve;
pub mod seal;

use std::fmt;
use std::ops::Bound;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::BoxFuture;

use crate::error::{Error, ErrorKind, Result, Retry};
pub use key::{Key, Prefix, Scope};

/// The longest key an engine takes, in bytes.
pub const MAX_KEY_LEN: usize = 256;
/// The largest value an engine takes, in bytes. What an engine cannot hold in one piece it splits by itself.
pub const MAX_VALUE_LEN: usize = 4 * 1024 * 1024;
/// The most operations one batch may hold.
pub const MAX_BATCH_OPS: usize = 1_024;
/// The most bytes of keys and values one batch may hold.
pub const MAX_BATCH_BYTES: usize = 16 * 1024 * 1024;
/// The most entries one scan returns.
pub const MAX_SCAN_LIMIT: usize = 1_000;

/// The place of a batch in the store's history: strictly increasing without gaps, first one is 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct CommitSeq(pub u64);

impl fmt::Display for CommitSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A value with the commit that wrote it. A key that was deleted and written again has a higher version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versioned<T = Bytes> {
    /// The value.
    pub value: T,
    /// The commit that wrote it.
    pub version: CommitSeq,
}

/// What must hold for a batch to be applied; checked in the order of commits, all or nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Precondition {
    /// Nothing is stored under the key.
    Absent(Key),
    /// The key was last written by this commit.
    At(Key, CommitSeq),
}

impl Precondition {
    /// The key it speaks of.
    pub fn key(&self) -> &Key {
        match self {
            Self::Absent(key) | Self::At(key, _) => key,
        }
    }
}

/// One change to the map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// Stores a value under a key.
    Put(Key, Bytes),
    /// Removes a key; one that is absent is fine.
    Delete(Key),
    /// Appends a payload to the chained log under this prefix. The engine numbers the entry and chains it to the one
    /// before, see [`chain`]; entries never change.
    Append(Prefix, Bytes),
}

/// Changes that become durable together or not at all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    preconditions: Vec<Precondition>,
    ops: Vec<Op>,
}

impl Batch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Demands that `precondition` holds.
    pub fn require(&mut self, precondition: Precondition) -> &mut Self {
        self.preconditions.push(precondition);
        self
    }

    /// Stores `value` under `key`.
    pub fn put(&mut self, key: Key, value: impl Into<Bytes>) -> &mut Self {
        self.ops.push(Op::Put(key, value.into()));
        self
    }

    /// Removes `key`.
    pub fn delete(&mut self, key: Key) -> &mut Self {
        self.ops.push(Op::Delete(key));
        self
    }

    /// Appends `payload` to the chained log under `log`.
    pub fn append(&mut self, log: Prefix, payload: impl Into<Bytes>) -> &mut Self {
        self.ops.push(Op::Append(log, payload.into()));
        self
    }

    /// What must hold.
    pub fn preconditions(&self) -> &[Precondition] {
        &self.preconditions
    }

    /// The changes, in order.
    pub fn ops(&self) -> &[Op] {
        &self.ops
    }

    /// True when there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }

    /// Checks the limits that are the same in every engine.
    ///
    /// # Errors
    /// `TooLarge` naming the limit.
    pub fn check_limits(&self) -> Result<()> {
        limits::check(self)
    }
}

mod limits {
    use super::{Batch, MAX_BATCH_BYTES, MAX_BATCH_OPS, MAX_KEY_LEN, MAX_VALUE_LEN, Op};
    use crate::error::{Error, ErrorKind, Result};

    pub(super) fn check(batch: &Batch) -> Result<()> {
        bound("operations in a batch", batch.ops.len() + batch.preconditions.len(), MAX_BATCH_OPS)?;
        let mut total = 0;
        for op in &batch.ops {
            let (key, value) = match op {
                Op::Put(key, value) => (key.as_bytes().len(), value.len()),
                Op::Delete(key) => (key.as_bytes().len(), 0),
                // The entry number is part of the key that comes out.
                Op::Append(log, payload) => (log.as_bytes().len() + 8, payload.len()),
            };
            bound("bytes in a key", key, MAX_KEY_LEN)?;
            bound("bytes in a value", value, MAX_VALUE_LEN)?;
            total += key + value;
        }
        for precondition in &batch.preconditions {
            bound("bytes in a key", precondition.key().as_bytes().len(), MAX_KEY_LEN)?;
        }
        bound("bytes in a batch", total, MAX_BATCH_BYTES)
    }

    fn bound(what: &str, found: usize, limit: usize) -> Result<()> {
        if found <= limit {
            return Ok(());
        }
        Err(Error::new(ErrorKind::TooLarge, "commit batch", format!("too many {what}"))
            .with("limit", limit)
            .with("used", found))
    }
}

/// One page of a scan request.
#[derive(Debug, Clone)]
pub struct Scan {
    /// Only keys that start with this.
    pub prefix: Prefix,
    /// Only keys past this one in the direction of the scan; must lie under `prefix`.
    pub after: Option<Key>,
    /// At most this many entries; capped at [`MAX_SCAN_LIMIT`].
    pub limit: usize,
    /// From the last key to the first.
    pub reverse: bool,
}

impl Scan {
    /// The first page under `prefix`, in key order.
    pub fn prefix(prefix: Prefix) -> Self {
        Self { prefix, after: None, limit: MAX_SCAN_LIMIT, reverse: false }
    }

    /// Goes on after `key`.
    #[must_use]
    pub fn after(mut self, key: Key) -> Self {
        self.after = Some(key);
        self
    }

    /// Returns at most `limit` entries.
    #[must_use]
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// Goes from the last key to the first.
    #[must_use]
    pub fn reverse(mut self) -> Self {
        self.reverse = true;
        self
    }

    /// Between which keys the page lies, whichever way it is read.
    pub(crate) fn bounds(&self) -> Result<(Bound<Key>, Bound<Key>)> {
        let mut start = Bound::Included(Key::from_stored(self.prefix.as_bytes().to_vec()));
        let mut end = self.prefix.end().map_or(Bound::Unbounded, |end| Bound::Excluded(Key::from_stored(end)));
        if let Some(after) = &self.after {
            if !after.starts_with(&self.prefix) {
                return Err(Error::invalid("scan records", "the page begins outside the scanned prefix"));
            }
            let edge = Bound::Excluded(after.clone());
            *(if self.reverse { &mut end } else { &mut start }) = edge;
        }
        Ok((start, end))
    }
}

/// Entries found by a scan, all as of one commit, in the direction of the scan.
#[derive(Debug, Clone, Default)]
pub struct ScanPage {
    /// The entries.
    pub entries: Vec<(Key, Versioned)>,
    /// True when more may follow after the last entry.
    pub more: bool,
}

/// What a prefix occupies, counted in logical bytes of keys and values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Usage {
    /// How many keys.
    pub keys: u64,
    /// Their bytes and those of their values.
    pub bytes: u64,
}

/// A look at the store that anyone may take.
#[derive(Debug, Clone, serde::Serialize)]
pub struct StoreHealth {
    /// The engine's name.
    pub engine: &'static str,
    /// The last durable commit.
    pub last_commit: CommitSeq,
    /// Batches waiting for the next sync.
    pub queued: usize,
    /// Why nothing can be written, if so.
    pub refusing: Option<String>,
    /// What opening found and mended, in words; empty when all was well.
    pub open_report: Vec<String>,
}

/// The contract every engine keeps.
///
/// Reads see everything acknowledged before they began. Batches that were not acknowledged may survive a crash, but
/// only whole.
#[async_trait]
pub trait Store: Send + Sync + fmt::Debug + 'static {
    /// Makes `batch` durable, all or nothing.
    ///
    /// The batch takes its place in the order of commits when this is called, not when it is first polled elsewhere:
    /// two calls made one after the other by one task commit in that order, and a future that is dropped takes nothing
    /// back.
    ///
    /// # Errors
    /// Nothing was kept: `Conflict` when a precondition fails, `TooLarge`, `InvalidInput`, `Overloaded` when too much
    /// waits for the next sync, `StoreFull`, `Closed`. Known only after reopening: `StorePoisoned`.
    fn commit(&self, batch: Batch) -> BoxFuture<'static, Result<CommitSeq>>;

    /// The value under `key`.
    ///
    /// # Errors
    /// `StoreCorrupt` when it does not read back as written; `Closed`.
    async fn get(&self, key: &Key) -> Result<Option<Versioned>>;

    /// A page of entries under a prefix.
    ///
    /// # Errors
    /// As [`Store::get`].
    async fn scan(&self, scan: Scan) -> Result<ScanPage>;

    /// What the keys under `prefix` occupy.
    ///
    /// # Errors
    /// As [`Store::get`].
    async fn usage(&self, prefix: &Prefix) -> Result<Usage>;

    /// The whole store at one commit, in the portable archive format of [`export`].
    ///
    /// # Errors
    /// As [`Store::get`], or when `sink` fails.
    async fn export(&self, sink: Box<dyn std::io::Write + Send>) -> Result<CommitSeq>;

    /// Fills an empty store from an archive.
    ///
    /// # Errors
    /// `Conflict` when the store is not empty, `StoreCorrupt` when the archive is damaged; the store then stays empty.
    async fn import(&self, source: Box<dyn std::io::Read + Send>) -> Result<CommitSeq>;

    /// Drops copies of what was overwritten or deleted, as far as the engine keeps any: called when data must be gone,
    /// such as after a tenant's data key was destroyed.
    ///
    /// # Errors
    /// As [`Store::commit`].
    async fn compact(&self) -> Result<()> {
        Ok(())
    }

    /// How the store is doing.
    fn health(&self) -> StoreHealth;

    /// Finishes what is queued and gives the files back. Calls after this answer `Closed`.
    ///
    /// # Errors
    /// When the last sync fails.
    async fn close(&self) -> Result<()>;
}

/// The keys under `prefix`, page by page.
///
/// # Errors
/// As [`Store::scan`].
pub async fn keys_under(store: &dyn Store, prefix: &Prefix) -> Result<Vec<Key>> {
    let mut found: Vec<Key> = Vec::new();
    let mut scan = Scan::prefix(prefix.clone());
    loop {
        let page = store.scan(scan).await?;
        found.extend(page.entries.into_iter().map(|(key, _)| key));
        match found.last() {
            Some(last) if page.more => scan = Scan::prefix(prefix.clone()).after(last.clone()),
            _ => return Ok(found),
        }
    }
}

/// A shared engine.
pub type SharedStore = Arc<dyn Store>;

/// No room to write; reads go on.
fn full() -> Error {
    Error::new(ErrorKind::StoreFull, "commit batch", "the disk is full")
        .retry(Retry::Later)
        .next_action("free some space on the store's disk; writing goes on by itself")
}

/// Runs what may wait for a disk, or for somebody's sink, where no async thread has to wait with it.
async fn blocking<T: Send + 'static>(
    operation: &'static str,
    call: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(call)
        .await
        .map_err(|error| Error::internal(operation, "the worker ended early").source(error))?
}
