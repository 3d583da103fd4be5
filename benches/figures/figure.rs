//! A figure, and how much is measured for it.

use serde::{Deserialize, Serialize};

/// A measured value. `baseline` is what it is compared with in the same run; `ratio` is value by baseline.
#[derive(Debug, Clone, Serialize, Deserialize)]
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
    pub(crate) fn median(name: impl Into<String>, values: Vec<f64>, unit: &str) -> Self {
        let (min, max) =
            values.iter().fold((f64::NAN, f64::NAN), |(min, max), &value| (value.min(min), value.max(max)));
        let value = median(values).unwrap_or(f64::NAN);
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
        println!("{:60} {:>12.3} {}{}", self.name, self.value, self.unit, ratio.unwrap_or_default());
    }
}

/// The same figures of several rounds: their medians, with the smallest and the largest. A ratio is the median of the
/// rounds' ratios, because what a round compares was measured within that round.
pub(crate) fn merged(rounds: Vec<Vec<Figure>>) -> Vec<Figure> {
    let first = rounds.first().cloned().unwrap_or_default();
    let merge = |figure: Figure| {
        let same: Vec<&Figure> = rounds.iter().flatten().filter(|other| other.name == figure.name).collect();
        let median = |of: fn(&Figure) -> Option<f64>| median(same.iter().filter_map(|figure| of(figure)).collect());
        Figure {
            value: median(|figure| Some(figure.value)).unwrap_or(figure.value),
            min: same.iter().map(|figure| figure.min).fold(figure.min, f64::min),
            max: same.iter().map(|figure| figure.max).fold(figure.max, f64::max),
            baseline: median(|figure| figure.baseline),
            ratio: median(|figure| figure.ratio),
            ..figure
        }
    };
    first.into_iter().map(merge).collect()
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
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
