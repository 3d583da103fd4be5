//! A tenant's connections.

use bifrost_core::connection::{ConnectionRecord, ConnectionStatus};
use bifrost_core::store::key::Kind;
use bifrost_core::store::{Batch, Precondition, keys_under};
use bifrost_core::{Connection, ConnectionId, ConnectionSettings, Credential, Error, ErrorKind, Result};

use super::settings::commit_audited;
use super::tenant::Tenant;
use crate::connection::message::ConnectionMessage;
use crate::connection::records;
use crate::tenant::shared::{InUse, TenantShared};

/// A tenant's connections; see [`Tenant::connections`].
#[derive(Debug, Clone)]
pub struct Connections(Tenant);

impl Connections {
    pub(crate) fn new(tenant: Tenant) -> Self {
        Self(tenant)
    }

    /// Makes a connection. Nothing is sent yet; [`Connections::test`] does.
    ///
    /// # Errors
    /// `InvalidInput` naming what is wrong with name, settings or credential; `AlreadyExists`.
    pub async fn create(&self, id: &str, settings: ConnectionSettings, credential: Credential) -> Result<()> {
        let id = ConnectionId::new(id)?;
        self.validate(&id, &settings, &credential)?;
        let guard = self.0.enter().await?;
        let now = guard.0.hub.clock.now();
        let application = credential.client_id().to_owned();
        let record =
            ConnectionRecord { id: id.clone(), settings, application, enabled: true, created_at: now, changed_at: now };
        let store = &guard.0.store;
        let key = store.key(Kind::Connection, &[id.as_str().as_bytes()])?;
        let mut batch = Batch::new();
        batch.require(Precondition::Absent(key.clone()));
        store.put(&mut batch, key, &record)?;
        store.put(&mut batch, records::credential_key(store, &id)?, &credential)?;
        match commit_audited(&self.0, &guard, batch, "connection.create", id.as_str()).await {
            Err(error) if error.kind() == ErrorKind::Conflict => {
                Err(Error::new(ErrorKind::AlreadyExists, "create connection", "a connection of this name exists")
                    .with("tenant", self.0.id())
                    .with("connection", id))
            }
            done => done,
        }
    }

    /// Replaces settings and credential: tokens of before are dropped, and a connection that waited for a person is
    /// tried again. A refresh token is the name of its grant: saved again as it was, it stands for what the provider
    /// has rotated it to since.
    ///
    /// # Errors
    /// `InvalidInput`; `NotFound`.
    pub async fn update(&self, id: &str, settings: ConnectionSettings, credential: Credential) -> Result<()> {
        let id = ConnectionId::new(id)?;
        self.validate(&id, &settings, &credential)?;
        let guard = self.0.enter().await?;
        let store = &guard.0.store;
        let mut batch = self
            .rewrite(&guard, &id, |record| {
                record.settings = settings;
                record.application = credential.client_id().to_owned();
            })
            .await?;
        let key = records::credential_key(store, &id)?;
        let before = store.get::<Credential>(&key).await?;
        if before.is_none_or(|before| !before.value.same_grant(&credential)) {
            batch.delete(records::refresh_key(store, &id)?);
        }
        store.put(&mut batch, key, &credential)?;
        forget_tokens(&guard.0, &id, &mut batch).await?;
        commit_audited(&self.0, &guard, batch, "connection.update", id.as_str()).await?;
        self.reload(&guard, &id).await
    }

