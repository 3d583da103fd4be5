//! A provider whose identity platform rotates refresh tokens and does as its script says.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bifrost::connection::{Cause, ConnectionStatus};
use bifrost::credential::{ExchangeFailure, ExchangeRequest, TokenKey, TokenSet};
use bifrost::integration::{IntegrationSnapshot, Outbound, ProviderDescriptor};
use bifrost::{
    Clock, Connection, ConnectionSettings, Credential, Error, ErrorKind, Hub, HubConfig, Integration, ProviderId,
    Result, Retry, Secret, Tenant, Timestamp,
};
use bytes::Bytes;

use crate::world::{Counter, Disk, clock, contoso};

/// Unless it is forgiving, a refresh token that comes twice revokes all that came of it.
#[derive(Debug, Clone)]
pub(crate) struct Provider(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    descriptor: ProviderDescriptor,
    clock: Arc<dyn Clock>,
    exchanges: Counter,
    /// What the next exchanges do, before the rest succeeds.
    script: Mutex<VecDeque<Act>>,
    grant: Mutex<Grant>,
    /// When each exchange came.
    times: Mutex<Vec<Timestamp>>,
}

/// What came of one sign-in.
#[derive(Debug, Clone)]
struct Grant {
    name: String,
    current: String,
    rotations: u32,
    spent: HashSet<String>,
    revoked: bool,
    /// One that was spent stays good, as Entra's do.
    forgiving: bool,
}

#[derive(Debug, Clone)]
pub(crate) enum Act {
    Fail(Cause, Retry),
    Hang,
    Panic,
    /// Rotates, and the answer never comes.
    RotateAndHang,
}

impl Provider {
    pub(crate) fn new(script: impl IntoIterator<Item = Act>) -> Self {
        Self(Arc::new(Inner {
            descriptor: ProviderDescriptor { id: ProviderId::new("idp").unwrap(), title: "IdP", limits: Vec::new() },
            clock: clock(),
            exchanges: Counter::default(),
            script: Mutex::new(script.into_iter().collect()),
            grant: Mutex::new(Grant::signed_in("rt")),
            times: Mutex::default(),
        }))
    }

    /// It takes a refresh token that was spent before.
    pub(crate) fn forgiving(self) -> Self {
        self.0.grant.lock().unwrap().forgiving = true;
        self
    }

    /// The provider as it is at this moment, on its own from here on.
    pub(crate) fn fork(&self) -> Self {
        let fork = Self::new([]);
        *fork.0.grant.lock().unwrap() = self.0.grant.lock().unwrap().clone();
        fork
    }

    /// The refresh token that is good now.
    pub(crate) fn current(&self) -> String {
        self.0.grant.lock().unwrap().current.clone()
    }

    /// True once a refresh token came that was spent before, or is none of ours.
    pub(crate) fn is_revoked(&self) -> bool {
        self.0.grant.lock().unwrap().revoked
    }

    /// When each exchange came.
    pub(crate) fn times(&self) -> Vec<Timestamp> {
        self.0.times.lock().unwrap().clone()
    }

    pub(crate) fn exchanges(&self) -> u32 {
        self.0.exchanges.value()
    }

    /// Spends a refresh token: the next one, or nothing when it was spent before.
    fn rotate(&self, token: &Secret) -> Option<String> {
        let mut grant = self.0.grant.lock().unwrap();
        let spent_before = grant.spent.contains(token.expose());
        let known = grant.current == token.expose() || (spent_before && grant.forgiving);
        if grant.revoked || !known {
            grant.revoked = true;
            return None;
        }
        let next = format!("{}-{}", grant.name, grant.rotations + 1);
        grant.rotations += 1;
        let spent = std::mem::replace(&mut grant.current, next.clone());
        grant.spent.insert(spent);
        Some(next)
    }
}

