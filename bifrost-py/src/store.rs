//! A store in memory that outlives its hub, for tests: what a crash leaves behind.

use std::sync::Arc;

use bifrost::HubBuilder;
use bifrost::SystemEntropy;
use bifrost::store::memory::MemoryStore;
use bifrost::store::seal::EphemeralKey;
use pyo3::prelude::*;

/// See the module.
#[pyclass(frozen, module = "bifrost._native")]
pub(crate) struct Store {
    store: MemoryStore,
    keys: Arc<EphemeralKey>,
}

impl Store {
    /// Puts it under a hub.
    pub(crate) fn under(&self, builder: HubBuilder) -> HubBuilder {
        builder.with_store(Arc::new(self.store.clone()), Arc::clone(&self.keys) as _)
    }
}

#[pymethods]
impl Store {
    /// An empty store with a key of its own.
    #[new]
    fn new() -> Self {
        Self { store: MemoryStore::new(), keys: Arc::new(EphemeralKey::generate(Arc::new(SystemEntropy))) }
    }

    /// From now on it refuses to write as if its disk were full, or writes again.
    fn set_full(&self, full: bool) {
        self.store.set_full(full);
    }

    /// What is durable at this moment, as a store of its own: the hub on this one cannot reach it.
    fn fork(&self) -> Self {
        Self { store: self.store.fork(), keys: Arc::clone(&self.keys) }
    }
}
