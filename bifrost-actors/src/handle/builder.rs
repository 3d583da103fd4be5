//! Building and starting a hub.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock};

use bifrost_core::store::key::{Kind, Scope};
use bifrost_core::store::memory::MemoryStore;
use bifrost_core::store::records::TenantStore;
use bifrost_core::store::seal::{EphemeralKey, KeyProvider, KeyRing};
use bifrost_core::store::{Batch, SharedStore};
use bifrost_core::workflow::{Workflow, WorkflowSet};
use bifrost_core::{Clock, Entropy, Error, Integration, Registry, Result, SystemClock, SystemEntropy};
use ractor::Actor;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use super::hub::Hub;
use super::tenants;
use crate::config::HubConfig;
use crate::connection::rotation::Rotations;
use crate::directory::Directory;
use crate::hub::HubActor;
use crate::probe::Roll;
use crate::runtime::HubRuntime;
use crate::slots::Slots;
use crate::tenant::admission::TURNS;
use crate::waits::{Alarms, Countdowns};
use crate::workflows::Workflows;

/// Builds a [`Hub`]: see [`Hub::builder`].
#[must_use]
pub struct HubBuilder {
    config: HubConfig,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    storage: Storage,
    registry: Registry,
    integrations: Vec<MakeIntegrations>,
    workflows: Result<WorkflowSet>,
    takes_up: bool,
}

type MakeIntegrations = Box<dyn FnOnce(Arc<dyn Clock>, Arc<dyn Entropy>) -> Result<Vec<Arc<dyn Integration>>> + Send>;

enum Storage {
    /// Lost when the hub ends.
    Memory,
    Given(SharedStore, Arc<dyn KeyProvider>),
    #[cfg(feature = "embedded")]
    Folder(std::path::PathBuf),
}

/// What the hub keeps about itself.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct HubRecord {
    /// Counts the starts on this store.
    pub(crate) epoch: u64,
    /// The last end was an orderly shutdown.
    pub(crate) clean: bool,
}

impl Default for HubBuilder {
    fn default() -> Self {
        Self {
            config: HubConfig::default(),
            clock: Arc::new(SystemClock::new()),
            entropy: Arc::new(SystemEntropy),
            storage: Storage::Memory,
            registry: Registry::default(),
            integrations: Vec::new(),
            workflows: Ok(WorkflowSet::default()),
            takes_up: true,
        }
    }
}

impl HubBuilder {
    /// Keeps everything in this folder, durably: an embedded store, and beside it a master key file that only the
    /// owner may read. The folder is made if need be; one process at a time can have it open.
    #[cfg(feature = "embedded")]
    pub fn with_data_dir(mut self, folder: impl Into<std::path::PathBuf>) -> Self {
        self.storage = Storage::Folder(folder.into());
        self
    }

    /// Keeps everything in `store`, sealed with data keys that `keys` wraps. Without this, or a data folder, the hub
    /// lives in memory.
    pub fn with_store(mut self, store: SharedStore, keys: Arc<dyn KeyProvider>) -> Self {
        self.storage = Storage::Given(store, keys);
        self
    }

    /// Adds a provider that tenants can connect to.
    pub fn with_integration(mut self, integration: Arc<dyn Integration>) -> Self {
        self.registry.register(integration);
        self
    }

    /// Adds the providers that `make` builds on the hub's clock and randomness when the hub starts.
    pub fn with_integrations(
        mut self,
        make: impl FnOnce(Arc<dyn Clock>, Arc<dyn Entropy>) -> Result<Vec<Arc<dyn Integration>>> + Send + 'static,
    ) -> Self {
        self.integrations.push(Box::new(make));
        self
    }

    /// Adds a workflow. A second one of the same name makes [`HubBuilder::start`] fail;
    /// see [`Hub::register`] for adding and replacing them later.
    pub fn with_workflow(mut self, workflow: impl Workflow) -> Self {
        self.workflows = self.workflows.and_then(|mut set| {
            set.add(Arc::new(workflow))?;
            Ok(set)
        });
        self
    }

    /// Sets limits and times.
    pub fn with_config(mut self, config: HubConfig) -> Self {
        self.config = config;
        self
    }

    /// Sets the clock, for tests.
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Sets the randomness, for tests.
    pub fn with_entropy(mut self, entropy: Arc<dyn Entropy>) -> Self {
        self.entropy = entropy;
        self
    }

    /// Leaves executions that had not ended where they are, for a look at the store: they go on with the next hub that
    /// is started without this. One that is decided about or cancelled is taken up for that alone.
    pub fn without_taking_up(mut self) -> Self {
        self.takes_up = false;
        self
    }

