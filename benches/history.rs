//! A page of 50 of a tenant's history, at the new end and deep down.

#![allow(missing_docs, clippy::unwrap_used, clippy::disallowed_methods)]

mod support;

use std::hint::black_box;

use bifrost::ExecutionId;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};

use support::stage::{Stage, in_flight, run, runtime};

const EXECUTIONS: u64 = 20_000;
const PAGE: usize = 50;

fn pages(criterion: &mut Criterion) {
    let runtime = runtime();
    let stage = runtime.block_on(Stage::open());
    let tenant = stage.tenant.clone();
    let call = move || {
        let tenant = tenant.clone();
        async move { run(&tenant, "trivial").await.unwrap() }
    };
    runtime.block_on(in_flight(EXECUTIONS, 100, call));
    let mut group = criterion.benchmark_group("history page of 50");
    for depth in [0, EXECUTIONS / 2, EXECUTIONS - PAGE as u64] {
        let before = runtime.block_on(at_depth(&stage, depth as usize));
        group.bench_function(BenchmarkId::from_parameter(depth), |bencher| {
            bencher.iter(|| black_box(runtime.block_on(stage.tenant.executions(before, PAGE)).unwrap()));
        });
    }
    group.finish();
    runtime.block_on(stage.close());
}

/// The execution after which the page begins.
async fn at_depth(stage: &Stage, depth: usize) -> Option<ExecutionId> {
    let (mut before, mut passed) = (None, 0);
    while passed < depth {
        let page = stage.tenant.executions(before, (depth - passed).min(1_000)).await.unwrap();
        passed += page.len();
        before = page.last().map(|record| record.id);
    }
    before
}

criterion_group!(benches, pages);
criterion_main!(benches);
