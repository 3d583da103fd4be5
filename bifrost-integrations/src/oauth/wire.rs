//! The `oauth2` crate over the hub's transport, and the token answer as providers really send it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bifrost_core::Timestamp;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use oauth2::basic::{
    BasicErrorResponse, BasicRevocationErrorResponse, BasicTokenIntrospectionResponse, BasicTokenType,
};
use oauth2::{
    AccessToken, Client, ClientId, ClientSecret, EndpointNotSet, EndpointSet, HttpRequest, HttpResponse, RefreshToken,
    Scope, StandardRevocableToken, TokenResponse, TokenUrl,
};
use serde::{Deserialize, Deserializer, Serialize};

use super::endpoint::{ClientAuth, TokenEndpoint};
use crate::http::stack::HttpStack;
use crate::http::transport::{Limits, TransportError, answered_in_time};

/// The largest answer of a token endpoint, in bytes. Tokens with many groups in them reach some ten thousand.
const MAX_ANSWER: usize = 256 * 1024;

/// The client of one exchange.
pub(super) type TokenClient = Client<
    BasicErrorResponse,
    TokenAnswer,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
>;

/// A client for `endpoint`.
pub(super) fn client(endpoint: &TokenEndpoint, id: &str, secret: Option<&bifrost_core::Secret>) -> TokenClient {
    let auth = match endpoint.auth {
        ClientAuth::Body => oauth2::AuthType::RequestBody,
        ClientAuth::Basic => oauth2::AuthType::BasicAuth,
    };
    let client = Client::new(ClientId::new(id.to_owned()))
        .set_auth_type(auth)
        .set_token_uri(TokenUrl::from_url(endpoint.url.clone()));
    match secret {
        Some(secret) => client.set_client_secret(ClientSecret::new(secret.expose().to_owned())),
        None => client,
    }
}

/// A token answer (RFC 6749 section 5.1), read generously: some providers write the lifetime as text.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct TokenAnswer {
    access_token: AccessToken,
    #[serde(default = "bearer")]
    token_type: String,
    #[serde(default, deserialize_with = "lifetime")]
    expires_in: Option<u64>,
    #[serde(default)]
    refresh_token: Option<RefreshToken>,
    #[serde(skip)]
    kind: Option<BasicTokenType>,
}

impl TokenAnswer {
    /// True for tokens that are sent as `Authorization: Bearer`.
    pub(super) fn is_bearer(&self) -> bool {
        self.token_type.eq_ignore_ascii_case("bearer")
    }
}

impl TokenResponse for TokenAnswer {
    type TokenType = BasicTokenType;

    fn access_token(&self) -> &AccessToken {
        &self.access_token
    }

    fn token_type(&self) -> &BasicTokenType {
        self.kind.as_ref().unwrap_or(&BasicTokenType::Bearer)
    }

    fn expires_in(&self) -> Option<Duration> {
        self.expires_in.map(Duration::from_secs)
    }

    fn refresh_token(&self) -> Option<&RefreshToken> {
        self.refresh_token.as_ref()
    }

    fn scopes(&self) -> Option<&Vec<Scope>> {
        None
    }
}

fn bearer() -> String {
    "bearer".to_owned()
}

/// Whole seconds, written as a number or as text; anything else counts as not said.
fn lifetime<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    let text = value.as_str().and_then(|text| text.trim().parse().ok());
    // A lifetime beyond a year is a mistake of units.
    let number = value.as_f64().or(text).filter(|seconds| (1.0..=366.0 * 86_400.0).contains(seconds));
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    Ok(number.map(|seconds| seconds as u64))
}

/// An answer of the token endpoint, kept to be read again when it is an error.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) now: Timestamp,
}

/// One exchange's way to the network.
pub(super) struct Wire {
    pub(super) stack: HttpStack,
    pub(super) private_hosts: Vec<String>,
    pub(super) seen: Mutex<Option<Seen>>,
}

impl Wire {
    pub(super) fn new(stack: &HttpStack, private_hosts: &[String]) -> Self {
        Self { stack: stack.clone(), private_hosts: private_hosts.to_vec(), seen: Mutex::new(None) }
    }

    /// What the endpoint answered, if it did.
    pub(super) fn seen(&self) -> Option<Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) async fn post(&self, request: HttpRequest) -> Result<HttpResponse, TransportError> {
        let inner = &self.stack.0;
        let limits = Limits {
            max_body: MAX_ANSWER,
            max_headers: inner.config.max_headers,
            max_header_bytes: inner.config.max_header_bytes,
            timeout: inner.config.attempt_timeout,
            private_hosts: &self.private_hosts,
        };
        let sending = inner.transport.send(request.map(Bytes::from), limits);
        let response = answered_in_time(inner.clock.as_ref(), limits.timeout, sending).await?;
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(Seen {
            status: response.status(),
            headers: response.headers().clone(),
            body: response.body().clone(),
            now: inner.clock.now(),
        });
        Ok(response.map(|body| body.to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lifetimes_are_read_as_they_are_written() {
        for (text, expected) in [
            ("3599", Some(3_599)),
            ("\"3599\"", Some(3_599)),
            ("3599.7", Some(3_599)),
            ("null", None),
            ("\"soon\"", None),
            ("-1", None),
            ("0", None),
            ("1e300", None),
            ("[]", None),
        ] {
            let json = format!(r#"{{"access_token":"a","token_type":"BEARER","expires_in":{text}}}"#);
            let answer: TokenAnswer = serde_json::from_str(&json).unwrap();
            assert_eq!((answer.expires_in, answer.is_bearer()), (expected, true), "{text}");
        }
        assert!(
            !serde_json::from_str::<TokenAnswer>(r#"{"access_token":"a","token_type":"mac"}"#).unwrap().is_bearer()
        );
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = serde_json::from_slice::<TokenAnswer>(&bytes);
        }
    }
}
