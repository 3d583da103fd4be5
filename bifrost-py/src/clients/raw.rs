//! The door for calls that have no type: any request below the connection's base URL, through the same stack.

use std::time::Duration;

use bifrost::call::{self, Query};
use bifrost::integration::{Outbound, Safety};
use bifrost::{Connection, Context, Error, Result};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, header};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use serde::Deserialize;
use serde_json::Value;

use super::graph;
use super::secrets::Fill;
use crate::options::parse;

/// The header idempotency keys travel in unless the caller names another.
const KEY_HEADER: &str = "idempotency-key";
/// The endpoint name of calls without a type.
const ENDPOINT: &str = "(raw)";

/// A request as Python describes it, with the secrets that are still to be filled in.
pub(crate) struct Raw {
    description: Value,
    content: Option<Bytes>,
    secrets: Vec<Fill>,
    ctx: Option<Context>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    method: String,
    path: String,
    #[serde(default)]
    query: Vec<(String, String)>,
    #[serde(default)]
    headers: Vec<(String, String)>,
    json: Option<Value>,
    /// Whether it may be repeated; by its method unless said.
    idempotent: Option<bool>,
    idempotency_key: Option<String>,
    idempotency_header: Option<String>,
    /// Seconds all attempts together may take.
    timeout: Option<f64>,
}

impl Raw {
    pub(crate) fn new(description: Value, content: Option<Vec<u8>>, secrets: Vec<Fill>, ctx: Option<Context>) -> Self {
        Self { description, content: content.map(Bytes::from), secrets, ctx }
    }

    /// Sends it.
    pub(crate) async fn send(self, connection: &Connection) -> Result<Reply> {
        let request = self.outbound().await?;
        connection.send(request).await.map(Reply)
    }

    /// Sends many to Graph in batches of up to 20; each has its own answer.
    pub(crate) async fn send_batch(requests: Vec<Self>, connection: Connection) -> Result<Vec<Result<Reply>>> {
        let graph = graph::client(connection, requests.first().and_then(|first| first.ctx.as_ref()))?;
        let mut ready = Vec::with_capacity(requests.len());
        for request in requests {
            ready.push(request.outbound().await?);
        }
        Ok(graph.batch(ready).await.into_iter().map(|answer| answer.map(Reply)).collect())
    }

    async fn outbound(mut self) -> Result<Outbound> {
        for secret in &self.secrets {
            if !takes_secret(secret.place()) {
                return Err(secret.misplaced());
            }
            secret.fill(&mut self.description, self.ctx.as_ref()).await?;
        }
        let description: Description = parse("build request", self.description)?;
        description.outbound(self.content)
    }
}

/// A secret goes into the JSON body or is the value of a header: nothing else of a request stays unseen.
fn takes_secret(place: &str) -> bool {
    let mut segments = place.split('/').skip(1);
    match segments.next() {
        Some("json") => true,
        Some("headers") => segments.nth(1) == Some("1"),
        _ => false,
    }
}

