//! Connections: settings, states, causes of trouble, and the handle a workflow calls a provider through.
//!
//! ```text
//! NotConnected → Authorizing → Active ⇄ Refreshing → { Active | Degraded | ReauthRequired }      any ⇄ Disabled
//! ```

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::credential::{TokenKey, TokenSource};
use crate::error::{Error, ErrorKind, Result};
use crate::id::{ConnectionId, ExecutionId, ProviderId, TenantId};
use crate::integration::{Integration, Outbound};
use crate::time::Timestamp;

/// What a connection is set to; no secret is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConnectionSettings {
    /// The provider it leads to.
    pub provider: ProviderId,
    /// The tenant's own id at the provider: an Entra tenant id, a HaloPSA tenant name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entity: Option<String>,
    /// Where the API is, if not where the provider's descriptor says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_url: Option<Url>,
    /// Where tokens come from, if not where the provider's descriptor says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority: Option<Url>,
    /// The scopes to ask for; empty means the provider's default.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    /// Hosts that may be called although they resolve to private addresses, such as an on-premises PSA.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow_private_hosts: Vec<String>,
    /// What else the provider's integration wants to know.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extra: BTreeMap<String, String>,
}

impl ConnectionSettings {
    /// Settings for `provider` with everything else at its default.
    pub fn new(provider: ProviderId) -> Self {
        Self {
            provider,
            entity: None,
            base_url: None,
            authority: None,
            scopes: Vec::new(),
            allow_private_hosts: Vec::new(),
            extra: BTreeMap::new(),
        }
    }

    /// Sets the tenant's own id at the provider.
    #[must_use]
    pub fn with_entity(mut self, entity: impl Into<String>) -> Self {
        self.entity = Some(entity.into());
        self
    }

    /// Sets where the API is.
    #[must_use]
    pub fn with_base_url(mut self, url: Url) -> Self {
        self.base_url = Some(url);
        self
    }

    /// Sets where tokens come from.
    #[must_use]
    pub fn with_authority(mut self, url: Url) -> Self {
        self.authority = Some(url);
        self
    }

    /// Sets the scopes to ask for.
    #[must_use]
    pub fn with_scopes<S: Into<String>>(mut self, scopes: impl IntoIterator<Item = S>) -> Self {
        self.scopes = scopes.into_iter().map(Into::into).collect();
        self
    }

    /// Lets this connection call `host` although it resolves to a private address.
    #[must_use]
    pub fn allow_private_host(mut self, host: impl Into<String>) -> Self {
        self.allow_private_hosts.push(host.into());
        self
    }
}

/// A connection as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionRecord {
    /// Its name within the tenant.
    pub id: ConnectionId,
    /// What it is set to.
    pub settings: ConnectionSettings,
    /// The id of the application it signs in as, which is no secret: limits of the provider are counted on it.
    pub application: String,
    /// False while a person has switched it off.
    pub enabled: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When settings or credential last changed.
    pub changed_at: Timestamp,
}

/// Where a connection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConnectionState {
    /// No token was ever obtained.
    NotConnected,
    /// The first exchange is under way.
    Authorizing,
    /// A token is live or can be had.
    Active,
    /// An exchange is under way.
    Refreshing,
    /// The last exchange failed in a way that passes by itself.
    Degraded,
    /// A person must act.
    ReauthRequired,
    /// A person has switched it off.
    Disabled,
}

/// What happens to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConnectionEvent {
    /// An exchange is sent.
    ExchangeStarted,
    /// It brought a token, which is stored.
    ExchangeSucceeded,
    /// It failed; trying later can help.
    ExchangeDeferred,
    /// It failed; a person must act.
    ExchangeRefused,
    /// New settings or a new credential were stored.
    Reconfigured,
    /// A person switched it off.
    Disabled,
    /// A person switched it on.
    Enabled,
}

impl ConnectionState {
    /// The table: where `event` leads from here; `None` when it cannot happen here.
    pub fn next(self, event: ConnectionEvent) -> Option<Self> {
        use ConnectionEvent as E;
        use ConnectionState as S;
        Some(match (self, event) {
            (_, E::Disabled) => S::Disabled,
            (S::Disabled, E::Enabled) => S::NotConnected,
            (S::Disabled, E::Reconfigured) => S::Disabled,
            (S::Disabled, _) => return None,
            (state, E::Enabled) => state,
            (_, E::Reconfigured) => S::NotConnected,
            (S::NotConnected, E::ExchangeStarted) => S::Authorizing,
            (S::Active | S::Degraded | S::ReauthRequired, E::ExchangeStarted) => S::Refreshing,
            (S::Authorizing | S::Refreshing, E::ExchangeSucceeded) => S::Active,
            (S::Authorizing | S::Refreshing, E::ExchangeDeferred) => S::Degraded,
            (S::Authorizing | S::Refreshing, E::ExchangeRefused) => S::ReauthRequired,
            _ => return None,
        })
    }
}

/// Why a connection does not work, in classes a person can act on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Cause {
    /// The grant was revoked or the refresh token lapsed.
    Revoked,
    /// The customer has not consented to the application, or not to all it asks for.
    ConsentMissing,
    /// The provider wants multi-factor authentication, which only a person can give.
    MfaRequired,
    /// A policy of the customer forbids the sign-in.
    BlockedByPolicy,
    /// The application's secret or certificate is wrong or has expired.
    CredentialExpired,
    /// Tenant id, scopes, URLs or registration do not fit.
    WrongConfiguration,
    /// The partner relationship with the customer has ended.
    PartnerRelationshipExpired,
    /// The provider is down, slow or throttling.
    ProviderDown,
    /// A rotation was under way when the process died and its answer is lost.
    RotationLost,
}

