//! The world outside the hub: what was applied there stays, and it counts how often.
//!
//! It is also a provider whose refresh tokens rotate, and which revokes the grant when one comes twice.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bifrost::connection::Cause;
use bifrost::credential::{ExchangeFailure, ExchangeRequest, TokenKey, TokenSet};
use bifrost::integration::{IntegrationSnapshot, Outbound, ProviderDescriptor};
use bifrost::{
    Connection, ConnectionSettings, Credential, Error, ErrorKind, Integration, Probe, ProviderId, Result, Retry, Tenant,
};
use bytes::Bytes;

use crate::dice::Dice;
use crate::panics::MADE;

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct Outside(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    descriptor: ProviderDescriptor,
    dice: Dice,
    applied: Mutex<BTreeMap<String, u32>>,
    /// The process of this number is the one that lives: what others send never arrives.
    alive: Mutex<u32>,
    grants: Mutex<BTreeMap<String, Grant>>,
    trouble: Mutex<Vec<Trouble>>,
}

#[derive(Debug)]
struct Grant {
    current: String,
    spent: HashSet<String>,
    revoked: bool,
}

/// What the next exchange does instead of answering.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Trouble {
    Panic,
    Hang,
}

impl Outside {
    pub(crate) fn new(seed: u64) -> Self {
        let id = ProviderId::new("idp").unwrap();
        Self(Arc::new(Inner {
            descriptor: ProviderDescriptor { id, title: "IdP", limits: Vec::new() },
            dice: Dice::new(seed),
            applied: Mutex::default(),
            alive: Mutex::default(),
            grants: Mutex::default(),
            trouble: Mutex::default(),
        }))
    }

    /// Gives the tenant a connection whose refresh token rotates.
    pub(crate) async fn connect(&self, tenant: &Tenant) {
        let first = format!("{}-0", tenant.id());
        let grant = Grant { current: first.clone(), spent: HashSet::new(), revoked: false };
        self.0.grants.lock().unwrap().insert(tenant.id().to_string(), grant);
        let settings = ConnectionSettings::new(ProviderId::new("idp").unwrap());
        let credential = Credential::refresh_token("app", None, first);
        tenant.connections().create("idp", settings, credential).await.unwrap();
    }

    /// The number of the process that is started now.
    pub(crate) fn next_process(&self) -> u32 {
        let mut alive = self.0.alive.lock().unwrap();
        *alive += 1;
        *alive
    }

    pub(crate) fn trouble(&self, trouble: Trouble) {
        self.0.trouble.lock().unwrap().push(trouble);
    }

    /// Applies a write that is sent by `process`.
    pub(crate) async fn apply(&self, process: u32, key: &str) -> Result<u32> {
        self.travel().await;
        if *self.0.alive.lock().unwrap() != process {
            return std::future::pending().await;
        }
        let times = {
            let mut applied = self.0.applied.lock().unwrap();
            let times = applied.entry(key.to_owned()).or_default();
            *times += 1;
            *times
        };
        self.travel().await;
        Ok(times)
    }

    pub(crate) async fn probe(&self, key: &str) -> Result<Probe<u32>> {
        self.travel().await;
        Ok(Probe::from(self.0.applied.lock().unwrap().get(key).copied()))
    }

    /// How many writes were applied.
    pub(crate) fn applied(&self) -> usize {
        self.0.applied.lock().unwrap().len()
    }

    /// Writes that were applied more than once.
    pub(crate) fn repeated(&self) -> Vec<String> {
        let applied = self.0.applied.lock().unwrap();
        applied.iter().filter(|(_, times)| **times > 1).map(|(key, times)| format!("{key}: {times} times")).collect()
    }

    /// Grants that were revoked because a refresh token came twice.
    pub(crate) fn revoked(&self) -> Vec<String> {
        let grants = self.0.grants.lock().unwrap();
        grants.iter().filter(|(_, grant)| grant.revoked).map(|(tenant, _)| tenant.clone()).collect()
    }

    async fn travel(&self) {
        tokio::time::sleep(Duration::from_millis(self.0.dice.below(40))).await;
    }

    fn rotate(&self, tenant: &str, token: &str) -> Option<String> {
        let mut grants = self.0.grants.lock().unwrap();
        let grant = grants.get_mut(tenant)?;
        if grant.revoked || grant.current != token {
            grant.revoked = true;
            return None;
        }
        let next = format!("{tenant}-{}", grant.spent.len() + 1);
        let spent = std::mem::replace(&mut grant.current, next.clone());
        grant.spent.insert(spent);
        Some(next)
    }
}

#[async_trait]
impl Integration for Outside {
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
        let trouble = self.0.trouble.lock().unwrap().pop();
        match trouble {
            Some(Trouble::Panic) => panic!("{MADE} the integration panics"),
            Some(Trouble::Hang) => std::future::pending::<()>().await,
            None => self.travel().await,
        }
        let token = request.refresh_token.as_ref().map(|token| token.expose().to_owned()).unwrap_or_default();
        let next = self.rotate(request.tenant.as_str(), &token).ok_or_else(|| ExchangeFailure {
            cause: Cause::Revoked,
            error: Error::new(ErrorKind::ReauthRequired, "exchange token", "revoked").retry(Retry::Never),
        })?;
        self.travel().await;
        let lifetime = Some(Duration::from_millis(400 + self.0.dice.below(2_000)));
        Ok(TokenSet { access: next.clone().into(), expires_in: lifetime, refresh_token: Some(next.into()) })
    }

    async fn send(&self, _: &Connection, _: Outbound) -> Result<http::Response<Bytes>> {
        Err(Error::internal("call provider", "not part of this attack"))
    }

    fn snapshot(&self) -> IntegrationSnapshot {
        IntegrationSnapshot::default()
    }
}
