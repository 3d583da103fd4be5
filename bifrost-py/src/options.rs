//! Options that Python passes as a dictionary, read with their types.

use bifrost::{Error, Result};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Reads `value`, for `operation`.
///
/// # Errors
/// `InvalidInput` that says what does not fit.
pub(crate) fn parse<T: DeserializeOwned>(operation: &'static str, value: Value) -> Result<T> {
    serde_json::from_value(value).map_err(|error| Error::invalid(operation, error.to_string()))
}
