//! Identifiers, instants and keys: what is accepted is unambiguous, what is refused cannot forge a line of a log.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Noise;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{ConfigKey, ConnectionId, ExecutionId, IdempotencyKey, ProviderId, SecretName, TenantId, WorkflowName};
use crate::store::MAX_KEY_LEN;
use crate::store::key::{Kind, Scope};
use crate::time::Timestamp;

/// Reads `data` as every kind of name, as an instant, and as the parts of keys.
pub fn ids(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let slug = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    let dotted = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    name(&text, TenantId::new(&text), TenantId::MAX_LEN, slug);
    name(&text, ConnectionId::new(&text), ConnectionId::MAX_LEN, slug);
    name(&text, ProviderId::new(&text), ProviderId::MAX_LEN, slug);
    name(&text, WorkflowName::new(&text), WorkflowName::MAX_LEN, |c| slug(c) && c != '-');
    name(&text, ConfigKey::new(&text), ConfigKey::MAX_LEN, dotted);
    name(&text, SecretName::new(&text), SecretName::MAX_LEN, dotted);
    name(&text, IdempotencyKey::new(text.as_ref()), IdempotencyKey::MAX_LEN, |c| !c.is_control());
    execution(&text, data);
    instant(&text, data);
    keys(data);
}

fn name<T: Serialize + DeserializeOwned + PartialEq>(
    text: &str,
    read: Result<T>,
    max: usize,
    allowed: impl Fn(char) -> bool,
) {
    let json = serde_json::to_string(text).unwrap_or_default();
    let stored = serde_json::from_str::<T>(&json);
    match read {
        Ok(name) => {
            assert!(!text.is_empty() && text.len() <= max && text.chars().all(allowed), "{text:?}");
            assert_eq!(serde_json::to_string(&name).ok(), Some(json));
            assert!(stored.is_ok_and(|stored| stored == name));
        }
        Err(error) => {
            refused(&error);
            // A store must not know names that code cannot have.
            assert!(stored.is_err(), "{text:?}");
        }
    }
}

fn refused(error: &Error) {
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(!error.to_string().chars().any(char::is_control), "{error:?}");
}

fn execution(text: &str, data: &[u8]) {
    match text.parse::<ExecutionId>() {
        Ok(id) => assert_eq!(id.to_string().parse::<ExecutionId>().ok(), Some(id)),
        Err(error) => refused(&error),
    }
    if let Some(bytes) = data.first_chunk::<16>() {
        let id = ExecutionId::from_bytes(*bytes);
        assert_eq!(id.as_bytes(), bytes);
        assert_eq!(id.to_string().parse::<ExecutionId>().ok(), Some(id));
    }
}

fn instant(text: &str, data: &[u8]) {
    let mut noise = Noise::new(data);
    let (one, other) = (Timestamp::from_millis(noise.number() as i64), Timestamp::from_millis(noise.number() as i64));
    for time in [one, other] {
        assert_eq!(time.to_string().parse::<Timestamp>().ok(), Some(time), "{time}");
    }
    let between = one.since(other);
    assert_eq!(between.is_zero(), one <= other);
    assert!(one.saturating_add(between) >= one && other.saturating_add(between) == one.max(other));
    match text.parse::<Timestamp>() {
        Ok(time) => assert_eq!(time.to_string().parse::<Timestamp>().ok(), Some(time), "{text:?}"),
        Err(error) => refused(&error),
    }
}

/// No key of one scope lies in another, and none is longer than engines take.
fn keys(data: &[u8]) {
    let mut noise = Noise::new(data);
    let scopes = [Some(noise.text()), Some(noise.text()), None];
    let scopes: Vec<Scope> = scopes
        .iter()
        .filter_map(|name| match name {
            Some(name) => TenantId::new(name).ok().map(Scope::tenant),
            None => Some(Scope::hub()),
        })
        .collect();
    let kind = noise.pick(&[Kind::Tenant, Kind::Config, Kind::Step, Kind::Audit, Kind::Hub]);
    let parts = [noise.part(), noise.part()];
    for scope in &scopes {
        let Ok(key) = scope.key(kind, &parts) else { continue };
        assert!(key.as_bytes().len() <= MAX_KEY_LEN);
        assert_eq!(key.strip(&scope.kind(kind)), Some(parts.concat().as_slice()));
        for other in &scopes {
            assert_eq!(key.starts_with(&other.all()), scope.as_str() == other.as_str(), "{key:?} in {other}");
        }
    }
}
