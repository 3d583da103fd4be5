//! `cargo xtask soak`: everything that attacks the hub's promises, at length, and one table of what came of it.
//!
//! A part is something that attacks: the lab of the facade, and what cannot live in its program. Each answers rows; the
//! check `lab` of `cargo xtask test` runs the parts that have a short form.

mod fuzz;
mod lab;
mod options;
mod python;
mod races;
mod row;
mod table;

use std::fs;
use std::time::Instant;

pub(crate) use options::Options;
use options::Scale;
use row::Row;

use crate::report::{Failure, Outcome, Report};
use crate::workspace::Workspace;

/// Something that attacks.
struct Part {
    /// The names of its rows, as `--only` takes them.
    names: fn(&Workspace) -> Result<Vec<String>, Failure>,
    /// Whether it takes part in the check, in its short form.
    is_checked: bool,
    /// Runs the rows that `scale` asks for.
    run: fn(&Workspace, &Scale) -> Result<Vec<Row>, Failure>,
}

/// In the order in which they run.
const PARTS: &[Part] = &[
    Part { names: lab::names, is_checked: true, run: lab::run },
    Part { names: races::names, is_checked: true, run: races::run },
    // In short its bodies are tests of the crates, which need no other toolchain.
    Part { names: fuzz::names, is_checked: false, run: fuzz::run },
    // Its short form is part of the check `python`.
    Part { names: python::names, is_checked: false, run: python::run },
];

/// Runs what the command line asks for; true when everything ran and nothing was violated.
pub(crate) fn command(workspace: &Workspace, options: &Options) -> Result<bool, Failure> {
    let begun = Instant::now();
    let rows = run(workspace, &options.scale, |_| true)?;
    if let Some(path) = &options.json {
        fs::write(path, row::as_json(&rows))?;
    }
    if options.docs {
        table::into_document(workspace.root(), &rows)?;
    }
    println!("\n{}", table::as_text(&rows));
    let violations: usize = rows.iter().map(|row| row.violations.len()).sum();
    let idle = rows.iter().filter(|row| row.not_run.is_some()).count();
    println!(
        "{} promises, {violations} violations, {idle} not run, {:.0} s",
        rows.len(),
        begun.elapsed().as_secs_f64()
    );
    Ok(violations == 0 && idle == 0)
}

/// The check: every part that has a short form, in that form.
pub(crate) fn check(workspace: &Workspace) -> Outcome {
    let rows = run(workspace, &Scale::short(), |part| part.is_checked)?;
    let problems: Vec<_> = rows.iter().flat_map(Row::problems).collect();
    Failure::if_any(&problems)?;
    let attempts: u64 = rows.iter().map(|row| row.attempts).sum();
    let parts = rows.iter().map(Row::line).collect();
    Ok(Report::figure(format!("{} promises, {attempts} attempts", rows.len())).with_parts(parts))
}

fn run(workspace: &Workspace, scale: &Scale, takes_part: impl Fn(&Part) -> bool) -> Result<Vec<Row>, Failure> {
    let mut known = Vec::new();
    let mut rows = Vec::new();
    for part in PARTS.iter().filter(|part| takes_part(part)) {
        let names = (part.names)(workspace)?;
        if names.iter().any(|name| scale.wants(name)) {
            rows.extend((part.run)(workspace, scale)?);
        }
        known.extend(names);
    }
    match scale.unknown(&known) {
        Some(unknown) => Err(Failure::new(format!("nothing is called {unknown}; there are: {}", known.join(", ")))),
        None => Ok(rows),
    }
}
