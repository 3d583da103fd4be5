//! Applications, tokens and the rules of the token endpoint.

use std::collections::{HashMap, HashSet, VecDeque};

use base64::Engine as _;
use bifrost_core::testing::SeededEntropy;
use bifrost_core::{Secret, Timestamp};
use http::{Method, StatusCode};
use serde_json::json;

use super::{AadError, IdentitySettings, TokenExchange};
use crate::testing::call::{Call, find};
use crate::testing::graph::Entra;
use crate::testing::outcome::SimResponse;
use crate::testing::random;

/// How many token requests are remembered.
const EXCHANGES: usize = 10_000;

/// What an access token stands for.
#[derive(Debug, Clone)]
pub(crate) struct Access {
    /// Id of the tenant it is for.
    pub(crate) tenant: String,
    pub(crate) client_id: String,
    expires: Timestamp,
}

/// Why Graph does not take a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenProblem {
    Missing,
    Unknown,
    Expired,
}

#[derive(Debug)]
struct Refresh {
    family: u64,
    client_id: String,
    home: String,
    used: bool,
    since: Timestamp,
}

#[derive(Debug)]
pub(crate) struct IdentityState {
    pub(super) settings: IdentitySettings,
    /// Errors in force, by tenant id.
    pub(super) conditions: HashMap<String, AadError>,
    secrets: HashMap<String, Vec<(Secret, Option<Timestamp>)>>,
    access: HashMap<String, Access>,
    refresh: HashMap<String, Refresh>,
    families: u64,
    revoked: HashSet<u64>,
    exchanges: VecDeque<TokenExchange>,
    issued: u64,
    entropy: SeededEntropy,
}

/// What a request may have.
struct Granted {
    tenant: String,
    client_id: String,
    scope: String,
    /// The family to continue, for the refresh grant.
    family: Option<(u64, String)>,
}

impl IdentityState {
    pub(crate) fn new(seed: u64, settings: IdentitySettings) -> Self {
        Self {
            settings,
            conditions: HashMap::new(),
            secrets: HashMap::new(),
            access: HashMap::new(),
            refresh: HashMap::new(),
            families: 0,
            revoked: HashSet::new(),
            exchanges: VecDeque::new(),
            issued: 0,
            entropy: random::stream(seed, "identity"),
        }
    }

    pub(crate) fn issued(&self) -> u64 {
        self.issued
    }

    pub(super) fn exchanges(&self) -> impl Iterator<Item = &TokenExchange> {
        self.exchanges.iter()
    }

    pub(crate) fn add_secret(&mut self, client_id: &str, secret: &Secret, expires: Option<Timestamp>) {
        let known = self.secrets.entry(client_id.to_owned()).or_default();
        known.push((secret.clone(), expires));
    }

    pub(super) fn expire_secrets(&mut self, client_id: &str, now: Timestamp) {
        for (_, expires) in self.secrets.entry(client_id.to_owned()).or_default() {
            *expires = Some(now);
        }
    }

    pub(super) fn revoke_access(&mut self, tenant_id: &str) {
        self.access.retain(|_, access| access.tenant != tenant_id);
    }

    pub(super) fn revoke_families(&mut self, home: &str) {
        let families = self.refresh.values().filter(|token| token.home == home);
        self.revoked.extend(families.map(|token| token.family));
    }

    pub(super) fn new_family(&mut self, client_id: &str, home: &str, now: Timestamp) -> String {
        self.families += 1;
        self.issue_refresh(self.families, client_id, home, now)
    }

    /// Whose token this is, for Graph.
    pub(crate) fn check(&self, token: Option<&str>, now: Timestamp) -> Result<Access, TokenProblem> {
        let token = token.filter(|token| !token.is_empty()).ok_or(TokenProblem::Missing)?;
        let access = self.access.get(token).ok_or(TokenProblem::Unknown)?;
        if access.expires <= now {
            return Err(TokenProblem::Expired);
        }
        Ok(access.clone())
    }

    /// Answers a request to the identity platform.
    pub(crate) fn answer(&mut self, call: &Call, entra: &Entra, now: Timestamp) -> SimResponse {
        match (&call.method, call.parts().as_slice()) {
            (&Method::POST, [tenant, "oauth2", "v2.0", "token"]) => self.token(call, tenant, entra, now),
            (&Method::GET, [tenant, "v2.0", ".well-known", "openid-configuration"]) => discovery(call, tenant),
            (_, [_, "oauth2", "v2.0", "token"]) => SimResponse::empty(StatusCode::METHOD_NOT_ALLOWED),
            _ => SimResponse::new(StatusCode::NOT_FOUND, "text/html", "<html><body>404</body></html>"),
        }
    }

