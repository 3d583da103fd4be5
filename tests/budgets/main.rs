//! How much may be allocated for what happens most often. A count is the same on every machine, so it can be a limit
//! where a time cannot: whoever adds to a path that every call takes is told here, and decides whether it is worth it.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

#[path = "../../benches/support/answering.rs"]
mod answering;
mod executions;
mod graph;
mod permits;
mod tokens;

use allocation_counter::measure;

/// How many allocations this thread makes for each of `count` things that `work` does.
fn each(count: u32, work: impl FnOnce()) -> f64 {
    f64::from(u32::try_from(measure(work).count_total).unwrap()) / f64::from(count)
}
