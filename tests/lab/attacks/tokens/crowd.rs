//! Ten thousand callers at one expiry.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bifrost::store::memory::MemoryStore;
use bifrost::store::seal::EphemeralKey;
use bifrost::testing::{SeededEntropy, TokioClock};
use bifrost::{Clock, Hub, HubConfig, NewTenant, SystemClock};
use futures_util::future::join_all;

use super::platform::{LATENCY, Platform, Reuse, settings};
use crate::findings::Findings;

const CALLERS: usize = 10_000;

pub(super) async fn one_expiry(findings: &mut Findings, real: bool) {
    let clock: Arc<dyn Clock> = match real {
        true => Arc::new(SystemClock::new()),
        false => Arc::new(TokioClock::starting_at("2026-01-01T00:00:00Z".parse().unwrap())),
    };
    let platform = Platform::new(Arc::clone(&clock), Reuse::Strict);
    let hub = Hub::builder()
        .with_store(Arc::new(MemoryStore::new()), Arc::new(EphemeralKey::generate(Arc::new(SeededEntropy::new(1)))))
        .with_clock(clock)
        .with_config(HubConfig { max_waiting_calls: 2 * CALLERS, ..HubConfig::default() })
        .with_integration(Arc::new(platform.clone()))
        .start()
        .await
        .unwrap();
    let tenant = hub.tenants().create(NewTenant::customer("contoso")).await.unwrap();
    tenant.connections().create("idp", settings(), platform.sign_in()).await.unwrap();
    let connection = tenant.connections().get("idp").await.unwrap();
    let mut rejected = None;
    for expiry in 1..=3_u64 {
        findings.attempt();
        let callers = (0..CALLERS).map(|_| {
            let (connection, rejected) = (connection.clone(), rejected.clone());
            tokio::spawn(async move {
                let (asked, key) = (Instant::now(), connection.default_token());
                let token = match rejected {
                    None => connection.tokens().token(&key).await,
                    Some(rejected) => connection.tokens().replace(&key, &rejected).await,
                };
                (token, asked.elapsed())
            })
        });
        let mut waits = Vec::with_capacity(CALLERS);
        for answer in join_all(callers).await {
            let (token, waited) = answer.unwrap();
            waits.push(waited);
            match token {
                Ok(token) if token.generation() == expiry => rejected = Some(token),
                other => return findings.violation(format!("a caller of expiry {expiry} was given {other:?}")),
            }
        }
        let sent = platform.exchanges();
        findings.check(sent == expiry, || format!("{sent} exchanges at {expiry} expiries of {CALLERS} callers"));
        if real {
            waits.sort();
            let slowest = waits[CALLERS * 99 / 100].saturating_sub(LATENCY);
            findings.count("p99 beyond the exchange, ms, summed", slowest.as_secs_f64() * 1e3);
            findings.check(slowest < Duration::from_secs(2), || format!("p99 waited {slowest:?} longer than it took"));
        }
    }
    findings.check(!platform.is_revoked(), || "a refresh token was spent twice".to_owned());
}
