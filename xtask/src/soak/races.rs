//! Models of the parts that threads share, under a scheduler that tries many orders: `races` modules in the crates.
//!
//! A crate is compiled with `shuttle` set, its dependencies are not: their locks never wait while another thread runs.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use serde::Deserialize;

use super::options::Scale;
use super::row::Row;
use crate::process;
use crate::report::Failure;
use crate::workspace::Workspace;

const NAME: &str = "races";
const PACKAGES: &[&str] = &["bifrost-core", "bifrost-integrations", "bifrost-actors"];
const SCHEDULES: u64 = 10_000;
const SCHEDULES_IN_SHORT: u64 = 300;

/// A line of what cargo says about building.
#[derive(Deserialize)]
struct Built {
    #[serde(default)]
    executable: Option<PathBuf>,
}

pub(super) fn names(_: &Workspace) -> Result<Vec<String>, Failure> {
    Ok(vec![NAME.to_owned()])
}

/// Runs every model under the schedules that `scale` asks for.
pub(super) fn run(workspace: &Workspace, scale: &Scale) -> Result<Vec<Row>, Failure> {
    let begun = Instant::now();
    let mut row = Row {
        name: NAME.to_owned(),
        promise: "whatever order threads run in, nobody waits for ever, nothing is handed out twice or lost".to_owned(),
        unit: "schedules".to_owned(),
        seed: scale.seed,
        replay: format!("cargo xtask soak --only {NAME} --seed {}", scale.seed),
        measured: BTreeMap::from([("models".to_owned(), 0.0)]),
        ..Row::default()
    };
    let schedules = if scale.full { SCHEDULES } else { SCHEDULES_IN_SHORT };
    let mut seed = scale.seed;
    loop {
        for package in PACKAGES {
            let program = build(workspace, package)?;
            let mut models = Command::new(program);
            models.args(["races::", "--show-output"]).current_dir(workspace.root());
            models.env("BIFROST_SCHEDULES", schedules.to_string()).env("BIFROST_SEED", seed.to_string());
            let output = models.output()?;
            note(&mut row, package, &String::from_utf8_lossy(&output.stdout), output.status.success());
        }
        seed += 1;
        if begun.elapsed().as_secs() >= 60 * scale.minutes {
            break;
        }
    }
    row.seconds = begun.elapsed().as_secs_f64();
    Ok(vec![row])
}

/// Compiles the models of a package; where they are.
fn build(workspace: &Workspace, package: &str) -> Result<PathBuf, Failure> {
    let arguments = ["rustc", "-p", package, "--lib", "--profile", "test", "--all-features"];
    let mut command = workspace.cargo(&arguments);
    command.args(["--message-format", "json-render-diagnostics", "--", "--cfg", "shuttle"]);
    let output = process::capture(&mut command)?;
    let mut lines = output.lines().rev();
    let program = lines.find_map(|line| serde_json::from_str::<Built>(line).ok()?.executable);
    program.ok_or_else(|| Failure::new(format!("cargo built no models of {package}:\n{output}")))
}

/// Takes what a test program printed into the row.
fn note(row: &mut Row, package: &str, output: &str, passed: bool) {
    let mut models = 0.0;
    for line in output.lines() {
        if let Some(count) = line.strip_prefix("explored ").and_then(|rest| rest.split(' ').next()) {
            row.attempts += count.parse::<u64>().unwrap_or_default();
            models += 1.0;
        }
        if let Some(model) = line.strip_prefix("test ").and_then(|rest| rest.strip_suffix(" ... FAILED")) {
            row.violations.push(format!("{package}: {model}: {}", why(output, model)));
        }
    }
    if (models == 0.0 || !passed) && row.violations.is_empty() {
        row.violations.push(format!("{package}: no model ran to its end: {output}"));
    }
    *row.measured.entry("models".to_owned()).or_default() += models;
}

/// What the first panic of a model said.
fn why(output: &str, model: &str) -> String {
    let told = output.split(&format!("---- {model} stdout ----")).nth(1).unwrap_or_default();
    let mut lines = told.lines().skip_while(|line| !line.contains("panicked at"));
    lines.by_ref().take(2).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_are_counted_and_failures_are_named() {
        let mut row = Row::default();
        let passed = "test a::races::one ... ok\n---- a::races::one stdout ----\nexplored 300 schedules\n";
        note(&mut row, "core", passed, true);
        assert_eq!((row.attempts, row.violations.len()), (300, 0));
        let failed =
            "test a::races::two ... FAILED\n---- a::races::two stdout ----\n\nthread panicked at x.rs:1:\ndeadlock!\n";
        note(&mut row, "core", failed, false);
        assert_eq!(row.violations, ["core: a::races::two: thread panicked at x.rs:1: deadlock!"]);
    }

    #[test]
    fn a_program_without_models_is_no_success() {
        let mut row = Row::default();
        note(&mut row, "core", "running 0 tests\n", true);
        assert_eq!(row.violations.len(), 1);
    }
}
