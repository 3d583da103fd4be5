//! Very many connections of one application that expire together, over the real exchange: the token endpoint is asked
//! at the configured rate, and nobody who holds a live token is kept waiting.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bifrost::connection::ConnectionState;
use bifrost::graph::{GraphConfig, GraphIntegration};
use bifrost::http::{Limits, Transport, TransportError};
use bifrost::oauth::EXCHANGES_PER_SECOND;
use bifrost::store::memory::MemoryStore;
use bifrost::store::seal::EphemeralKey;
use bifrost::testing::{SeededEntropy, TokioClock};
use bifrost::{Clock, Connection, Credential, Hub, HubConfig, NewTenant};
use bytes::Bytes;
use futures_util::future::join_all;
use tokio::time::sleep;

use crate::findings::Findings;
use crate::lab::Round;

/// How long a token lives at the endpoint.
const LIFETIME: Duration = Duration::from_secs(3_599);
const TENANTS: u64 = 20;

/// A token endpoint that notes when it was asked.
#[derive(Debug)]
struct Endpoint {
    clock: Arc<dyn Clock>,
    asked: Mutex<Vec<Duration>>,
}

#[async_trait]
impl Transport for Endpoint {
    async fn send(&self, _: http::Request<Bytes>, _: Limits<'_>) -> Result<http::Response<Bytes>, TransportError> {
        let number = {
            let mut asked = self.asked.lock().unwrap();
            asked.push(self.clock.monotonic());
            asked.len()
        };
        self.clock.sleep(Duration::from_millis(150)).await;
        let body = format!(r#"{{"access_token":"at-{number}","token_type":"Bearer","expires_in":3599}}"#);
        Ok(http::Response::builder().header("content-type", "application/json").body(Bytes::from(body)).unwrap())
    }
}

impl Endpoint {
    /// The most requests of any second, however the seconds are laid, and of any ten.
    fn peaks(&self) -> [usize; 2] {
        let asked = self.asked.lock().unwrap();
        [1, 10].map(|seconds| {
            let window = Duration::from_secs(seconds);
            let within = |(at, first): (usize, &Duration)| asked.partition_point(|one| *one < *first + window) - at;
            asked.iter().enumerate().map(within).max().unwrap_or(0)
        })
    }

    fn count(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

pub(super) async fn all_together(round: &Round, findings: &mut Findings) {
    let clock: Arc<dyn Clock> = Arc::new(TokioClock::starting_at("2026-01-01T00:00:00Z".parse().unwrap()));
    let endpoint = Arc::new(Endpoint { clock: Arc::clone(&clock), asked: Mutex::default() });
    let entropy = Arc::new(SeededEntropy::new(round.seed));
    let keys = EphemeralKey::generate(Arc::new(SeededEntropy::new(1)));
    let graph = GraphIntegration::over(endpoint.clone(), Arc::clone(&clock), entropy.clone()).unwrap();
    let config = HubConfig { max_waiting_calls: 100_000, idle_after: 10 * LIFETIME, ..HubConfig::default() };
    let hub = Hub::builder()
        .with_store(Arc::new(MemoryStore::new()), Arc::new(keys))
        .with_clock(Arc::clone(&clock))
        .with_entropy(entropy)
        .with_config(config)
        .with_integration(Arc::new(graph));
    let hub = hub.start().await.unwrap();
    let count = round.scale(1_000, 10_000);
    let connections = connect(&hub, count).await;

    // Cold: everybody asks at once, and asks again when it is said that this helps.
    let cold = join_all(connections.iter().map(patient)).await;
    let failed = cold.iter().filter(|served| !**served).count();
    findings.check(failed == 0, || format!("{failed} of {count} connections got no token"));
    let asked = endpoint.count();
    findings.check(asked as u64 == count, || format!("{count} connections took {asked} exchanges"));
    judge(&endpoint, "cold", findings);

    // All tokens were issued within a few seconds or minutes: they expire together.
    let (looks, last) = (60, Duration::from_secs(620));
    sleep(LIFETIME - last).await;
    for _ in 0..looks {
        for connection in &connections {
            let token = connection.tokens().token(&connection.default_token()).await;
            findings.check(token.is_ok(), || format!("around the expiry: {}", token.unwrap_err()));
        }
        sleep(last / looks).await;
    }
    sleep(Duration::from_secs(60)).await;
    for (connection, number) in connections.iter().zip(0..) {
        findings.attempt();
        let token = connection.tokens().token(&connection.default_token()).await.unwrap();
        findings.check(token.generation() == 2, || format!("a token of generation {}", token.generation()));
        let tenant = hub.tenant(&tenant(number)).unwrap();
        let status = tenant.connections().status(connection.id().as_str()).await.unwrap();
        findings.check(status.state == ConnectionState::Active, || format!("a connection stands at {status:?}"));
    }
    let asked = endpoint.count() as u64;
    findings.check(asked == 2 * count, || format!("{count} connections took {asked} exchanges in two lifetimes"));
    judge(&endpoint, "renewed", findings);
}

fn judge(endpoint: &Endpoint, when: &str, findings: &mut Findings) {
    let allowed = EXCHANGES_PER_SECOND as usize;
    let [second, ten] = endpoint.peaks();
    findings.check(second <= allowed, || format!("{when}: {second} exchanges in one second, allowed are {allowed}"));
    findings.check(ten <= 10 * allowed, || format!("{when}: {ten} exchanges in ten seconds"));
    if when == "renewed" {
        findings.count("most exchanges in one second", second as f64);
    }
}

fn tenant(number: u64) -> String {
    format!("customer-{}", number % TENANTS)
}

async fn connect(hub: &Hub, count: u64) -> Vec<Connection> {
    let mut connections = Vec::new();
    for number in 0..TENANTS {
        hub.tenants().create(NewTenant::customer(tenant(number))).await.unwrap();
    }
    for number in 0..count {
        let tenant = hub.tenant(&tenant(number)).unwrap();
        let (settings, id) = (GraphConfig::new("contoso.com").build().unwrap(), format!("graph-{number}"));
        tenant.connections().create(&id, settings, Credential::client_secret("app", "secret")).await.unwrap();
        connections.push(tenant.connections().get(&id).await.unwrap());
    }
    connections
}

async fn patient(connection: &Connection) -> bool {
    for _ in 0..100 {
        match connection.tokens().token(&connection.default_token()).await {
            Ok(_) => return true,
            Err(error) if error.is_retryable() => {
                sleep(error.retry_after().unwrap_or(Duration::from_secs(1))).await;
            }
            Err(_) => return false,
        }
    }
    false
}
