//! Records of one scope: serialized, sealed, and kept inside their scope.
//!
//! This is the only way the rest of the hub reaches an engine. What it is given must lie in the scope it was made for;
//! the one exception is the hub's list of work to resume, where a tenant's entries may ride along in its batches so
//! that an execution and its place in that list change together.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::{self, BoxFuture, FutureExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use super::key::{Key, Kind, Prefix, Scope};
use super::seal::Sealer;
use super::{Batch, CommitSeq, Op, Scan, SharedStore, Versioned};
use crate::error::{Error, ErrorKind, Result};
use crate::id::ExecutionId;

/// How long a record is that is not unusually long.
const USUAL_BYTES: usize = 1024;

/// The records of one scope. Cheap to clone.
#[derive(Clone)]
pub struct TenantStore(Arc<Inner>);

struct Inner {
    store: SharedStore,
    scope: Scope,
    sealer: Arc<Sealer>,
    all: Prefix,
    active: Prefix,
}

/// A page of records.
#[derive(Debug, Clone)]
pub struct Records<T> {
    /// The records, in the direction of the scan.
    pub entries: Vec<(Key, Versioned<T>)>,
    /// True when more may follow after the last.
    pub more: bool,
}

impl TenantStore {
    /// The records of `scope` in `store`, sealed by `sealer`.
    pub fn new(store: SharedStore, scope: Scope, sealer: Arc<Sealer>) -> Self {
        let all = scope.all();
        let active = Scope::hub().kind(Kind::Active).then(scope.as_str().as_bytes()).then(b"\0");
        Self(Arc::new(Inner { store, scope, sealer, all, active }))
    }

    /// Whose records these are.
    pub fn scope(&self) -> &Scope {
        &self.0.scope
    }

    /// The engine underneath.
    pub fn engine(&self) -> &SharedStore {
        &self.0.store
    }

    /// The key of a record in this scope.
    ///
    /// # Errors
    /// `InvalidInput` when the key would be too long.
    pub fn key(&self, kind: Kind, parts: &[&[u8]]) -> Result<Key> {
        self.0.scope.key(kind, parts)
    }

    /// The key of an execution in the hub's list of work to resume: the one place outside the scope where this may
    /// write.
    ///
    /// # Errors
    /// `InvalidInput` when the key would be too long.
    pub fn active_key(&self, execution: &ExecutionId) -> Result<Key> {
        self.0.active.then(execution.as_bytes()).into_key()
    }

    /// The stored form of `value` under `key`.
    ///
    /// # Errors
    /// `Internal` for a key outside the scope or a value that does not serialize; `Closed` when the scope was erased.
    pub fn seal<T: Serialize + ?Sized>(&self, key: &Key, value: &T) -> Result<Bytes> {
        self.check(key.as_bytes())?;
        // Most records fit; one that grows leaves copies behind that nobody wipes.
        let mut plain = Zeroizing::new(Vec::with_capacity(USUAL_BYTES));
        serde_json::to_writer(&mut *plain, value)
            .map_err(|error| Error::internal("write record", "the record does not serialize").source(error))?;
        self.0.sealer.seal(key, &plain)
    }

    /// The value whose stored form under `key` is this.
    ///
    /// # Errors
    /// `StoreCorrupt` when it does not open or does not read as a `T`; `Internal` for a key outside the scope.
    pub fn open<T: DeserializeOwned>(&self, key: &Key, stored: &[u8]) -> Result<T> {
        self.check(key.as_bytes())?;
        let plain = self.0.sealer.open(key, stored)?;
        // The parser's message can quote the record, so it is kept as position only.
        serde_json::from_slice(&plain).map_err(|error| {
            Error::new(ErrorKind::StoreCorrupt, "read record", "the record has an unknown form")
                .with("key", format!("{key:?}"))
                .with("column", error.column())
        })
    }

    /// Adds storing `value` under `key` to `batch`.
    ///
    /// # Errors
    /// As [`TenantStore::seal`].
    pub fn put<T: Serialize + ?Sized>(&self, batch: &mut Batch, key: Key, value: &T) -> Result<()> {
        let sealed = self.seal(&key, value)?;
        batch.put(key, sealed);
        Ok(())
    }

    /// The record under `key`.
    ///
    /// # Errors
    /// As the engine and [`TenantStore::open`].
    pub async fn get<T: DeserializeOwned>(&self, key: &Key) -> Result<Option<Versioned<T>>> {
        self.check(key.as_bytes())?;
        match self.0.store.get(key).await? {
            Some(found) => Ok(Some(Versioned { value: self.open(key, &found.value)?, version: found.version })),
            None => Ok(None),
        }
    }

    /// A page of records.
    ///
    /// # Errors
    /// As the engine and [`TenantStore::open`].
    pub async fn scan<T: DeserializeOwned>(&self, scan: Scan) -> Result<Records<T>> {
        self.check(scan.prefix.as_bytes())?;
        let page = self.0.store.scan(scan).await?;
        let mut entries = Vec::with_capacity(page.entries.len());
        for (key, found) in page.entries {
            let value = self.open(&key, &found.value)?;
            let version = found.version;
            entries.push((key, Versioned { value, version }));
        }
        Ok(Records { entries, more: page.more })
    }

