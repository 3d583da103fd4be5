//! A hub with a long past: opening it again, its memory, its size, and a page of its history anywhere.

use std::time::{Duration, Instant};

use crate::figure::{Figure, Scale};
use crate::memory::{folder_bytes, resident_mib};
use crate::support::percentiles::Percentiles;
use crate::support::stage::{Stage, in_flight, open, run as run_once, runtime};

const PAGE: usize = 50;

pub(crate) fn run(scale: Scale) -> Vec<Figure> {
    let count = scale.of(50_000, 1_000_000);
    let stage = runtime().block_on(filled(count));
    // A new process opens it; so does a new runtime, with what the old one held given back.
    runtime().block_on(reopened(&stage, count))
}

async fn filled(count: u64) -> tempfile::TempDir {
    let stage = Stage::open().await;
    let tenant = stage.tenant.clone();
    let call = move || {
        let tenant = tenant.clone();
        async move { run_once(&tenant, "trivial").await.unwrap() }
    };
    in_flight(count, 200, call).await;
    stage.hub.shutdown(Duration::from_secs(60)).await.unwrap();
    stage.folder
}

async fn reopened(folder: &tempfile::TempDir, count: u64) -> Vec<Figure> {
    let size = folder_bytes(folder.path());
    let before = resident_mib();
    let begun = Instant::now();
    let hub = open(folder.path()).await;
    let took = begun.elapsed();
    let more = resident_mib() - before;
    let tenant = hub.tenant("contoso").unwrap();
    let (mut durations, mut last) = (Vec::new(), None);
    loop {
        let begun = Instant::now();
        let page = tenant.executions(last, PAGE).await.unwrap();
        durations.push(begun.elapsed());
        match page.last() {
            Some(record) if page.len() == PAGE => last = Some(record.id),
            _ => break,
        }
    }
    let pages = Percentiles::of(durations);
    hub.shutdown(Duration::from_secs(60)).await.unwrap();
    vec![
        Figure::new(format!("opening with {count} finished executions"), took.as_secs_f64(), "s"),
        Figure::new("memory it takes to open it", more, "MiB"),
        Figure::new("size on disk per execution", size as f64 / count as f64, "B"),
        Figure::new("page of 50 of the history at any depth, p50", pages.ms(50), "ms"),
        Figure::new("page of 50 of the history at any depth, p99", pages.ms(99), "ms"),
    ]
}
