//! The Graph client of others in Rust: `benches/peers/graph-rs-sdk`, a package outside the workspace, so that what it
//! depends on is nothing to us. The bench `figures` starts its program beside our client, against the same server.

use std::path::PathBuf;

use crate::process;
use crate::report::Failure;
use crate::workspace::Workspace;

/// How the bench is told where the program is.
pub(super) const VARIABLE: &str = "BIFROST_PEER_GRAPH";
pub(super) const NAME: &str = "graph-rs-sdk";

/// The peer's program, built below the build folder.
pub(super) fn built(workspace: &Workspace) -> Result<PathBuf, Failure> {
    let folder = workspace.root().join("benches/peers").join(NAME);
    if !folder.exists() {
        return Err(Failure::new("its program is not there"));
    }
    let target = workspace.metadata()?.target_directory.join("peers");
    let mut command = workspace.cargo(&["build", "--quiet", "--release", "--manifest-path"]);
    let built = process::capture(command.arg(folder.join("Cargo.toml")).arg("--target-dir").arg(&target));
    // The first line is what the table says; folders of this machine are for the terminal.
    built.map_err(|failure| failure.during("its program does not build"))?;
    Ok(target.join("release").join(format!("peer-{NAME}{}", std::env::consts::EXE_SUFFIX)))
}
