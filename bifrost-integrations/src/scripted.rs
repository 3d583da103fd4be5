//! A provider that answers from a list, for tests of the clients.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bifrost_core::connection::Cause;
use bifrost_core::credential::{ExchangeFailure, ExchangeRequest, Token, TokenKey, TokenSet, TokenSource};
use bifrost_core::integration::{IntegrationSnapshot, Outbound, ProviderDescriptor, Safety};
use bifrost_core::{
    Connection, ConnectionId, ConnectionSettings, Credential, Error, ErrorKind, Integration, ProviderId, Result,
    Secret, TenantId, Timestamp,
};
use bytes::Bytes;
use http::Response;
use serde_json::Value;

use crate::http::classify::{Answer, Applied, Classifier};

/// Answers requests in order and keeps them.
#[derive(Debug)]
pub(crate) struct Scripted {
    descriptor: ProviderDescriptor,
    classifier: Arc<dyn Classifier>,
    script: Mutex<VecDeque<Response<Bytes>>>,
    sent: Mutex<Vec<Outbound>>,
}

impl Scripted {
    /// A connection to a provider of this name that answers with `script`, one answer per request.
    pub(crate) fn connect(
        provider: &str,
        classifier: Arc<dyn Classifier>,
        script: Vec<Response<Bytes>>,
    ) -> (Arc<Self>, Connection) {
        let id = ProviderId::new(provider).unwrap();
        let scripted = Arc::new(Self {
            descriptor: ProviderDescriptor { id, title: "scripted", limits: Vec::new() },
            classifier,
            script: Mutex::new(script.into()),
            sent: Mutex::default(),
        });
        let connection = connect_over(Arc::clone(&scripted) as Arc<dyn Integration>);
        (scripted, connection)
    }

    /// What was sent so far.
    pub(crate) fn sent(&self) -> Vec<Outbound> {
        self.sent.lock().unwrap().clone()
    }
}

/// A connection that sends over `integration` itself and needs no token exchange.
pub(crate) fn connect_over(integration: Arc<dyn Integration>) -> Connection {
    let id = integration.descriptor().id.clone();
    Connection::new(
        TenantId::new("contoso").unwrap(),
        ConnectionId::new(id.as_str()).unwrap(),
        None,
        Arc::new(ConnectionSettings::new(id)),
        Arc::new(NoTokens),
        integration,
    )
}

/// A JSON answer.
pub(crate) fn reply(status: u16, body: &Value) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body.to_string()));
    *response.status_mut() = http::StatusCode::from_u16(status).unwrap();
    response
}

#[async_trait]
impl Integration for Scripted {
    fn descriptor(&self) -> &ProviderDescriptor {
        &self.descriptor
    }

    fn validate(&self, _: &ConnectionSettings, _: &Credential) -> Result<()> {
        Ok(())
    }

    fn default_token(&self, _: &ConnectionSettings) -> TokenKey {
        TokenKey::new("test", ["all"])
    }

    async fn exchange(&self, _: ExchangeRequest) -> Result<TokenSet, ExchangeFailure> {
        Err(ExchangeFailure {
            cause: Cause::WrongConfiguration,
            error: Error::internal("exchange token", "scripted providers need no token"),
        })
    }

    async fn send(&self, _: &Connection, request: Outbound) -> Result<Response<Bytes>> {
        let next = self.script.lock().unwrap().pop_front();
        let response = next.unwrap_or_else(|| panic!("no answer is left for {:?}", request.request.uri()));
        self.sent.lock().unwrap().push(request.clone());
        let answer = Answer {
            status: response.status(),
            headers: response.headers(),
            body: response.body(),
            method: request.request.method(),
            endpoint: request.endpoint,
            now: Timestamp::default(),
        };
        if self.classifier.accepts(&answer) {
            return Ok(response);
        }
        let named = self.classifier.classify(&answer);
        if named.applied == Applied::Maybe && request.safety == Safety::Once {
            return Err(Error::new(ErrorKind::UnknownOutcome, "call provider", named.message));
        }
        Err(named.to_error())
    }

    fn snapshot(&self) -> IntegrationSnapshot {
        IntegrationSnapshot {
            budget_used: BTreeMap::new(),
            budget_wait: Duration::ZERO,
            ..IntegrationSnapshot::default()
        }
    }
}

#[derive(Debug)]
struct NoTokens;

#[async_trait]
impl TokenSource for NoTokens {
    async fn token(&self, _: &TokenKey) -> Result<Token> {
        let never = Timestamp::from_millis(i64::MAX);
        Ok(Token::new(Secret::new("token"), Timestamp::default(), never, 1))
    }

    async fn replace(&self, key: &TokenKey, _: &Token) -> Result<Token> {
        self.token(key).await
    }
}
