//! HaloPSA as an integration: its descriptor and classifier over the shared stack, its tokens from the instance's own
//! authorisation server.

use std::sync::Arc;

use async_trait::async_trait;
use bifrost_core::connection::Cause;
use bifrost_core::credential::{ExchangeFailure, ExchangeRequest, TokenKey, TokenSet};
use bifrost_core::integration::{IntegrationSnapshot, Outbound, ProviderDescriptor};
use bifrost_core::{Clock, Connection, ConnectionSettings, Credential, Entropy, Error, Integration, Result};
use bytes::Bytes;
use http::Response;
use url::Url;

use super::config::{self, DEFAULT_SCOPE, PROVIDER};
use super::error::HaloClassifier;
use crate::http::{HttpStack, HttpStackBuilder, StackConfig, Transport, check_address};
use crate::oauth::{OAuthExchange, TokenEndpoint};

/// HaloPSA.
#[derive(Debug, Clone)]
pub struct HaloPsaIntegration {
    stack: HttpStack,
    oauth: OAuthExchange,
}

impl HaloPsaIntegration {
    /// HaloPSA over this transport.
    ///
    /// # Errors
    /// None in practice.
    pub fn over(transport: Arc<dyn Transport>, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Result<Self> {
        Ok(Self::new(Self::stack(transport, clock, entropy)?.build()?))
    }

    /// A stack with HaloPSA's limits, classifier and settings: change what you need to, build it, and give it to
    /// [`HaloPsaIntegration::new`].
    ///
    /// # Errors
    /// None in practice.
    pub fn stack(
        transport: Arc<dyn Transport>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<HttpStackBuilder> {
        let builder = HttpStack::builder(config::descriptor()?, transport, clock, entropy);
        Ok(builder.with_classifier(HaloClassifier).with_config(Self::stack_config()))
    }

    /// The settings of HaloPSA's stack: there is no base URL, each connection has its own.
    pub fn stack_config() -> StackConfig {
        StackConfig::default()
    }

    /// HaloPSA over a stack that was made from [`HaloPsaIntegration::stack`].
    pub fn new(stack: HttpStack) -> Self {
        let oauth = OAuthExchange::over(&stack);
        Self { stack, oauth }
    }
}

#[async_trait]
impl Integration for HaloPsaIntegration {
    fn descriptor(&self) -> &ProviderDescriptor {
        self.stack.descriptor()
    }

    fn validate(&self, settings: &ConnectionSettings, _credential: &Credential) -> Result<()> {
        let refuse = |message: &str| Err(Error::invalid("check halopsa connection", message));
        if settings.provider.as_str() != PROVIDER {
            return refuse("the settings are for another provider");
        }
        let Some(base_url) = &settings.base_url else {
            return refuse("the base URL is missing: the resource server, such as `https://contoso.halopsa.com/api`");
        };
        check_address(base_url, "base_url")?;
        TokenEndpoint::halopsa(settings)?;
        match &settings.entity {
            Some(tenant) => config::check_tenant(tenant),
            None => Ok(()),
        }
    }

    fn default_token(&self, settings: &ConnectionSettings) -> TokenKey {
        let audience = settings.base_url.as_ref().map_or(PROVIDER, Url::as_str);
        if settings.scopes.is_empty() {
            return TokenKey::new(audience, [DEFAULT_SCOPE]);
        }
        TokenKey::new(audience, settings.scopes.iter().cloned())
    }

    async fn exchange(&self, request: ExchangeRequest) -> Result<TokenSet, ExchangeFailure> {
        let endpoint = TokenEndpoint::halopsa(&request.settings)
            .map_err(|error| ExchangeFailure { cause: Cause::WrongConfiguration, error })?;
        self.oauth.exchange(&request, &endpoint).await
    }

    async fn send(&self, connection: &Connection, request: Outbound) -> Result<Response<Bytes>> {
        self.stack.send(connection, request).await
    }

    fn snapshot(&self) -> IntegrationSnapshot {
        self.stack.snapshot()
    }
}
