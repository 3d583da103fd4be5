//! An identity platform that rotates refresh tokens and can be told how the next exchange goes.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use bifrost::connection::Cause;
use bifrost::credential::{ExchangeFailure, ExchangeRequest, TokenKey, TokenSet};
use bifrost::integration::{IntegrationSnapshot, Outbound, ProviderDescriptor};
use bifrost::{
    Clock, Connection, ConnectionSettings, Credential, Error, ErrorKind, Integration, ProviderId, Result, Retry, Secret,
};
use bytes::Bytes;

use crate::panics::MADE;

/// How long an exchange takes at the platform.
pub(super) const LATENCY: Duration = Duration::from_millis(200);
/// How long an access token lives.
pub(super) const LIFETIME: Duration = Duration::from_secs(3_600);

/// What the platform makes of a refresh token that was spent before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reuse {
    /// The grant is revoked.
    Strict,
    /// The one before the newest is honoured still, as FAPI 2.0 asks for.
    Grace,
}

/// How an exchange goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// It takes this long.
    Slow(Duration),
    /// No answer ever comes, and nothing has happened.
    LostBefore,
    /// The token is rotated, and no answer ever comes.
    LostAfter,
    Fail,
    Panic,
}

#[derive(Debug, Clone)]
pub(super) struct Platform(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    descriptor: ProviderDescriptor,
    clock: Arc<dyn Clock>,
    reuse: Reuse,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    script: VecDeque<Act>,
    exchanges: u64,
    rotations: u64,
    grants: Vec<Grant>,
}

/// What a person granted by signing in once.
#[derive(Debug, Default)]
struct Grant {
    /// Its refresh tokens, the newest last.
    tokens: Vec<String>,
    revoked: bool,
}

impl Platform {
    pub(super) fn new(clock: Arc<dyn Clock>, reuse: Reuse) -> Self {
        let descriptor = ProviderDescriptor { id: provider(), title: "IdP", limits: Vec::new() };
        Self(Arc::new(Inner { descriptor, clock, reuse, state: Mutex::default() }))
    }

    /// A person signs in: the first refresh token of a new grant.
    pub(super) fn sign_in(&self) -> Credential {
        let mut state = self.lock();
        let first = format!("first-of-grant-{}", state.grants.len());
        state.grants.push(Grant { tokens: vec![first.clone()], revoked: false });
        Credential::refresh_token("app", None, first)
    }

    pub(super) fn next(&self, acts: impl IntoIterator<Item = Act>) {
        self.lock().script.extend(acts);
    }

    pub(super) fn exchanges(&self) -> u64 {
        self.lock().exchanges
    }

    pub(super) fn rotations(&self) -> u64 {
        self.lock().rotations
    }

    /// Whether the newest grant was revoked.
    pub(super) fn is_revoked(&self) -> bool {
        self.lock().grants.last().is_some_and(|grant| grant.revoked)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap()
    }

    /// Spends a refresh token.
    fn rotate(&self, spent: &str) -> Option<String> {
        let mut state = self.lock();
        state.rotations += 1;
        let next = format!("rotated-{}", state.rotations);
        let grant = state.grants.iter_mut().find(|grant| grant.tokens.iter().any(|token| token == spent))?;
        let honoured = match self.0.reuse {
            Reuse::Strict => 1,
            Reuse::Grace => 2,
        };
        if grant.revoked || grant.tokens.iter().rev().take(honoured).all(|token| token != spent) {
            grant.revoked = true;
            return None;
        }
        grant.tokens.push(next.clone());
        Some(next)
    }
}

#[async_trait]
impl Integration for Platform {
    fn descriptor(&self) -> &ProviderDescriptor {
        &self.0.descriptor
    }

    fn validate(&self, _: &ConnectionSettings, _: &Credential) -> Result<()> {
        Ok(())
    }

    fn default_token(&self, _: &ConnectionSettings) -> TokenKey {
        TokenKey::new("api", ["all"])
    }

    async fn exchange(&self, request: ExchangeRequest) -> Result<TokenSet, ExchangeFailure> {
        let (number, act) = {
            let mut state = self.lock();
            state.exchanges += 1;
            (state.exchanges, state.script.pop_front())
        };
        let spent = request.refresh_token.as_ref().map(|token| token.expose().to_owned());
        match act {
            None => self.0.clock.sleep(LATENCY).await,
            Some(Act::Slow(latency)) => self.0.clock.sleep(latency).await,
            Some(Act::LostBefore) => std::future::pending().await,
            Some(Act::LostAfter) => {
                spent.as_deref().and_then(|spent| self.rotate(spent));
                std::future::pending::<()>().await;
            }
            Some(Act::Fail) => return Err(failure(Cause::ProviderDown, Retry::Later)),
            Some(Act::Panic) => panic!("{MADE} the integration panics"),
        }
        let refresh_token = match spent {
            Some(spent) => Some(self.rotate(&spent).ok_or_else(|| failure(Cause::Revoked, Retry::Never))?.into()),
            None => None,
        };
        Ok(TokenSet { access: Secret::new(format!("access-{number}")), expires_in: Some(LIFETIME), refresh_token })
    }

    async fn send(&self, _: &Connection, _: Outbound) -> Result<http::Response<Bytes>> {
        Err(Error::internal("call provider", "nobody calls it"))
    }

    fn snapshot(&self) -> IntegrationSnapshot {
        IntegrationSnapshot::default()
    }
}

fn failure(cause: Cause, retry: Retry) -> ExchangeFailure {
    ExchangeFailure { cause, error: Error::new(ErrorKind::Unavailable, "exchange token", "refused").retry(retry) }
}

fn provider() -> ProviderId {
    ProviderId::new("idp").unwrap()
}

pub(super) fn settings() -> ConnectionSettings {
    ConnectionSettings::new(provider())
}