    /// Refuses with `error`, and remembers it.
    pub(crate) fn refuse(&mut self, call: &Call, entra: &Entra, error: AadError, now: Timestamp) -> SimResponse {
        self.remember(call, entra, Some(error), now);
        error.response(now, &self.entropy, call.header("client-request-id"))
    }

    fn token(&mut self, call: &Call, tenant: &str, entra: &Entra, now: Timestamp) -> SimResponse {
        match self.grant(call, tenant, entra, now) {
            Err(error) => self.refuse(call, entra, error, now),
            Ok(granted) => {
                self.remember(call, entra, None, now);
                self.issue(granted, now)
            }
        }
    }

    fn grant(&mut self, call: &Call, tenant: &str, entra: &Entra, now: Timestamp) -> Result<Granted, AadError> {
        let form = call.form();
        let grant = find(&form, "grant_type").ok_or(AadError::MissingParameter)?;
        let (client_id, secret) = credentials(call, &form).ok_or(AadError::MissingParameter)?;
        let alias = matches!(tenant, "common" | "organizations" | "consumers");
        let (tenant, family) = match grant {
            "client_credentials" if alias => return Err(AadError::TenantAlias),
            "client_credentials" => (tenant.to_owned(), None),
            "refresh_token" => {
                let token = find(&form, "refresh_token").ok_or(AadError::MissingParameter)?;
                let known = self.refresh.get(token).ok_or(AadError::InvalidGrant)?;
                let tenant = if alias { known.home.clone() } else { tenant.to_owned() };
                (tenant, Some(token.to_owned()))
            }
            _ => return Err(AadError::UnsupportedGrant),
        };
        let directory = entra.find(&tenant).ok_or(AadError::UnknownTenant)?;
        let consented = *directory.apps.get(&client_id).ok_or(AadError::AppNotInTenant)?;
        self.check_secret(&client_id, secret.as_deref(), now)?;
        let scope = find(&form, "scope").unwrap_or_default();
        check_scope(scope, family.is_some(), call)?;
        if !consented {
            return Err(AadError::ConsentRequired);
        }
        if let Some(error) = self.conditions.get(&directory.id) {
            return Err(*error);
        }
        let family = match family {
            Some(token) => Some(self.redeem(&token, &client_id, now)?),
            None => None,
        };
        Ok(Granted { tenant: directory.id.clone(), client_id, scope: scope.to_owned(), family })
    }

    fn check_secret(&self, client_id: &str, secret: Option<&str>, now: Timestamp) -> Result<(), AadError> {
        let known = self.secrets.get(client_id).ok_or(AadError::AppNotInTenant)?;
        let secret = Secret::from(secret.ok_or(AadError::NoSecret)?);
        let expires = known.iter().filter(|(right, _)| *right == secret).map(|(_, expires)| *expires);
        let mut expires = expires.peekable();
        if expires.peek().is_none() {
            return Err(AadError::WrongSecret);
        }
        let alive = expires.any(|expires| expires.is_none_or(|end| now < end));
        if alive { Ok(()) } else { Err(AadError::ExpiredSecret) }
    }

    /// Uses a refresh token: its family and home tenant.
    fn redeem(&mut self, token: &str, client_id: &str, now: Timestamp) -> Result<(u64, String), AadError> {
        let known = self.refresh.get_mut(token).ok_or(AadError::InvalidGrant)?;
        if known.client_id != client_id {
            return Err(AadError::InvalidGrant);
        }
        if self.revoked.contains(&known.family) {
            return Err(AadError::Revoked);
        }
        if now.since(known.since) >= self.settings.refresh_lifetime {
            return Err(AadError::RefreshExpired);
        }
        if known.used && self.settings.reuse_detection {
            self.revoked.insert(known.family);
            return Err(AadError::Revoked);
        }
        known.used = true;
        known.since = now;
        Ok((known.family, known.home.clone()))
    }

    fn issue(&mut self, granted: Granted, now: Timestamp) -> SimResponse {
        let lifetime = self.settings.access_lifetime;
        let token = random::token(&self.entropy, "sim-at.");
        let mut body = json!({
            "token_type": "Bearer",
            "expires_in": lifetime.as_secs(),
            "ext_expires_in": lifetime.as_secs(),
            "access_token": token,
        });
        if let Some((family, home)) = granted.family {
            body["scope"] = granted.scope.into();
            body["refresh_token"] = self.issue_refresh(family, &granted.client_id, &home, now).into();
        }
        self.forget_expired(now);
        self.issued += 1;
        let access =
            Access { tenant: granted.tenant, client_id: granted.client_id, expires: now.saturating_add(lifetime) };
        self.access.insert(token, access);
        SimResponse::json(StatusCode::OK, &body)
            .with_header("cache-control", "no-store, no-cache")
            .with_header("pragma", "no-cache")
    }

