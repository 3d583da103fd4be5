//! The bench that writes its figures itself: `benches/figures`.

use std::path::Path;

use super::peer;
use super::row::{self, Row};
use crate::report::Failure;
use crate::workspace::Workspace;

/// Takes all of them, with `peer` beside ours where there is one.
pub(super) fn run(workspace: &Workspace, quick: bool, peer: Option<&Path>) -> Result<Vec<Row>, Failure> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("figures.json");
    let mut command = workspace.cargo(&["bench", "--quiet", "--all-features", "--bench", "figures", "--", "--json"]);
    command.arg(&path).args((!quick).then_some("--full")).envs(peer.map(|program| (peer::VARIABLE, program)));
    if !command.status()?.success() {
        return Err(Failure::new("a measurement failed"));
    }
    row::read(&path)
}
