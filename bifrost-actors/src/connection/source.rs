//! Where the outbound stack gets a connection's tokens: from what is published, else from the actor.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bifrost_core::credential::{Token, TokenKey, TokenSource};
use bifrost_core::{ConnectionId, Error, ErrorKind, ProviderId, Result};
use ractor::RpcReplyPort;

use super::message::ConnectionMessage;
use super::published::Published;
use crate::tenant::message::TenantMessage;
use crate::tenant::shared::TenantShared;

/// See the module.
pub(crate) struct ConnectionTokens {
    tenant: Arc<TenantShared>,
    id: ConnectionId,
    provider: ProviderId,
    published: Arc<Published>,
}

impl ConnectionTokens {
    pub(crate) fn new(tenant: Arc<TenantShared>, id: ConnectionId, provider: &ProviderId) -> Self {
        let published = tenant.published(&id);
        Self {
            tenant,
            id,
            provider: provider.clone(),
            published,
        }
    }

    async fn acquire(&self, key: &TokenKey, rejected: Option<u64>) -> Result<Token> {
        match self.acquire_once(key, rejected).await {
            // Its actor died under the question: the next one answers.
            Err(error) if error.kind() == ErrorKind::Unavailable && error.operation() == "call hub" => {
                self.acquire_once(key, rejected).await
            }
            answer => answer,
        }
        .map_err(|error| self.name(error))
    }

    async fn acquire_once(&self, key: &TokenKey, rejected: Option<u64>) -> Result<Token> {
        let ask = |reply: RpcReplyPort<Result<Token>>| ConnectionMessage::Acquire {
            key: key.clone(),
            rejected,
            reply,
        };
        self.tenant.ask_connection(&self.id, ask).await
    }

    /// Says whose connection it is.
    fn name(&self, error: Error) -> Error {
        error
            .with("tenant", &self.tenant.id)
            .with("provider", &self.provider)
            .with("connection", &self.id)
    }
}

#[async_trait]
impl TokenSource for ConnectionTokens {
    async fn token(&self, key: &TokenKey) -> Result<Token> {
        match self.published.live_token(key, self.tenant.hub.clock.now()) {
            Some(token) => Ok(token),
            None => self.acquire(key, None).await,
        }
    }

    async fn replace(&self, key: &TokenKey, rejected: &Token) -> Result<Token> {
        self.acquire(key, Some(rejected.generation())).await
    }
}

impl TenantShared {
    /// What the connection shows, empty until its actor has started.
    pub(crate) fn published(&self, id: &ConnectionId) -> Arc<Published> {
        Arc::clone(self.lock_connections().entry(id.clone()).or_default())
    }

    /// Asks a connection's actor, which is started if need be.
    pub(crate) async fn ask_connection<T: Send + 'static>(
        &self,
        id: &ConnectionId,
        message: impl FnOnce(RpcReplyPort<Result<T>>) -> ConnectionMessage,
    ) -> Result<T> {
        let tenant = self.actor()?;
        let connection = |reply| TenantMessage::Connection { id: id.clone(), reply };
        let actor = self.hub.ask(&tenant, connection).await??;
        self.hub.ask(&actor, message).await?
    }
}

impl fmt::Debug for ConnectionTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionTokens")
            .field("tenant", &self.tenant.id)
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}
