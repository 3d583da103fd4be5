//! The Criterion suite: run by cargo, read from what it leaves in the build folder.

use std::fs;
use std::path::Path;

use serde::Deserialize;

use super::row::Row;
use crate::report::Failure;
use crate::workspace::Workspace;

/// The benches, in the order of the table.
const BENCHES: &[&str] = &["store", "executions", "tokens", "graph", "history"];

const NANOSECONDS: f64 = 1e9;

/// What is read from Criterion for one line: where it lies, and what it is beside.
struct Line {
    /// Below the folder of Criterion.
    folder: &'static str,
    name: &'static str,
    unit: Unit,
    beside: Option<&'static str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    PerSecond,
    Nanoseconds,
    Milliseconds,
}

const fn rate(folder: &'static str, name: &'static str, beside: Option<&'static str>) -> Line {
    Line { folder, name, unit: Unit::PerSecond, beside }
}

const fn time(folder: &'static str, name: &'static str, unit: Unit) -> Line {
    Line { folder, name, unit, beside: None }
}

const LINES: &[Line] = &[
    rate("commit/store/1", "durable commits, 1 writer, beside a bare log", Some("commit/bare log/1")),
    rate("commit/store/16", "durable commits, 16 writers, beside a bare log", Some("commit/bare log/16")),
    rate("commit/store/128", "durable commits, 128 writers, beside a bare log", Some("commit/bare log/128")),
    rate("execution/trivial/100", "trivial workflow, 100 in flight", None),
    time("execution/trivial/1", "trivial workflow, one at a time, mean", Unit::Milliseconds),
    rate("execution/five_steps/100", "five steps, 100 in flight", None),
    time("execution/five_steps/1", "five steps, one at a time, mean", Unit::Milliseconds),
    time("live token", "live token read", Unit::Nanoseconds),
    rate(
        "graph read/typed client/64",
        "Graph reads, 64 in flight, beside bare hyper",
        Some("graph read/bare hyper/64"),
    ),
    time("history page of 50/0", "history page of 50, newest", Unit::Milliseconds),
    time("history page of 50/10000", "history page of 50, 10,000 deep", Unit::Milliseconds),
    time("history page of 50/19950", "history page of 50, the oldest", Unit::Milliseconds),
];

/// Runs the suite and reads it.
pub(super) fn run(workspace: &Workspace, quick: bool) -> Result<Vec<Row>, Failure> {
    let mut command = workspace.cargo(&["bench", "--quiet", "--all-features"]);
    for bench in BENCHES {
        command.args(["--bench", bench]);
    }
    let options: &[&str] = if quick { &["--quick", "--noplot"] } else { &["--noplot"] };
    if !command.arg("--").args(options).status()?.success() {
        return Err(Failure::new("the Criterion suite failed"));
    }
    let folder = workspace.metadata()?.target_directory.join("criterion");
    LINES.iter().map(|line| line.read(&folder)).collect()
}

/// What Criterion estimated, in nanoseconds.
#[derive(Deserialize)]
struct Estimates {
    median: Estimate,
}

#[derive(Deserialize)]
struct Estimate {
    point_estimate: f64,
    confidence_interval: Interval,
}

#[derive(Deserialize)]
struct Interval {
    lower_bound: f64,
    upper_bound: f64,
}

impl Line {
    fn read(&self, folder: &Path) -> Result<Row, Failure> {
        let row = self.row(&estimate(folder, self.folder)?);
        match self.beside {
            Some(other) => Ok(row.beside(self.unit.of(estimate(folder, other)?.point_estimate))),
            None => Ok(row),
        }
    }

    fn row(&self, estimate: &Estimate) -> Row {
        let Interval { lower_bound, upper_bound } = estimate.confidence_interval;
        let ends = [self.unit.of(lower_bound), self.unit.of(upper_bound)];
        Row {
            name: self.name.to_owned(),
            value: self.unit.of(estimate.point_estimate),
            unit: self.unit.shown().to_owned(),
            min: ends[0].min(ends[1]),
            max: ends[0].max(ends[1]),
            baseline: None,
            ratio: None,
        }
    }
}

impl Unit {
    /// A time in nanoseconds in this unit.
    fn of(self, nanoseconds: f64) -> f64 {
        match self {
            Self::PerSecond => NANOSECONDS / nanoseconds,
            Self::Nanoseconds => nanoseconds,
            Self::Milliseconds => nanoseconds / 1e6,
        }
    }

    fn shown(self) -> &'static str {
        match self {
            Self::PerSecond => "/s",
            Self::Nanoseconds => "ns",
            Self::Milliseconds => "ms",
        }
    }
}

fn estimate(folder: &Path, line: &str) -> Result<Estimate, Failure> {
    let path = folder.join(line).join("new/estimates.json");
    let text = fs::read(&path).map_err(|error| Failure::from(error).during(line))?;
    let estimates: Estimates =
        serde_json::from_slice(&text).map_err(|error| Failure::new(format!("{line}: {error}")))?;
    Ok(estimates.median)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_read_beside_its_baseline() {
        let folder = tempfile::tempdir().unwrap();
        for (line, nanoseconds) in [("commit/store/1", 400_000.0), ("commit/bare log/1", 200_000.0)] {
            let path = folder.path().join(line).join("new");
            fs::create_dir_all(&path).unwrap();
            let median = format!(
                r#"{{"point_estimate":{nanoseconds},"confidence_interval":{{"lower_bound":{nanoseconds},"upper_bound":500000.0}}}}"#
            );
            fs::write(path.join("estimates.json"), format!(r#"{{"median":{median}}}"#)).unwrap();
        }
        let row = LINES[0].read(folder.path()).unwrap();
        assert_eq!((row.value, row.min, row.max), (2_500.0, 2_000.0, 2_500.0));
        assert_eq!((row.baseline, row.ratio), (Some(5_000.0), Some(0.5)));
        assert!(LINES[3].read(folder.path()).is_err());
    }
}
