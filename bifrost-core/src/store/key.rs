//! Keys. A key exists only inside a scope, and the scope is the first thing in it, so no scan and no typing mistake
//! can reach another tenant's data.
//!
//! Layout: scope name, `\0`, one byte for the kind of record, then the record's own parts. Scope names hold no `\0`
//! (see [`TenantId`]), so one scope's prefix is never the beginning of another's.

use std::fmt;

use bytes::Bytes;

use super::MAX_KEY_LEN;
use crate::error::{Error, Result};
use crate::id::TenantId;

/// Whose data: one tenant's, or the hub's own.
///
/// Every key comes from a scope, and there is no scope of some tenant or other:
///
/// ```compile_fail,E0061
/// use bifrost_core::store::key::{Kind, Scope};
///
/// let key = Scope::tenant().key(Kind::Token, &[b"graph"]);
/// ```
///
/// ```compile_fail,E0423
/// use bifrost_core::store::key::{Key, Kind};
///
/// let key = Key(b"contoso".to_vec().into());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Scope(Option<TenantId>);

impl Scope {
    /// The data of one tenant.
    pub fn tenant(id: TenantId) -> Self {
        Self(Some(id))
    }

    /// The hub's own data: the directory of tenants, wrapped data keys, the list of work to resume.
    pub fn hub() -> Self {
        Self(None)
    }

    /// The tenant, unless this is the hub's own scope.
    pub fn tenant_id(&self) -> Option<&TenantId> {
        self.0.as_ref()
    }

    /// The name in front of every key; empty for the hub's own scope.
    pub fn as_str(&self) -> &str {
        self.0.as_ref().map_or("", TenantId::as_str)
    }

    /// Everything in this scope.
    pub fn all(&self) -> Prefix {
        let mut bytes = Vec::with_capacity(64);
        bytes.extend_from_slice(self.as_str().as_bytes());
        bytes.push(0);
        Prefix(Bytes::from(bytes))
    }

    /// Everything of one kind in this scope.
    pub fn kind(&self, kind: Kind) -> Prefix {
        self.all().then(&[kind as u8])
    }

    /// The key of a record: its kind and its parts, joined as they are.
    ///
    /// # Errors
    /// `InvalidInput` when the key would be longer than [`MAX_KEY_LEN`].
    pub fn key(&self, kind: Kind, parts: &[&[u8]]) -> Result<Key> {
        let mut prefix = self.kind(kind);
        for part in parts {
            prefix = prefix.then(part);
        }
        prefix.into_key()
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(tenant) => tenant.fmt(f),
            None => f.write_str("(hub)"),
        }
    }
}

/// The kinds of records. Numbers are part of the stored format: add at the end, never change one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// Hub: a tenant's entry in the directory.
    Tenant = 1,
    /// Hub: a tenant's wrapped data key.
    DataKey = 2,
    /// Hub: an execution that is not terminal, by tenant.
    Active = 3,
    /// A configuration value.
    Config = 4,
    /// A sealed secret.
    Secret = 5,
    /// A connection's settings.
    Connection = 6,
    /// A connection's credential.
    Credential = 7,
    /// An access token, by connection, audience and scopes.
    Token = 8,
    /// A connection's refresh token and refresh intent.
    Refresh = 9,
    /// An execution.
    Execution = 11,
    /// A step or effect of an execution.
    Step = 12,
    /// A page of events of an execution.
    Events = 13,
    /// A caller's idempotency key.
    Idempotency = 14,
    /// The audit chain.
    Audit = 15,
    /// Hub: facts about the hub as a whole, such as its epoch.
    Hub = 17,
}

/// The key of one record.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Bytes);

impl Key {
    /// The bytes an engine stores it under.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The part after `prefix`, if the key lies under it.
    pub fn strip(&self, prefix: &Prefix) -> Option<&[u8]> {
        self.0.strip_prefix(prefix.as_bytes())
    }

    /// True when the key lies under `prefix`.
    pub fn starts_with(&self, prefix: &Prefix) -> bool {
        self.0.starts_with(prefix.as_bytes())
    }

    /// A key read back by an engine. Only engines call this: anything else takes keys from a [`Scope`].
    pub fn from_stored(bytes: impl Into<Bytes>) -> Self {
        Self(bytes.into())
    }
}

/// The beginning that a group of keys shares.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix(Bytes);

impl Prefix {
    /// The bytes keys start with.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The prefix that goes on with `part`.
    #[must_use]
    pub fn then(&self, part: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(self.0.len() + part.len());
        bytes.extend_from_slice(&self.0);
        bytes.extend_from_slice(part);
        Self(Bytes::from(bytes))
    }

    /// The key that consists of just this.
    ///
    /// # Errors
    /// `InvalidInput` when it is longer than [`MAX_KEY_LEN`].
    pub fn into_key(self) -> Result<Key> {
        if self.0.len() > MAX_KEY_LEN {
            return Err(Error::invalid("build key", "the key is too long")
                .with("limit", MAX_KEY_LEN)
                .with("used", self.0.len()));
        }
        Ok(Key(self.0))
    }

    /// The first key past everything under this prefix; `None` when there is none.
    pub fn end(&self) -> Option<Vec<u8>> {
        let mut end = self.0.to_vec();
        while let Some(last) = end.pop() {
            if last < u8::MAX {
                end.push(last + 1);
                return Some(end);
            }
        }
        None
    }

    /// A prefix read back by an engine. Only engines call this.
    pub fn from_stored(bytes: impl Into<Bytes>) -> Self {
        Self(bytes.into())
    }
}

fn escaped(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for byte in bytes {
        write!(f, "{}", std::ascii::escape_default(*byte))?;
    }
    Ok(())
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        escaped(&self.0, f)
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        escaped(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(name: &str) -> Scope {
        Scope::tenant(TenantId::new(name).unwrap())
    }

    #[test]
    fn no_scope_lies_under_another() {
        let names = ["a", "aa", "a-", "a_", "0", "contoso"];
        for one in names {
            for other in names {
                let nested = scope(one).all().as_bytes().starts_with(scope(other).all().as_bytes());
                assert_eq!(nested, one == other, "{one} under {other}");
            }
            assert!(!scope(one).all().as_bytes().starts_with(Scope::hub().all().as_bytes()));
        }
    }

    #[test]
    fn a_key_over_the_limit_is_refused() {
        let part = vec![b'x'; MAX_KEY_LEN];
        assert!(scope("a").key(Kind::Config, &[&part]).is_err());
        let fits = vec![b'x'; MAX_KEY_LEN - 3];
        assert!(scope("a").key(Kind::Config, &[&fits]).is_ok());
    }

    #[test]
    fn the_end_of_a_prefix_is_past_all_its_keys() {
        assert_eq!(Prefix::from_stored(&b"ab"[..]).end(), Some(b"ac".to_vec()));
        assert_eq!(Prefix::from_stored(&b"a\xff"[..]).end(), Some(b"b".to_vec()));
        assert_eq!(Prefix::from_stored(&b"\xff"[..]).end(), None);
    }
}