impl Grant {
    fn signed_in(name: &str) -> Self {
        let current = format!("{name}-0");
        Self { name: name.into(), current, rotations: 0, spent: HashSet::new(), revoked: false, forgiving: false }
    }
}

fn failure(cause: Cause, retry: Retry) -> ExchangeFailure {
    ExchangeFailure { cause, error: Error::new(ErrorKind::Unavailable, "exchange token", "refused").retry(retry) }
}

#[async_trait]
impl Integration for Provider {
    fn descriptor(&self) -> &ProviderDescriptor {
        &self.0.descriptor
    }

    fn validate(&self, settings: &ConnectionSettings, _: &Credential) -> Result<()> {
        match settings.entity {
            Some(_) => Ok(()),
            None => Err(Error::invalid("check connection", "the entity is missing").with("path", "entity")),
        }
    }

    fn default_token(&self, _: &ConnectionSettings) -> TokenKey {
        TokenKey::new("api", ["all"])
    }

    async fn exchange(&self, request: ExchangeRequest) -> Result<TokenSet, ExchangeFailure> {
        let number = self.0.exchanges.count();
        self.0.times.lock().unwrap().push(self.0.clock.now());
        let act = self.0.script.lock().unwrap().pop_front();
        match act {
            Some(Act::Fail(cause, retry)) => return Err(failure(cause, retry)),
            Some(Act::Hang) => std::future::pending::<()>().await,
            Some(Act::Panic) => panic!("the integration has a defect"),
            Some(Act::RotateAndHang) => {
                self.rotate(&request.refresh_token.clone().unwrap()).unwrap();
                std::future::pending::<()>().await;
            }
            None => self.0.clock.sleep(Duration::from_millis(200)).await,
        }
        let refresh_token = match &request.refresh_token {
            Some(token) => Some(self.rotate(token).ok_or_else(|| failure(Cause::Revoked, Retry::Never))?.into()),
            None => None,
        };
        let access = Secret::new(format!("{}-{number}", request.tenant));
        Ok(TokenSet { access, expires_in: Some(Duration::from_secs(3_600)), refresh_token })
    }

    async fn send(&self, _: &Connection, _: Outbound) -> Result<http::Response<Bytes>> {
        Err(Error::internal("call provider", "not part of this test"))
    }

    fn snapshot(&self) -> IntegrationSnapshot {
        IntegrationSnapshot::default()
    }
}

pub(crate) fn settings() -> ConnectionSettings {
    ConnectionSettings::new(ProviderId::new("idp").unwrap()).with_entity("contoso")
}

pub(crate) fn secret() -> Credential {
    Credential::ClientSecret { client_id: "app".into(), client_secret: "s3cret".into() }
}

pub(crate) fn grant() -> Credential {
    Credential::RefreshToken { client_id: "app".into(), client_secret: None, refresh_token: "rt-0".into() }
}

/// A hub whose tenants stay awake.
pub(crate) async fn start_awake(disk: &Disk, provider: &Provider) -> Hub {
    let config = HubConfig { idle_after: Duration::from_secs(7 * 86_400), ..HubConfig::default() };
    disk.hub().with_config(config).with_integration(Arc::new(provider.clone())).start().await.unwrap()
}

pub(crate) async fn start(disk: &Disk, provider: &Provider) -> Hub {
    disk.hub().with_integration(Arc::new(provider.clone())).start().await.unwrap()
}

pub(crate) async fn connect(hub: &Hub, credential: Credential) -> Tenant {
    let tenant = contoso(hub).await;
    tenant.connections().create("idp", settings(), credential).await.unwrap();
    tenant
}

pub(crate) async fn token(tenant: &Tenant) -> Result<String> {
    let connection = tenant.connections().get("idp").await?;
    let key = TokenKey::new("api", ["all"]);
    Ok(connection.tokens().token(&key).await?.access().expose().to_owned())
}

pub(crate) async fn status(tenant: &Tenant) -> ConnectionStatus {
    tenant.connections().status("idp").await.unwrap()
}
