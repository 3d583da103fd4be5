//! One execution at a time: how long from `run` to its outcome.

use std::time::Instant;

use crate::figure::{Figure, Scale};
use crate::support::percentiles::Percentiles;
use crate::support::stage::{Stage, run as run_once, runtime, title};

pub(crate) fn run(scale: Scale) -> Vec<Figure> {
    let mut figures = Vec::new();
    for workflow in ["trivial", "five_steps"] {
        let percentiles = runtime().block_on(one_at_a_time(workflow, scale.of(500, 2_000)));
        for percent in [50, 99] {
            figures.push(Figure::new(
                format!("{}, one at a time, p{percent}", title(workflow)),
                percentiles.ms(percent),
                "ms",
            ));
        }
    }
    figures
}

async fn one_at_a_time(workflow: &'static str, count: u64) -> Percentiles {
    let stage = Stage::open().await;
    let tenant = stage.tenant.clone();
    // On a task, as a service would: the runtime's own thread parks differently.
    let durations = tokio::spawn(async move {
        let mut durations = Vec::new();
        for number in 0..count + count / 10 {
            let begun = Instant::now();
            run_once(&tenant, workflow).await.unwrap();
            // The first tenth warms up.
            if number >= count / 10 {
                durations.push(begun.elapsed());
            }
        }
        durations
    });
    let percentiles = Percentiles::of(durations.await.unwrap());
    stage.close().await;
    percentiles
}
