//! The findings as one JSON document, from which the table of `cargo xtask soak` is made.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use crate::findings::Findings;
use crate::lab::Attack;

/// All rounds of one attack.
#[derive(Debug)]
pub(crate) struct Row {
    name: &'static str,
    promise: &'static str,
    unit: &'static str,
    seed: u64,
    pub(crate) took: Duration,
    /// Of the first round that found something.
    pub(crate) replay: String,
    pub(crate) findings: Findings,
}

impl Row {
    pub(crate) fn new(attack: &Attack, seed: u64) -> Self {
        let Attack { name, promise, unit, .. } = *attack;
        Self { name, promise, unit, seed, took: Duration::ZERO, replay: String::new(), findings: Findings::default() }
    }
}

/// A row as others read it.
#[derive(Serialize)]
struct Line<'a> {
    name: &'a str,
    promise: &'a str,
    unit: &'a str,
    attempts: u64,
    violations: &'a [String],
    seed: u64,
    seconds: f64,
    replay: &'a str,
    measured: BTreeMap<&'a str, f64>,
}

pub(crate) fn write(path: &Path, rows: &[Row]) {
    let lines: Vec<_> = rows.iter().map(line).collect();
    std::fs::write(path, serde_json::to_vec_pretty(&lines).unwrap()).unwrap();
}

fn line(row: &Row) -> Line<'_> {
    Line {
        name: row.name,
        promise: row.promise,
        unit: row.unit,
        attempts: row.findings.attempts,
        violations: &row.findings.violations,
        seed: row.seed,
        seconds: row.took.as_secs_f64(),
        replay: &row.replay,
        measured: row.findings.measured.iter().copied().collect(),
    }
}
