//! Executions on the embedded store, from `run` to the outcome: one at a time, and a hundred under way.
//!
//! One iteration is several executions of each caller, so that as many are under way as is said for nearly all of it.

#![allow(missing_docs, clippy::unwrap_used, clippy::disallowed_methods)]

mod support;

use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group, criterion_main};

use support::stage::{Stage, in_flight, run, runtime};

const WORKFLOWS: [&str; 2] = ["trivial", "five_steps"];

/// Executions of each caller in one iteration.
const EACH: u64 = 10;

fn executions(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("execution");
    group.sampling_mode(SamplingMode::Flat).sample_size(20);
    for workflow in WORKFLOWS {
        for at_once in [1, 100] {
            group.throughput(Throughput::Elements(at_once * EACH));
            group.bench_function(BenchmarkId::new(workflow, at_once), |bencher| {
                let runtime = runtime();
                let stage = runtime.block_on(Stage::open());
                let tenant = stage.tenant.clone();
                let call = move || {
                    let tenant = tenant.clone();
                    async move { run(&tenant, workflow).await.unwrap() }
                };
                bencher.iter_custom(|count| runtime.block_on(in_flight(count * at_once * EACH, at_once, call.clone())));
                runtime.block_on(stage.close());
            });
        }
    }
    group.finish();
}

criterion_group!(benches, executions);
criterion_main!(benches);
