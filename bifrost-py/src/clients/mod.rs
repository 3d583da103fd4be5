//! The typed clients as Python reaches them: an area, an operation and its arguments come in, what the Rust client
//! answers goes out. Nothing is decided here: budget, retry, auth, sharing, selection and costs are the client's.

mod graph;
mod halopsa;
mod raw;
mod secrets;

use bifrost::{Context, Error, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

pub(crate) use self::raw::Raw;
pub(crate) use self::secrets::Fill;

/// One call of a typed client.
pub(crate) struct Call {
    area: String,
    operation: String,
    args: Value,
    secrets: Vec<Fill>,
    ctx: Option<Context>,
}

impl Call {
    pub(crate) fn new(area: String, operation: String, args: Value, secrets: Vec<Fill>, ctx: Option<Context>) -> Self {
        Self { area, operation, args, secrets, ctx }
    }

    /// Makes it over `connection`, through the client of the provider it leads to.
    pub(crate) async fn make(self, connection: bifrost::Connection) -> Result<Value> {
        match connection.settings().provider.as_str() {
            bifrost::graph::PROVIDER => graph::call(connection, self).await,
            bifrost::halopsa::PROVIDER => halopsa::call(connection, self).await,
            _ => Err(self.unknown()),
        }
    }

    fn name(&self) -> (&str, &str) {
        (&self.area, &self.operation)
    }

    /// The arguments, none of which may be a secret.
    ///
    /// # Errors
    /// `InvalidInput` naming what does not fit.
    fn args<T: DeserializeOwned>(self) -> Result<T> {
        if let Some(secret) = self.secrets.first() {
            return Err(secret.misplaced());
        }
        let read = serde_json::from_value(self.args);
        read.map_err(|error| {
            Error::invalid("call provider", error.to_string())
                .with("endpoint", format!("{}.{}", self.area, self.operation))
        })
    }

    fn unknown(&self) -> Error {
        Error::internal("call provider", "the client has no such operation")
            .with("endpoint", format!("{}.{}", self.area, self.operation))
    }
}

/// What a client answered, as data.
fn data<T: Serialize>(value: T) -> Result<Value> {
    serde_json::to_value(value).map_err(|error| Error::internal("read answer", error.to_string()))
}

/// A page: its items, and the text that leads to the next one.
fn page<T: Serialize>(items: Vec<T>, next: Option<impl ToString>, total: Option<u64>) -> Result<Value> {
    Ok(json!({ "items": data(items)?, "next": next.map(|token| token.to_string()), "total": total }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct ById {
        #[allow(dead_code, reason = "only whether it reads is asked")]
        id: String,
    }

    fn call(args: Value, secrets: Vec<Fill>) -> Call {
        Call::new("users".to_owned(), "get".to_owned(), args, secrets, None)
    }

    #[test]
    fn a_misspelt_argument_is_named() {
        let error = call(json!({"idd": "1"}), Vec::new()).args::<ById>().unwrap_err();
        assert_eq!(error.kind(), bifrost::ErrorKind::InvalidInput);
        assert!(error.to_string().contains("`idd`") && error.to_string().contains("users.get"), "{error}");
    }

    #[test]
    fn a_secret_is_refused_where_none_belongs() {
        let secrets = vec![Fill::new("/id", "vpn_key")];
        let error = call(json!({"id": null}), secrets).args::<ById>().unwrap_err();
        assert!(error.to_string().contains("/id"), "{error}");
    }
}
