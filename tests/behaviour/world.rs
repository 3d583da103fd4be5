//! What the tests share: a hub in memory, in virtual time, and a store that survives it.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bifrost::store::SharedStore;
use bifrost::store::memory::MemoryStore;
use bifrost::store::seal::{EphemeralKey, KeyProvider};
use bifrost::testing::{SeededEntropy, TokioClock};
use bifrost::{Hub, HubBuilder, NewTenant, Tenant};

/// A store and its keys, from which any number of hubs are started one after the other.
#[derive(Clone)]
pub(crate) struct Disk {
    store: Arc<Mutex<MemoryStore>>,
    keys: Arc<dyn KeyProvider>,
    clock: Arc<TokioClock>,
}

impl Disk {
    pub(crate) fn new() -> Self {
        Self {
            store: Arc::default(),
            keys: Arc::new(EphemeralKey::generate(Arc::new(SeededEntropy::new(1)))),
            clock: clock(),
        }
    }

    /// The clock of every hub on this disk.
    pub(crate) fn clock(&self) -> Arc<dyn bifrost::Clock> {
        Arc::clone(&self.clock) as _
    }

    /// A builder on what the disk holds now, in virtual time. A hub that was started from it before is as good as
    /// killed: what it writes from now on goes nowhere.
    pub(crate) fn hub(&self) -> HubBuilder {
        self.hub_on(Arc::new(self.take()))
    }

    /// What the disk holds now; a hub that was started from it before is as good as killed.
    pub(crate) fn take(&self) -> MemoryStore {
        let mut store = self.store.lock().unwrap();
        *store = store.fork();
        store.clone()
    }

    /// A builder on another store, with this disk's keys and clock.
    pub(crate) fn hub_on(&self, store: SharedStore) -> HubBuilder {
        Hub::builder()
            .with_store(store, Arc::clone(&self.keys))
            .with_clock(self.clock())
            .with_entropy(Arc::new(SeededEntropy::new(7)))
    }
}

pub(crate) fn clock() -> Arc<TokioClock> {
    Arc::new(TokioClock::starting_at("2026-01-01T00:00:00Z".parse().unwrap()))
}

/// Makes the customer `contoso`.
pub(crate) async fn contoso(hub: &Hub) -> Tenant {
    hub.tenants().create(NewTenant::customer("contoso")).await.unwrap()
}

/// Counts how often something was done.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counter(Arc<AtomicU32>);

impl Counter {
    pub(crate) fn count(&self) -> u32 {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }

    pub(crate) fn value(&self) -> u32 {
        self.0.load(Ordering::SeqCst)
    }
}

/// Polls until `condition` holds; fails after a minute of the test's time.
pub(crate) async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    for _ in 0..6_000 {
        if condition().await {
            return;
        }
        pause(Duration::from_millis(10)).await;
    }
    panic!("did not happen: {what}");
}

/// Lets the test's time pass.
#[allow(clippy::disallowed_methods)]
pub(crate) async fn pause(duration: Duration) {
    tokio::time::sleep(duration).await;
}
