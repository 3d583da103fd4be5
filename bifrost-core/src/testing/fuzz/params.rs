//! Schemas of workflows and the parameters judged by them.

use serde_json::{Value, json};

use crate::error::ErrorKind;
use crate::workflow::schema::ParamSchema;

/// What stands in parameters where somebody's data would, and in no error.
const PERSONAL: &str = "canary-7f3e9d";

/// Reads `data` as a schema and, after a zero byte, parameters for it.
pub fn params(data: &[u8]) {
    let mut parts = data.splitn(2, |byte| *byte == 0);
    let (schema, params) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let Ok(schema) = serde_json::from_slice::<Value>(schema) else { return };
    let params: Value = serde_json::from_slice(params).unwrap_or_default();
    let compiled = match ParamSchema::new(schema.clone()) {
        Ok(compiled) => compiled,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            return;
        }
    };
    assert_eq!(compiled.as_value(), &schema);
    let personal = [params.clone(), json!(PERSONAL), json!({ "name": PERSONAL }), with_personal(params)];
    for params in personal {
        if let Err(error) = compiled.check(&params) {
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(error.context("path").is_some());
            assert!(!format!("{error:?}").contains(PERSONAL), "a value is repeated: {error:?}");
            assert!(compiled.check(&params).is_err(), "judged differently the second time");
        }
    }
}

/// The same parameters with every text somebody's.
fn with_personal(params: Value) -> Value {
    match params {
        Value::String(_) => PERSONAL.into(),
        Value::Array(items) => items.into_iter().map(with_personal).collect(),
        Value::Object(members) => members
            .into_iter()
            .map(|(name, value)| (name, with_personal(value)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        other => other,
    }
}
