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
    /// The median of what was measured, with the smallest and the largest.
    pub(super) fn new(name: &str, values: &[f64], unit: &str) -> Self {
        let (min, max) =
            (values.iter().copied().fold(f64::NAN, f64::min), values.iter().copied().fold(f64::NAN, f64::max));
        Self {
            name: name.to_owned(),
            value: median(values),
            unit: unit.to_owned(),
            min,
            max,
            baseline: None,
            ratio: None,
        }
    }

    /// Beside what was measured for comparison.
    pub(super) fn beside(mut self, baseline: f64) -> Self {
        self.baseline = Some(baseline);
        self.ratio = Some(self.value / baseline);
        self
    }
}

/// The value in the middle; not a number where there is none.
pub(super) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// All of them, for programs.
pub(super) fn as_json(rows: &[Row]) -> String {
    serde_json::to_string_pretty(rows).unwrap_or_default()
}

/// What another program has written.
pub(super) fn read(path: &Path) -> Result<Vec<Row>, Failure> {
    serde_json::from_slice(&fs::read(path)?).map_err(|error| Failure::new(format!("{}: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_the_median_with_its_spread() {
        let row = Row::new("x", &[3.0, 1.0, 2.0], "/s").beside(4.0);
        assert_eq!((row.value, row.min, row.max), (2.0, 1.0, 3.0));
        assert_eq!((row.baseline, row.ratio), (Some(4.0), Some(0.5)));
        assert!(as_json(&[row]).contains("\"ratio\": 0.5"));
    }
}
