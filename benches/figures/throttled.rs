//! A customer at its limit: 5,000 reads through a budget of 2,500 units in ten seconds, 64 at a time.
//!
//! Two hundredths of a limit are left unused, which costs 0.2 s once, however many the reads: with fewer of them it is a
//! larger part of the whole.

use std::time::Instant;

use bifrost::graph::{Graph, GraphConfig};
use bifrost::testing::{Customer, GraphLimits, Rate, Simulators};
use bifrost::{Credential, Hub, NewTenant, testing};

use crate::figure::{Figure, Scale};
use crate::support::stage::{in_flight, runtime};

const UNITS: u32 = 2_500;
const SECONDS: u64 = 10;
const AT_ONCE: u64 = 64;

pub(crate) fn run(scale: Scale) -> Vec<Figure> {
    runtime().block_on(reads(scale.of(4_000, 5_000)))
}

async fn reads(count: u64) -> Vec<Figure> {
    let simulators = Simulators::builder()
        .with_customers([Customer::new("contoso", "Contoso", "contoso.com").with_many_users(count as usize)])
        .with_graph_limits(GraphLimits::default().with_tenant_units(Rate::per_seconds(UNITS, SECONDS)))
        .build();
    let hub = Hub::builder().with_integrations(testing::simulated(&simulators)).start().await.unwrap();
    let tenant = hub.tenants().create(NewTenant::customer("contoso")).await.unwrap();
    let secret = Credential::client_secret(testing::DEMO_CLIENT_ID, testing::DEMO_CLIENT_SECRET);
    let settings = GraphConfig::new("contoso.com").build().unwrap();
    tenant.connections().create("graph", settings, secret).await.unwrap();
    let graph = Graph::new(tenant.connections().get("graph").await.unwrap()).unwrap();
    let users: Vec<String> =
        simulators.graph().users("contoso").into_iter().map(|user| user.user_principal_name).collect();
    let next = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let (sent, refused) = (simulators.request_count(), simulators.throttled_count());
    let begun = Instant::now();
    in_flight(count, AT_ONCE, move || {
        let user = users[next.fetch_add(1, std::sync::atomic::Ordering::Relaxed) % users.len()].clone();
        let graph = graph.clone();
        async move { drop(graph.users().get(&user).await.unwrap()) }
    })
    .await;
    let took = begun.elapsed().as_secs_f64();
    let sent = (simulators.request_count() - sent) as f64;
    let refused = (simulators.throttled_count() - refused) as f64;
    // The bucket is full at first; the rest comes as it refills.
    let ideal = (count as f64 - f64::from(UNITS)) * SECONDS as f64 / f64::from(UNITS);
    vec![
        Figure::new(format!("{count} reads at {UNITS} per {SECONDS} s"), took, "s").beside(ideal),
        Figure::new("share of them answered 429", refused / sent * 100.0, "%"),
    ]
}
