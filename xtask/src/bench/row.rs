//! One figure.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::report::Failure;

/// A figure with its spread, and beside it what was measured for comparison in the same run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) value: f64,
    pub(super) unit: String,
    pub(super) min: f64,
    pub(super) max: f64,
    pub(super) baseline: Option<f64>,
    pub(super) ratio: Option<f64>,
}

impl Row {
    /// Beside what was measured for comparison.
    pub(super) fn beside(mut self, baseline: f64) -> Self {
        self.baseline = Some(baseline);
        self.ratio = Some(self.value / baseline);
        self
    }
}

/// All of them, for programs.
pub(super) fn as_json(rows: &[Row]) -> String {
    serde_json::to_string_pretty(rows).unwrap_or_default()
}

/// What another program has written.
pub(super) fn read(path: &Path) -> Result<Vec<Row>, Failure> {
    serde_json::from_slice(&fs::read(path)?).map_err(|error| Failure::new(format!("{}: {error}", path.display())))
}
