//! A provider reached over the hub's own outbound stack and token exchange, whose far end is a function of the test.

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bifrost::credential::{ExchangeFailure, ExchangeRequest, TokenKey, TokenSet};
use bifrost::http::scripted::json;
use bifrost::http::{HttpStack, Limits, StackConfig, Transport, TransportError};
use bifrost::integration::{Integration, IntegrationSnapshot, Outbound, ProviderDescriptor};
use bifrost::oauth::{OAuthExchange, TokenEndpoint};
use bifrost::policy::rate::RateLimit;
use bifrost::testing::SeededEntropy;
use bifrost::{Clock, Connection, ConnectionSettings, Credential, ProviderId, Result, Tenant};
use bytes::Bytes;
use http::{Request, Response};

/// How long every answer takes.
pub(crate) const LATENCY: Duration = Duration::from_millis(50);

type Answer = dyn Fn(&Sent) -> Option<Response<Bytes>> + Send + Sync;

/// A request and when it came.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) at: Duration,
    pub(crate) request: Request<Bytes>,
}

impl Sent {
    /// True for a request to the token endpoint.
    pub(crate) fn is_exchange(&self) -> bool {
        self.request.uri().path().ends_with("/token")
    }

    /// The header as text; empty when there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.request.headers().get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn body(&self) -> &str {
        std::str::from_utf8(self.request.body()).unwrap()
    }
}

/// The far end: answers everything after [`LATENCY`] and keeps what came. Where the test's function says nothing, a
/// token request gets a token that names the customer, and any other request the name in its token.
#[derive(Clone)]
pub(crate) struct Far(Arc<Inner>);

struct Inner {
    clock: Arc<dyn Clock>,
    answer: Box<Answer>,
    sent: Mutex<Vec<Sent>>,
    tokens: AtomicU32,
}

impl Far {
    pub(crate) fn new(
        clock: Arc<dyn Clock>,
        answer: impl Fn(&Sent) -> Option<Response<Bytes>> + Send + Sync + 'static,
    ) -> Self {
        let (sent, tokens) = (Mutex::default(), AtomicU32::new(0));
        Self(Arc::new(Inner { clock, answer: Box::new(answer), sent, tokens }))
    }

    /// All requests to the API, in order.
    pub(crate) fn calls(&self) -> Vec<Sent> {
        self.0.sent.lock().unwrap().iter().filter(|sent| !sent.is_exchange()).cloned().collect()
    }

    /// All requests to the token endpoint, in order.
    pub(crate) fn exchanges(&self) -> Vec<Sent> {
        self.0.sent.lock().unwrap().iter().filter(|sent| sent.is_exchange()).cloned().collect()
    }

    fn otherwise(&self, sent: &Sent) -> Response<Bytes> {
        if sent.is_exchange() {
            let customer = sent.request.uri().path().split('/').nth(1).unwrap();
            let number = self.0.tokens.fetch_add(1, Ordering::SeqCst);
            let token = format!(r#"{{"access_token":"{customer}.{number}","token_type":"Bearer","expires_in":3600}}"#);
            return json(200, token);
        }
        let token = sent.header("authorization").strip_prefix("Bearer ").unwrap();
        json(200, token.split('.').next().unwrap().to_owned())
    }
}

impl fmt::Debug for Far {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Far").finish_non_exhaustive()
    }
}

#[async_trait]
impl Transport for Far {
    async fn send(&self, request: Request<Bytes>, _: Limits<'_>) -> Result<Response<Bytes>, TransportError> {
        let sent = Sent { at: self.0.clock.monotonic(), request };
        let answer = (self.0.answer)(&sent).unwrap_or_else(|| self.otherwise(&sent));
        self.0.sent.lock().unwrap().push(sent);
        self.0.clock.sleep(LATENCY).await;
        Ok(answer)
    }
}

/// The integration, by the name of `api`.
#[derive(Debug)]
pub(crate) struct Api {
    pub(crate) stack: HttpStack,
    exchange: OAuthExchange,
}

impl Api {
    pub(crate) fn new(far: &Far, limits: Vec<RateLimit>) -> Self {
        let descriptor = ProviderDescriptor { id: ProviderId::new("api").unwrap(), title: "API", limits };
        let (clock, entropy) = (Arc::clone(&far.0.clock), Arc::new(SeededEntropy::new(3)));
        let stack = HttpStack::builder(descriptor, Arc::new(far.clone()), clock, entropy)
            .with_config(StackConfig::at("https://api.example/v1".parse().unwrap()))
            .build()
            .unwrap();
        Self { exchange: OAuthExchange::over(&stack), stack }
    }
}

#[async_trait]
impl Integration for Api {
    fn descriptor(&self) -> &ProviderDescriptor {
        self.stack.descriptor()
    }

    fn validate(&self, _: &ConnectionSettings, _: &Credential) -> Result<()> {
        Ok(())
    }

    fn default_token(&self, _: &ConnectionSettings) -> TokenKey {
        TokenKey::new("api", ["all"])
    }

    async fn exchange(&self, request: ExchangeRequest) -> Result<TokenSet, ExchangeFailure> {
        let customer = request.settings.entity.as_deref().unwrap_or("nobody");
        let url = format!("https://login.example/{customer}/token").parse().unwrap();
        self.exchange.exchange(&request, &TokenEndpoint::new(url)).await
    }

    async fn send(&self, connection: &Connection, request: Outbound) -> Result<Response<Bytes>> {
        self.stack.send(connection, request).await
    }

    fn snapshot(&self) -> IntegrationSnapshot {
        self.stack.snapshot()
    }
}

/// Connects a tenant; the provider knows it by its own name.
pub(crate) async fn connect(tenant: &Tenant, credential: Credential) -> Connection {
    let settings = ConnectionSettings::new(ProviderId::new("api").unwrap()).with_entity(tenant.id().as_str());
    tenant.connections().create("api", settings, credential).await.unwrap();
    tenant.connections().get("api").await.unwrap()
}

/// An application with a secret, the same for everybody.
pub(crate) fn secret() -> Credential {
    Credential::client_secret("app", "s3cret")
}

pub(crate) fn get(path: &str) -> Outbound {
    Outbound::new(Request::get(path).body(Bytes::new()).unwrap(), "/things/{id}")
}

/// Sends and reads the answer as text.
pub(crate) async fn read(connection: &Connection, path: &str) -> Result<String> {
    let answer = connection.send(get(path)).await?;
    Ok(String::from_utf8(answer.into_body().to_vec()).unwrap())
}
