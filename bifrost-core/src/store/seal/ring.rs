//! Finds, makes and destroys the data keys of scopes.
//!
//! A wrapped data key lies in the hub's scope under the scope's name: a state byte, then, while it lives, the length
//! and name of the master key that wrapped it and the wrapped bytes. After destruction only the state byte stays, so
//! that the name cannot quietly get a new key and mix new records with dead ones.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

use super::{DataKey, KeyProvider, Sealer, destroyed};
use crate::entropy::Entropy;
use crate::error::{Error, ErrorKind, Result};
use crate::store::key::{Key, Kind, Scope};
use crate::store::{Batch, Precondition, Scan, SharedStore};

const LIVE: u8 = 1;
const DESTROYED: u8 = 2;

type Slot = Arc<OnceCell<Arc<Sealer>>>;

/// The data keys of a store, behind one master key.
pub struct KeyRing {
    store: SharedStore,
    provider: Arc<dyn KeyProvider>,
    entropy: Arc<dyn Entropy>,
    sealers: Mutex<HashMap<Scope, Slot>>,
}

impl KeyRing {
    /// The ring of `store`, after making sure that `provider` holds the master key this store was sealed with.
    ///
    /// # Errors
    /// `PermissionDenied` when it is another master key; as the store and the provider say otherwise.
    pub async fn open(store: SharedStore, provider: Arc<dyn KeyProvider>, entropy: Arc<dyn Entropy>) -> Result<Self> {
        let ring = Self { store, provider, entropy, sealers: Mutex::new(HashMap::new()) };
        ring.check().await?;
        // From now on there is always a key to check against, even before the first tenant.
        ring.sealer(&Scope::hub()).await?;
        Ok(ring)
    }

    /// One key stands for all: they are all wrapped by the same master key.
    async fn check(&self) -> Result<()> {
        let prefix = Scope::hub().kind(Kind::DataKey);
        let mut scan = Scan::prefix(prefix.clone()).limit(16);
        loop {
            let page = self.store.scan(scan.clone()).await?;
            for (key, found) in &page.entries {
                let scope = scope_of(key.strip(&prefix).unwrap_or_default())?;
                if let Record::Live { master, wrapped } = decode(&found.value)? {
                    return self.unwrap(&scope, master, wrapped).await.map(drop);
                }
            }
            match page.entries.last() {
                Some((key, _)) if page.more => scan = scan.after(key.clone()),
                _ => return Ok(()),
            }
        }
    }

    /// The sealer of `scope`, with its data key made on first use. Asking many times at once asks the provider once.
    ///
    /// # Errors
    /// `Closed` when the scope's data key was destroyed; as the store and the provider say.
    pub async fn sealer(&self, scope: &Scope) -> Result<Arc<Sealer>> {
        let slot = self.lock().entry(scope.clone()).or_default().clone();
        let sealer = slot
            .get_or_try_init(|| async {
                let key = self.data_key(scope).await?;
                Ok::<_, Error>(Arc::new(Sealer::new(scope.clone(), key, self.entropy.clone())))
            })
            .await?;
        Ok(sealer.clone())
    }

