//! A store that can be told to refuse.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bifrost::store::key::{Key, Prefix, Scope};
use bifrost::store::memory::MemoryStore;
use bifrost::store::{Batch, CommitSeq, Op, Scan, ScanPage, Store, StoreHealth, Usage, Versioned};
use bifrost::{Error, ErrorKind, Result, TenantId};
use futures_util::future::{BoxFuture, FutureExt, ready};

/// With what, and whose commits if not everybody's.
type Refusal = (ErrorKind, Option<Prefix>);

/// A store that refuses commits while told to: everybody's, or one tenant's.
#[derive(Debug, Clone)]
pub(crate) struct Refusing {
    inner: MemoryStore,
    refuse: Arc<Mutex<Option<Refusal>>>,
    once: Arc<AtomicBool>,
    unreadable: Arc<AtomicBool>,
}

impl Refusing {
    pub(crate) fn new() -> Self {
        Self { inner: MemoryStore::new(), refuse: Arc::default(), once: Arc::default(), unreadable: Arc::default() }
    }

    pub(crate) fn refuse(&self, kind: ErrorKind, tenant: Option<&str>) {
        let scope = tenant.map(|name| Scope::tenant(TenantId::new(name).unwrap()).all());
        *self.refuse.lock().unwrap() = Some((kind, scope));
    }

    /// Refuses the next commit alone.
    pub(crate) fn refuse_once(&self, kind: ErrorKind) {
        self.refuse(kind, None);
        self.once.store(true, Ordering::SeqCst);
    }

    /// Fails the next read of a record alone.
    pub(crate) fn fail_read_once(&self) {
        self.unreadable.store(true, Ordering::SeqCst);
    }

    /// Whether the read that was to fail has failed.
    pub(crate) fn has_failed_read(&self) -> bool {
        !self.unreadable.load(Ordering::SeqCst)
    }

    pub(crate) fn recover(&self) {
        *self.refuse.lock().unwrap() = None;
    }

    fn refusal(&self, batch: &Batch) -> Option<Error> {
        let refuse = self.refuse.lock().unwrap();
        let (kind, scope) = refuse.as_ref()?;
        let concerns = |prefix: &Prefix| {
            batch.ops().iter().any(|op| match op {
                Op::Put(key, _) | Op::Delete(key) => key.starts_with(prefix),
                Op::Append(log, _) => log.as_bytes().starts_with(prefix.as_bytes()),
            })
        };
        scope.as_ref().is_none_or(concerns).then(|| Error::new(*kind, "commit batch", "refused by the test"))
    }
}

#[async_trait]
impl Store for Refusing {
    fn commit(&self, batch: Batch) -> BoxFuture<'static, Result<CommitSeq>> {
        match self.refusal(&batch) {
            Some(error) => {
                if self.once.swap(false, Ordering::SeqCst) {
                    self.recover();
                }
                ready(Err(error)).boxed()
            }
            None => self.inner.commit(batch),
        }
    }

    async fn get(&self, key: &Key) -> Result<Option<Versioned>> {
        if self.unreadable.swap(false, Ordering::SeqCst) {
            return Err(Error::internal("read record", "refused by the test"));
        }
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
