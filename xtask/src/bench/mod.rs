//! `cargo xtask bench`: every benchmark there is, one table in `benches/README.md`.
//!
//! Three sources: the Criterion suite (`cargo bench`), the figures that are no mean of equal runs, and the benches of the
//! Python package, which bring the peers. All of them are taken in one run on one machine.

mod criterion;
mod options;
mod python;
mod row;
mod table;

use std::fs;

pub(crate) use options::Options;
use row::Row;

use crate::report::Failure;
use crate::workspace::Workspace;

/// Measures what the command line asks for, and tells it.
pub(crate) fn command(workspace: &Workspace, options: &Options) -> Result<bool, Failure> {
    let mut rows = Vec::new();
    if options.wants("criterion") {
        rows.extend(criterion::run(workspace, options.quick)?);
    }
    if options.wants("figures") {
        rows.extend(figures(workspace, options.quick)?);
    }
    if options.wants("python") {
        rows.extend(python::run(workspace, options)?);
    }
    println!("\n{}", table::as_markdown(&rows));
    if let Some(path) = &options.json {
        fs::write(path, row::as_json(&rows))?;
    }
    if options.readme {
        table::into_readme(workspace.root(), &rows)?;
    }
    Ok(true)
}

/// The bench that writes its figures itself.
fn figures(workspace: &Workspace, quick: bool) -> Result<Vec<Row>, Failure> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("figures.json");
    let mut command = workspace.cargo(&["bench", "--quiet", "--all-features", "--bench", "figures", "--", "--json"]);
    command.arg(&path).args((!quick).then_some("--full"));
    if !command.status()?.success() {
        return Err(Failure::new("the bench figures failed"));
    }
    row::read(&path)
}