    /// Opens the store, starts the hub in the current tokio runtime and takes up every execution that had not ended.
    ///
    /// # Errors
    /// `AlreadyExists` for two workflows of one name; `StoreLocked`, `StoreCorrupt`, `AcknowledgedDataMissing` as the
    /// store says; `InvalidInput` for a master key file that others may read, or that is not of this store.
    pub async fn start(mut self) -> Result<Hub> {
        let workflows = self.workflows?;
        for make in self.integrations {
            for integration in make(Arc::clone(&self.clock), Arc::clone(&self.entropy))? {
                self.registry.register(integration);
            }
        }
        let (store, provider) = open(self.storage, &self.entropy).await?;
        let keys = KeyRing::open(Arc::clone(&store), provider, Arc::clone(&self.entropy)).await?;
        let scope = Scope::hub();
        let hub_store = TenantStore::new(Arc::clone(&store), scope.clone(), keys.sealer(&scope).await?);
        let before = claim(&hub_store).await?;
        let directory = Directory::load(hub_store, Arc::clone(&self.clock)).await?;
        let runtime = Arc::new(HubRuntime {
            slots: Slots::new(self.config.max_running),
            turns: Slots::new(TURNS),
            rotations: Rotations::default(),
            admission: Semaphore::new(self.config.max_waiting_calls),
            config: self.config,
            alarms: Alarms::new(Arc::clone(&self.clock)),
            countdowns: Countdowns::new(Arc::clone(&self.clock)),
            clock: self.clock,
            entropy: self.entropy,
            store,
            keys,
            registry: self.registry,
            workflows: Workflows::new(workflows),
            directory,
            epoch: before.epoch + 1,
            clean_start: before.clean,
            takes_up: self.takes_up,
            tenants: Mutex::default(),
            closed: AtomicBool::new(false),
            roll: Roll::default(),
            root: OnceLock::new(),
        });
        // The root is the one actor without a supervisor: the handle watches over it.
        #[allow(clippy::disallowed_methods)]
        let (root, join) = HubActor::spawn(None, HubActor, Arc::clone(&runtime))
            .await
            .map_err(|error| Error::internal("start hub", error.to_string()))?;
        runtime.root.get_or_init(|| root);
        let hub = Hub::new(runtime, join);
        match begin(&hub).await {
            Ok(()) => Ok(hub),
            Err(error) => {
                hub.abandon().await;
                Err(error)
            }
        }
    }
}

/// Finishes what the last hub on this store left undone.
async fn begin(hub: &Hub) -> Result<()> {
    for tenant in hub.runtime().directory.to_erase() {
        // One that cannot be erased now is tried again at the next start: the other tenants must not wait for it.
        if let Err(error) = tenants::erase(hub.runtime(), &tenant).await {
            tracing::error!(%tenant, %error, "a deleted tenant could not be erased yet");
        }
    }
    if hub.runtime().takes_up {
        hub.take_up_everything().await?;
    }
    Ok(())
}

async fn open(storage: Storage, entropy: &Arc<dyn Entropy>) -> Result<(SharedStore, Arc<dyn KeyProvider>)> {
    match storage {
        Storage::Memory => {
            let keys = EphemeralKey::generate(Arc::clone(entropy));
            Ok((Arc::new(MemoryStore::new()), Arc::new(keys)))
        }
        Storage::Given(store, keys) => Ok((store, keys)),
        #[cfg(feature = "embedded")]
        Storage::Folder(folder) => {
            use bifrost_core::store::embedded::{EmbeddedOptions, EmbeddedStore};
            use bifrost_core::store::seal::LocalKeyFile;
            use bifrost_core::store::{CommitSeq, Store};
            let store = EmbeddedStore::open(folder.join("store"), EmbeddedOptions::default()).await?;
            let (path, entropy) = (folder.join("master.key"), Arc::clone(entropy));
            let is_new = store.health().last_commit == CommitSeq::default();
            let keys = if is_new {
                LocalKeyFile::open(path, entropy).await
            } else {
                LocalKeyFile::open_existing(path, entropy).await
            }?;
            Ok((Arc::new(store), Arc::new(keys)))
        }
    }
}

/// Counts this start, and notes that it has not ended in order.
async fn claim(store: &TenantStore) -> Result<HubRecord> {
    let key = store.key(Kind::Hub, &[b"hub"])?;
    let before = store.get::<HubRecord>(&key).await?.map(|found| found.value).unwrap_or_default();
    write(store, &HubRecord { epoch: before.epoch + 1, clean: false }).await?;
    Ok(before)
}

/// Stores what the hub keeps about itself.
pub(crate) async fn write(store: &TenantStore, record: &HubRecord) -> Result<()> {
    let mut batch = Batch::new();
    store.put(&mut batch, store.key(Kind::Hub, &[b"hub"])?, record)?;
    store.commit(batch).await.map(drop)
}