impl Cause {
    /// True when trying again by itself can help.
    pub fn passes_by_itself(self) -> bool {
        matches!(self, Self::ProviderDown)
    }

    /// What a person should do.
    pub fn next_action(self) -> &'static str {
        match self {
            Self::Revoked | Self::RotationLost => "sign in again to renew the grant",
            Self::ConsentMissing => "ask an administrator of the customer to consent to the application",
            Self::MfaRequired => "sign in again with multi-factor authentication",
            Self::BlockedByPolicy => "ask the customer to exempt the application in its Conditional Access policies",
            Self::CredentialExpired => "issue a new client secret or certificate and update the connection",
            Self::WrongConfiguration => "check tenant id, client id, scopes and URLs of the connection",
            Self::PartnerRelationshipExpired => "renew the partner relationship (GDAP) with the customer",
            Self::ProviderDown => "wait; the connection tries again by itself",
        }
    }
}

/// How a connection is doing, for anyone to read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConnectionStatus {
    /// Its name.
    pub id: ConnectionId,
    /// The provider it leads to.
    pub provider: ProviderId,
    /// Where it stands.
    pub state: ConnectionState,
    /// Why it does not work, if so.
    pub cause: Option<Cause>,
    /// The error of the last failed exchange, if the last one failed.
    pub last_error: Option<String>,
    /// What a person should do, if anything.
    pub next_action: Option<String>,
    /// When a token was last obtained.
    pub last_success: Option<Timestamp>,
    /// When the next exchange is due: ahead of expiry, or the next try.
    pub next_refresh: Option<Timestamp>,
}

/// The way to a provider for one tenant: the scope is in the handle, and no call takes it again.
#[derive(Clone)]
pub struct Connection(Arc<Inner>);

struct Inner {
    tenant: TenantId,
    id: ConnectionId,
    execution: Option<ExecutionId>,
    settings: Arc<ConnectionSettings>,
    tokens: Arc<dyn TokenSource>,
    integration: Arc<dyn Integration>,
    /// The token by default, once somebody asked for it: it follows from settings that never change here.
    default_token: OnceLock<TokenKey>,
}

impl Connection {
    /// Joins settings, tokens and the integration that sends. The hub calls this; workflows take connections from
    /// their context.
    pub fn new(
        tenant: TenantId,
        id: ConnectionId,
        execution: Option<ExecutionId>,
        settings: Arc<ConnectionSettings>,
        tokens: Arc<dyn TokenSource>,
        integration: Arc<dyn Integration>,
    ) -> Self {
        let default_token = OnceLock::new();
        Self(Arc::new(Inner { tenant, id, execution, settings, tokens, integration, default_token }))
    }

    /// The tenant it belongs to.
    pub fn tenant(&self) -> &TenantId {
        &self.0.tenant
    }

    /// Its name.
    pub fn id(&self) -> &ConnectionId {
        &self.0.id
    }

    /// The execution that calls, if one does.
    pub fn execution(&self) -> Option<ExecutionId> {
        self.0.execution
    }

    /// What it is set to.
    pub fn settings(&self) -> &ConnectionSettings {
        &self.0.settings
    }

    /// The same, for who keeps it for longer than a call.
    pub fn shared_settings(&self) -> &Arc<ConnectionSettings> {
        &self.0.settings
    }

    /// Where its tokens come from.
    pub fn tokens(&self) -> &dyn TokenSource {
        self.0.tokens.as_ref()
    }

    /// The token a call over it uses unless the call names another.
    pub fn default_token(&self) -> TokenKey {
        self.0.default_token.get_or_init(|| self.0.integration.default_token(&self.0.settings)).clone()
    }

    /// Checks that this connection leads to `provider`.
    ///
    /// # Errors
    /// `InvalidInput` when it leads elsewhere.
    pub fn expect_provider(&self, provider: &str) -> Result<()> {
        if self.0.settings.provider.as_str() == provider {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::InvalidInput,
            "open client",
            format!("the connection leads to {}, not {provider}", self.0.settings.provider),
        )
        .with("tenant", &self.0.tenant)
        .with("connection", &self.0.id))
    }

    /// Sends `request` through the provider's outbound stack: deadline, retry, budget, auth, redaction, transport.
    ///
    /// # Errors
    /// `Throttled`, `Unavailable`, `Timeout`, `Rejected`, `NotFound`, `UnknownOutcome` for a write that may have been
    /// applied, `ReauthRequired`.
    pub async fn send(&self, request: Outbound) -> Result<http::Response<Bytes>> {
        self.0.integration.send(self, request).await
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("tenant", &self.0.tenant)
            .field("id", &self.0.id)
            .field("provider", &self.0.settings.provider)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATES: [ConnectionState; 7] = [
        ConnectionState::NotConnected,
        ConnectionState::Authorizing,
        ConnectionState::Active,
        ConnectionState::Refreshing,
        ConnectionState::Degraded,
        ConnectionState::ReauthRequired,
        ConnectionState::Disabled,
    ];

    #[test]
    fn an_exchange_ends_only_where_one_began() {
        for state in STATES {
            let exchanging = matches!(state, ConnectionState::Authorizing | ConnectionState::Refreshing);
            for event in [
                ConnectionEvent::ExchangeSucceeded,
                ConnectionEvent::ExchangeDeferred,
                ConnectionEvent::ExchangeRefused,
            ] {
                assert_eq!(state.next(event).is_some(), exchanging, "{state:?} {event:?}");
            }
            assert_eq!(
                state.next(ConnectionEvent::ExchangeStarted).is_some(),
                !exchanging && state != ConnectionState::Disabled
            );
            assert_eq!(state.next(ConnectionEvent::Disabled), Some(ConnectionState::Disabled));
        }
    }
}
