//! Reading a live token: what every call to a provider does first.

#![allow(missing_docs, clippy::unwrap_used, clippy::disallowed_methods)]

mod support;

use std::hint::black_box;

use bifrost::credential::TokenKey;
use bifrost::graph::GraphConfig;
use bifrost::{Connection, Credential, Hub, NewTenant, testing};
use criterion::{Criterion, criterion_group, criterion_main};

use support::stage::runtime;

async fn connected() -> (Hub, Connection, TokenKey) {
    let simulators = testing::Simulators::builder().build();
    let hub = Hub::builder().with_integrations(testing::simulated(&simulators)).start().await.unwrap();
    let tenant = hub.tenants().create(NewTenant::customer("contoso")).await.unwrap();
    let secret = Credential::client_secret(testing::DEMO_CLIENT_ID, testing::DEMO_CLIENT_SECRET);
    let settings = GraphConfig::new("contoso.com").build().unwrap();
    tenant.connections().create("graph", settings, secret).await.unwrap();
    let connection = tenant.connections().get("graph").await.unwrap();
    let key = TokenKey::new("https://graph.microsoft.com", ["https://graph.microsoft.com/.default"]);
    connection.tokens().token(&key).await.unwrap();
    // An equal key and not the same one, as every caller's is.
    let key = TokenKey::new(key.audience(), key.scopes().to_vec());
    (hub, connection, key)
}

fn live_token(criterion: &mut Criterion) {
    let runtime = runtime();
    let (_hub, connection, key) = runtime.block_on(connected());
    criterion.bench_function("live token", |bencher| {
        bencher.iter(|| black_box(connection.tokens().live(black_box(&key)).unwrap()));
    });
}

criterion_group!(benches, live_token);
criterion_main!(benches);
