//! Customers with a Graph connection each, so many that no published limit is in the way.

use std::net::SocketAddr;

use bifrost::graph::{Graph, GraphConfig};
use bifrost::{Credential, Hub, NewTenant};

const CUSTOMERS: usize = 400;
const CUSTOMERS_OF_ONE_APPLICATION: usize = 20;

/// A hub in memory, and a typed client for each customer, which has its token already.
pub(crate) async fn graphs(server: SocketAddr) -> (Hub, Vec<Graph>) {
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
