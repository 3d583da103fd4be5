//! Connections without a hub: for tests of clients and integrations alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bifrost_core::credential::{DEFAULT_TOKEN_LIFETIME, ExchangeRequest, Freshness, Token, TokenKey, TokenSource};
use bifrost_core::{
    Clock, Connection, ConnectionId, ConnectionSettings, Credential, Error, Integration, Result, Retry, TenantId,
};

/// When an exchange that failed in a way that passes is tried again.
const ASK_AGAIN: Duration = Duration::from_secs(5);

/// A token source as simple as one can be: one token, exchanged when there is none or when it was rejected. Nothing
/// is stored, nothing is renewed ahead of time; the hub's connections do both.
#[derive(Debug)]
pub struct DirectTokens {
    integration: Arc<dyn Integration>,
    clock: Arc<dyn Clock>,
    tenant: TenantId,
    connection: ConnectionId,
    settings: Arc<ConnectionSettings>,
    credential: Arc<Credential>,
    exchanges: AtomicU32,
    current: tokio::sync::Mutex<Option<Token>>,
}

impl DirectTokens {
    /// Tokens for a connection of a tenant called `contoso`, named like the provider.
    ///
    /// # Errors
    /// `InvalidInput` when the integration refuses settings or credential.
    pub fn new(
        integration: Arc<dyn Integration>,
        clock: Arc<dyn Clock>,
        settings: ConnectionSettings,
        credential: Credential,
    ) -> Result<Self> {
        integration.validate(&settings, &credential)?;
        Ok(Self {
            connection: ConnectionId::new(settings.provider.as_str())?,
            tenant: TenantId::new("contoso")?,
            integration,
            clock,
            settings: Arc::new(settings),
            credential: Arc::new(credential),
            exchanges: AtomicU32::new(0),
            current: tokio::sync::Mutex::new(None),
        })
    }

    /// A connection that uses these tokens.
    pub fn connection(self: &Arc<Self>) -> Connection {
        Connection::new(
            self.tenant.clone(),
            self.connection.clone(),
            None,
            Arc::clone(&self.settings),
            Arc::clone(self) as Arc<dyn TokenSource>,
            Arc::clone(&self.integration),
        )
    }

    /// How many tokens were exchanged, failures counted.
    pub fn exchanges(&self) -> u32 {
        self.exchanges.load(Ordering::SeqCst)
    }

    /// The token in use.
    pub async fn current(&self) -> Option<Token> {
        self.current.lock().await.clone()
    }

    async fn exchange(&self, key: &TokenKey) -> Result<Token> {
        let number = self.exchanges.fetch_add(1, Ordering::SeqCst);
        let request = ExchangeRequest {
            tenant: self.tenant.clone(),
            connection: self.connection.clone(),
            settings: Arc::clone(&self.settings),
            credential: Arc::clone(&self.credential),
            refresh_token: None,
            key: key.clone(),
        };
        let set = self.integration.exchange(request).await.map_err(|failure| later(failure.error))?;
        let now = self.clock.now();
        let expires = now.saturating_add(set.expires_in.unwrap_or(DEFAULT_TOKEN_LIFETIME));
        Ok(Token::new(set.access, now, expires, u64::from(number) + 1))
    }
}

/// Like a connection, it says when to ask again for what passes by itself.
fn later(error: Error) -> Error {
    if error.is_retryable() && error.retry_after().is_none() { error.retry(Retry::After(ASK_AGAIN)) } else { error }
}

#[async_trait]
impl TokenSource for DirectTokens {
    async fn token(&self, key: &TokenKey) -> Result<Token> {
        let mut current = self.current.lock().await;
        let now = self.clock.now();
        if let Some(token) = current.as_ref().filter(|token| token.freshness(now, 0.0) != Freshness::Expired) {
            return Ok(token.clone());
        }
        let token = self.exchange(key).await?;
        *current = Some(token.clone());
        Ok(token)
    }

    async fn replace(&self, key: &TokenKey, rejected: &Token) -> Result<Token> {
        let mut current = self.current.lock().await;
        if let Some(token) = current.as_ref().filter(|token| token.generation() > rejected.generation()) {
            return Ok(token.clone());
        }
        let token = self.exchange(key).await?;
        *current = Some(token.clone());
        Ok(token)
    }
}
