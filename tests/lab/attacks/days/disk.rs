//! The hub's disk: it is full, it fails, code of ours panics on it, and it keeps what it holds when the process dies.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bifrost::store::key::{Key, Prefix, Scope};
use bifrost::store::memory::MemoryStore;
use bifrost::store::{Batch, CommitSeq, Scan, ScanPage, Store, StoreHealth, Usage, Versioned};
use bifrost::{Error, ErrorKind, Result, TenantId};
use futures_util::future::{BoxFuture, FutureExt, ready};

use crate::panics::MADE;

/// What the disk does to commits.
#[derive(Debug, Default)]
struct Troubles {
    full: bool,
    /// Commits until the next one that panics.
    panic_in: Option<u32>,
    /// Commits until the next one that is refused.
    refuse_in: Option<u32>,
}

/// The store of one life of the hub.
#[derive(Debug, Clone, Default)]
pub(crate) struct Disk {
    store: MemoryStore,
    troubles: Arc<Mutex<Troubles>>,
}

impl Disk {
    /// What a process that dies now leaves behind. What it writes from now on goes nowhere.
    pub(crate) fn survivor(&self) -> Self {
        Self { store: self.store.fork(), troubles: Arc::default() }
    }

    pub(crate) fn set_full(&self, full: bool) {
        self.troubles.lock().unwrap().full = full;
    }

    pub(crate) fn panic_after(&self, commits: u32) {
        self.troubles.lock().unwrap().panic_in = Some(commits);
    }

    pub(crate) fn refuse_after(&self, commits: u32) {
        self.troubles.lock().unwrap().refuse_in = Some(commits);
    }

    pub(crate) fn heal(&self) {
        *self.troubles.lock().unwrap() = Troubles::default();
    }

    /// A hash of every record, as it is sealed.
    pub(crate) async fn hash(&self, tenants: &[&str]) -> u64 {
        let mut hasher = DefaultHasher::new();
        let scopes = tenants.iter().map(|name| Scope::tenant(TenantId::new(*name).unwrap()));
        for scope in [Scope::hub()].into_iter().chain(scopes) {
            let mut scan = Scan::prefix(scope.all()).limit(1_000);
            loop {
                let page = self.store.scan(scan.clone()).await.unwrap();
                for (key, found) in &page.entries {
                    (key.as_bytes(), &found.value).hash(&mut hasher);
                }
                match page.entries.last() {
                    Some((key, _)) if page.more => scan = scan.after(key.clone()),
                    _ => break,
                }
            }
        }
        hasher.finish()
    }

    fn refusal(&self) -> Option<Error> {
        let mut troubles = self.troubles.lock().unwrap();
        // The hub's tasks are attacked, not the caller's own code.
        if tokio::task::try_id().is_some() && counted_down(&mut troubles.panic_in) {
            drop(troubles);
            panic!("{MADE} the disk panics");
        }
        if counted_down(&mut troubles.refuse_in) {
            return Some(Error::new(ErrorKind::Unavailable, "commit batch", "the disk refuses, as it was told"));
        }
        troubles.full.then(|| Error::new(ErrorKind::StoreFull, "commit batch", "the disk is full, as it was told"))
    }
}

fn counted_down(left: &mut Option<u32>) -> bool {
    match left {
        Some(0) => {
            *left = None;
            true
        }
        Some(count) => {
            *count -= 1;
            false
        }
        None => false,
    }
}

#[async_trait]
impl Store for Disk {
    fn commit(&self, batch: Batch) -> BoxFuture<'static, Result<CommitSeq>> {
        match self.refusal() {
            Some(error) => ready(Err(error)).boxed(),
            None => self.store.commit(batch),
        }
    }

    async fn get(&self, key: &Key) -> Result<Option<Versioned>> {
        self.store.get(key).await
    }

    async fn scan(&self, scan: Scan) -> Result<ScanPage> {
        self.store.scan(scan).await
    }

    async fn usage(&self, prefix: &Prefix) -> Result<Usage> {
        self.store.usage(prefix).await
    }

    async fn export(&self, sink: Box<dyn std::io::Write + Send>) -> Result<CommitSeq> {
        self.store.export(sink).await
    }

    async fn import(&self, source: Box<dyn std::io::Read + Send>) -> Result<CommitSeq> {
        self.store.import(source).await
    }

    fn health(&self) -> StoreHealth {
        self.store.health()
    }

    async fn close(&self) -> Result<()> {
        self.store.close().await
    }
}