    fn issue_refresh(&mut self, family: u64, client_id: &str, home: &str, now: Timestamp) -> String {
        let token = random::token(&self.entropy, "sim-rt.");
        let refresh =
            Refresh { family, client_id: client_id.to_owned(), home: home.to_owned(), used: false, since: now };
        self.refresh.insert(token.clone(), refresh);
        token
    }

    /// Long simulations issue millions of tokens. An hour of grace keeps "expired" apart from "unknown".
    fn forget_expired(&mut self, now: Timestamp) {
        if self.issued % 1024 == 1023 {
            let grace = std::time::Duration::from_secs(3600);
            self.access.retain(|_, access| now < access.expires.saturating_add(grace));
        }
    }

    fn remember(&mut self, call: &Call, entra: &Entra, refused: Option<AadError>, now: Timestamp) {
        let form = call.form();
        let tenant = call.segments.first().and_then(|name| entra.find(name));
        let client_id = credentials(call, &form).map(|(client_id, _)| client_id);
        if self.exchanges.len() >= EXCHANGES {
            self.exchanges.pop_front();
        }
        self.exchanges.push_back(TokenExchange {
            at: now,
            tenant: tenant.map(|directory| directory.name.clone()),
            grant: find(&form, "grant_type").unwrap_or_default().to_owned(),
            client_id: client_id.unwrap_or_default(),
            refused,
        });
    }
}

/// Client id and secret from the body, or from HTTP Basic (RFC 6749 section 2.3.1: both parts form-encoded).
fn credentials(call: &Call, form: &[(String, String)]) -> Option<(String, Option<String>)> {
    if let Some(basic) = call.header("authorization").and_then(|value| value.strip_prefix("Basic ")) {
        let bytes = base64::engine::general_purpose::STANDARD.decode(basic.trim()).ok()?;
        let text = String::from_utf8(bytes).ok()?;
        let (id, secret) = text.split_once(':')?;
        let decode = |part: &str| {
            let part = part.replace('+', " ");
            let decoded = percent_encoding::percent_decode_str(&part).decode_utf8_lossy();
            decoded.into_owned()
        };
        return Some((decode(id), Some(decode(secret))));
    }
    let id = find(form, "client_id")?.to_owned();
    Some((id, find(form, "client_secret").map(str::to_owned)))
}

/// One resource, and for client credentials its `.default` only. The scopes of OpenID Connect ride along.
fn check_scope(scope: &str, delegated: bool, call: &Call) -> Result<(), AadError> {
    const OPEN_ID: [&str; 4] = ["openid", "profile", "email", "offline_access"];
    let mut resources = scope.split_whitespace().filter(|part| !OPEN_ID.contains(part));
    let first = resources.next().ok_or(AadError::InvalidScope)?;
    let (resource, name) = first.rsplit_once('/').ok_or(AadError::InvalidScope)?;
    if !delegated && (name != ".default" || resources.next().is_some()) {
        return Err(AadError::InvalidScope);
    }
    if resources.any(|other| other.rsplit_once('/').is_none_or(|(other, _)| other != resource)) {
        return Err(AadError::InvalidScope);
    }
    if is_graph(resource, call) { Ok(()) } else { Err(AadError::UnknownResource) }
}

/// The public names of Graph, its application id, and the simulator's own address.
fn is_graph(resource: &str, call: &Call) -> bool {
    const GRAPH: [&str; 5] = [
        "https://graph.microsoft.com",
        "https://graph.microsoft.us",
        "https://dod-graph.microsoft.us",
        "https://microsoftgraph.chinacloudapi.cn",
        "00000003-0000-0000-c000-000000000000",
    ];
    let resource = resource.trim_end_matches('/');
    let own = call.base.strip_suffix("/identity").map(|server| format!("{server}/graph"));
    GRAPH.contains(&resource) || own.as_deref() == Some(resource)
}

fn discovery(call: &Call, tenant: &str) -> SimResponse {
    let base = &call.base;
    SimResponse::json(
        StatusCode::OK,
        &json!({
            "issuer": format!("{base}/{tenant}/v2.0"),
            "token_endpoint": format!("{base}/{tenant}/oauth2/v2.0/token"),
            "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
        }),
    )
}
