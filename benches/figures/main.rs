//! Figures that are no mean of many equal runs: percentiles, memory, bytes, shares, growth.
//!
//! ```text
//! cargo bench --all-features --bench figures                           all of them, small
//! cargo bench --all-features --bench figures -- --full --json PATH     as they are published
//! cargo bench --all-features --bench figures -- --only tenants
//! ```
//!
//! Each takes place in a process of its own, because memory that one of them used would be free for the next; those that
//! are published take place several times, and the median counts.

#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr, clippy::disallowed_methods)]

#[path = "../support/mod.rs"]
mod support;

mod apart;
mod bytes;
mod figure;
mod growth;
mod history;
mod latency;
mod memory;
mod mixed;
mod neighbour;
mod running;
mod tenants;
mod throttled;
mod unthrottled;

use std::path::PathBuf;
use std::process::ExitCode;

use apart::{Part, Task};
use figure::{Figure, Scale};

/// One measurement, of which several figures come.
struct Measurement {
    name: &'static str,
    run: fn(Scale) -> Vec<Figure>,
    /// How often it takes place when it is published.
    rounds: u64,
}

const fn measurement(name: &'static str, run: fn(Scale) -> Vec<Figure>, rounds: u64) -> Measurement {
    Measurement { name, run, rounds }
}

const MEASUREMENTS: &[Measurement] = &[
    measurement("latency", latency::run, 5),
    measurement("mixed", mixed::run, 3),
    measurement("bytes", bytes::run, 3),
    measurement("tenants", tenants::run, 3),
    measurement("running", running::run, 3),
    measurement("growth", growth::run, 3),
    measurement("throttled", throttled::run, 3),
    measurement("unthrottled", unthrottled::run, 3),
    measurement("neighbour", neighbour::run, 3),
    measurement("history", history::run, 1),
];

/// What measurements have done in processes of their own.
const PARTS: &[Part] = &[tenants::FILL, tenants::EMPTY, tenants::START, history::FILL, history::REOPEN];

#[derive(Default)]
struct Arguments {
    full: bool,
    only: Option<String>,
    json: Option<PathBuf>,
    /// What this process was started for by another one of this program.
    task: Option<Task>,
}

fn main() -> ExitCode {
    let arguments = parse();
    let scale = Scale { full: arguments.full };
    match &arguments.task {
        Some(task) => task.run(scale),
        None => measure(&arguments, scale),
    }
}

fn measure(arguments: &Arguments, scale: Scale) -> ExitCode {
    let wanted = |name: &str| arguments.only.as_ref().is_none_or(|only| only.split(',').any(|wanted| wanted == name));
    let mut figures = Vec::new();
    let mut failed = false;
    for Measurement { name, rounds, .. } in MEASUREMENTS.iter().filter(|found| wanted(found.name)) {
        let rounds = (0..scale.of(1, *rounds)).map(|_| Task::measurement(name).apart(scale.full));
        match rounds.collect::<Result<Vec<_>, _>>() {
            Ok(rounds) => {
                let taken = figure::merged(rounds);
                taken.iter().for_each(Figure::print);
                figures.extend(taken);
            }
            Err(message) => {
                eprintln!("the measurement {name}: {message}");
                failed = true;
            }
        }
    }
    if let Some(path) = &arguments.json {
        std::fs::write(path, serde_json::to_vec_pretty(&figures).unwrap()).unwrap();
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn parse() -> Arguments {
    let mut arguments = Arguments::default();
    let mut rest = std::env::args().skip(1);
    while let Some(word) = rest.next() {
        match word.as_str() {
            "--full" => arguments.full = true,
            "--only" => arguments.only = rest.next(),
            "--json" => arguments.json = rest.next().map(Into::into),
            apart::TASK => arguments.task = rest.next().map(|task| serde_json::from_str(&task).unwrap()),
            // cargo says this to every bench.
            _ => {}
        }
    }
    arguments
}
