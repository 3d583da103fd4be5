//! `cargo xtask bench`: every benchmark there is, one table in `benches/README.md`.
//!
//! Three sources: the Criterion suite (`cargo bench`), the figures that are no mean of equal runs, and the benches of the
//! Python package, which bring most peers. All of them are taken in one run on one machine. A source that fails is told in
//! the table, and the others count.

mod criterion;
mod figures;
mod machine;
mod options;
mod peer;
mod plot;
mod python;
mod row;
mod table;
mod target;

use std::fs;
use std::time::Instant;

pub(crate) use options::Options;
use row::Row;

use crate::report::Failure;
use crate::workspace::Workspace;

/// Measures what the command line asks for, and tells it; false when something could not be measured.
pub(crate) fn command(workspace: &Workspace, options: &Options) -> Result<bool, Failure> {
    let begun = Instant::now();
    let mut run = Run::default();
    if options.wants("criterion") {
        run.take("criterion", criterion::run(workspace, options.quick));
    }
    if options.wants("figures") {
        let peer = if options.peers { run.peer(peer::NAME, peer::built(workspace)) } else { None };
        run.take("figures", figures::run(workspace, options.quick, peer.as_deref()));
    }
    if options.wants("python") {
        run.take("python", python::run(workspace, options));
    }
    let mut facts = machine::facts();
    facts.extend(run.remarks);
    let report = table::report(&run.rows, &facts);
    println!("\n{report}\n{} figures in {} min", run.rows.len(), begun.elapsed().as_secs().div_ceil(60));
    if let Some(path) = &options.json {
        fs::write(path, row::as_json(&run.rows))?;
    }
    if options.readme {
        table::into_readme(workspace.root(), &report)?;
    }
    Ok(!run.failed)
}

/// What was measured so far.
#[derive(Default)]
struct Run {
    rows: Vec<Row>,
    /// What is to be said below the table.
    remarks: Vec<String>,
    failed: bool,
}

impl Run {
    /// Takes the figures of a source; one of ours that fails is a failure of the run.
    fn take(&mut self, source: &str, taken: Result<Vec<Row>, Failure>) {
        match taken {
            Ok(rows) => self.rows.extend(rows),
            Err(failure) => {
                self.failed = true;
                self.say(&format!("not measured: {source}: {failure}"));
            }
        }
    }

    /// A peer that was built; one that cannot be had is skipped.
    fn peer<T>(&mut self, name: &str, built: Result<T, Failure>) -> Option<T> {
        built.inspect_err(|failure| self.say(&format!("skipped {name}: {failure}"))).ok()
    }

    fn say(&mut self, remark: &str) {
        eprintln!("{remark}");
        // One line of a list: the whole story went to the terminal.
        self.remarks.extend(remark.lines().next().map(str::to_owned));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_that_fails_is_told_and_the_others_count() {
        let mut run = Run::default();
        run.take("figures", Err(Failure::new("it broke\nin two lines")));
        run.take("python", Ok(vec![Row::new("x", &[1.0], "s")]));
        assert_eq!(run.peer::<()>("a peer", Err(Failure::new("no network"))), None);
        assert_eq!(run.remarks, ["not measured: figures: it broke", "skipped a peer: no network"]);
        assert!(run.failed && run.rows.len() == 1);
    }
}
