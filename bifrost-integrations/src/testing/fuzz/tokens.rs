//! Token answers and refusals, Microsoft's among them.

#![allow(clippy::unwrap_used, reason = "a body speaks by panicking")]

use std::sync::Arc;
use std::time::Duration;

use bifrost_core::credential::{ExchangeFailure, ExchangeRequest, TokenKey, TokenSet};
use bifrost_core::testing::fuzz::Noise;
use bifrost_core::{ConnectionId, ConnectionSettings, Credential, ProviderId, TenantId};
use bytes::Bytes;
use http::Response;
use serde_json::Value;

use super::peer::{CLIENT_SECRET, Peer, REFRESH_TOKEN, answers, discreet};
use crate::http::{HttpStack, scripted::ScriptedTransport};
use crate::oauth::error::Refusal;
use crate::oauth::{Dialect, OAuthExchange, TokenEndpoint};

/// What is left of a secret must be shorter than this.
const TELLING: usize = 8;

/// Takes `data` for what a token endpoint answers.
pub fn tokens(data: &[u8]) {
    let (kind, rest) = data.split_first().unwrap_or((&0, &[]));
    let dialect = Noise::new(&[*kind]).pick(&[Dialect::Entra, Dialect::HaloPsa, Dialect::Standard]);
    let uses_refresh_token = kind & 0x80 != 0;
    let answer = answers(rest).pop_front().unwrap_or_default();
    refusal(answer.body());
    let body = answer.body().clone();
    match exchange(dialect, uses_refresh_token, answer.clone()) {
        Ok(set) => usable(&set, &answer, uses_refresh_token),
        Err(failure) => named(&failure),
    }
    repeats(dialect, uses_refresh_token, &body);
}

/// Reading a refusal keeps single words and a bounded text.
fn refusal(body: &[u8]) {
    let Some(read) = Refusal::read(body) else { return };
    let words = [Some(&read.error), read.suberror.as_ref(), read.trace_id.as_ref(), read.correlation_id.as_ref()];
    for word in words.into_iter().flatten() {
        assert!(!word.is_empty() && word.len() <= 64 && word.chars().all(|c| c.is_ascii_graphic()), "{word:?}");
    }
    assert!(read.codes.len() <= 16);
    assert!(read.description.is_none_or(|text| text.chars().count() <= 300 && !text.chars().any(char::is_control)));
    for dialect in [Dialect::Entra, Dialect::HaloPsa, Dialect::Standard] {
        let verdict = Refusal::read(body).unwrap_or_default().verdict(dialect);
        assert_eq!(verdict.retry != bifrost_core::Retry::Never, verdict.cause.passes_by_itself(), "{verdict:?}");
    }
}

/// A token that is shown to callers can be sent, and lives for a sensible time.
fn usable(set: &TokenSet, answer: &Response<Bytes>, uses_refresh_token: bool) {
    assert!(answer.status().is_success());
    let access = set.access.expose();
    assert!(!access.is_empty() && access.bytes().all(|byte| byte.is_ascii_graphic()));
    // Whatever follows the document is nobody's concern, nor is what stands in members that are not read, such as half a
    // character, for which there is no value.
    if let Some(Ok(body)) = serde_json::Deserializer::from_slice(answer.body()).into_iter::<Value>().next() {
        assert_eq!(body["access_token"], access);
    }
    let year = Duration::from_secs(366 * 86_400);
    assert!(set.expires_in.is_none_or(|time| (Duration::from_secs(1)..=year).contains(&time)));
    if let Some(refresh) = &set.refresh_token {
        assert!(uses_refresh_token && !refresh.expose().is_empty());
    }
}

/// A failure names its cause and the way out, and no secret.
fn named(failure: &ExchangeFailure) {
    discreet(&failure.error);
    assert_eq!(failure.error.is_retryable(), failure.cause.passes_by_itself(), "{failure:?}");
    assert!(failure.error.suggested_action().is_some(), "{failure:?}");
}

/// An endpoint that repeats what it was sent: however much stands before it, nothing telling comes back.
fn repeats(dialect: Dialect, uses_refresh_token: bool, body: &[u8]) {
    let filler = "words ".repeat(body.len() % 64);
    let (secret, code) = if uses_refresh_token { (REFRESH_TOKEN, 400) } else { (CLIENT_SECRET, 401) };
    let cut = &filler[..filler.len() - usize::from(!filler.is_empty()) * (body.len() % 5)];
    let text = serde_json::json!({ "error": "invalid_client", "error_description": format!("{cut}{secret}{filler}") });
    let mut answer = Response::new(Bytes::from(text.to_string()));
    *answer.status_mut() = http::StatusCode::from_u16(code).unwrap();
    let failure = exchange(dialect, uses_refresh_token, answer).unwrap_err();
    let shown = format!("{failure:?}");
    let telling = secret.as_bytes().windows(TELLING).map(String::from_utf8_lossy);
    telling.for_each(|part| assert!(!shown.contains(part.as_ref()), "{part} of a secret is in {shown}"));
}

fn exchange(dialect: Dialect, uses_refresh_token: bool, answer: Response<Bytes>) -> Result<TokenSet, ExchangeFailure> {
    let peer = Peer::answering([].into());
    let transport = ScriptedTransport::new().then(move |_| Ok(answer.clone()));
    let (_, clock, entropy) = peer.parts();
    let descriptor = crate::halopsa::config::descriptor().unwrap();
    let stack = HttpStack::builder(descriptor, Arc::new(transport), clock, entropy).build().unwrap();
    let mut endpoint = TokenEndpoint::new("https://login.example/token".parse().unwrap());
    endpoint.dialect = dialect;
    let request = ExchangeRequest {
        tenant: TenantId::new("contoso").unwrap(),
        connection: ConnectionId::new("test").unwrap(),
        settings: Arc::new(ConnectionSettings::new(ProviderId::new("test").unwrap())),
        credential: Arc::new(credential(uses_refresh_token)),
        refresh_token: None,
        key: TokenKey::new("https://api.example", ["all"]),
    };
    peer.run(OAuthExchange::over(&stack).exchange(&request, &endpoint))
}

fn credential(uses_refresh_token: bool) -> Credential {
    match uses_refresh_token {
        true => Credential::refresh_token("app", Some(CLIENT_SECRET.into()), REFRESH_TOKEN),
        false => Credential::client_secret("app", CLIENT_SECRET),
    }
}
