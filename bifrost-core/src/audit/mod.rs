//! The audit trail: what was asked, by whom, and how it ended, in one chained log per tenant.
//!
//! Records are written in the clear and numbered and chained by the engine (see [`chain`](crate::store::chain)), so
//! that a trail can be checked without any key: from the store with [`AuditLog::verify`], or from an exported file with
//! [`verify_export`], on a machine that never saw the hub. A record names; it never quotes: no payload, no secret.
//!
//! What verification proves: given a [`Head`] from outside the store, that nothing up to it was changed, removed,
//! reordered or brought in from another tenant. Without one, a cut tail or a trail rewritten as a whole goes unnoticed.

mod file;
mod verify;

pub use file::verify_export;
pub use verify::{Fault, Verdict, Verifier, verify};

use std::collections::BTreeMap;
use std::io::Write;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::principal::Principal;
use crate::store::chain::{Entry, Hash, Head, serialize_hex};
use crate::store::key::{Kind, Prefix, Scope};
use crate::store::records::TenantStore;
use crate::store::{Batch, MAX_SCAN_LIMIT, Scan};
use crate::time::Timestamp;

/// How an audited action ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuditOutcome {
    /// It was permitted, and began.
    Allowed,
    /// It was refused.
    Denied,
    /// It was done.
    Succeeded,
    /// It was tried and failed.
    Failed,
}

/// One audited action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRecord {
    /// When.
    pub time: Timestamp,
    /// Who acted.
    pub actor: Principal,
    /// For whom, when somebody acted in another's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_behalf_of: Option<Principal>,
    /// What, as a dotted name such as `execution.accept`.
    pub action: String,
    /// On what: an identifier.
    pub target: String,
    /// How it ended.
    pub outcome: AuditOutcome,
    /// From where: an address or a component.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Names and counts worth keeping. Never payload data, never a secret.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub detail: BTreeMap<String, String>,
}

impl AuditRecord {
    /// `actor` did `action` on `target`, and it ended like this.
    pub fn new(
        time: Timestamp,
        actor: Principal,
        action: impl Into<String>,
        target: impl ToString,
        outcome: AuditOutcome,
    ) -> Self {
        Self {
            time,
            actor,
            on_behalf_of: None,
            action: action.into(),
            target: target.to_string(),
            outcome,
            source: None,
            detail: BTreeMap::new(),
        }
    }

    /// Says in whose name it was done.
    #[must_use]
    pub fn on_behalf_of(mut self, principal: Principal) -> Self {
        self.on_behalf_of = Some(principal);
        self
    }

    /// Adds a name or count worth keeping.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl ToString) -> Self {
        self.detail.insert(key.to_owned(), value.to_string());
        self
    }
}

/// A record as it is stored: it names its tenant, so that one carried over from another trail gives itself away.
#[derive(Serialize, Deserialize)]
struct Payload<R> {
    tenant: String,
    #[serde(flatten)]
    record: R,
}

/// A record with its place in the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuditEntry {
    /// Its number, from 1.
    pub number: u64,
    /// The hash of the entry before; both hashes serialize as hexadecimal text.
    #[serde(serialize_with = "serialize_hex")]
    pub previous: Hash,
    /// Its own hash.
    #[serde(serialize_with = "serialize_hex")]
    pub hash: Hash,
    /// What was recorded.
    pub record: AuditRecord,
}

fn log_of(scope: &Scope) -> Prefix {
    scope.kind(Kind::Audit)
}

fn decode_payload(payload: &[u8]) -> Option<Payload<AuditRecord>> {
    serde_json::from_slice(payload).ok()
}

/// The audit trail of one tenant.
#[derive(Debug, Clone)]
pub struct AuditLog {
    store: TenantStore,
    log: Prefix,
}

impl AuditLog {
    /// The trail that lies in `store`.
    pub fn new(store: TenantStore) -> Self {
        let log = log_of(store.scope());
        Self { store, log }
    }

    /// Adds `record` to `batch`, so that an action and its record become durable together or not at all.
    ///
    /// # Errors
    /// `Internal` when the record does not serialize.
    pub fn append(&self, batch: &mut Batch, record: &AuditRecord) -> Result<()> {
        let payload = Payload { tenant: self.store.scope().as_str().to_owned(), record };
        // Most fit into this.
        let mut text = Vec::with_capacity(512);
        serde_json::to_writer(&mut text, &payload)
            .map_err(|error| Error::internal("write audit record", "the record does not serialize").source(error))?;
        batch.append(self.log.clone(), text);
        Ok(())
    }

