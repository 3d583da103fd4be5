//! Keeping idle grants alive: a refresh token that nobody spends lapses (Entra's after 90 days without use), and then a
//! person has to sign in again. So one that was idle for long is spent before that.

use std::sync::Arc;

use bifrost_core::connection::ConnectionRecord;
use bifrost_core::store::key::Kind;
use bifrost_core::store::records::TenantStore;
use bifrost_core::{Credential, Result, TenantId, TenantStatus, Timestamp};

use crate::connection::records::{self, RefreshRecord};
use crate::runtime::HubRuntime;
use crate::tenant::shared::tenant_store;

/// Looks at every connection of every tenant, and spends the refresh tokens that were idle for too long. Tenants whose
/// tokens are in use are not woken.
pub(crate) async fn sweep(hub: Arc<HubRuntime>) {
    for tenant in hub.directory.list() {
        if tenant.status != TenantStatus::Active {
            continue;
        }
        if let Err(error) = sweep_tenant(&hub, &tenant.id).await {
            tracing::warn!(tenant = %tenant.id, %error, "idle grants could not be looked at");
        }
    }
}

async fn sweep_tenant(hub: &Arc<HubRuntime>, id: &TenantId) -> Result<()> {
    let store = tenant_store(hub, id).await?;
    let connections = store.all::<ConnectionRecord>(&store.scope().kind(Kind::Connection)).await?;
    for (_, found) in connections {
        if lapses(hub, &store, &found.value).await? {
            spend(hub, id, &found.value).await;
        }
    }
    Ok(())
}

async fn lapses(hub: &HubRuntime, store: &TenantStore, record: &ConnectionRecord) -> Result<bool> {
    let credential = store.get::<Credential>(&records::credential_key(store, &record.id)?).await?;
    let spendable = credential.is_some_and(|found| found.value.uses_refresh_token());
    if !spendable || !record.enabled {
        return Ok(false);
    }
    let refresh = records::refresh_record(store, &record.id).await?;
    Ok(is_idle(record, &refresh, hub.clock.now(), hub.config.exercise_after))
}

/// Decides whether a refresh token was idle for too long. One that was refused is a person's business.
fn is_idle(record: &ConnectionRecord, refresh: &RefreshRecord, now: Timestamp, limit: std::time::Duration) -> bool {
    let last = refresh.last_success.unwrap_or(record.changed_at);
    refresh.refused.is_none() && now.since(last) >= limit
}

/// Gets a token the way a call would; what keeps it from working is in the connection's status.
async fn spend(hub: &Arc<HubRuntime>, tenant: &TenantId, record: &ConnectionRecord) {
    let spent = async {
        let guard = hub.enter(tenant).await?;
        let connection = guard.0.connection(&record.id, None).await?;
        connection.tokens().token(&connection.default_token()).await
    };
    match spent.await {
        Ok(_) => tracing::debug!(%tenant, connection = %record.id, "an idle grant was kept alive"),
        Err(error) => tracing::warn!(%tenant, connection = %record.id, %error, "an idle grant could not be kept alive"),
    }
}
