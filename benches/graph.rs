//! Reading a Graph user through the typed client, with budget, retry, token and record of the call, beside bare hyper
//! on the same connection pool size. Customers and applications are many, so that no published limit is in the way.

#![allow(missing_docs, clippy::unwrap_used, clippy::disallowed_methods)]

mod support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bifrost::graph::{Graph, GraphConfig};
use bifrost::{Credential, Hub, NewTenant};
use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

use support::answering;
use support::stage::{in_flight, runtime};

const AT_ONCE: u64 = 64;
const CUSTOMERS: usize = 400;
const CUSTOMERS_OF_ONE_APPLICATION: usize = 20;

async fn graphs(server: SocketAddr) -> (Hub, Vec<Graph>) {
    let hub = Hub::builder().with_integrations(bifrost::providers).start().await.unwrap();
    let mut graphs = Vec::new();
    for number in 0..CUSTOMERS {
        let tenant = hub.tenants().create(NewTenant::customer(format!("customer-{number}"))).await.unwrap();
        let url = |path: &str| format!("http://{server}/{path}").parse().unwrap();
        let settings = GraphConfig::new(format!("customer-{number}.com"))
            .with_endpoints(url("v1.0"), url("identity"))
            .allow_private_host("127.0.0.1");
        let application = format!("application-{}", number / CUSTOMERS_OF_ONE_APPLICATION);
        let secret = Credential::client_secret(application, "a secret of the bench");
        tenant.connections().create("graph", settings.build().unwrap(), secret).await.unwrap();
        tenant.connections().test("graph").await.unwrap();
        graphs.push(Graph::new(tenant.connections().get("graph").await.unwrap()).unwrap());
    }
    (hub, graphs)
}

fn reads(criterion: &mut Criterion) {
    let server = answering::start();
    let mut group = criterion.benchmark_group("graph read");
    group.throughput(Throughput::Elements(1));
    group.bench_function(BenchmarkId::new("bare hyper", AT_ONCE), |bencher| {
        let runtime = runtime();
        let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
        let call = move || {
            let client = client.clone();
            async move {
                let answer = client.get(format!("http://{server}/v1.0/users/1").parse().unwrap()).await.unwrap();
                answer.into_body().collect().await.unwrap();
            }
        };
        bencher.iter_custom(|count| runtime.block_on(in_flight(count, AT_ONCE, call.clone())));
    });
    group.bench_function(BenchmarkId::new("typed client", AT_ONCE), |bencher| {
        let runtime = runtime();
        let (_hub, graphs) = runtime.block_on(graphs(server));
        let (graphs, next) = (Arc::new(graphs), Arc::new(AtomicU64::new(0)));
        let call = move || {
            let (graphs, number) = (Arc::clone(&graphs), next.fetch_add(1, Ordering::Relaxed));
            async move {
                // Another user each time: identical reads that are under way at the same time are one call.
                let graph = &graphs[number as usize % graphs.len()];
                graph.users().get(&format!("user-{number}@contoso.com")).await.unwrap();
            }
        };
        bencher.iter_custom(|count| runtime.block_on(in_flight(count, AT_ONCE, call.clone())));
    });
    group.finish();
}

criterion_group!(benches, reads);
criterion_main!(benches);
