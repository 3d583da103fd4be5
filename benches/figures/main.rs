//! Figures that are no mean of many equal runs: percentiles, memory, bytes, shares, growth.
//!
//! ```text
//! cargo bench --bench figures                           all of them, small
//! cargo bench --bench figures -- --full --json PATH     as they are published
//! cargo bench --bench figures -- --only tenants
//! ```
//!
//! Each takes place in a process of its own, because memory that one of them used would be free for the next.

#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr, clippy::disallowed_methods)]

#[path = "../support/mod.rs"]
mod support;

mod figure;
mod growth;
mod history;
mod latency;
mod memory;
mod mixed;
mod neighbour;
mod tenants;
mod throttled;
mod unthrottled;

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use figure::{Figure, Scale};

/// One measurement, of which several figures come.
struct Measurement {
    name: &'static str,
    run: fn(Scale) -> Vec<Figure>,
}

const MEASUREMENTS: &[Measurement] = &[
    Measurement { name: "latency", run: latency::run },
    Measurement { name: "mixed", run: mixed::run },
    Measurement { name: "tenants", run: tenants::run },
    Measurement { name: "growth", run: growth::run },
    Measurement { name: "throttled", run: throttled::run },
    Measurement { name: "unthrottled", run: unthrottled::run },
    Measurement { name: "neighbour", run: neighbour::run },
    Measurement { name: "history", run: history::run },
];

#[derive(Default)]
struct Arguments {
    full: bool,
    only: Option<String>,
    json: Option<PathBuf>,
    /// This process is to take this measurement and print its figures.
    alone: Option<String>,
}

fn main() -> ExitCode {
    let arguments = parse();
    let scale = Scale { full: arguments.full };
    if let Some(name) = &arguments.alone {
        let Some(found) = MEASUREMENTS.iter().find(|found| found.name == name) else { return ExitCode::from(2) };
        println!("{}", serde_json::to_string(&(found.run)(scale)).unwrap());
        return ExitCode::SUCCESS;
    }
    let wanted = |name: &str| arguments.only.as_ref().is_none_or(|only| only.split(',').any(|wanted| wanted == name));
    let mut figures = Vec::new();
    for Measurement { name, .. } in MEASUREMENTS.iter().filter(|found| wanted(found.name)) {
        match apart(name, arguments.full) {
            Some(taken) => {
                taken.iter().for_each(Figure::print);
                figures.extend(taken);
            }
            None => return ExitCode::FAILURE,
        }
    }
    if let Some(path) = arguments.json {
        std::fs::write(path, serde_json::to_vec_pretty(&figures).unwrap()).unwrap();
    }
    ExitCode::SUCCESS
}

/// Takes a measurement in a process of its own.
fn apart(name: &str, full: bool) -> Option<Vec<Figure>> {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--alone", name]).args(full.then_some("--full"));
    let output = command.stderr(std::process::Stdio::inherit()).output().unwrap();
    if !output.status.success() {
        eprintln!("the measurement {name} ended as {}", output.status);
        return None;
    }
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

fn parse() -> Arguments {
    let mut arguments = Arguments::default();
    let mut rest = std::env::args().skip(1);
    while let Some(word) = rest.next() {
        match word.as_str() {
            "--full" => arguments.full = true,
            "--only" => arguments.only = rest.next(),
            "--json" => arguments.json = rest.next().map(Into::into),
            "--alone" => arguments.alone = rest.next(),
            // cargo says this to every bench.
            _ => {}
        }
    }
    arguments
}