    /// Records after number `after`, oldest first, at most `limit` of them.
    ///
    /// # Errors
    /// `StoreCorrupt` when one does not read as a record of this tenant; as the engine otherwise.
    pub async fn page(&self, after: Option<u64>, limit: usize) -> Result<Vec<AuditEntry>> {
        let entries = self.entries(after.unwrap_or(0), limit).await?;
        entries.iter().map(|entry| self.audit_entry(entry)).collect()
    }

    fn audit_entry(&self, entry: &Entry) -> Result<AuditEntry> {
        let scope = self.store.scope();
        let payload = decode_payload(&entry.payload).filter(|payload| payload.tenant == scope.as_str());
        let payload = payload.ok_or_else(|| {
            Error::new(ErrorKind::StoreCorrupt, "read audit trail", "this is no record of this tenant")
                .with("tenant", scope)
                .with("row", entry.number)
        })?;
        Ok(AuditEntry {
            number: entry.number,
            previous: entry.previous,
            hash: entry.hash(&self.log),
            record: payload.record,
        })
    }

    async fn entries(&self, after: u64, limit: usize) -> Result<Vec<Entry>> {
        let mut scan = Scan::prefix(self.log.clone()).limit(limit);
        if after > 0 {
            scan = scan.after(self.log.then(&after.to_be_bytes()).into_key()?);
        }
        let page = self.store.engine().scan(scan).await?;
        let entries = page.entries.iter();
        entries.map(|(key, found)| Entry::decode(&self.log, key, &found.value)).collect()
    }

    /// Where the trail ends. Keep it outside the store, and [`verify`](Self::verify) can tell that the tail was cut.
    ///
    /// # Errors
    /// As the engine.
    pub async fn head(&self) -> Result<Head> {
        let scan = Scan::prefix(self.log.clone()).reverse().limit(1);
        let page = self.store.engine().scan(scan).await?;
        match page.entries.first() {
            Some((key, found)) => Head::of_last(&self.log, key, &found.value),
            None => Ok(Head::EMPTY),
        }
    }

    /// Checks the whole trail, up to `expected` if a head is known from elsewhere.
    ///
    /// # Errors
    /// When the trail cannot be read; a trail that was tampered with is no error but a [`Verdict`].
    pub async fn verify(&self, expected: Option<Head>) -> Result<Verdict> {
        let mut verifier = Verifier::new(self.store.scope(), expected);
        let mut after = 0;
        loop {
            let entries = self.entries(after, MAX_SCAN_LIMIT).await?;
            let Some(last) = entries.last() else {
                return Ok(verifier.finish());
            };
            after = last.number;
            for entry in &entries {
                verifier.check(entry);
            }
        }
    }

    /// Writes the whole trail as lines of JSON that [`verify_export`] checks without the hub. Returns where it ends.
    ///
    /// # Errors
    /// When the trail cannot be read or `sink` fails.
    pub async fn export<W: Write + Send + 'static>(&self, sink: W) -> Result<Head> {
        let mut head = Head::EMPTY;
        let mut sink = write_lines(sink, file::header(self.store.scope())?).await?;
        loop {
            let entries = self.entries(head.number, MAX_SCAN_LIMIT).await?;
            let mut lines = String::new();
            for entry in &entries {
                head = Head { number: entry.number, hash: entry.hash(&self.log) };
                lines.push_str(&file::line(entry, &head)?);
            }
            if entries.is_empty() {
                write_lines(sink, file::trailer(&head)?).await?;
                return Ok(head);
            }
            sink = write_lines(sink, lines).await?;
        }
    }
}