    /// Destroys the data key of `scope`: what it sealed cannot be read again by anyone, and the scope gets no new key.
    ///
    /// The wrapped key leaves the engine's files only when they are next rewritten: follow an erasure with a
    /// checkpoint of the engine, and let old backups expire.
    ///
    /// # Errors
    /// As the store says; then the key lives on.
    pub async fn destroy(&self, scope: &Scope) -> Result<()> {
        // Everyone who asks meanwhile gets this sealer. Destruction must not depend on the provider, so a sealer that
        // cannot be had is no obstacle.
        let sealer = self.sealer(scope).await;
        let mut batch = Batch::new();
        batch.put(record_key(scope)?, vec![DESTROYED]);
        self.store.commit(batch).await?;
        if let Ok(sealer) = sealer {
            sealer.destroy();
        }
        self.lock().remove(scope);
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Scope, Slot>> {
        self.sealers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn data_key(&self, scope: &Scope) -> Result<DataKey> {
        match self.load(scope).await? {
            Some(key) => Ok(key),
            None => self.create(scope).await,
        }
    }

    async fn load(&self, scope: &Scope) -> Result<Option<DataKey>> {
        let Some(found) = self.store.get(&record_key(scope)?).await? else {
            return Ok(None);
        };
        match decode(&found.value)? {
            Record::Live { master, wrapped } => self.unwrap(scope, master, wrapped).await.map(Some),
            Record::Destroyed => Err(destroyed(scope)),
        }
    }

    async fn create(&self, scope: &Scope) -> Result<DataKey> {
        let data_key = DataKey::generate(&*self.entropy);
        let wrapped = self.provider.wrap(scope, &data_key).await?;
        let key = record_key(scope)?;
        let mut batch = Batch::new();
        batch.require(Precondition::Absent(key.clone())).put(key, encode(self.provider.id(), &wrapped)?);
        match self.store.commit(batch).await {
            Ok(_) => Ok(data_key),
            // Another hub on the same store was first: its key counts.
            Err(error) if error.kind() == ErrorKind::Conflict => self.load(scope).await?.ok_or(error),
            Err(error) => Err(error),
        }
    }

    async fn unwrap(&self, scope: &Scope, master: &str, wrapped: &[u8]) -> Result<DataKey> {
        self.provider.unwrap(scope, wrapped).await.map_err(|error| match error.kind() {
            ErrorKind::PermissionDenied => {
                Error::new(ErrorKind::PermissionDenied, "open data key", "the store was sealed with another master key")
                    .with("tenant", scope)
                    .with("name", self.provider.id())
                    .with("expected", master)
                    .next_action("start the hub with the master key this store was made with")
                    .source(error)
            }
            _ => error,
        })
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRing").field("provider", &self.provider).finish_non_exhaustive()
    }
}

enum Record<'a> {
    Live { master: &'a str, wrapped: &'a [u8] },
    Destroyed,
}

fn record_key(scope: &Scope) -> Result<Key> {
    Scope::hub().key(Kind::DataKey, &[scope.as_str().as_bytes()])
}

fn scope_of(name: &[u8]) -> Result<Scope> {
    if name.is_empty() {
        return Ok(Scope::hub());
    }
    let name = std::str::from_utf8(name).map_err(|_| corrupt())?;
    Ok(Scope::tenant(name.parse().map_err(|_| corrupt())?))
}

fn corrupt() -> Error {
    Error::new(ErrorKind::StoreCorrupt, "open data key", "the wrapped key is damaged")
}

fn encode(master: &str, wrapped: &[u8]) -> Result<Vec<u8>> {
    let length = u8::try_from(master.len())
        .map_err(|_| Error::invalid("wrap data key", "the master key's name is longer than 255 bytes"))?;
    let mut record = vec![LIVE, length];
    record.extend_from_slice(master.as_bytes());
    record.extend_from_slice(wrapped);
    Ok(record)
}

fn decode(record: &[u8]) -> Result<Record<'_>> {
    match record {
        [DESTROYED] => Ok(Record::Destroyed),
        [LIVE, length, rest @ ..] => {
            let (master, wrapped) = rest.split_at_checked(usize::from(*length)).ok_or_else(corrupt)?;
            let master = std::str::from_utf8(master).map_err(|_| corrupt())?;
            Ok(Record::Live { master, wrapped })
        }
        _ => Err(corrupt()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use async_trait::async_trait;

    use super::*;
    use crate::entropy::SystemEntropy;
    use crate::id::TenantId;
    use crate::store::memory::MemoryStore;
    use crate::store::seal::EphemeralKey;

    fn provider() -> Arc<dyn KeyProvider> {
        Arc::new(EphemeralKey::generate(Arc::new(SystemEntropy)))
    }

    fn contoso() -> Scope {
        Scope::tenant(TenantId::new("contoso").unwrap())
    }

    async fn ring(store: &MemoryStore, provider: &Arc<dyn KeyProvider>) -> Result<KeyRing> {
        KeyRing::open(Arc::new(store.clone()), provider.clone(), Arc::new(SystemEntropy)).await
    }

    #[tokio::test]
    async fn another_ring_with_the_same_master_key_opens_what_the_first_sealed() {
        let (store, provider) = (MemoryStore::new(), provider());
        let key = contoso().key(Kind::Secret, &[b"x"]).unwrap();
        let sealer = ring(&store, &provider).await.unwrap().sealer(&contoso()).await.unwrap();
        let sealed = sealer.seal(&key, b"canary").unwrap();
        let again = ring(&store, &provider).await.unwrap().sealer(&contoso()).await.unwrap();
        assert_eq!(&**again.open(&key, &sealed).unwrap(), b"canary");
    }

    #[tokio::test]
    async fn another_master_key_is_refused_at_the_start() {
        let store = MemoryStore::new();
        ring(&store, &provider()).await.unwrap();
        let error = ring(&store, &provider()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        assert!(error.suggested_action().is_some() && error.context("expected").is_some(), "{error}");
    }

    #[tokio::test]
    async fn a_destroyed_scope_refuses_now_and_ever_after() {
        let (store, provider) = (MemoryStore::new(), provider());
        let first = ring(&store, &provider).await.unwrap();
        let held = first.sealer(&contoso()).await.unwrap();
        first.destroy(&contoso()).await.unwrap();
        let key = contoso().key(Kind::Secret, &[b"x"]).unwrap();
        assert_eq!(held.seal(&key, b"x").unwrap_err().kind(), ErrorKind::Closed);
        assert_eq!(first.sealer(&contoso()).await.unwrap_err().kind(), ErrorKind::Closed);
        let second = ring(&store, &provider).await.unwrap();
        assert_eq!(second.sealer(&contoso()).await.unwrap_err().kind(), ErrorKind::Closed);
    }

    #[derive(Debug)]
    struct Counting(Arc<dyn KeyProvider>, AtomicUsize);

    #[async_trait]
    impl KeyProvider for Counting {
        fn id(&self) -> &str {
            self.0.id()
        }

        async fn wrap(&self, scope: &Scope, key: &DataKey) -> Result<Vec<u8>> {
            self.1.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
            self.0.wrap(scope, key).await
        }

        async fn unwrap(&self, scope: &Scope, wrapped: &[u8]) -> Result<DataKey> {
            self.0.unwrap(scope, wrapped).await
        }
    }

    #[tokio::test]
    async fn many_callers_at_once_make_one_key() {
        let counting = Arc::new(Counting(provider(), AtomicUsize::new(0)));
        let ring = ring(&MemoryStore::new(), &(counting.clone() as _)).await.unwrap();
        let before = counting.1.load(Ordering::Relaxed);
        let scope = contoso();
        let sealers = futures_util::future::join_all((0..50).map(|_| ring.sealer(&scope))).await;
        assert_eq!(counting.1.load(Ordering::Relaxed) - before, 1);
        let first = sealers[0].as_ref().unwrap();
        assert!(sealers.iter().all(|sealer| Arc::ptr_eq(sealer.as_ref().unwrap(), first)));
    }

    #[test]
    fn a_damaged_wrapped_key_is_told_apart_from_a_wrong_master_key() {
        for damaged in [&[][..], &[LIVE], &[LIVE, 200, 1], &[9, 9], &[DESTROYED, 1], &[LIVE, 1, 0xff]] {
            assert!(decode(damaged).is_err(), "{damaged:?}");
        }
    }
}
