//! Python workflows under SIGKILL: the test of the package at length, on the built wheel.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use serde::Deserialize;

use super::options::Scale;
use super::row::Row;
use crate::python;
use crate::report::Failure;
use crate::workspace::Workspace;

const NAME: &str = "python-crash";
const PROMISE: &str = "what was acknowledged to Python survives SIGKILL, whole and once";
const TEST: &str = "tests/crash/test_sigkill.py";

/// What is not over by then hangs.
const WITHIN: Duration = Duration::from_secs(1_800);

/// The one attack of this part.
pub(super) fn names(_workspace: &Workspace) -> Result<Vec<String>, Failure> {
    Ok(vec![NAME.to_owned()])
}

/// Builds the wheel and runs the test on it; the test itself writes what it tried and found.
pub(super) fn run(workspace: &Workspace, scale: &Scale) -> Result<Vec<Row>, Failure> {
    let kills = if scale.full { 200 } else { 25 };
    let folder = tempfile::tempdir()?;
    let report = folder.path().join("report.json");
    let variables = [
        ("BIFROST_KILLS", kills.to_string()),
        ("BIFROST_SEED", scale.seed.to_string()),
        ("BIFROST_REPORT", report.to_string_lossy().into_owned()),
    ];
    let ended = python::run_file(workspace, TEST, &variables, WITHIN);
    let Ok(text) = fs::read(&report) else {
        ended?;
        return Err(Failure::new(format!("{TEST} ended without a report")));
    };
    let mut found: Found = serde_json::from_slice(&text).map_err(|error| Failure::new(format!("{TEST}: {error}")))?;
    if let (true, Err(failure)) = (found.violations.is_empty(), ended) {
        found.violations.push(failure.to_string());
    }
    Ok(vec![Row {
        name: NAME.to_owned(),
        promise: PROMISE.to_owned(),
        unit: "kills".to_owned(),
        attempts: found.attempts,
        violations: found.violations,
        seed: scale.seed,
        seconds: found.seconds,
        replay: format!("cargo xtask soak --only {NAME} --seed {}", scale.seed),
        measured: found.measured,
        not_run: None,
    }])
}

/// What the test writes down.
#[derive(Deserialize)]
struct Found {
    attempts: u64,
    violations: Vec<String>,
    seconds: f64,
    measured: BTreeMap<String, f64>,
}
