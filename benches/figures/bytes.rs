//! What one execution writes: bytes into the journal and how often they are synced, and bytes in all.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bifrost::store::embedded::{DiskHook, DiskOp, EmbeddedOptions, EmbeddedStore};
use bifrost::store::seal::LocalKeyFile;
use bifrost::{Hub, NewTenant, SystemEntropy};

use crate::figure::{Figure, Scale};
use crate::memory::written_bytes;
use crate::support::stage::{five_steps, folder, in_flight, run as run_once, runtime, title, trivial};

pub(crate) fn run(scale: Scale) -> Vec<Figure> {
    let cases = [("trivial", 1), ("trivial", 100), ("five_steps", 1), ("five_steps", 100)];
    let measured = |(workflow, at_once)| {
        let count = if at_once == 1 { scale.of(500, 2_000) } else { scale.of(5_000, 40_000) };
        runtime().block_on(written(workflow, at_once, count))
    };
    cases.into_iter().flat_map(measured).collect()
}

async fn written(workflow: &'static str, at_once: u64, count: u64) -> Vec<Figure> {
    let folder = folder();
    let counter = Arc::new(Counter::default());
    let hub = open(folder.path(), Arc::clone(&counter)).await;
    let tenant = hub.tenants().create(NewTenant::customer("contoso")).await.unwrap();
    run_once(&tenant, workflow).await.unwrap();
    let (before, all_before) = (counter.so_far(), written_bytes());
    let call = move || {
        let tenant = tenant.clone();
        async move { run_once(&tenant, workflow).await.unwrap() }
    };
    in_flight(count, at_once, call).await;
    let (after, all) = (counter.so_far(), written_bytes() - all_before);
    hub.shutdown(Duration::from_secs(60)).await.unwrap();
    let each = |total: u64, before: u64| (total - before) as f64 / count as f64;
    let named = |what: &str| format!("{}, {at_once} in flight, {what} per execution", title(workflow));
    vec![
        Figure::new(named("syncs"), each(after.syncs, before.syncs), ""),
        Figure::new(named("bytes synced"), each(after.synced, before.synced), "B"),
        Figure::new(named("bytes written"), all / count as f64, "B"),
    ]
}

/// A hub whose store tells `counter` what it writes.
async fn open(folder: &Path, counter: Arc<Counter>) -> Hub {
    let options = EmbeddedOptions::default().with_disk_hook(counter);
    let store = EmbeddedStore::open(folder.join("store"), options).await.unwrap();
    let keys = LocalKeyFile::open(folder.join("master.key"), Arc::new(SystemEntropy)).await.unwrap();
    let builder = Hub::builder().with_store(Arc::new(store), Arc::new(keys));
    builder.with_workflow(trivial()).with_workflow(five_steps()).start().await.unwrap()
}

/// Counts what the store syncs of its own files; what sled writes to those of the state passes it by.
#[derive(Debug, Default)]
struct Counter(Mutex<Counts>);

#[derive(Debug, Default, Clone)]
struct Counts {
    synced: u64,
    syncs: u64,
    /// Bytes of each file that are not synced yet.
    waiting: HashMap<PathBuf, u64>,
}

impl Counter {
    fn so_far(&self) -> Counts {
        self.0.lock().unwrap().clone()
    }
}

impl DiskHook for Counter {
    fn before(&self, op: DiskOp<'_>) -> io::Result<()> {
        let mut counts = self.0.lock().unwrap();
        match op {
            DiskOp::Write(path, _, bytes) => {
                *counts.waiting.entry(path.to_owned()).or_default() += bytes.len() as u64;
            }
            DiskOp::Sync(path) => {
                counts.syncs += 1;
                counts.synced += counts.waiting.remove(path).unwrap_or_default();
            }
            _ => {}
        }
        Ok(())
    }
}
