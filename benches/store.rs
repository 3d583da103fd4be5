//! Durable commits beside a bare log on the same disk: how much of what the disk allows is left for callers.
//!
//! One iteration is many commits of each writer, so that all of them write for nearly all of it.

#![allow(missing_docs, clippy::unwrap_used, clippy::disallowed_methods)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bifrost::TenantId;
use bifrost::store::embedded::{EmbeddedOptions, EmbeddedStore};
use bifrost::store::key::{Kind, Scope};
use bifrost::store::{Batch, Store};
use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group, criterion_main};

use support::bare_log::BareLog;
use support::stage::{folder, in_flight, runtime};

/// What a record of an execution is long, sealed.
const RECORD: usize = 400;

/// As many callers as share a sync.
const WRITERS: [u64; 3] = [1, 16, 128];

/// Commits of each writer in one iteration.
const EACH: u64 = 100;

fn commits(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("commit");
    group.sampling_mode(SamplingMode::Flat).sample_size(20);
    for writers in WRITERS {
        let count_of = move |iterations: u64| iterations * writers * EACH;
        group.throughput(Throughput::Elements(count_of(1)));
        group.bench_function(BenchmarkId::new("bare log", writers), |bencher| {
            let (runtime, folder) = (runtime(), folder());
            let log = BareLog::create(folder.path());
            let append = log.clone();
            let call = move || {
                let log = append.clone();
                async move { log.append(vec![7; RECORD]).await }
            };
            bencher.iter_custom(|count| runtime.block_on(in_flight(count_of(count), writers, call.clone())));
            log.close();
        });
        group.bench_function(BenchmarkId::new("store", writers), |bencher| {
            let (runtime, folder) = (runtime(), folder());
            let options = EmbeddedOptions::default();
            let store = Arc::new(runtime.block_on(EmbeddedStore::open(folder.path(), options)).unwrap());
            let (commit, next) = (Arc::clone(&store), Arc::new(AtomicU64::new(0)));
            let call = move || {
                let (store, next) = (Arc::clone(&commit), Arc::clone(&next));
                async move {
                    store.commit(batch(next.fetch_add(1, Ordering::Relaxed))).await.unwrap();
                }
            };
            bencher.iter_custom(|count| runtime.block_on(in_flight(count_of(count), writers, call.clone())));
            runtime.block_on(store.close()).unwrap();
        });
    }
    group.finish();
}

/// One record under one of many keys.
fn batch(number: u64) -> Batch {
    let scope = Scope::tenant(TenantId::new("contoso").unwrap());
    let key = scope.key(Kind::Config, &[&(number % 100_000).to_be_bytes()]).unwrap();
    let mut batch = Batch::new();
    batch.put(key, vec![7; RECORD]);
    batch
}

criterion_group!(benches, commits);
criterion_main!(benches);
