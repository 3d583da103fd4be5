//! A customer beside another who floods: how much longer its executions take.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use bifrost::{NewTenant, Tenant};
use futures_util::future::join_all;

use crate::figure::{Figure, Scale};
use crate::support::percentiles::Percentiles;
use crate::support::stage::{Stage, run as run_once, runtime};

/// As many callers of the flooding customer never let up; it may have 100 executions at a time by default.
const FLOOD: usize = 1_000;

pub(crate) fn run(scale: Scale) -> Vec<Figure> {
    runtime().block_on(beside_a_flood(scale.of(300, 2_000)))
}

async fn beside_a_flood(count: u64) -> Vec<Figure> {
    let stage = Stage::open().await;
    let quiet = measure(stage.tenant.clone(), count).await;
    let other = stage.hub.tenants().create(NewTenant::customer("fabrikam")).await.unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let flood: Vec<_> = (0..FLOOD).map(|_| tokio::spawn(flood(other.clone(), Arc::clone(&stop)))).collect();
    let loud = measure(stage.tenant.clone(), count).await;
    stop.store(true, Ordering::Relaxed);
    let done: u64 = join_all(flood).await.into_iter().map(Result::unwrap).sum();
    stage.close().await;
    vec![
        Figure::new("beside a flood, trivial, p50", loud.ms(50), "ms").beside(quiet.ms(50)),
        Figure::new("beside a flood, trivial, p99", loud.ms(99), "ms").beside(quiet.ms(99)),
        Figure::new("executions of the one who floods", done as f64, ""),
    ]
}

async fn measure(tenant: Tenant, count: u64) -> Percentiles {
    let durations = tokio::spawn(async move {
        let mut durations = Vec::new();
        for _ in 0..count {
            let begun = Instant::now();
            run_once(&tenant, "trivial").await.unwrap();
            durations.push(begun.elapsed());
        }
        durations
    });
    Percentiles::of(durations.await.unwrap())
}

async fn flood(tenant: Tenant, stop: Arc<AtomicBool>) -> u64 {
    let mut done = 0;
    while !stop.load(Ordering::Relaxed) {
        match run_once(&tenant, "trivial").await {
            Ok(()) => done += 1,
            // Over its quota: it is told so, and tries again at once.
            Err(_) => tokio::task::yield_now().await,
        }
    }
    done
}