    /// All records under `prefix`, page by page: for kinds of which a scope has few.
    ///
    /// # Errors
    /// As the engine and [`TenantStore::open`].
    pub async fn all<T: DeserializeOwned>(&self, prefix: &Prefix) -> Result<Vec<(Key, Versioned<T>)>> {
        let mut found = Vec::new();
        let mut scan = Scan::prefix(prefix.clone());
        loop {
            let page = self.scan(scan).await?;
            found.extend(page.entries);
            match found.last() {
                Some((last, _)) if page.more => scan = Scan::prefix(prefix.clone()).after(last.clone()),
                _ => return Ok(found),
            }
        }
    }

    /// Makes `batch` durable. It takes its place in the order of commits when this is called.
    ///
    /// # Errors
    /// `Internal` when it reaches outside the scope; as the engine otherwise.
    pub fn commit(&self, batch: Batch) -> BoxFuture<'static, Result<CommitSeq>> {
        match self.check_batch(&batch) {
            Ok(()) => self.0.store.commit(batch),
            Err(error) => future::ready(Err(error)).boxed(),
        }
    }

    fn check_batch(&self, batch: &Batch) -> Result<()> {
        for precondition in batch.preconditions() {
            self.check(precondition.key().as_bytes())?;
        }
        for op in batch.ops() {
            self.check(match op {
                Op::Put(key, _) | Op::Delete(key) => key.as_bytes(),
                Op::Append(log, _) => log.as_bytes(),
            })?;
        }
        Ok(())
    }

    fn check(&self, key: &[u8]) -> Result<()> {
        if key.starts_with(self.0.all.as_bytes()) || key.starts_with(self.0.active.as_bytes()) {
            return Ok(());
        }
        Err(Error::internal("reach record", "the key lies outside the scope").with("tenant", &self.0.scope))
    }
}

impl fmt::Debug for TenantStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TenantStore").field("scope", &self.0.scope).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SystemEntropy;
    use crate::id::TenantId;
    use crate::store::memory::MemoryStore;
    use crate::store::seal::DataKey;
    use crate::time::Timestamp;

    fn tenant_store(store: &MemoryStore, name: &str) -> TenantStore {
        let scope = Scope::tenant(TenantId::new(name).unwrap());
        let key = DataKey::from_bytes(&[1; 32]).unwrap();
        let sealer = Arc::new(Sealer::new(scope.clone(), key, Arc::new(SystemEntropy)));
        TenantStore::new(Arc::new(store.clone()), scope, sealer)
    }

    #[tokio::test]
    async fn records_come_back_and_are_unreadable_below() {
        let engine = MemoryStore::new();
        let records = tenant_store(&engine, "contoso");
        let mut batch = Batch::new();
        for name in ["one", "two"] {
            let key = records.key(Kind::Config, &[name.as_bytes()]).unwrap();
            records.put(&mut batch, key, &format!("canary {name}")).unwrap();
        }
        let version = records.commit(batch).await.unwrap();
        let key = records.key(Kind::Config, &[b"one"]).unwrap();
        let found = records.get::<String>(&key).await.unwrap().unwrap();
        assert_eq!((found.value.as_str(), found.version), ("canary one", version));
        let page = records.scan::<String>(Scan::prefix(records.scope().kind(Kind::Config))).await.unwrap();
        assert_eq!(page.entries.len(), 2);
        let mut archive = Archive::default();
        crate::store::Store::export(&engine, Box::new(archive.clone())).await.unwrap();
        assert!(!archive.contains(b"canary"));
    }

    #[derive(Clone, Default)]
    struct Archive(Arc<std::sync::Mutex<Vec<u8>>>);

    impl Archive {
        fn contains(&mut self, needle: &[u8]) -> bool {
            self.0.lock().unwrap().windows(needle.len()).any(|window| window == needle)
        }
    }

    impl std::io::Write for Archive {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn nothing_reaches_outside_the_scope() {
        let engine = MemoryStore::new();
        let (own, other) = (tenant_store(&engine, "contoso"), tenant_store(&engine, "contoso-2"));
        let foreign = other.key(Kind::Config, &[b"x"]).unwrap();
        let directory = Scope::hub().key(Kind::Tenant, &[b"contoso"]).unwrap();
        for key in [foreign, directory] {
            assert_eq!(own.get::<String>(&key).await.unwrap_err().kind(), ErrorKind::Internal);
            assert!(own.seal(&key, "x").is_err());
            let mut put = Batch::new();
            put.put(key.clone(), "x");
            let mut delete = Batch::new();
            delete.delete(key.clone());
            let mut require = Batch::new();
            require.require(crate::store::Precondition::Absent(key));
            for batch in [put, delete, require] {
                assert_eq!(own.commit(batch).await.unwrap_err().kind(), ErrorKind::Internal);
            }
        }
        let mut append = Batch::new();
        append.append(other.scope().kind(Kind::Audit), "x");
        assert!(own.commit(append).await.is_err());
        assert!(own.scan::<String>(Scan::prefix(other.scope().all())).await.is_err());
    }

    #[tokio::test]
    async fn work_to_resume_rides_along_but_only_one_s_own() {
        let engine = MemoryStore::new();
        let (own, other) = (tenant_store(&engine, "contoso"), tenant_store(&engine, "fabrikam"));
        let id = ExecutionId::generate(Timestamp::from_millis(1), &SystemEntropy);
        let mut batch = Batch::new();
        own.put(&mut batch, own.active_key(&id).unwrap(), &1).unwrap();
        own.commit(batch).await.unwrap();
        let key = own.active_key(&id).unwrap();
        assert_eq!(own.get::<u8>(&key).await.unwrap().unwrap().value, 1);
        assert!(other.get::<u8>(&key).await.is_err());
    }
}
