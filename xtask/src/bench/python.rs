//! The benches of the Python package: the wheel, and the peers it is measured beside.

use std::process::Stdio;

use super::machine;
use super::options::Options;
use super::row::{self, Row};
use crate::process;
use crate::report::Failure;
use crate::venv;
use crate::wheel::{self, Profile};
use crate::workspace::Workspace;

/// How often each side takes its turn: enough for a median, and a quarter of an hour with all peers.
const ROUNDS: &str = "3";

/// Builds the wheel and runs its benches with the newest Python here.
pub(super) fn run(workspace: &Workspace, options: &Options) -> Result<Vec<Row>, Failure> {
    let pythons = venv::pythons()?;
    let newest = pythons.last().ok_or_else(|| Failure::new("no Python"))?;
    let wheel = wheel::build(workspace, Profile::Release, &Stdio::piped)?;
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("figures.json");
    let mut command = process::program(newest.program());
    command.arg(workspace.root().join("benches/python/run.py")).arg("--wheel").arg(&wheel.path);
    command.arg("--json").arg(&path).args(options.peers.then_some("--peers"));
    command
        .args(["--rounds", ROUNDS])
        .args(options.readme.then_some("--readme"))
        .args(options.quick.then_some("--quick"));
    if let Some(folder) = machine::folder() {
        command.arg("--folder").arg(folder);
    }
    if !command.current_dir(workspace.root()).status()?.success() {
        return Err(Failure::new("the Python benches failed"));
    }
    row::read(&path)
}
