//! Ten thousand customers with a connection each: what starting costs, and what they hold, idle and live.

use std::time::Instant;

use bifrost::graph::GraphConfig;
use bifrost::{Credential, Hub, NewTenant, testing};

use crate::figure::{Figure, Scale};
use crate::memory::resident_mib;
use crate::support::stage::{folder, runtime};

pub(crate) fn run(scale: Scale) -> Vec<Figure> {
    runtime().block_on(many(scale.of(1_000, 10_000)))
}

async fn many(count: u64) -> Vec<Figure> {
    let folder = folder();
    let empty = resident_mib();
    fill(folder.path(), count).await;
    let before = resident_mib();
    let begun = Instant::now();
    let hub = open(folder.path()).await;
    let started = begun.elapsed();
    let idle = resident_mib();
    for number in 0..count {
        // Asking for its status wakes a connection with its tenant.
        hub.tenant(&name(number)).unwrap().connections().status("graph").await.unwrap();
    }
    let live = resident_mib();
    hub.shutdown(std::time::Duration::from_secs(60)).await.unwrap();
    let per = |mib: f64| mib * 1024.0 / count as f64;
    vec![
        Figure::new(format!("start with {count} customers"), started.as_secs_f64(), "s"),
        Figure::new("resident before", before.max(empty), "MiB"),
        Figure::new(format!("{count} customers at rest, more than before"), idle - before, "MiB"),
        Figure::new(format!("{count} customers awake with a connection, more than at rest"), live - idle, "MiB"),
        Figure::new("memory of a customer awake with a connection", per(live - idle), "KiB"),
    ]
}

fn name(number: u64) -> String {
    format!("customer-{number}")
}

/// Makes the customers in a child of this process's life that is over when it is measured.
async fn fill(folder: &std::path::Path, count: u64) {
    let hub = open(folder).await;
    for number in 0..count {
        let tenant = hub.tenants().create(NewTenant::customer(name(number))).await.unwrap();
        let settings = GraphConfig::new(format!("{}.com", name(number))).build().unwrap();
        let secret = Credential::client_secret(testing::DEMO_CLIENT_ID, testing::DEMO_CLIENT_SECRET);
        tenant.connections().create("graph", settings, secret).await.unwrap();
    }
    hub.shutdown(std::time::Duration::from_secs(60)).await.unwrap();
}

async fn open(folder: &std::path::Path) -> Hub {
    let simulators = testing::Simulators::builder().build();
    Hub::builder().with_data_dir(folder).with_integrations(testing::simulated(&simulators)).start().await.unwrap()
}
