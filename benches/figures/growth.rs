//! What a customer more costs: executions per second and memory as customers grow tenfold and tenfold again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bifrost::{NewTenant, Tenant};

use crate::figure::{Figure, Scale};
use crate::memory::resident_mib;
use crate::support::stage::{Stage, in_flight, run as run_once, runtime};

const AT_ONCE: u64 = 100;

/// What fewer customers hold is lost among memory that the process has free anyway.
const COUNTABLE: usize = 1_000;

pub(crate) fn run(scale: Scale) -> Vec<Figure> {
    let sizes: &[usize] = if scale.full { &[10, 100, 1_000, 10_000] } else { &[10, 100, 1_000] };
    sizes.iter().flat_map(|size| runtime().block_on(with_customers(*size, scale.of(5_000, 40_000)))).collect()
}

async fn with_customers(customers: usize, count: u64) -> Vec<Figure> {
    let stage = Stage::open().await;
    let tenants = create(&stage, customers).await;
    let before = resident_mib();
    for tenant in &tenants {
        // A look at it wakes it, and writes nothing that would stay in the store's cache.
        tenant.snapshot().await.unwrap();
    }
    let awake = resident_mib();
    let call = over(tenants);
    in_flight(customers as u64, AT_ONCE, call.clone()).await;
    let took = in_flight(count, AT_ONCE, call).await;
    stage.close().await;
    let rate = count as f64 / took.as_secs_f64();
    let mut figures = vec![Figure::new(format!("trivial, 100 in flight, over {customers} customers"), rate, "/s")];
    if customers >= COUNTABLE {
        let each = (awake - before) * 1024.0 / customers as f64;
        figures.push(Figure::new(format!("memory of a customer awake, of {customers}"), each, "KiB"));
    }
    figures
}

async fn create(stage: &Stage, customers: usize) -> Vec<Tenant> {
    let mut tenants = Vec::new();
    for number in 0..customers {
        tenants.push(stage.hub.tenants().create(NewTenant::customer(format!("customer-{number}"))).await.unwrap());
    }
    tenants
}

/// A trivial execution of each of `tenants` in turn.
fn over(tenants: Vec<Tenant>) -> impl Fn() -> futures_util::future::BoxFuture<'static, ()> + Clone + Send {
    let (tenants, next) = (Arc::new(tenants), Arc::new(AtomicUsize::new(0)));
    move || {
        let tenant = tenants[next.fetch_add(1, Ordering::Relaxed) % tenants.len()].clone();
        Box::pin(async move { run_once(&tenant, "trivial").await.unwrap() })
    }
}
