//! A hub with a long past: how its store grows, opening it again, its memory, and a page of its history anywhere.

use std::path::Path;
use std::time::{Duration, Instant};

use bifrost::{NewTenant, Tenant};

use crate::apart::Part;
use crate::figure::{Figure, Scale};
use crate::memory::{folder_bytes, resident_mib};
use crate::support::percentiles::Percentiles;
use crate::support::stage::{folder, in_flight, open, run as run_once, runtime};

const PAGE: usize = 50;
const AT_ONCE: u64 = 200;
const CUSTOMER: &str = "contoso";
const SIZE: &str = "size of the store";
const CLOSES_WITHIN: Duration = Duration::from_secs(60);

/// Runs that many executions; each leaves a record in the audit trail, too.
pub(crate) const FILL: Part =
    Part { name: "history/fill", run: |folder, count| runtime().block_on(filled(folder, count)) };

/// Opens what is there and reads all of its history.
pub(crate) const REOPEN: Part =
    Part { name: "history/reopen", run: |folder, count| runtime().block_on(reopened(folder, count)) };

pub(crate) fn run(scale: Scale) -> Vec<Figure> {
    let (few, all) = (scale.of(5_000, 100_000), scale.of(50_000, 1_000_000));
    let folder = folder();
    let mut figures = FILL.apart(folder.path(), few);
    figures.extend(FILL.apart(folder.path(), all - few));
    figures.extend(REOPEN.apart(folder.path(), all));
    for (count, figure) in [few, all].into_iter().zip(figures.iter_mut().filter(|figure| figure.name == SIZE)) {
        let each = figure.value / count as f64;
        *figure = Figure::new(format!("size of the store per execution, of {count}"), each, "B");
    }
    figures
}

async fn filled(folder: &Path, count: u64) -> Vec<Figure> {
    let hub = open(folder).await;
    let tenant = hub.tenants().get_or_create(NewTenant::customer(CUSTOMER)).await.unwrap();
    let call = move || {
        let tenant = tenant.clone();
        async move { run_once(&tenant, "trivial").await.unwrap() }
    };
    in_flight(count, AT_ONCE, call).await;
    hub.shutdown(CLOSES_WITHIN).await.unwrap();
    vec![Figure::new(SIZE, folder_bytes(folder) as f64, "B")]
}

async fn reopened(folder: &Path, count: u64) -> Vec<Figure> {
    let before = resident_mib();
    let begun = Instant::now();
    let hub = open(folder).await;
    let took = begun.elapsed();
    let more = resident_mib() - before;
    let tenant = hub.tenant(CUSTOMER).unwrap();
    let pages = pages(&tenant).await;
    let verified = verified(&tenant, count).await;
    hub.shutdown(CLOSES_WITHIN).await.unwrap();
    vec![
        Figure::new(format!("opening with {count} executions and audit records"), took.as_secs_f64(), "s"),
        Figure::new(format!("memory of a hub with {count} executions and audit records"), more, "MiB"),
        Figure::new("page of 50 of the history at any depth, p50", pages.ms(50), "ms"),
        Figure::new("page of 50 of the history at any depth, p99", pages.ms(99), "ms"),
        Figure::new(format!("verifying an audit trail of {count}"), verified.as_secs_f64(), "s"),
    ]
}

/// How long each page takes, from the newest execution to the first.
async fn pages(tenant: &Tenant) -> Percentiles {
    let (mut durations, mut last) = (Vec::new(), None);
    loop {
        let begun = Instant::now();
        let page = tenant.executions(last, PAGE).await.unwrap();
        durations.push(begun.elapsed());
        match page.last() {
            Some(record) if page.len() == PAGE => last = Some(record.id),
            _ => return Percentiles::of(durations),
        }
    }
}

async fn verified(tenant: &Tenant, count: u64) -> Duration {
    let begun = Instant::now();
    let verdict = tenant.verify_audit().await.unwrap();
    assert!(verdict.is_intact() && verdict.checked >= count, "{verdict:?}");
    begun.elapsed()
}
