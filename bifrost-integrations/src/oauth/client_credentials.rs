//! Client credentials (RFC 6749 section 4.4): the application asks in its own name.

use std::sync::Arc;

use bifrost_core::Secret;
use bifrost_core::credential::TokenKey;
use oauth2::Scope;

use super::TokenResult;
use super::endpoint::TokenEndpoint;
use super::wire::{self, Wire};

/// Asks for a token. There is never a refresh token to keep: one simply asks again.
pub(super) async fn exchange(
    wire: &Arc<Wire>,
    endpoint: &TokenEndpoint,
    key: &TokenKey,
    client_id: &str,
    client_secret: &Secret,
) -> TokenResult {
    let client = wire::client(endpoint, client_id, Some(client_secret));
    let mut request = client.exchange_client_credentials();
    request = request.add_scopes(key.scopes().iter().cloned().map(Scope::new));
    for (name, value) in &endpoint.form {
        request = request.add_extra_param(name, value);
    }
    let http = |request| {
        let wire = Arc::clone(wire);
        async move { wire.post(request).await }
    };
    request.request_async(&http).await
}
