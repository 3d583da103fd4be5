//! What a workflow takes, as JSON Schema, and the one judge of whether parameters fit it.

use std::fmt;
use std::sync::Arc;

use jsonschema::PatternOptions;
use schemars::JsonSchema;
use serde_json::Value;

use crate::error::{Error, Result};

/// The most violations one refusal names.
const MAX_VIOLATIONS: usize = 20;

/// A JSON Schema (draft 2020-12) with its compiled validator. References to files or the network are refused.
#[derive(Clone)]
pub struct ParamSchema(Arc<Compiled>);

struct Compiled {
    schema: Value,
    validator: jsonschema::Validator,
}

impl ParamSchema {
    /// The schema of a Rust type.
    ///
    /// # Errors
    /// `InvalidInput` when the type's schema does not compile.
    pub fn of<T: JsonSchema>() -> Result<Self> {
        Self::new(schemars::schema_for!(T).to_value())
    }

    /// A schema that came as JSON.
    ///
    /// # Errors
    /// `InvalidInput` when it is no valid schema. Patterns must be in the syntax of the `regex` crate, which runs in
    /// linear time.
    pub fn new(schema: Value) -> Result<Self> {
        let validator = jsonschema::options()
            .with_pattern_options(PatternOptions::regex())
            .should_validate_formats(true)
            .build(&schema)
            .map_err(|error| Error::invalid("read parameter schema", error.to_string()))?;
        Ok(Self(Arc::new(Compiled { schema, validator })))
    }

    /// The schema as JSON.
    pub fn as_value(&self) -> &Value {
        &self.0.schema
    }

    /// Judges `params`.
    ///
    /// # Errors
    /// `InvalidInput` that names every violation by its exact path. Values are not repeated: they may be personal.
    pub fn check(&self, params: &Value) -> Result<()> {
        let mut violations = Vec::new();
        for error in self.0.validator.iter_errors(params).take(MAX_VIOLATIONS) {
            let path = error.instance_path().to_string();
            let path = if path.is_empty() { "/".to_owned() } else { path };
            violations.push((path, error.masked().to_string()));
        }
        let Some((first, _)) = violations.first() else {
            return Ok(());
        };
        let first = first.clone();
        let text: Vec<String> = violations.iter().map(|(path, reason)| format!("{path}: {reason}")).collect();
        Err(Error::invalid("check parameters", text.join("; ")).with("path", first))
    }
}

impl fmt::Debug for ParamSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ParamSchema").field(&self.0.schema).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[derive(JsonSchema)]
    #[allow(dead_code)]
    struct Hire {
        name: String,
        groups: Vec<String>,
        #[schemars(range(min = 1))]
        seats: u32,
    }

    #[test]
    fn a_violation_is_named_by_its_exact_path() {
        let schema = ParamSchema::of::<Hire>().unwrap();
        schema.check(&json!({"name": "Zoë", "groups": [], "seats": 1})).unwrap();
        let error = schema.check(&json!({"name": "x", "groups": ["a", 7], "seats": 1})).unwrap_err();
        assert_eq!(error.context("path"), Some("/groups/1"));
        let error = schema.check(&json!({"groups": []})).unwrap_err();
        assert!(error.message().contains("\"name\"") && error.message().contains("\"seats\""), "{error}");
    }

    #[test]
    fn a_refusal_repeats_no_value() {
        let schema = ParamSchema::of::<Hire>().unwrap();
        let error = schema.check(&json!({"name": ["canary"], "groups": "canary", "seats": 1})).unwrap_err();
        assert!(!format!("{error:?}").contains("canary"), "{error}");
    }

    #[test]
    fn references_to_the_outside_are_refused() {
        for target in ["http://127.0.0.1:9/schema.json", "file:///etc/passwd"] {
            assert!(ParamSchema::new(json!({"$ref": target})).is_err(), "{target}");
        }
    }
}
