//! The lab of the facade: `tests/lab`, a program with a command line of its own.

use std::fs;
use std::process::Command;

use super::options::Scale;
use super::row::Row;
use crate::onboarding::CREDENTIALS;
use crate::process;
use crate::report::Failure;
use crate::workspace::Workspace;

/// The names of its attacks.
pub(super) fn names(workspace: &Workspace) -> Result<Vec<String>, Failure> {
    let output = process::capture(program(workspace).arg("--list"))?;
    // What cargo says about building comes before; an attack's line is its name and its promise.
    let lines = output.lines().skip_while(|line| !line.starts_with(LIST_BEGINS)).skip(1);
    Ok(lines.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect())
}

/// The line after which the list comes.
const LIST_BEGINS: &str = "attacks:";

/// Runs its attacks; at length they are told while they run.
pub(super) fn run(workspace: &Workspace, scale: &Scale) -> Result<Vec<Row>, Failure> {
    let wanted: Vec<_> = names(workspace)?.into_iter().filter(|name| scale.wants(name)).collect();
    let folder = tempfile::tempdir()?;
    let report = folder.path().join("report.json");
    let mut command = program(workspace);
    command.args(["--only", &wanted.join(","), "--seed", &scale.seed.to_string()]).arg("--report").arg(&report);
    process::remove_variables(&mut command, CREDENTIALS);
    if scale.full {
        command.args(["--full", "--minutes", &scale.minutes.to_string()]);
        // Violations are in the report; an exit without one is told below.
        command.status()?;
    } else if let Err(failure) = process::capture(&mut command)
        && !report.exists()
    {
        return Err(failure);
    }
    let report = fs::read(&report).map_err(|error| Failure::from(error).during("the lab ended without a report"))?;
    serde_json::from_slice(&report).map_err(|error| Failure::new(format!("the lab's report: {error}")))
}

fn program(workspace: &Workspace) -> Command {
    workspace.cargo(&["test", "--quiet", "--all-features", "--test", "lab", "--"])
}
