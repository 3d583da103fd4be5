//! The client of others for Graph in Rust, beside ours: `benches/peers/graph-rs-sdk`, a workspace of its own, so that what
//! it depends on is nothing to us.
//!
//! It reads from the server of the Criterion bench, with as many reads in flight, once that bench has ended.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Stdio};

use serde::Deserialize;

use super::row::{Row, median};
use crate::process;
use crate::report::Failure;
use crate::workspace::Workspace;

const PEER: &str = "graph-rs-sdk";

/// The row that the peer's figure goes beside; see `criterion`.
const OURS: &str = "Graph reads, 64 in flight";
const ROUNDS: usize = 3;

/// What the peer's program prints.
#[derive(Deserialize)]
struct Told {
    requests: f64,
    seconds: f64,
}

/// Measures the peer: its figure, and beside it ours from among `rows`.
pub(super) fn beside(workspace: &Workspace, quick: bool, rows: &[Row]) -> Result<Vec<Row>, Failure> {
    let program = built(workspace)?;
    let server = Server::start(workspace)?;
    let count = if quick { "2000" } else { "100000" };
    let rates: Vec<f64> = (0..ROUNDS).map(|_| rate(&program, &server.address, count)).collect::<Result<_, _>>()?;
    let ours = rows.iter().find(|row| row.name.starts_with(OURS)).cloned();
    let ours = ours.map(|ours| Row { name: format!("{OURS}, beside {PEER}"), ..ours.beside(median(&rates)) });
    Ok(ours.into_iter().chain([Row::new(&format!("{OURS}, {PEER}"), &rates, "/s")]).collect())
}

/// The peer's program, built into the build folder.
fn built(workspace: &Workspace) -> Result<PathBuf, Failure> {
    let manifest = workspace.root().join("benches/peers").join(PEER).join("Cargo.toml");
    if !manifest.exists() {
        return Err(Failure::new("its program is not there"));
    }
    let target = workspace.metadata()?.target_directory.join("peers");
    let mut command = workspace.cargo(&["build", "--quiet", "--release", "--locked", "--manifest-path"]);
    process::capture(command.arg(manifest).arg("--target-dir").arg(&target))?;
    Ok(target.join("release").join(format!("{PEER}-peer{}", std::env::consts::EXE_SUFFIX)))
}

fn rate(program: &PathBuf, server: &str, count: &str) -> Result<f64, Failure> {
    let printed = process::capture(process::program(program).args([server, count]))?;
    let line = printed.lines().last().unwrap_or_default();
    let told: Told =
        serde_json::from_str(line).map_err(|error| Failure::new(format!("{PEER} said {line}: {error}")))?;
    Ok(told.requests / told.seconds)
}

/// The server of the Graph benches; it ends when nobody holds its standard input, so with us at the latest.
struct Server {
    process: Child,
    input: Option<ChildStdin>,
    address: String,
}

impl Server {
    fn start(workspace: &Workspace) -> Result<Self, Failure> {
        let mut command =
            workspace.cargo(&["bench", "--quiet", "--all-features", "--bench", "figures", "--", "--serve"]);
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let input = process.stdin.take();
        let mut server = Self { process, input, address: String::new() };
        if let Some(output) = server.process.stdout.take() {
            BufReader::new(output).read_line(&mut server.address)?;
        }
        server.address.truncate(server.address.trim_end().len());
        if server.address.is_empty() {
            return Err(Failure::new("the server of the Graph benches did not start"));
        }
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.input.take());
        // It ends by itself now; there is nobody to tell when it does not.
        let _ = self.process.wait();
    }
}
