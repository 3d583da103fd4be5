//! A store that remembers every moment of itself.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bifrost::Result;
use bifrost::store::key::{Key, Prefix};
use bifrost::store::memory::MemoryStore;
use bifrost::store::{Batch, CommitSeq, Scan, ScanPage, Store, StoreHealth, Usage, Versioned};
use futures_util::future::{BoxFuture, FutureExt};

/// Keeps what it held after each commit: what a process that dies there leaves behind.
#[derive(Debug, Clone)]
pub(crate) struct Taped {
    inner: MemoryStore,
    forks: Arc<Mutex<Vec<MemoryStore>>>,
}

impl Taped {
    pub(crate) fn new() -> Self {
        Self { inner: MemoryStore::new(), forks: Arc::default() }
    }

    /// One per commit, in order.
    pub(crate) fn forks(&self) -> Vec<MemoryStore> {
        self.forks.lock().unwrap().clone()
    }
}

#[async_trait]
impl Store for Taped {
    fn commit(&self, batch: Batch) -> BoxFuture<'static, Result<CommitSeq>> {
        let commit = self.inner.commit(batch);
        self.forks.lock().unwrap().push(self.inner.fork());
        commit.boxed()
    }

    async fn get(&self, key: &Key) -> Result<Option<Versioned>> {
        self.inner.get(key).await
    }

    async fn scan(&self, scan: Scan) -> Result<ScanPage> {
        self.inner.scan(scan).await
    }

    async fn usage(&self, prefix: &Prefix) -> Result<Usage> {
        self.inner.usage(prefix).await
    }

    async fn export(&self, sink: Box<dyn std::io::Write + Send>) -> Result<CommitSeq> {
        self.inner.export(sink).await
    }

    async fn import(&self, source: Box<dyn std::io::Read + Send>) -> Result<CommitSeq> {
        self.inner.import(source).await
    }

    fn health(&self) -> StoreHealth {
        self.inner.health()
    }

    async fn close(&self) -> Result<()> {
        self.inner.close().await
    }
}