impl Description {
    fn outbound(self, content: Option<Bytes>) -> Result<Outbound> {
        let method = method(&self.method)?;
        let mut headers = HeaderMap::with_capacity(self.headers.len());
        for (name, value) in &self.headers {
            headers.append(header_name(name)?, header_value(name, value)?);
        }
        let body = match (self.json, content) {
            (Some(_), Some(_)) => return Err(Error::invalid("build request", "a body is either `json` or `content`")),
            (Some(json), None) => {
                headers.entry(header::CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
                Bytes::from(json.to_string())
            }
            (None, content) => content.unwrap_or_default(),
        };
        let key_header = header_name(self.idempotency_header.as_deref().unwrap_or(KEY_HEADER))?;
        let written = headers.remove(&key_header).and_then(|value| value.to_str().ok().map(str::to_owned));
        let query = self.query.into_iter().fold(Query::new(), |query, (name, value)| query.with(name, value));
        let mut outbound = Outbound::new(call::raw(method, &self.path, &query, headers, body)?, ENDPOINT);
        match (self.idempotency_key.or(written), self.idempotent) {
            (Some(key), _) => outbound.safety = Safety::Keyed { header: key_header, key },
            (None, Some(true)) => outbound.safety = Safety::Idempotent,
            (None, Some(false)) => outbound.safety = Safety::Once,
            (None, None) => {}
        }
        if let Some(seconds) = self.timeout {
            let limit = Duration::try_from_secs_f64(seconds);
            outbound.deadline =
                Some(limit.map_err(|_| Error::invalid("build request", "the timeout is no duration in seconds"))?);
        }
        Ok(outbound)
    }
}

fn method(name: &str) -> Result<Method> {
    match name.to_ascii_uppercase().as_str() {
        "GET" => Ok(Method::GET),
        "HEAD" => Ok(Method::HEAD),
        "POST" => Ok(Method::POST),
        "PUT" => Ok(Method::PUT),
        "PATCH" => Ok(Method::PATCH),
        "DELETE" => Ok(Method::DELETE),
        "OPTIONS" => Ok(Method::OPTIONS),
        _ => Err(Error::invalid("build request", "this is no method that can be sent").with("name", name)),
    }
}

fn header_name(name: &str) -> Result<HeaderName> {
    name.parse().map_err(|_| Error::invalid("build request", "this is no name of a header").with("name", name))
}

/// The value is not shown: it may be a secret.
fn header_value(name: &str, value: &str) -> Result<HeaderValue> {
    value.parse().map_err(|_| Error::invalid("build request", "the value of this header is none").with("name", name))
}

/// An answer as Python takes it: status, headers, body.
pub(crate) struct Reply(Response<Bytes>);

impl Reply {
    /// Repeated headers are joined by a comma.
    pub(crate) fn into_python(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let headers = PyDict::new(py);
        for name in self.0.headers().keys() {
            let values = self.0.headers().get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
            headers.set_item(name.as_str(), values.collect::<Vec<_>>().join(", "))?;
        }
        let body = PyBytes::new(py, self.0.body());
        Ok((self.0.status().as_u16(), headers, body).into_pyobject(py)?.into_any().unbind())
    }
}

#[cfg(test)]
mod tests {
    use bifrost::ErrorKind;
    use serde_json::json;

    use super::*;

    fn built(description: Value) -> Result<Outbound> {
        parse::<Description>("build request", description)?.outbound(None)
    }

    #[test]
    fn what_may_be_repeated_is_said_by_method_flag_or_key() {
        let safety = |description| built(description).unwrap().safety;
        let keyed = Safety::Keyed { header: HeaderName::from_static(KEY_HEADER), key: "k-1".to_owned() };
        assert_eq!(safety(json!({"method": "delete", "path": "/a"})), Safety::Idempotent);
        assert_eq!(safety(json!({"method": "POST", "path": "/a"})), Safety::Once);
        assert_eq!(safety(json!({"method": "PATCH", "path": "/a"})), Safety::Once);
        assert_eq!(safety(json!({"method": "POST", "path": "/a", "idempotent": true})), Safety::Idempotent);
        assert_eq!(safety(json!({"method": "POST", "path": "/a", "idempotency_key": "k-1"})), keyed);
        let header = json!({"method": "POST", "path": "/a", "headers": [["Idempotency-Key", "k-1"]]});
        assert_eq!(safety(header), keyed);
    }

    #[test]
    fn what_cannot_be_sent_is_refused_without_showing_values() {
        for description in [
            json!({"method": "TRACE", "path": "/a"}),
            json!({"method": "GET", "path": "https://evil.example/"}),
            json!({"method": "GET", "path": "/a", "headers": [["bad name", "canary"]]}),
            json!({"method": "GET", "path": "/a", "headers": [["x", "canary\n"]]}),
            json!({"method": "GET", "path": "/a", "querry": []}),
            json!({"method": "GET", "path": "/a", "timeout": -1.0}),
        ] {
            let error = built(description.clone()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{description}");
            assert!(!error.to_string().contains("canary"));
        }
    }

    #[test]
    fn secrets_go_where_nobody_looks() {
        for (place, taken) in [
            ("/json", true),
            ("/json/a/0", true),
            ("/headers/0/1", true),
            ("/headers/0/0", false),
            ("/path", false),
            ("/query/0/1", false),
            ("/timeout", false),
            ("", false),
        ] {
            assert_eq!(takes_secret(place), taken, "{place}");
        }
    }
}