    /// Switches a connection off: calls through it are refused from now on.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn disable(&self, id: &str) -> Result<()> {
        self.switch(id, false, "connection.disable").await
    }

    /// Switches a connection on again.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn enable(&self, id: &str) -> Result<()> {
        self.switch(id, true, "connection.enable").await
    }

    /// Deletes a connection with its credential and tokens.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn delete(&self, id: &str) -> Result<()> {
        let id = ConnectionId::new(id)?;
        self.switch(id.as_str(), false, "connection.disable").await?;
        let guard = self.0.enter().await?;
        let store = &guard.0.store;
        let mut batch = Batch::new();
        batch.delete(store.key(Kind::Connection, &[id.as_str().as_bytes()])?);
        batch.delete(records::credential_key(store, &id)?);
        batch.delete(records::refresh_key(store, &id)?);
        forget_tokens(&guard.0, &id, &mut batch).await?;
        commit_audited(&self.0, &guard, batch, "connection.delete", id.as_str()).await?;
        guard.0.forget_connection(&id);
        Ok(())
    }

    /// All connections, by name.
    ///
    /// # Errors
    /// As the store says.
    pub async fn list(&self) -> Result<Vec<ConnectionRecord>> {
        let guard = self.0.enter().await?;
        let found = guard.0.store.all(&guard.0.store.scope().kind(Kind::Connection)).await?;
        Ok(found.into_iter().map(|(_, entry)| entry.value).collect())
    }

    /// A connection to call through, outside of a workflow.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn get(&self, id: &str) -> Result<Connection> {
        let guard = self.0.enter().await?;
        guard.0.connection(&ConnectionId::new(id)?, None).await
    }

    /// How a connection is doing, without asking the provider.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn status(&self, id: &str) -> Result<ConnectionStatus> {
        let id = ConnectionId::new(id)?;
        let guard = self.0.enter().await?;
        guard.0.stored_connection(&id).await?;
        guard.0.ask_connection(&id, ConnectionMessage::Refresh).await?;
        let status = guard.0.published(&id).status();
        status.map(|status| (*status).clone()).ok_or_else(|| Error::internal("read connection", "it shows no status"))
    }

    /// Gets a token the way a call would: the answer to "does it work?".
    ///
    /// # Errors
    /// What keeps it from working, with the next action.
    pub async fn test(&self, id: &str) -> Result<()> {
        let connection = self.get(id).await?;
        let integration = self.0.hub().runtime().registry.get(&connection.settings().provider)?;
        let key = integration.default_token(connection.settings());
        connection.tokens().token(&key).await.map(drop)
    }

    fn validate(&self, id: &ConnectionId, settings: &ConnectionSettings, credential: &Credential) -> Result<()> {
        let named = |error: Error| error.with("tenant", self.0.id()).with("connection", id);
        let integration = self.0.hub().runtime().registry.get(&settings.provider).map_err(named)?;
        integration.validate(settings, credential).map_err(named)
    }

    async fn switch(&self, id: &str, enabled: bool, action: &str) -> Result<()> {
        let id = ConnectionId::new(id)?;
        let guard = self.0.enter().await?;
        let batch = self.rewrite(&guard, &id, |record| record.enabled = enabled).await?;
        commit_audited(&self.0, &guard, batch, action, id.as_str()).await?;
        self.reload(&guard, &id).await
    }

    /// A batch that changes the stored settings, if nobody else does at the same time.
    async fn rewrite(
        &self,
        guard: &InUse,
        id: &ConnectionId,
        change: impl FnOnce(&mut ConnectionRecord),
    ) -> Result<Batch> {
        let stored = guard.0.stored_connection(id).await?;
        let mut record = stored.record;
        change(&mut record);
        record.changed_at = guard.0.hub.clock.now();
        let key = guard.0.store.key(Kind::Connection, &[id.as_str().as_bytes()])?;
        let mut batch = Batch::new();
        batch.require(Precondition::At(key.clone(), stored.version));
        guard.0.store.put(&mut batch, key, &record)?;
        Ok(batch)
    }

    async fn reload(&self, guard: &InUse, id: &ConnectionId) -> Result<()> {
        guard.0.ask_connection(id, ConnectionMessage::Reload).await
    }
}

/// Adds the removal of a connection's access tokens to `batch`.
async fn forget_tokens(shared: &TenantShared, id: &ConnectionId, batch: &mut Batch) -> Result<()> {
    let store = &shared.store;
    let tokens = store.scope().kind(Kind::Token).then(id.as_str().as_bytes()).then(b"\0");
    for key in keys_under(store.engine().as_ref(), &tokens).await? {
        batch.delete(key);
    }
    Ok(())
}
