//! The Microsoft identity platform: `POST /{tenant}/oauth2/v2.0/token` with client credentials and refresh tokens.
//!
//! `{tenant}` is an id, a domain or a short name of the seeded world. Refresh tokens rotate: every use returns a new
//! one. As in production the old one stays good, unless reuse detection is switched on. Tokens are opaque text.

mod error;
mod state;

use std::time::Duration;

use bifrost_core::{Secret, Timestamp};
use serde::Serialize;

use super::call::Provider;
use super::faults::{Fault, RetryAfter};
use super::script::FaultRule;
use super::simulators::Simulators;
pub use error::AadError;
pub(super) use state::{Access, IdentityState, TokenProblem};

/// What the simulated identity platform can be told. Lifetimes as documented at
/// <https://learn.microsoft.com/entra/identity-platform/configurable-token-lifetimes> and
/// <https://learn.microsoft.com/entra/identity-platform/refresh-tokens>.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentitySettings {
    /// How long an access token works; 3599 seconds unless changed.
    pub access_lifetime: Duration,
    /// How long a refresh token works without being used; 90 days unless changed.
    pub refresh_lifetime: Duration,
    /// Whether using a refresh token a second time revokes it and all its descendants; off unless changed, as in
    /// production.
    pub reuse_detection: bool,
}

impl Default for IdentitySettings {
    fn default() -> Self {
        Self {
            access_lifetime: Duration::from_secs(3599),
            refresh_lifetime: Duration::from_secs(90 * 24 * 3600),
            reuse_detection: false,
        }
    }
}

/// One request to a token endpoint, without its secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TokenExchange {
    /// When.
    pub at: Timestamp,
    /// Short name of the tenant; `None` when it is not known.
    pub tenant: Option<String>,
    /// The `grant_type`.
    pub grant: String,
    /// The `client_id`.
    pub client_id: String,
    /// Why no token was issued; `None` when one was.
    pub refused: Option<AadError>,
}

/// The simulated identity platform, for assertions and for making trouble.
#[derive(Debug, Clone)]
pub struct IdentitySimulator(pub(super) Simulators);

impl IdentitySimulator {
    /// The last token requests (at most 10,000), oldest first.
    pub fn exchanges(&self) -> Vec<TokenExchange> {
        self.0.world().identity.exchanges().cloned().collect()
    }

    /// How many access tokens were issued.
    pub fn tokens_issued(&self) -> u64 {
        self.0.world().identity.issued()
    }

    /// The settings in force.
    pub fn settings(&self) -> IdentitySettings {
        self.0.world().identity.settings.clone()
    }

    /// Changes the settings for tokens issued from now on.
    pub fn set_settings(&self, settings: IdentitySettings) {
        self.0.world().identity.settings = settings;
    }

    /// Changes how long access tokens issued from now on work.
    pub fn set_access_lifetime(&self, lifetime: Duration) {
        self.0.world().identity.settings.access_lifetime = lifetime;
    }

    /// Registers an application, or gives a registered one a further secret, which ends at `expires` if that is given.
    pub fn add_secret(&self, client_id: &str, secret: &Secret, expires: Option<Timestamp>) {
        self.0.world().identity.add_secret(client_id, secret, expires);
    }

    /// Lets every secret of an application expire now.
    pub fn expire_secrets(&self, client_id: &str) {
        let now = self.0.clock().now();
        self.0.world().identity.expire_secrets(client_id, now);
    }

    /// Removes the application from a customer's tenant: AADSTS700016 until [`consent`](Self::consent).
    pub fn remove_app(&self, tenant: &str, client_id: &str) {
        if let Some(directory) = self.0.world().entra.find_mut(tenant) {
            directory.apps.remove(client_id);
        }
    }

    /// Takes the consent back: AADSTS65001 until [`consent`](Self::consent).
    pub fn withdraw_consent(&self, tenant: &str, client_id: &str) {
        if let Some(directory) = self.0.world().entra.find_mut(tenant) {
            directory.apps.insert(client_id.to_owned(), false);
        }
    }

    /// Puts the application into a customer's tenant, with consent.
    pub fn consent(&self, tenant: &str, client_id: &str) {
        if let Some(directory) = self.0.world().entra.find_mut(tenant) {
            directory.apps.insert(client_id.to_owned(), true);
        }
    }

    /// Refuses the next request for `tenant` with `error`.
    pub fn fail_next(&self, tenant: &str, error: AadError) {
        self.0.script(FaultRule::new(Fault::Aad { error }).on(Provider::Identity).tenant(tenant).times(1));
    }

    /// Answers the next request for `tenant` with 429.
    pub fn throttle_next(&self, tenant: &str, retry_after: RetryAfter) {
        self.0.script(FaultRule::new(Fault::throttled(retry_after)).on(Provider::Identity).tenant(tenant).times(1));
    }

    /// Refuses every request for `tenant` with `error`, as a changed policy does, until [`heal`](Self::heal).
    pub fn fail_always(&self, tenant: &str, error: AadError) {
        let mut world = self.0.world();
        if let Some(id) = world.entra.find(tenant).map(|directory| directory.id.clone()) {
            world.identity.conditions.insert(id, error);
        }
    }

    /// Ends [`fail_always`](Self::fail_always).
    pub fn heal(&self, tenant: &str) {
        let mut world = self.0.world();
        if let Some(id) = world.entra.find(tenant).map(|directory| directory.id.clone()) {
            world.identity.conditions.remove(&id);
        }
    }

    /// Makes every access token for `tenant` invalid at once; Graph then answers 401.
    pub fn revoke_access_tokens(&self, tenant: &str) {
        let mut world = self.0.world();
        if let Some(id) = world.entra.find(tenant).map(|directory| directory.id.clone()) {
            world.identity.revoke_access(&id);
        }
    }

    /// Revokes the refresh tokens of everyone who signed in at `tenant`: AADSTS50173 from now on.
    pub fn revoke_sign_ins(&self, tenant: &str) {
        let mut world = self.0.world();
        if let Some(id) = world.entra.find(tenant).map(|directory| directory.id.clone()) {
            world.identity.revoke_families(&id);
        }
    }

    /// What a person's sign-in at `tenant` would have left: a refresh token for `client_id`. It works for every tenant
    /// that has the application, as in the partner flow. `None` when there is no such tenant.
    pub fn sign_in(&self, tenant: &str, client_id: &str) -> Option<Secret> {
        let now = self.0.clock().now();
        let mut world = self.0.world();
        let home = world.entra.find(tenant)?.id.clone();
        Some(Secret::new(world.identity.new_family(client_id, &home, now)))
    }
}

#[cfg(test)]
mod tests;
