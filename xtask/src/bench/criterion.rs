//! The Criterion suite: run by cargo, read from the samples it leaves.

use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::row::{Row, median};
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
    rate(
        "graph read/bare reqwest/64",
        "the same with bare reqwest, beside bare hyper",
        Some("graph read/bare hyper/64"),
    ),
    time("history page of 50/0", "history page of 50, newest", Unit::Milliseconds),
    time("history page of 50/10000", "history page of 50, 10,000 deep", Unit::Milliseconds),
    time("history page of 50/19950", "history page of 50, the oldest", Unit::Milliseconds),
];

/// Runs the suite and reads it.
pub(super) fn run(workspace: &Workspace, quick: bool) -> Result<Vec<Row>, Failure> {
    // A folder of its own: what an earlier run left must not be read for this one.
    let folder = tempfile::tempdir()?;
    let mut command = workspace.cargo(&["bench", "--quiet", "--all-features"]);
    for bench in BENCHES {
        command.args(["--bench", bench]);
    }
    let options: &[&str] = if quick { &["--quick", "--noplot"] } else { &["--noplot"] };
    command.arg("--").args(options).env("CRITERION_HOME", folder.path());
    if !command.status()?.success() {
        return Err(Failure::new("a bench failed"));
    }
    LINES.iter().map(|line| line.read(folder.path())).collect()
}

impl Line {
    fn read(&self, folder: &Path) -> Result<Row, Failure> {
        let values = |line: &str| measured(folder, line, self.unit);
        let row = Row::new(self.name, &values(self.folder)?, self.unit.shown());
        match self.beside {
            Some(other) => Ok(row.beside(median(&values(other)?))),
            None => Ok(row),
        }
    }
}

/// What Criterion measured: so many iterations took so many nanoseconds.
#[derive(Deserialize)]
struct Sample {
    iters: Vec<f64>,
    times: Vec<f64>,
}

/// What Criterion was told about the line.
#[derive(Deserialize)]
struct Told {
    throughput: Option<Throughput>,
}

#[derive(Deserialize)]
struct Throughput {
    /// How much is done in one iteration.
    #[serde(rename = "Elements")]
    elements: Option<f64>,
}

/// What one element took, or how many there were in a second, in each measurement.
fn measured(folder: &Path, line: &str, unit: Unit) -> Result<Vec<f64>, Failure> {
    let sample: Sample = read(folder, line, "sample.json")?;
    let told: Told = read(folder, line, "benchmark.json")?;
    let elements = told.throughput.and_then(|throughput| throughput.elements).unwrap_or(1.0);
    let pairs = sample.iters.iter().zip(&sample.times);
    Ok(pairs.map(|(iterations, time)| unit.of(time / (iterations * elements))).collect())
}

fn read<T: DeserializeOwned>(folder: &Path, line: &str, file: &str) -> Result<T, Failure> {
    let path = folder.join(line).join("new").join(file);
    let text = fs::read(&path).map_err(|error| Failure::from(error).during(line))?;
    serde_json::from_slice(&text).map_err(|error| Failure::new(format!("{line}: {error}")))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_read_beside_its_baseline() {
        let folder = tempfile::tempdir().unwrap();
        for (line, nanoseconds) in [("commit/store/1", 400_000), ("commit/bare log/1", 200_000)] {
            let path = folder.path().join(line).join("new");
            fs::create_dir_all(&path).unwrap();
            let times = [10 * nanoseconds, 20 * nanoseconds, 15_000_000];
            let sample = serde_json::json!({"sampling_mode": "Linear", "iters": [1.0, 2.0, 3.0], "times": times});
            fs::write(path.join("sample.json"), sample.to_string()).unwrap();
            fs::write(path.join("benchmark.json"), r#"{"throughput": {"Elements": 10}}"#).unwrap();
        }
        let row = LINES[0].read(folder.path()).unwrap();
        assert_eq!((row.value, row.min, row.max), (2_500.0, 2_000.0, 2_500.0));
        assert_eq!((row.baseline, row.ratio), (Some(5_000.0), Some(0.5)));
        assert!(LINES[3].read(folder.path()).is_err());
    }
}
