//! Runs checks one after the other and prints one line for each.

use std::io::Write as _;
use std::time::{Duration, Instant};

use crate::report::{Outcome, Report};
use crate::workspace::Workspace;

/// One check of the repository.
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) run: fn(&Workspace) -> Outcome,
}

/// What the command line asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) keep_going: bool,
    only: Option<Vec<String>>,
}

impl Options {
    /// Reads what follows `cargo xtask test`.
    pub(crate) fn parse(arguments: &[String]) -> Result<Self, String> {
        let mut options = Self::default();
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            match argument.as_str() {
                "--keep-going" => options.keep_going = true,
                "--only" => {
                    let names = rest.next().ok_or("--only needs the names of checks")?;
                    options.only = Some(names.split(',').map(|name| name.trim().to_owned()).collect());
                }
                other => return Err(format!("unknown argument {other}")),
            }
        }
        Ok(options)
    }

    /// The chosen checks, in the order of `steps`.
    pub(crate) fn choose<'a>(&self, steps: &'a [Step]) -> Result<Vec<&'a Step>, String> {
        let Some(only) = &self.only else {
            return Ok(steps.iter().collect());
        };
        if let Some(unknown) = only.iter().find(|name| steps.iter().all(|step| step.name != name.as_str())) {
            return Err(format!("no check is called {unknown}: see cargo xtask list"));
        }
        Ok(steps.iter().filter(|step| only.iter().any(|name| name == step.name)).collect())
    }
}

/// Runs `steps` in order; true when all of them passed.
pub(crate) fn run(steps: &[&Step], workspace: &Workspace, keep_going: bool) -> bool {
    let begun = Instant::now();
    let width = steps.iter().map(|step| step.name.len()).max().unwrap_or_default();
    let mut passed = 0;
    let mut failed: Vec<&str> = Vec::new();
    for step in steps {
        print!("{:width$} … ", step.name);
        // Without it the name of a long check would appear only when the check is over.
        let _ = std::io::stdout().flush();
        let started = Instant::now();
        let outcome = (step.run)(workspace);
        match outcome {
            Ok(report) => {
                print_passed(&report, started.elapsed());
                passed += 1;
            }
            Err(failure) => {
                println!("FAILED {}\n\n{failure}\n", seconds(started.elapsed()));
                failed.push(step.name);
            }
        }
        if !failed.is_empty() && !keep_going {
            break;
        }
    }
    println!("\n{}", summary(passed, &failed, steps.len(), begun.elapsed()));
    failed.is_empty()
}

fn print_passed(report: &Report, took: Duration) {
    let figure = report.figure.as_ref().map(|figure| format!("  ({figure})")).unwrap_or_default();
    println!("ok {}{figure}", seconds(took));
    for part in &report.parts {
        println!("    {part}");
    }
    for remark in &report.remarks {
        println!("    note: {remark}");
    }
}

fn summary(passed: usize, failed: &[&str], total: usize, took: Duration) -> String {
    let took = seconds(took);
    if failed.is_empty() {
        return format!("all {total} checks passed in {}", took.trim());
    }
    let skipped = total - passed - failed.len();
    format!("{passed} passed, {} failed ({}), {skipped} not run, in {}", failed.len(), failed.join(", "), took.trim())
}

fn seconds(duration: Duration) -> String {
    format!("{:>6.1} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::report::Failure;

    static RUNS: AtomicUsize = AtomicUsize::new(0);

    fn good(_: &Workspace) -> Outcome {
        RUNS.fetch_add(1, Ordering::SeqCst);
        Ok(Report::default())
    }

    fn bad(_: &Workspace) -> Outcome {
        Err(Failure::new("broken"))
    }

    const STEPS: &[Step] = &[Step { name: "bad", about: "", run: bad }, Step { name: "good", about: "", run: good }];

    fn options(arguments: &[&str]) -> Result<Options, String> {
        Options::parse(&arguments.iter().map(|&argument| argument.to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn without_arguments_everything_is_chosen() {
        assert_eq!(options(&[]).unwrap().choose(STEPS).unwrap().len(), 2);
    }

    #[test]
    fn only_keeps_the_order_of_the_table() {
        let options = options(&["--only", "good, bad", "--keep-going"]).unwrap();
        let names: Vec<_> = options.choose(STEPS).unwrap().iter().map(|step| step.name).collect();
        assert_eq!(names, ["bad", "good"]);
        assert!(options.keep_going);
    }

    #[test]
    fn unknown_names_and_arguments_are_refused() {
        assert!(options(&["--only", "nonsense"]).unwrap().choose(STEPS).is_err());
        assert!(options(&["--only"]).is_err());
        assert!(options(&["--fast"]).is_err());
    }

    #[test]
    fn the_first_failure_stops_unless_told_to_keep_going() {
        let workspace = Workspace::at(std::env::temp_dir());
        let steps: Vec<_> = STEPS.iter().collect();
        assert!(!run(&steps, &workspace, false));
        assert_eq!(RUNS.load(Ordering::SeqCst), 0);
        assert!(!run(&steps, &workspace, true));
        assert_eq!(RUNS.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn the_summary_names_what_failed_and_what_never_ran() {
        let text = summary(1, &["clippy"], 5, Duration::from_millis(1500));
        assert_eq!(text, "1 passed, 1 failed (clippy), 3 not run, in 1.5 s");
    }
}
