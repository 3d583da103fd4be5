//! Reading a live token: what every call to a provider does first.

#![allow(missing_docs, clippy::unwrap_used, clippy::disallowed_methods)]

mod support;

use std::hint::black_box;

use bifrost::credential::TokenKey;
use bifrost::graph::GraphConfig;
use bifrost::{Connection, Credential, Hub, NewTenant, testing};
use criterion::{Criterion, criterion_group, criterion_main};
use futures_util::FutureExt as _;

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
    (hub, connection, key)
}

fn live_token(criterion: &mut Criterion) {
    let runtime = runtime();
    let (_hub, connection, key) = runtime.block_on(connected());
    // A live token is there at the first poll: no task, no timer, no message.
    criterion.bench_function("live token", |bencher| {
        bencher.iter(|| black_box(connection.tokens().token(&key).now_or_never().unwrap().unwrap()));
    });
}

criterion_group!(benches, live_token);
criterion_main!(benches);
