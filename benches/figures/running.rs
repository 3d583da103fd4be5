//! What an execution that runs holds in memory: many that have made a step and now wait.

use std::sync::Arc;
use std::time::Duration;

use bifrost::policy::quota::Quota;
use bifrost::{Context, Hub, HubConfig, NewTenant, Workflow, workflow};
use tokio::sync::Semaphore;

use crate::figure::{Figure, Scale};
use crate::memory::resident_mib;
use crate::support::stage::{folder, in_flight, runtime};

/// As many acceptances share the syncs.
const AT_ONCE: u64 = 100;

pub(crate) fn run(scale: Scale) -> Vec<Figure> {
    runtime().block_on(waiting(scale.of(1_000, 10_000)))
}

async fn waiting(count: u64) -> Vec<Figure> {
    let folder = folder();
    let begun = Arc::new(Semaphore::new(0));
    let config = HubConfig { max_running: count as usize + 1, ..HubConfig::default() };
    let builder = Hub::builder().with_data_dir(folder.path()).with_config(config);
    let hub = builder.with_workflow(waits(Arc::clone(&begun))).start().await.unwrap();
    let room = count as u32 + 1;
    let quota = Quota { max_running: room, max_in_flight: room, ..Quota::default() };
    let tenant = hub.tenants().create(NewTenant::customer("contoso").with_quota(quota)).await.unwrap();
    tenant.run("waits", 1_u64).await.unwrap();
    drop(begun.acquire().await.unwrap());
    let before = resident_mib();
    let call = {
        let tenant = tenant.clone();
        move || {
            let tenant = tenant.clone();
            async move { drop(tenant.run("waits", 1_u64).await.unwrap()) }
        }
    };
    in_flight(count, AT_ONCE, call).await;
    drop(begun.acquire_many(room).await.unwrap());
    let more = resident_mib() - before;
    hub.shutdown(Duration::from_secs(60)).await.unwrap();
    vec![Figure::new("memory of an execution that runs", more * 1024.0 / count as f64, "KiB")]
}

/// A workflow that makes a step, says so, and then waits for longer than anybody measures.
fn waits(begun: Arc<Semaphore>) -> impl Workflow {
    workflow("waits", move |ctx: Context, number: u64| {
        let begun = Arc::clone(&begun);
        async move {
            ctx.step("begin", || async { Ok(number) }).await?;
            begun.add_permits(1);
            ctx.sleep(Duration::from_secs(3_600)).await;
            Ok(number)
        }
    })
    .unwrap()
}
