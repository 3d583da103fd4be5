//! A store that dies: before or after a commit of our choice, with all that was to come.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bifrost::Result;
use bifrost::store::key::Key;
use bifrost::store::memory::MemoryStore;
use bifrost::store::{Batch, CommitSeq, Scan, ScanPage, Store, StoreHealth, Usage, Versioned};
use futures_util::future::{BoxFuture, FutureExt, pending, ready};

/// When the process dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Death {
    /// Its commit of this number, counted from 1, never reaches the disk.
    Before(u32),
    /// It reaches the disk, and nobody hears of it.
    After(u32),
}

/// What one process sees of the disk.
#[derive(Debug, Clone)]
pub(super) struct Mortal {
    inner: MemoryStore,
    plan: Arc<Mutex<Plan>>,
}

#[derive(Debug, Default)]
struct Plan {
    death: Option<Death>,
    commits: u32,
    /// What the disk holds after the death.
    left: Option<MemoryStore>,
}

impl Mortal {
    /// A process on what `disk` holds now.
    pub(super) fn on(disk: &MemoryStore) -> Self {
        Self { inner: disk.fork(), plan: Arc::default() }
    }

    /// Counts commits from now on.
    pub(super) fn plan(&self, death: Option<Death>) {
        *self.plan.lock().unwrap() = Plan { death, ..Plan::default() };
    }

    pub(super) fn is_dead(&self) -> bool {
        self.plan.lock().unwrap().left.is_some()
    }

    /// The process dies now, if it has not: what the disk holds.
    pub(super) fn kill(&self) -> MemoryStore {
        let mut plan = self.plan.lock().unwrap();
        plan.left.get_or_insert_with(|| self.inner.fork()).clone()
    }

    fn commit_or_die(&self, batch: Batch) -> Option<BoxFuture<'static, Result<CommitSeq>>> {
        let mut plan = self.plan.lock().unwrap();
        if plan.left.is_some() {
            return None;
        }
        plan.commits += 1;
        let number = plan.commits;
        if plan.death == Some(Death::Before(number)) {
            plan.left = Some(self.inner.fork());
            return None;
        }
        // The memory store commits when it is asked, not when it is awaited.
        let committed = self.inner.commit(batch).now_or_never().unwrap();
        if plan.death == Some(Death::After(number)) {
            plan.left = Some(self.inner.fork());
            return None;
        }
        Some(ready(committed).boxed())
    }
}

#[async_trait]
impl Store for Mortal {
    fn commit(&self, batch: Batch) -> BoxFuture<'static, Result<CommitSeq>> {
        self.commit_or_die(batch).unwrap_or_else(|| pending().boxed())
    }

    async fn get(&self, key: &Key) -> Result<Option<Versioned>> {
        self.inner.get(key).await
    }

    async fn scan(&self, scan: Scan) -> Result<ScanPage> {
        self.inner.scan(scan).await
    }

    async fn usage(&self, prefix: &bifrost::store::key::Prefix) -> Result<Usage> {
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
