//! The token endpoint of HaloPSA.

use bifrost_core::{Secret, Timestamp};
use http::StatusCode;
use serde_json::json;

use super::state::{Answer, HalopsaState, Refused};
use crate::testing::call::{Call, find};
use crate::testing::outcome::SimResponse;
use crate::testing::random;

/// A registered application.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) secret: Secret,
    /// Whether there is an agent to log in as.
    pub(crate) has_agent: bool,
}

/// What an access token stands for.
#[derive(Debug)]
pub(crate) struct Token {
    pub(crate) instance: String,
    pub(crate) expires: Timestamp,
    scope: String,
}

impl Token {
    /// True when the scopes allow reading, or writing, in an area such as `tickets`.
    pub(crate) fn covers(&self, area: &str, write: bool) -> bool {
        let named = |scope: &str| {
            let (kind, of) = scope.split_once(':').unwrap_or((scope, ""));
            matches!((kind, of), ("all", "" | "standard") | ("admin", ""))
                || of == area && (kind == "edit" || kind == "read" && !write)
        };
        self.scope.split_whitespace().any(named)
    }
}

impl HalopsaState {
    /// `POST /auth/token?tenant=…`.
    pub(super) fn token(&mut self, call: &Call, instance: Option<String>, now: Timestamp) -> Answer {
        let form = call.form();
        let instance = instance.ok_or_else(|| refused("invalid_request"))?;
        let client_id = find(&form, "client_id").unwrap_or_default().to_owned();
        let app = self.apps.get(&(instance.clone(), client_id.clone())).ok_or_else(|| refused("invalid_client"))?;
        let secret = Secret::from(find(&form, "client_secret").unwrap_or_default());
        if app.secret != secret {
            return Err(refused("invalid_client"));
        }
        if !app.has_agent {
            let page = "<!DOCTYPE html><html><body><h1>Server Error</h1></body></html>";
            let status = StatusCode::INTERNAL_SERVER_ERROR;
            return Err(Refused::with(SimResponse::new(status, "text/html; charset=utf-8", page)));
        }
        let scope = match find(&form, "grant_type") {
            Some("client_credentials") => find(&form, "scope").unwrap_or("all").to_owned(),
            Some("refresh_token") => self.redeem(find(&form, "refresh_token"), &instance, &client_id)?,
            _ => return Err(refused("unsupported_grant_type")),
        };
        Ok(self.issue(instance, client_id, scope, now))
    }

    /// Uses a refresh token: it works once.
    fn redeem(&mut self, token: Option<&str>, instance: &str, client_id: &str) -> Result<String, Refused> {
        let token = token.unwrap_or_default();
        let known = self.refresh.get(token).filter(|(of, by, _)| of == instance && by == client_id);
        if known.is_none() {
            return Err(refused("invalid_grant"));
        }
        let (_, _, scope) = self.refresh.remove(token).ok_or_else(|| refused("invalid_grant"))?;
        Ok(scope)
    }

    fn issue(&mut self, instance: String, client_id: String, scope: String, now: Timestamp) -> SimResponse {
        let lifetime = self.settings.access_lifetime;
        let access = random::token(&self.entropy, "sim-halo-at.");
        let mut body = json!({
            "access_token": access,
            "token_type": "Bearer",
            "expires_in": lifetime.as_secs(),
            "scope": scope,
        });
        if scope.split_whitespace().any(|name| name == "offline_access") {
            let refresh = random::token(&self.entropy, "sim-halo-rt.");
            body["refresh_token"] = refresh.as_str().into();
            self.refresh.insert(refresh, (instance.clone(), client_id, scope.clone()));
        }
        self.issued += 1;
        self.tokens.retain(|_, token| now < token.expires);
        let token = Token { instance, expires: now.saturating_add(lifetime), scope };
        self.tokens.insert(access, token);
        SimResponse::json(StatusCode::OK, &body).with_header("cache-control", "no-store")
    }
}

fn refused(error: &str) -> Refused {
    let body = json!({"error": error, "error_description": null, "error_uri": null});
    Refused::with(SimResponse::json(StatusCode::BAD_REQUEST, &body))
}
