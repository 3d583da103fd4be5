//! A store that lets a seed decide when things happen, and that can be told to fail.
//!
//! Batches keep the order in which they were handed in, as the contract says, and become visible later: what a real
//! disk does. Reads see what is durable.

use std::collections::HashSet;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use bifrost::store::key::{Key, Prefix, Scope};
use bifrost::store::memory::MemoryStore;
use bifrost::store::{Batch, CommitSeq, Op, Scan, ScanPage, Store, StoreHealth, Usage, Versioned};
use bifrost::testing::ActorProbe;
use bifrost::{Error, ErrorKind, Hub, Result, TenantId};
use futures_util::future::{BoxFuture, FutureExt, ready};
use tokio::sync::{mpsc, oneshot};

use crate::dice::Dice;
use crate::panics::MADE;

/// Where a fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Commit,
    Get,
    Scan,
}

/// What goes wrong, once.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    pub(crate) place: Place,
    pub(crate) tenant: &'static str,
    /// It panics instead of refusing.
    pub(crate) panics: bool,
}

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct Shaken(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    seed: u64,
    store: MemoryStore,
    dice: Arc<Dice>,
    queue: OnceLock<mpsc::UnboundedSender<Queued>>,
    faults: Mutex<Vec<Fault>>,
    /// Commits of this tenant are refused while set.
    refused: Mutex<Option<(ErrorKind, Option<Prefix>)>>,
    reads: AtomicU64,
    /// Batches that were handed in and are not durable.
    queued: Arc<AtomicU64>,
    /// The read of this number fails, counted from when it was set.
    failing_read: AtomicU64,
    course: Mutex<DefaultHasher>,
    watched: Mutex<Option<Hub>>,
    doubles: Mutex<Vec<String>>,
    seen: Mutex<HashSet<ActorProbe>>,
}

type Queued = (Batch, oneshot::Sender<Result<CommitSeq>>);

impl Shaken {
    pub(crate) fn new(seed: u64) -> Self {
        Self::over(MemoryStore::new(), seed)
    }

    fn over(store: MemoryStore, seed: u64) -> Self {
        Self(Arc::new(Inner {
            seed,
            store,
            dice: Arc::new(Dice::new(seed)),
            queue: OnceLock::new(),
            faults: Mutex::default(),
            refused: Mutex::default(),
            reads: AtomicU64::new(0),
            queued: Arc::default(),
            failing_read: AtomicU64::new(u64::MAX),
            course: Mutex::default(),
            watched: Mutex::default(),
            doubles: Mutex::default(),
            seen: Mutex::default(),
        }))
    }

    /// What a process that is killed now leaves behind.
    pub(crate) fn fork(&self, seed: u64) -> Self {
        Self::over(self.0.store.fork(), seed)
    }

    pub(crate) fn seed(&self) -> u64 {
        self.0.seed
    }

    /// What is durable.
    pub(crate) fn durable(&self) -> MemoryStore {
        self.0.store.clone()
    }

    /// Strikes at the next operation that fits.
    pub(crate) fn arm(&self, fault: Fault) {
        self.0.faults.lock().unwrap().push(fault);
    }

    pub(crate) fn disarm(&self) {
        self.0.faults.lock().unwrap().clear();
    }

    /// Refuses all commits, or those of one tenant, until [`Shaken::recover`].
    pub(crate) fn refuse(&self, kind: ErrorKind, tenant: Option<&str>) {
        *self.0.refused.lock().unwrap() = Some((kind, tenant.map(|tenant| scope(tenant).all())));
    }

    pub(crate) fn recover(&self) {
        *self.0.refused.lock().unwrap() = None;
    }

    /// Fails read number `k` from now, the first being 0.
    pub(crate) fn fail_read(&self, k: u64) {
        self.0.failing_read.store(self.0.reads.load(Ordering::SeqCst) + k, Ordering::SeqCst);
    }

    /// How often it was read.
    pub(crate) fn reads(&self) -> u64 {
        self.0.reads.load(Ordering::SeqCst)
    }

    /// Whether a batch is on its way to the disk.
    pub(crate) fn is_busy(&self) -> bool {
        self.0.queued.load(Ordering::SeqCst) > 0
    }

    /// Looks at the actors of `hub` at every operation from now on.
    pub(crate) fn watch(&self, hub: &Hub) {
        *self.0.watched.lock().unwrap() = Some(hub.clone());
    }

    /// Actors of which there was more than one at a time.
    pub(crate) fn doubles(&self) -> Vec<String> {
        self.0.doubles.lock().unwrap().clone()
    }

    /// Actors that live although the root of `hub` does not supervise them any more.
    pub(crate) fn orphans(&self, hub: &Hub) -> Vec<ActorProbe> {
        let supervised = hub.actors();
        let seen = self.0.seen.lock().unwrap();
        seen.iter().filter(|actor| actor.is_alive() && !supervised.contains(actor)).cloned().collect()
    }

    /// A number for the order of all that was asked of it.
    pub(crate) fn course(&self) -> u64 {
        self.0.course.lock().unwrap().finish()
    }

    /// Waits a little, or not.
    pub(crate) async fn shake(&self) {
        shake(&self.0.dice).await;
    }

