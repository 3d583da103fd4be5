//! Secrets: a type that can be passed around, filled in at send time, and never printed.

use std::fmt;
use std::sync::Arc;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// A piece of text that must not be seen: no `Display`, no `Serialize`, `Debug` prints stars. A clone shares the text,
/// so that it stands in memory once; the last one that is dropped wipes it.
///
/// ```
/// use bifrost_core::Secret;
///
/// let secret = Secret::new("hunter2");
/// assert_eq!(format!("{secret:?}"), "Secret(***)");
/// assert_eq!(secret.expose(), "hunter2");
/// ```
#[derive(Clone)]
pub struct Secret(Arc<Zeroizing<String>>);

impl Secret {
    /// Takes `text` in.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Arc::new(Zeroizing::new(text.into())))
    }

    /// The text, for the one place that sends or seals it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// True when there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl Eq for Secret {}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

/// Serializes the text of a [`Secret`] inside a record that is sealed before it is stored.
///
/// Use as `#[serde(with = "bifrost_core::secret::sealed")]`, and only in such records: the field is in clear until
/// the sealer has run.
pub mod sealed {
    use serde::{Deserialize, Deserializer, Serializer};

    use super::Secret;

    /// Writes the text.
    ///
    /// # Errors
    /// As the serializer says.
    pub fn serialize<S: Serializer>(secret: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(secret.expose())
    }

    /// Reads the text.
    ///
    /// # Errors
    /// When there is no text.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
        String::deserialize(deserializer).map(Secret::new)
    }
}

/// The same for an optional secret.
pub mod sealed_option {
    use serde::{Deserialize, Deserializer, Serializer};

    use super::Secret;

    /// Writes the text, or null.
    ///
    /// # Errors
    /// As the serializer says.
    pub fn serialize<S: Serializer>(secret: &Option<Secret>, serializer: S) -> Result<S::Ok, S::Error> {
        match secret {
            Some(secret) => serializer.serialize_some(secret.expose()),
            None => serializer.serialize_none(),
        }
    }

    /// Reads the text, if there is one.
    ///
    /// # Errors
    /// When it is neither text nor null.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Secret>, D::Error> {
        Option::<String>::deserialize(deserializer).map(|text| text.map(Secret::new))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_stars_at_any_depth() {
        let nested = Some(vec![Secret::new("canary")]);
        assert!(!format!("{nested:?} {nested:#?}").contains("canary"));
    }
}
