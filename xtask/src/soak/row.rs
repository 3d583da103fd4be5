//! One row of the table: a promise and what came of attacking it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A promise and what came of attacking it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) promise: String,
    /// What was tried so many times.
    pub(crate) unit: String,
    pub(crate) attempts: u64,
    pub(crate) violations: Vec<String>,
    pub(crate) seed: u64,
    pub(crate) seconds: f64,
    /// The command that does the same again.
    #[serde(default)]
    pub(crate) replay: String,
    /// Figures worth telling.
    #[serde(default)]
    pub(crate) measured: BTreeMap<String, f64>,
    /// Why it could not run; such a row promises nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) not_run: Option<String>,
}

impl Row {
    /// What makes the check fail, with the command that shows it again.
    pub(super) fn problems(&self) -> Vec<String> {
        let Self { name, replay, .. } = self;
        let mut problems: Vec<_> = self.violations.iter().map(|text| format!("{name}: {text}")).collect();
        problems.extend(self.not_run.iter().map(|why| format!("{name}: not run: {why}")));
        if !problems.is_empty() {
            problems.push(format!("replay: {replay}"));
        }
        problems
    }

    /// One line below the check's own.
    pub(super) fn line(&self) -> String {
        let Self { name, attempts, unit, seconds, .. } = self;
        format!("{name:14} {seconds:>6.1} s  ({attempts} {unit})")
    }
}

/// All rows, for programs.
pub(super) fn as_json(rows: &[Row]) -> String {
    serde_json::to_string_pretty(rows).unwrap_or_default()
}
