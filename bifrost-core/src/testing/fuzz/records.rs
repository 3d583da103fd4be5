//! Records as they are stored, and audit trails as they are exported.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a body speaks by panicking")]

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::audit::{AuditRecord, verify_export};
use crate::connection::ConnectionSettings;
use crate::credential::Credential;
use crate::error::{ErrorKind, ErrorReport};
use crate::event::Event;
use crate::execution::{ExecutionRecord, StepRecord};
use crate::id::TenantId;
use crate::policy::quota::Quota;
use crate::policy::retry::RetryPolicy;
use crate::store::chain::Head;
use crate::store::key::Scope;
use crate::tenant::TenantRecord;

/// Reads `data` as every kind of record.
pub fn records(data: &[u8]) {
    same_again::<ExecutionRecord>(data);
    same_again::<StepRecord>(data);
    same_again::<Event>(data);
    same_again::<Vec<Event>>(data);
    same_again::<TenantRecord>(data);
    same_again::<AuditRecord>(data);
    same_again::<ConnectionSettings>(data);
    same_again::<ErrorReport>(data);
    same_again::<Quota>(data);
    same_again::<RetryPolicy>(data);
    if let Ok(credential) = serde_json::from_slice::<Credential>(data) {
        let stored = serde_json::to_vec(&credential).unwrap();
        let again = serde_json::from_slice::<Credential>(&stored).unwrap();
        assert_eq!(serde_json::to_vec(&again).unwrap(), stored);
    }
}

/// What was read is stored and read again without a difference.
fn same_again<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(data: &[u8]) {
    let Ok(record) = serde_json::from_slice::<T>(data) else { return };
    let stored = serde_json::to_vec(&record).unwrap();
    match serde_json::from_slice::<T>(&stored) {
        Ok(again) => assert_eq!(again, record),
        Err(error) => panic!("{record:?} is stored in a form that does not read: {error}"),
    }
}

/// Reads `data` as an exported audit trail.
pub fn audit_trail(data: &[u8]) {
    let scope = Scope::tenant(TenantId::new("contoso").unwrap());
    let verdict = match verify_export(data, &scope, None) {
        Ok(verdict) => verdict,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            return;
        }
    };
    if !verdict.is_intact() {
        return;
    }
    assert_eq!(verdict.checked, verdict.head.number);
    let lines = data.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count() as u64;
    assert_eq!(lines, verdict.checked + 2, "lines beside the records, the first and the last");
    // An intact trail is the trail of its own head, and of no other.
    let of = |head| verify_export(data, &scope, Some(head)).unwrap();
    assert_eq!(of(verdict.head), verdict);
    if verdict.head != Head::EMPTY {
        let mut other = verdict.head.hash;
        other[7] ^= 1;
        assert!(!of(Head { hash: other, ..verdict.head }).is_intact());
    }
    assert!(!of(Head { number: verdict.head.number + 1, ..verdict.head }).is_intact());
    let elsewhere = Scope::tenant(TenantId::new("fabrikam").unwrap());
    assert!(!verify_export(data, &elsewhere, None).unwrap().is_intact());
}
