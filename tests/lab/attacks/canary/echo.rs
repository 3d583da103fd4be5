//! A peer that tells everybody what it was sent.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bifrost::http::{Limits, ReqwestTransport, Transport, TransportError};
use bytes::Bytes;
use serde_json::{Value, json};

/// The real transport, with a peer behind it that can lose its mind.
#[derive(Debug)]
pub(super) struct Echo {
    inner: ReqwestTransport,
    /// How many of the next answers tell what was sent, and of which kind they are.
    next: Mutex<Vec<u16>>,
    told: AtomicU64,
    /// Every access token that was sent.
    tokens: Mutex<Vec<String>>,
}

impl Echo {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            inner: ReqwestTransport::new().unwrap(),
            next: Mutex::default(),
            told: AtomicU64::new(0),
            tokens: Mutex::default(),
        })
    }

    /// Answers the next requests with these statuses and all it was sent.
    pub(super) fn next(&self, statuses: impl IntoIterator<Item = u16>) {
        *self.next.lock().unwrap() = statuses.into_iter().collect();
    }

    pub(super) fn told(&self) -> u64 {
        self.told.load(Ordering::SeqCst)
    }

    pub(super) fn tokens(&self) -> Vec<String> {
        let mut tokens = self.tokens.lock().unwrap().clone();
        tokens.sort();
        tokens.dedup();
        tokens
    }
}

#[async_trait]
impl Transport for Echo {
    async fn send(
        &self,
        request: http::Request<Bytes>,
        limits: Limits<'_>,
    ) -> Result<http::Response<Bytes>, TransportError> {
        let token = request.headers().get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let token = token.trim_start_matches("Bearer ").to_owned();
        if !token.is_empty() {
            self.tokens.lock().unwrap().push(token.clone());
        }
        let status = {
            let mut next = self.next.lock().unwrap();
            (!next.is_empty()).then(|| next.remove(0))
        };
        match status {
            None => self.inner.send(request, limits).await,
            Some(status) => {
                self.told.fetch_add(1, Ordering::SeqCst);
                Ok(echo(status, &token, request.body()))
            }
        }
    }
}

/// An answer that repeats token and body, in every field and form a client could take up.
fn echo(status: u16, token: &str, body: &[u8]) -> http::Response<Bytes> {
    let body = String::from_utf8_lossy(body);
    let decoded: String =
        url::form_urlencoded::parse(body.as_bytes()).map(|(name, value)| format!("{name}={value} ")).collect();
    // The values of JSON and of forms, one by one: as a provider quotes what it does not like.
    let mut values = Vec::new();
    strings(&serde_json::from_str(&body).unwrap_or(Value::Null), &mut values);
    values.extend(url::form_urlencoded::parse(body.as_bytes()).map(|(_, value)| value.into_owned()));
    let quoted = values.iter().map(|value| format!("'{value}'")).collect::<Vec<_>>().join(" ");
    let packed = STANDARD.encode(format!("{token}:{decoded}"));
    let text = format!("{token} {quoted} {packed}");
    let answer = json!({
        "error": { "code": token, "message": text, "innerError": { "request-id": token, "message": quoted } },
        "error_description": text, "error_codes": [7_000_215], "trace_id": token, "correlation_id": token,
        "errorMessage": quoted, "Message": text, "message": quoted, "_warning": quoted,
        "value": text, "id": [text], "responses": text, "clients": text, "access_token": [text],
    });
    let builder = http::Response::builder().status(status).header("content-type", "application/json");
    let builder = match token.is_empty() {
        true => builder.header("x-echo", "none"),
        false => builder.header("request-id", token).header("client-request-id", token).header("x-echo", token),
    };
    builder.body(Bytes::from(answer.to_string())).unwrap()
}

fn strings(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => found.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| strings(item, found)),
        Value::Object(fields) => fields.values().for_each(|field| strings(field, found)),
        _ => {}
    }
}