/// A sink may be a slow disk or pipe, so it is written from a thread that may wait.
async fn write_lines<W: Write + Send + 'static>(mut sink: W, lines: String) -> Result<W> {
    let writing = tokio::task::spawn_blocking(move || {
        sink.write_all(lines.as_bytes())?;
        sink.flush()?;
        Ok::<_, std::io::Error>(sink)
    });
    let failed = |message| Error::new(ErrorKind::Unavailable, "export audit trail", message);
    writing
        .await
        .map_err(|error| failed("the writer ended early").source(error))?
        .map_err(|error| failed("the file could not be written").source(error))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::entropy::SystemEntropy;
    use crate::id::TenantId;
    use crate::store::SharedStore;
    use crate::store::memory::MemoryStore;
    use crate::store::seal::{DataKey, Sealer};

    pub(super) fn log(store: &SharedStore, name: &str) -> AuditLog {
        let scope = Scope::tenant(TenantId::new(name).unwrap());
        let key = DataKey::from_bytes(&[1; 32]).unwrap();
        let sealer = Arc::new(Sealer::new(scope.clone(), key, Arc::new(SystemEntropy)));
        AuditLog::new(TenantStore::new(store.clone(), scope, sealer))
    }

    pub(super) fn record(number: usize) -> AuditRecord {
        AuditRecord {
            time: Timestamp::from_millis(number as i64),
            actor: Principal::User("ada".to_owned()),
            on_behalf_of: None,
            action: "execution.accept".to_owned(),
            target: format!("execution {number}"),
            outcome: AuditOutcome::Allowed,
            source: Some("portal".to_owned()),
            detail: BTreeMap::from([("workflow".to_owned(), "onboard_user".to_owned())]),
        }
    }

    async fn filled(count: usize) -> (SharedStore, AuditLog) {
        let store: SharedStore = Arc::new(MemoryStore::new());
        let log = log(&store, "contoso");
        for number in 1..=count {
            let mut batch = Batch::new();
            log.append(&mut batch, &record(number)).unwrap();
            store.commit(batch).await.unwrap();
        }
        (store, log)
    }

    #[tokio::test]
    async fn what_was_recorded_is_paged_in_order() {
        let (_, log) = filled(5).await;
        let page = log.page(Some(1), 3).await.unwrap();
        assert_eq!(page.iter().map(|entry| entry.number).collect::<Vec<_>>(), [2, 3, 4]);
        assert_eq!(page[0].record, record(2));
        assert_eq!(page[1].previous, page[0].hash);
        assert_eq!(log.page(None, 100).await.unwrap().len(), 5);
    }

    #[tokio::test]
    async fn a_trail_in_the_store_is_verified_over_many_pages() {
        let (store, log) = filled(MAX_SCAN_LIMIT + 7).await;
        let head = log.head().await.unwrap();
        let verdict = log.verify(Some(head)).await.unwrap();
        assert!(verdict.is_intact(), "{verdict:?}");
        assert_eq!((verdict.checked, verdict.head), (head.number, head));
        let key = log.log.then(&head.number.to_be_bytes()).into_key().unwrap();
        let mut batch = Batch::new();
        batch.delete(key);
        store.commit(batch).await.unwrap();
        let verdict = log.verify(Some(head)).await.unwrap();
        assert_eq!(verdict.fault, Some(Fault::CutTail { first_missing: head.number }));
    }

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn an_exported_trail_is_verified_without_the_hub() {
        let (_, log) = filled(4).await;
        let lines = Lines::default();
        let head = log.export(lines.clone()).await.unwrap();
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let scope = log.store.scope();
        let check = |text: &str, head| verify_export(text.as_bytes(), scope, head).unwrap();
        assert!(check(&text, Some(head)).is_intact() && check(&text, None).is_intact());

        let changed = text.replacen("execution 3", "execution 9", 1);
        assert_eq!(check(&changed, None).fault, Some(Fault::Changed { number: 3 }));
        let shortened: Vec<_> = text.lines().take(4).collect();
        assert_eq!(check(&shortened.join("\n"), None).fault, Some(Fault::CutTail { first_missing: 4 }));
        let mut without: Vec<_> = text.lines().collect();
        without.remove(2);
        assert_eq!(check(&without.join("\n"), None).fault, Some(Fault::Gap { expected: 2, found: 3 }));
        let fabrikam = Scope::tenant(TenantId::new("fabrikam").unwrap());
        let foreign = verify_export(text.as_bytes(), &fabrikam, None).unwrap();
        assert_eq!(foreign.fault, Some(Fault::Foreign { number: 0 }));
        assert!(verify_export(&b"not a trail\n"[..], scope, None).is_err());
    }
}
