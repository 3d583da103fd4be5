//! The bench that writes its figures itself: `benches/figures`.

use super::row::{self, Row};
use crate::report::Failure;
use crate::workspace::Workspace;

/// Takes all of them.
pub(super) fn run(workspace: &Workspace, quick: bool) -> Result<Vec<Row>, Failure> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("figures.json");
    let mut command = workspace.cargo(&["bench", "--quiet", "--all-features", "--bench", "figures", "--", "--json"]);
    command.arg(&path).args((!quick).then_some("--full"));
    if !command.status()?.success() {
        return Err(Failure::new("a measurement failed"));
    }
    row::read(&path)
}
