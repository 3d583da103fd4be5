//! What a workflow takes, as JSON Schema, and the one judge of whether parameters fit it.

use std::fmt;
use std::sync::Arc;

use jsonschema::error::ValidationErrorKind;
use jsonschema::{PatternOptions, ValidationError};
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
            note(&error, &mut violations);
        }
        let Some((first, _)) = violations.first() else {
            return Ok(());
        };
        let first = first.clone();
        let text: Vec<String> = violations.iter().map(|(path, reason)| format!("{path}: {reason}")).collect();
        Err(Error::invalid("check parameters", text.join("; ")).with("path", first))
    }
}

/// Notes what an error says, or, where none of several alternatives fits, what keeps the one from fitting that was
/// meant: an optional object fails at its member, not as a whole.
fn note(error: &ValidationError<'_>, violations: &mut Vec<(String, String)>) {
    if let ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } = error.kind()
        && let Some(meant) = meant(error, context)
    {
        for inner in meant {
            note(inner, violations);
        }
        return;
    }
    let path = error.instance_path().to_string();
    let path = if path.is_empty() { "/".to_owned() } else { path };
    violations.push((path, error.masked().to_string()));
}

/// The alternative the value was meant for: the only one whose type fits, so that its errors lie deeper.
fn meant<'e, 'i>(
    whole: &ValidationError<'_>,
    alternatives: &'e [Vec<ValidationError<'i>>],
) -> Option<&'e [ValidationError<'i>]> {
    let here = whole.instance_path();
    let type_fits = |errors: &&Vec<ValidationError<'_>>| {
        let misfit = |error: &ValidationError<'_>| {
            error.instance_path() == here && matches!(error.kind(), ValidationErrorKind::Type { .. })
        };
        !errors.iter().any(misfit)
    };
    let mut fitting = alternatives.iter().filter(type_fits);
    let only = fitting.next()?;
    fitting.next().is_none().then_some(only.as_slice())
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
    fn an_optional_object_is_judged_at_its_members() {
        #[derive(JsonSchema)]
        #[allow(dead_code)]
        struct Order {
            hire: Option<Hire>,
        }
        let schema = ParamSchema::of::<Order>().unwrap();
        schema.check(&json!({"hire": null})).unwrap();
        let error = schema.check(&json!({"hire": {"name": "x", "groups": [7], "seats": 0}})).unwrap_err();
        assert_eq!(error.context("path"), Some("/hire/groups/0"), "{error}");
        assert!(error.message().contains("/hire/seats"), "{error}");
        let error = schema.check(&json!({"hire": 3})).unwrap_err();
        assert_eq!(error.context("path"), Some("/hire"), "{error}");
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
