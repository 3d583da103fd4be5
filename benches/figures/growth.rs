//! What a customer more costs: executions per second and memory as customers grow tenfold and tenfold again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bifrost::NewTenant;

use crate::figure::{Figure, Scale};
use crate::memory::resident_mib;
use crate::support::stage::{Stage, in_flight, run as run_once, runtime};

const AT_ONCE: u64 = 100;

pub(crate) fn run(scale: Scale) -> Vec<Figure> {
    let sizes: &[usize] = if scale.full { &[10, 100, 1_000, 10_000] } else { &[10, 100, 1_000] };
    sizes.iter().flat_map(|size| runtime().block_on(with_customers(*size, scale.of(5_000, 40_000)))).collect()
}

async fn with_customers(customers: usize, count: u64) -> Vec<Figure> {
    let stage = Stage::open().await;
    let mut tenants = Vec::new();
    for number in 0..customers {
        tenants.push(stage.hub.tenants().create(NewTenant::customer(format!("customer-{number}"))).await.unwrap());
    }
    let before = resident_mib();
    let next = Arc::new(AtomicUsize::new(0));
    let call = move || {
        let tenant = tenants[next.fetch_add(1, Ordering::Relaxed) % customers].clone();
        async move { run_once(&tenant, "trivial").await.unwrap() }
    };
    // Everybody is awake before it is measured.
    in_flight(customers as u64, AT_ONCE, call.clone()).await;
    let awake = resident_mib();
    let took = in_flight(count, AT_ONCE, call).await;
    stage.close().await;
    vec![
        Figure::new(
            format!("trivial, 100 at once, over {customers} customers"),
            count as f64 / took.as_secs_f64(),
            "/s",
        ),
        Figure::new(
            format!("memory of a customer awake, of {customers}"),
            (awake - before) * 1024.0 / customers as f64,
            "KiB",
        ),
    ]
}
