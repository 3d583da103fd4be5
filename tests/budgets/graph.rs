//! Reading a Graph user, from the typed call to the type, with an HTTP client and its connection on this thread.

use std::net::SocketAddr;

use bifrost::graph::{Graph, GraphConfig};
use bifrost::{Credential, Hub, NewTenant};
use tokio::runtime::{Builder, Runtime};

use crate::{answering, each};

const READS: u32 = 100;

async fn connected(server: SocketAddr) -> (Hub, Graph) {
    let hub = Hub::builder().with_integrations(bifrost::providers).start().await.unwrap();
    let tenant = hub.tenants().create(NewTenant::customer("contoso")).await.unwrap();
    let url = |path: &str| format!("http://{server}/{path}").parse().unwrap();
    let settings =
        GraphConfig::new("contoso.com").with_endpoints(url("v1.0"), url("identity")).allow_private_host("127.0.0.1");
    let secret = Credential::client_secret("application", "a secret of the test");
    tenant.connections().create("graph", settings.build().unwrap(), secret).await.unwrap();
    tenant.connections().test("graph").await.unwrap();
    let graph = Graph::new(tenant.connections().get("graph").await.unwrap()).unwrap();
    (hub, graph)
}

#[inline(never)]
fn read(runtime: &Runtime, graph: &Graph) {
    runtime.block_on(async {
        for _ in 0..READS {
            graph.users().get("adele.vance@contoso.com").await.unwrap();
        }
    });
}

#[test]
fn a_read_of_a_user_stays_within_its_allocations() {
    // Counted: 100, more than half of them by the HTTP client.
    const MOST: f64 = 102.0;
    let server = answering::start();
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let (_hub, graph) = runtime.block_on(connected(server));
    read(&runtime, &graph);
    let allocations = each(READS, || read(&runtime, &graph));
    assert!(allocations <= MOST, "{allocations} allocations for each read");
}
