//! Reading a live token: what every call to a provider does first.

use bifrost::graph::GraphConfig;
use bifrost::{Credential, Hub, NewTenant, testing};

use crate::each;

#[tokio::test]
async fn a_live_token_is_read_without_allocating() {
    let simulators = testing::Simulators::builder().build();
    let hub = Hub::builder().with_integrations(testing::simulated(&simulators)).start().await.unwrap();
    let tenant = hub.tenants().create(NewTenant::customer("contoso")).await.unwrap();
    let secret = Credential::client_secret(testing::DEMO_CLIENT_ID, testing::DEMO_CLIENT_SECRET);
    let settings = GraphConfig::new("contoso.com").build().unwrap();
    tenant.connections().create("graph", settings, secret).await.unwrap();
    let connection = tenant.connections().get("graph").await.unwrap();
    let key = connection.default_token();
    let first = connection.tokens().token(&key).await.unwrap();
    let allocations = each(100, || {
        for _ in 0..100 {
            assert_eq!(connection.tokens().live(&key).unwrap().generation(), first.generation());
        }
    });
    assert!(allocations <= 0.0, "{allocations} allocations for each read");
}
