//! Ten thousand customers with a connection each: what starting costs, and what they hold, idle and live.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bifrost::graph::GraphConfig;
use bifrost::{Credential, Hub, NewTenant, Tenant, testing};

use crate::apart::Part;
use crate::figure::{Figure, Scale};
use crate::memory::resident_mib;
use crate::support::stage::{folder, in_flight, runtime};

const CLOSES_WITHIN: Duration = Duration::from_secs(60);
const AT_ONCE: u64 = 32;

/// Makes the customers. Apart, because memory it used would be free for what is measured.
pub(crate) const FILL: Part = Part {
    name: "tenants/fill",
    run: |folder, count| {
        runtime().block_on(fill(folder, count));
        Vec::new()
    },
};

/// A hub with nobody in it: what the others are measured beside.
pub(crate) const EMPTY: Part = Part {
    name: "tenants/empty",
    run: |folder, _| {
        runtime().block_on(async {
            let hub = open(folder).await;
            let figures = vec![Figure::new("resident with no customers", resident_mib(), "MiB")];
            hub.shutdown(CLOSES_WITHIN).await.unwrap();
            figures
        })
    },
};

/// Starting with all of them there, and waking them.
pub(crate) const START: Part =
    Part { name: "tenants/start", run: |folder, count| runtime().block_on(started(folder, count)) };

pub(crate) fn run(scale: Scale) -> Vec<Figure> {
    let count = scale.of(1_000, 10_000);
    let (nobody, many) = (folder(), folder());
    let empty = EMPTY.apart(nobody.path(), 0);
    FILL.apart(many.path(), count);
    let mut figures = START.apart(many.path(), count);
    let more = figures[1].value - empty[0].value;
    let each = more * 1024.0 / count as f64;
    figures.splice(
        1..2,
        [
            empty[0].clone(),
            Figure::new(format!("{count} customers with a connection at rest, over an empty hub"), more, "MiB"),
            Figure::new("memory of a customer at rest, with its connection", each, "KiB"),
        ],
    );
    figures
}

async fn started(folder: &Path, count: u64) -> Vec<Figure> {
    let begun = Instant::now();
    let hub = open(folder).await;
    let took = begun.elapsed();
    let idle = resident_mib();
    for number in 0..count {
        // A look at a tenant wakes it, and none of its connections.
        tenant(&hub, number).snapshot().await.unwrap();
    }
    let awake = resident_mib();
    for number in 0..count {
        tenant(&hub, number).connections().status("graph").await.unwrap();
    }
    let live = resident_mib();
    hub.shutdown(CLOSES_WITHIN).await.unwrap();
    let per = |mib: f64| mib * 1024.0 / count as f64;
    vec![
        Figure::new(format!("start with {count} customers with a connection"), took.as_secs_f64(), "s"),
        Figure::new("resident with customers", idle, "MiB"),
        Figure::new("memory of a customer awake, more than at rest", per(awake - idle), "KiB"),
        Figure::new("memory of a connection in use", per(live - awake), "KiB"),
    ]
}

async fn fill(folder: &Path, count: u64) {
    let hub = open(folder).await;
    let (filled, next) = (hub.clone(), Arc::new(AtomicU64::new(0)));
    let call = move || {
        let (hub, number) = (filled.clone(), next.fetch_add(1, Ordering::Relaxed));
        async move {
            let tenant = hub.tenants().create(NewTenant::customer(name(number))).await.unwrap();
            let settings = GraphConfig::new(format!("{}.com", name(number))).build().unwrap();
            let secret = Credential::client_secret(testing::DEMO_CLIENT_ID, testing::DEMO_CLIENT_SECRET);
            tenant.connections().create("graph", settings, secret).await.unwrap();
        }
    };
    in_flight(count, AT_ONCE, call).await;
    hub.shutdown(CLOSES_WITHIN).await.unwrap();
}

fn tenant(hub: &Hub, number: u64) -> Tenant {
    hub.tenant(&name(number)).unwrap()
}

fn name(number: u64) -> String {
    format!("customer-{number}")
}

async fn open(folder: &Path) -> Hub {
    let simulators = testing::Simulators::builder().build();
    Hub::builder().with_data_dir(folder).with_integrations(testing::simulated(&simulators)).start().await.unwrap()
}