    fn note(&self, what: &str, key: &[u8]) {
        let mut course = self.0.course.lock().unwrap();
        what.hash(&mut *course);
        key.hash(&mut *course);
        drop(course);
        let watched = self.0.watched.lock().unwrap().clone();
        if let Some(hub) = watched {
            let actors = hub.actors();
            self.0.doubles.lock().unwrap().extend(super::doubles(&actors));
            self.0.seen.lock().unwrap().extend(actors);
        }
    }

    fn struck(&self, place: Place, key: &[u8]) -> Option<Fault> {
        let mut faults = self.0.faults.lock().unwrap();
        let fits = |fault: &Fault| fault.place == place && key.starts_with(scope(fault.tenant).all().as_bytes());
        let index = faults.iter().position(fits)?;
        Some(faults.swap_remove(index))
    }

    async fn before_read(&self, place: Place, key: &[u8]) -> Result<()> {
        self.note("read", key);
        if let Some(fault) = self.struck(place, key) {
            assert!(!fault.panics, "{MADE} the store panics");
            return Err(injected());
        }
        if self.0.reads.fetch_add(1, Ordering::SeqCst) == self.0.failing_read.load(Ordering::SeqCst) {
            return Err(injected());
        }
        self.shake().await;
        Ok(())
    }

    fn refusal(&self, batch: &Batch) -> Option<Error> {
        let refused = self.0.refused.lock().unwrap();
        let (kind, scope) = refused.as_ref()?;
        let concerned = scope.as_ref().is_none_or(|scope| keys(batch).any(|key| key.starts_with(scope.as_bytes())));
        concerned.then(|| Error::new(*kind, "commit batch", "refused by the attack"))
    }

    fn enqueue(&self, batch: Batch) -> BoxFuture<'static, Result<CommitSeq>> {
        let queue = self.0.queue.get_or_init(|| {
            let (sender, receiver) = mpsc::unbounded_channel();
            tokio::spawn(work_off(
                self.0.store.clone(),
                Arc::clone(&self.0.dice),
                Arc::clone(&self.0.queued),
                receiver,
            ));
            sender
        });
        let (sender, receiver) = oneshot::channel();
        let closed = || Error::new(ErrorKind::Closed, "commit batch", "the store is closed");
        self.0.queued.fetch_add(1, Ordering::SeqCst);
        if queue.send((batch, sender)).is_err() {
            return ready(Err(closed())).boxed();
        }
        async move { receiver.await.unwrap_or_else(|_| Err(closed())) }.boxed()
    }
}

/// Makes batches durable one after the other.
async fn work_off(
    store: MemoryStore,
    dice: Arc<Dice>,
    queued: Arc<AtomicU64>,
    mut queue: mpsc::UnboundedReceiver<Queued>,
) {
    while let Some((batch, reply)) = queue.recv().await {
        shake(&dice).await;
        let done = store.commit(batch).await;
        queued.fetch_sub(1, Ordering::SeqCst);
        if dice.chance(1, 4) {
            shake(&dice).await;
        }
        let _ = reply.send(done);
    }
}

async fn shake(dice: &Dice) {
    match dice.below(8) {
        0 => tokio::time::sleep(Duration::from_millis(dice.below(12))).await,
        1..=3 => {
            for _ in 0..dice.below(6) {
                tokio::task::yield_now().await;
            }
        }
        _ => {}
    }
}

fn scope(tenant: &str) -> Scope {
    Scope::tenant(TenantId::new(tenant).unwrap())
}

fn keys(batch: &Batch) -> impl Iterator<Item = &[u8]> {
    batch.ops().iter().map(|op| match op {
        Op::Put(key, _) | Op::Delete(key) => key.as_bytes(),
        Op::Append(log, _) => log.as_bytes(),
    })
}

fn injected() -> Error {
    Error::new(ErrorKind::Internal, "use store", "a fault of the attack")
}

#[async_trait]
impl Store for Shaken {
    fn commit(&self, batch: Batch) -> BoxFuture<'static, Result<CommitSeq>> {
        let first = keys(&batch).next().unwrap_or_default().to_vec();
        self.note("commit", &first);
        if let Some(error) = self.refusal(&batch) {
            return ready(Err(error)).boxed();
        }
        let struck = keys(&batch).find_map(|key| self.struck(Place::Commit, key));
        match struck {
            Some(fault) if fault.panics => panic!("{MADE} the store panics"),
            Some(_) => ready(Err(injected())).boxed(),
            None => self.enqueue(batch),
        }
    }

    async fn get(&self, key: &Key) -> Result<Option<Versioned>> {
        self.before_read(Place::Get, key.as_bytes()).await?;
        let found = self.0.store.get(key).await;
        self.shake().await;
        found
    }

    async fn scan(&self, scan: Scan) -> Result<ScanPage> {
        self.before_read(Place::Scan, scan.prefix.as_bytes()).await?;
        let found = self.0.store.scan(scan).await;
        self.shake().await;
        found
    }

    async fn usage(&self, prefix: &Prefix) -> Result<Usage> {
        self.0.store.usage(prefix).await
    }

    async fn export(&self, sink: Box<dyn std::io::Write + Send>) -> Result<CommitSeq> {
        self.0.store.export(sink).await
    }

    async fn import(&self, source: Box<dyn std::io::Read + Send>) -> Result<CommitSeq> {
        self.0.store.import(source).await
    }

    fn health(&self) -> StoreHealth {
        self.0.store.health()
    }

    /// Everything queued first, as the contract says.
    async fn close(&self) -> Result<()> {
        let _ = self.enqueue(Batch::new()).await;
        self.0.store.close().await
    }
}
