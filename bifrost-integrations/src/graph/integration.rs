//! Graph as an integration: its descriptor and classifier over the shared stack, its tokens from the Microsoft
//! identity platform.

use std::sync::Arc;

use async_trait::async_trait;
use bifrost_core::connection::Cause;
use bifrost_core::credential::{ExchangeFailure, ExchangeRequest, TokenKey, TokenSet};
use bifrost_core::integration::{IntegrationSnapshot, Outbound, ProviderDescriptor};
use bifrost_core::{Clock, Connection, ConnectionSettings, Credential, Entropy, Error, Integration, Result};
use bytes::Bytes;
use http::{HeaderName, Response};

use super::config::{self, PROVIDER};
use super::error::GraphClassifier;
use crate::http::{HttpStack, HttpStackBuilder, StackConfig, Transport, check_address};
use crate::oauth::{OAuthExchange, TokenEndpoint};

/// Microsoft Graph.
#[derive(Debug, Clone)]
pub struct GraphIntegration {
    stack: HttpStack,
    oauth: OAuthExchange,
}

impl GraphIntegration {
    /// Graph over this transport.
    ///
    /// # Errors
    /// None in practice.
    pub fn over(transport: Arc<dyn Transport>, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Result<Self> {
        Ok(Self::new(Self::stack(transport, clock, entropy)?.build()?))
    }

    /// A stack with Graph's limits, classifier and settings: change what you need to, build it, and give it to
    /// [`GraphIntegration::new`].
    ///
    /// # Errors
    /// None in practice.
    pub fn stack(
        transport: Arc<dyn Transport>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<HttpStackBuilder> {
        let builder = HttpStack::builder(config::descriptor()?, transport, clock, entropy);
        Ok(builder.with_classifier(GraphClassifier).with_config(Self::stack_config()?))
    }

    /// The settings of Graph's stack.
    ///
    /// # Errors
    /// None in practice.
    pub fn stack_config() -> Result<StackConfig> {
        let mut config = StackConfig::at(config::Cloud::Global.base_url()?);
        // One per attempt, as Microsoft asks for (https://learn.microsoft.com/graph/best-practices-concept).
        config.request_id = Some(HeaderName::from_static("client-request-id"));
        Ok(config)
    }

    /// Graph over a stack that was made from [`GraphIntegration::stack`].
    pub fn new(stack: HttpStack) -> Self {
        let oauth = OAuthExchange::over(&stack);
        Self { stack, oauth }
    }
}

#[async_trait]
impl Integration for GraphIntegration {
    fn descriptor(&self) -> &ProviderDescriptor {
        self.stack.descriptor()
    }

    fn validate(&self, settings: &ConnectionSettings, _credential: &Credential) -> Result<()> {
        if settings.provider.as_str() != PROVIDER {
            let message = "the settings are for another provider";
            return Err(Error::invalid("check graph connection", message).with("provider", &settings.provider));
        }
        TokenEndpoint::entra(settings)?;
        check_address(&config::base_url(settings)?, "base_url")
    }

    fn default_token(&self, settings: &ConnectionSettings) -> TokenKey {
        config::token_key(settings)
    }

    async fn exchange(&self, request: ExchangeRequest) -> Result<TokenSet, ExchangeFailure> {
        let endpoint = TokenEndpoint::entra(&request.settings)
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
