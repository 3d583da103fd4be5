//! Identifiers as checked newtypes: an identifier that exists is valid.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize, Serializer};
use uuid::Uuid;

use crate::entropy::Entropy;
use crate::error::{Error, Result};
use crate::time::Timestamp;

/// Checks `text` against the alphabet and length of one kind of name.
fn check(what: &'static str, text: &str, max: usize, first: fn(char) -> bool, rest: fn(char) -> bool) -> Result<()> {
    let refuse = |reason: String| Err(Error::invalid(what, reason).with("name", printable(text)));
    if text.is_empty() {
        return refuse("the name is empty".to_owned());
    }
    if text.len() > max {
        return refuse(format!("the name is longer than {max} bytes"));
    }
    let mut chars = text.chars();
    if !chars.next().is_some_and(first) {
        return refuse("the first character is not allowed".to_owned());
    }
    match chars.find(|c| !rest(*c)) {
        Some(c) => refuse(format!("the character {c:?} is not allowed")),
        None => Ok(()),
    }
}

/// A refused name as it may appear in a log line: escaped and cut.
fn printable(text: &str) -> String {
    text.chars().take(64).flat_map(char::escape_default).collect()
}

fn lower_or_digit(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit()
}

fn slug(c: char) -> bool {
    lower_or_digit(c) || c == '-' || c == '_'
}

fn word(c: char) -> bool {
    lower_or_digit(c) || c == '_'
}

fn dotted(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $max:literal, $first:path, $rest:path) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(std::sync::Arc<str>);

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl $name {
            /// The longest name that is accepted, in bytes.
            pub const MAX_LEN: usize = $max;

            /// Checks `text` and makes the identifier.
            ///
            /// # Errors
            /// `InvalidInput` when `text` is empty, too long or holds a character outside the alphabet.
            pub fn new(text: impl AsRef<str>) -> Result<Self> {
                let text = text.as_ref();
                check($what, text, $max, $first, $rest)?;
                Ok(Self(text.into()))
            }

            /// The identifier as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = Error;
            fn from_str(text: &str) -> Result<Self> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = Error;
            fn try_from(text: String) -> Result<Self> {
                Self::new(text)
            }
        }

        impl TryFrom<&str> for $name {
            type Error = Error;
            fn try_from(text: &str) -> Result<Self> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.as_ref().to_owned()
            }
        }
    };
}

name! {
    /// A tenant's name: lower-case letters, digits, `-` and `_`, at most 63 bytes, starting with a letter or digit.
    TenantId, "name tenant", 63, lower_or_digit, slug
}
name! {
    /// A connection's name within its tenant, such as `graph`; same alphabet as [`TenantId`].
    ConnectionId, "name connection", 63, lower_or_digit, slug
}
name! {
    /// A provider's name, such as `halopsa`; same alphabet as [`TenantId`].
    ProviderId, "name provider", 63, lower_or_digit, slug
}
name! {
    /// A workflow's name: `^[a-z0-9_]+$`, at most 64 bytes.
    WorkflowName, "name workflow", 64, word, word
}
name! {
    /// A configuration key: letters, digits, `_`, `-` and `.`, at most 100 bytes.
    ConfigKey, "name configuration key", 100, dotted, dotted
}
name! {
    /// A secret's name: letters, digits, `_`, `-` and `.`, at most 100 bytes.
    SecretName, "name secret", 100, dotted, dotted
}

/// An execution: a UUID of version 7, so that byte order is order of creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ExecutionId(Uuid);

impl ExecutionId {
    /// A new identifier, ordered by `now`.
    pub fn generate(now: Timestamp, entropy: &dyn Entropy) -> Self {
        let mut random = [0_u8; 10];
        entropy.fill(&mut random);
        let millis = u64::try_from(now.as_millis()).unwrap_or(0);
        Self(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
    }

    /// The sixteen bytes, in sort order.
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// The identifier of sixteen stored bytes.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }
}

impl fmt::Display for ExecutionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for ExecutionId {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        Uuid::parse_str(text)
            .map(Self)
            .map_err(|_| Error::invalid("read execution id", "not a UUID").with("name", printable(text)))
    }
}

/// A caller's own key for one execution: asking twice with the same key runs once.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// The longest key that is accepted, in bytes.
    pub const MAX_LEN: usize = 255;

    /// Checks `text` and makes the key.
    ///
    /// # Errors
    /// `InvalidInput` when `text` is empty, too long or holds control characters.
    pub fn new(text: impl Into<String>) -> Result<Self> {
        let text = text.into();
        check("read idempotency key", &text, Self::MAX_LEN, |c| !c.is_control(), |c| !c.is_control())?;
        Ok(Self(text))
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for IdempotencyKey {
    type Error = Error;
    fn try_from(text: String) -> Result<Self> {
        Self::new(text)
    }
}

impl From<IdempotencyKey> for String {
    fn from(key: IdempotencyKey) -> Self {
        key.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn names_keep_to_their_alphabet() {
        for good in ["contoso", "a", "0-x_y"] {
            assert_eq!(TenantId::new(good).unwrap().as_str(), good);
        }
        for bad in ["", "-a", "_a", "A", "a b", "a\0b", "münchen", "a/b", &"x".repeat(64)] {
            assert_eq!(TenantId::new(bad).unwrap_err().kind(), ErrorKind::InvalidInput, "{bad:?}");
        }
        assert!(WorkflowName::new("onboard_user").is_ok());
        assert!(WorkflowName::new("onboard-user").is_err());
    }

    #[test]
    fn a_stored_name_is_checked_when_it_is_read() {
        assert!(serde_json::from_str::<TenantId>("\"../etc\"").is_err());
    }

    #[test]
    fn a_refused_name_cannot_inject_log_lines() {
        let error = TenantId::new("x\n2026 ERROR forged").unwrap_err();
        assert!(!error.to_string().contains('\n'));
    }
}
