//! Where the outbound stack gets a connection's tokens: from what is published, else from the actor.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use bifrost_core::connection::ConnectionRecord;
use bifrost_core::credential::{Token, TokenKey, TokenSource};
use bifrost_core::{ConnectionId, Error, ErrorKind, ProviderId, Result, TenantId};
use ractor::RpcReplyPort;

use super::message::ConnectionMessage;
use super::published::Published;
use crate::runtime::HubRuntime;
use crate::tenant::message::TenantMessage;
use crate::tenant::shared::TenantShared;

/// See the module.
pub(crate) struct ConnectionTokens {
    hub: Arc<HubRuntime>,
    tenant: TenantId,
    id: ConnectionId,
    provider: ProviderId,
    application: Arc<str>,
    /// What the connection shows. When its tenant is put to rest it shows nothing any more, and the next look goes to
    /// the tenant that was woken since.
    published: ArcSwap<Published>,
}

impl ConnectionTokens {
    pub(crate) fn new(tenant: &TenantShared, record: &ConnectionRecord) -> Self {
        Self {
            hub: Arc::clone(&tenant.hub),
            tenant: tenant.id.clone(),
            published: ArcSwap::new(tenant.published(&record.id)),
            id: record.id.clone(),
            provider: record.settings.provider.clone(),
            application: record.application.as_str().into(),
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
        let awake = self.hub.awake(&self.tenant).and_then(|awake| awake.enter());
        let guard = match awake {
            // Also while the hub shuts down: what runs may end.
            Some(guard) => guard,
            None => self.hub.enter(&self.tenant).await?,
        };
        self.published.store(guard.0.published(&self.id));
        let ask = |reply: RpcReplyPort<Result<Token>>| ConnectionMessage::Acquire { key: key.clone(), rejected, reply };
        guard.0.ask_connection_within(self.patience(), &self.id, ask).await
    }

    /// An exchange ends by its own deadline, and says then when the next one may be sent: worth a little more patience.
    fn patience(&self) -> Duration {
        const BEYOND: Duration = Duration::from_secs(5);
        let config = &self.hub.config;
        config.call_deadline.max(config.exchange_deadline.saturating_add(BEYOND))
    }

    /// Says whose connection it is.
    fn name(&self, error: Error) -> Error {
        error.or_with("tenant", &self.tenant).or_with("provider", &self.provider).or_with("connection", &self.id)
    }
}

#[async_trait]
impl TokenSource for ConnectionTokens {
    fn live(&self, key: &TokenKey) -> Option<Token> {
        self.published.load().live_token(key, self.hub.clock.as_ref())
    }

    async fn token(&self, key: &TokenKey) -> Result<Token> {
        match self.live(key) {
            Some(token) => Ok(token),
            None => self.acquire(key, None).await,
        }
    }

    fn application(&self) -> Option<Arc<str>> {
        Some(Arc::clone(&self.application))
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
        self.ask_connection_within(self.hub.config.call_deadline, id, message).await
    }

    /// The same with a deadline of its own.
    async fn ask_connection_within<T: Send + 'static>(
        &self,
        limit: Duration,
        id: &ConnectionId,
        message: impl FnOnce(RpcReplyPort<Result<T>>) -> ConnectionMessage,
    ) -> Result<T> {
        let tenant = self.actor()?;
        let connection = |reply| TenantMessage::Connection { id: id.clone(), reply };
        let actor = self.hub.ask(&tenant, connection).await??;
        self.hub.ask_within(limit, &actor, message).await?
    }
}

impl fmt::Debug for ConnectionTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionTokens").field("tenant", &self.tenant).field("id", &self.id).finish_non_exhaustive()
    }
}
