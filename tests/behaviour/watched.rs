//! A store that tells somebody of all that is about to happen in it, who may look, delay or refuse.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bifrost::Result;
use bifrost::store::key::{Key, Prefix};
use bifrost::store::memory::MemoryStore;
use bifrost::store::{Batch, CommitSeq, Scan, ScanPage, Store, StoreHealth, Usage, Versioned};
use futures_util::future::{BoxFuture, FutureExt, ready};

/// Hears of everything.
pub(crate) trait Watcher: Send + Sync + fmt::Debug + 'static {
    /// Something is about to be read.
    fn reading(&self) -> BoxFuture<'static, Result<()>> {
        ready(Ok(())).boxed()
    }

    /// `batch` is about to be committed to what `store` holds.
    fn committing(&self, _store: &MemoryStore, _batch: &Batch) -> Result<()> {
        Ok(())
    }

    /// `batch` was committed. Whoever sent it hears of that when this resolves.
    fn committed(&self, _store: &MemoryStore, _batch: &Batch) -> BoxFuture<'static, ()> {
        ready(()).boxed()
    }
}

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct Watched {
    inner: MemoryStore,
    watcher: Arc<dyn Watcher>,
}

impl Watched {
    pub(crate) fn new(inner: MemoryStore, watcher: Arc<dyn Watcher>) -> Self {
        Self { inner, watcher }
    }
}

#[async_trait]
impl Store for Watched {
    fn commit(&self, batch: Batch) -> BoxFuture<'static, Result<CommitSeq>> {
        if let Err(error) = self.watcher.committing(&self.inner, &batch) {
            return ready(Err(error)).boxed();
        }
        let commit = self.inner.commit(batch.clone());
        let told = self.watcher.committed(&self.inner, &batch);
        async move {
            told.await;
            commit.await
        }
        .boxed()
    }

    async fn get(&self, key: &Key) -> Result<Option<Versioned>> {
        self.watcher.reading().await?;
        self.inner.get(key).await
    }

    async fn scan(&self, scan: Scan) -> Result<ScanPage> {
        self.watcher.reading().await?;
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
