//! A figure, and how much is measured for it.

use serde::{Deserialize, Serialize};

/// A measured value. `baseline` is what it is compared with in the same run; `ratio` is value by baseline.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Figure {
    pub(crate) name: String,
    pub(crate) value: f64,
    pub(crate) unit: String,
    pub(crate) min: f64,
    pub(crate) max: f64,
    pub(crate) baseline: Option<f64>,
    pub(crate) ratio: Option<f64>,
}

impl Figure {
    /// A figure that was taken once.
    pub(crate) fn new(name: impl Into<String>, value: f64, unit: &str) -> Self {
        Self::median(name, vec![value], unit)
    }

    /// The median of several, with the smallest and the largest.
    pub(crate) fn median(name: impl Into<String>, mut values: Vec<f64>, unit: &str) -> Self {
        values.sort_by(f64::total_cmp);
        let (min, max) = (values[0], values[values.len() - 1]);
        let value = values[values.len() / 2];
        Self { name: name.into(), value, unit: unit.to_owned(), min, max, baseline: None, ratio: None }
    }

    /// Beside something measured in the same run.
    pub(crate) fn beside(mut self, baseline: f64) -> Self {
        self.baseline = Some(baseline);
        self.ratio = Some(self.value / baseline);
        self
    }

    pub(crate) fn print(&self) {
        let ratio = self.ratio.map(|ratio| format!("  ({ratio:.2} of {:.3})", self.baseline.unwrap_or_default()));
        println!("{:52} {:>12.3} {}{}", self.name, self.value, self.unit, ratio.unwrap_or_default());
    }
}

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scale {
    pub(crate) full: bool,
}

impl Scale {
    /// The figure for a glance, or the published one.
    pub(crate) fn of(self, small: u64, full: u64) -> u64 {
        if self.full { full } else { small }
    }
}
