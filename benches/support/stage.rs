//! A hub on a disk, and work for it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bifrost::{Context, Hub, NewTenant, Result, Tenant, Workflow, workflow};
use futures_util::future::join_all;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

/// How long a stage may take to close.
const CLOSES_WITHIN: Duration = Duration::from_secs(60);

/// A runtime like that of a service: as many threads as cores.
pub(crate) fn runtime() -> Runtime {
    Builder::new_multi_thread().enable_all().build().unwrap()
}

/// A folder on the disk that the figures are about: `BIFROST_BENCH_FOLDER`, or where temporary files go.
pub(crate) fn folder() -> TempDir {
    match std::env::var_os("BIFROST_BENCH_FOLDER") {
        Some(folder) => tempfile::tempdir_in(folder).unwrap(),
        None => tempfile::tempdir().unwrap(),
    }
}

/// A workflow that only answers: two commits, its acceptance and its end.
pub(crate) fn trivial() -> impl Workflow {
    workflow("trivial", |_: Context, number: u64| async move { Ok(number) }).unwrap()
}

/// A workflow of five durable steps.
pub(crate) fn five_steps() -> impl Workflow {
    workflow("five_steps", |ctx: Context, number: u64| async move {
        let mut sum = 0;
        for step in 0..5 {
            sum += ctx.step("add", || async { Ok(number + step) }).await?;
        }
        Ok(sum)
    })
    .unwrap()
}

/// What a table calls a workflow.
pub(crate) fn title(workflow: &str) -> String {
    workflow.replace('_', " ")
}

/// A hub on a disk with one customer.
pub(crate) struct Stage {
    pub(crate) hub: Hub,
    pub(crate) tenant: Tenant,
    pub(crate) folder: TempDir,
}

impl Stage {
    pub(crate) async fn open() -> Self {
        let folder = folder();
        let hub = open(folder.path()).await;
        let tenant = hub.tenants().create(NewTenant::customer("contoso")).await.unwrap();
        Self { hub, tenant, folder }
    }

    pub(crate) async fn close(self) {
        self.hub.shutdown(CLOSES_WITHIN).await.unwrap();
    }
}

/// A hub on `folder` that knows the workflows above.
pub(crate) async fn open(folder: &Path) -> Hub {
    let builder = Hub::builder().with_data_dir(folder);
    builder.with_workflow(trivial()).with_workflow(five_steps()).start().await.unwrap()
}

/// Runs `workflow` once, from acceptance to its outcome.
pub(crate) async fn run(tenant: &Tenant, workflow: &str) -> Result<()> {
    tenant.run(workflow, 1_u64).await?.wait().await?.into_output().map(drop)
}

/// How long `count` calls take when so many are under way at any time.
pub(crate) async fn in_flight<F>(count: u64, at_once: u64, call: impl Fn() -> F + Clone + Send + 'static) -> Duration
where
    F: Future<Output = ()> + Send,
{
    let begun = Instant::now();
    let left = Arc::new(AtomicU64::new(count));
    let lanes = (0..at_once.min(count)).map(|_| {
        let (left, call) = (Arc::clone(&left), call.clone());
        tokio::spawn(async move {
            while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
                call().await;
            }
        })
    });
    for lane in join_all(lanes).await {
        lane.unwrap();
    }
    begun.elapsed()
}
