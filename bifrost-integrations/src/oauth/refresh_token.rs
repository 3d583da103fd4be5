//! Refresh tokens (RFC 6749 section 6). What comes back may hold a new refresh token, and the one that was sent may be
//! dead from then on: whoever calls this has written down that it does.

use std::sync::Arc;

use bifrost_core::Secret;
use bifrost_core::credential::TokenKey;
use oauth2::{RefreshToken, Scope};

use super::TokenResult;
use super::endpoint::TokenEndpoint;
use super::wire::{self, Wire};

/// Spends `refresh_token`.
pub(super) async fn exchange(
    wire: &Arc<Wire>,
    endpoint: &TokenEndpoint,
    key: &TokenKey,
    client_id: &str,
    client_secret: Option<&Secret>,
    refresh_token: &Secret,
) -> TokenResult {
    let client = wire::client(endpoint, client_id, client_secret);
    let spent = RefreshToken::new(refresh_token.expose().to_owned());
    let mut request = client.exchange_refresh_token(&spent);
    if endpoint.scope_on_refresh {
        request = request.add_scopes(key.scopes().iter().cloned().map(Scope::new));
    }
    for (name, value) in &endpoint.form {
        request = request.add_extra_param(name, value);
    }
    let http = |request| {
        let wire = Arc::clone(wire);
        async move { wire.post(request).await }
    };
    request.request_async(&http).await
}
