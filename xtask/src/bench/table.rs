//! The table in the README of the benches.

use std::fs;
use std::path::Path;

use super::row::Row;
use crate::markdown;
use crate::report::Failure;

const README: &str = "benches/README.md";
const MARKS: (&str, &str) =
    ("<!-- results of cargo xtask bench: start -->", "<!-- results of cargo xtask bench: end -->");

/// What a figure must reach (design: how fast, how big), where there is something to reach.
enum Target {
    AtLeast(f64),
    AtMost(f64),
    /// So much of what it is beside, at least.
    Share(f64),
    /// So many times what it is beside, at most.
    Times(f64),
}

const TARGETS: &[(&str, Target)] = &[
    ("durable commits, 1 writer, beside a bare log", Target::Share(0.7)),
    ("durable commits, 16 writers, beside a bare log", Target::Share(0.7)),
    ("durable commits, 128 writers, beside a bare log", Target::Share(0.7)),
    ("trivial workflow, 100 in flight", Target::AtLeast(10_000.0)),
    ("trivial, one at a time, p50", Target::AtMost(0.8)),
    ("five steps, 100 in flight", Target::AtLeast(3_000.0)),
    ("live token read", Target::AtMost(100.0)),
    ("start with 10000 customers", Target::AtMost(5.0)),
    ("10000 customers at rest, more than before", Target::AtMost(64.0)),
    ("5000 reads at 2500 per 10 s", Target::Times(1.05)),
    ("share of them answered 429", Target::AtMost(1.0)),
    ("beside a flood, trivial, p99", Target::Times(2.0)),
    ("page of 50 of the history at any depth, p99", Target::AtMost(5.0)),
];

impl Target {
    fn shown(&self) -> String {
        match self {
            Self::AtLeast(value) => format!("≥ {}", number(*value)),
            Self::AtMost(value) => format!("≤ {}", number(*value)),
            Self::Share(value) => format!("ratio ≥ {}", number(*value)),
            Self::Times(value) => format!("ratio ≤ {}", number(*value)),
        }
    }

    fn is_met(&self, row: &Row) -> bool {
        match self {
            Self::AtLeast(value) => row.value >= *value,
            Self::AtMost(value) => row.value <= *value,
            Self::Share(value) => row.ratio.is_some_and(|ratio| ratio >= *value),
            Self::Times(value) => row.ratio.is_some_and(|ratio| ratio <= *value),
        }
    }
}

/// All figures but those of Python, which have a table of their own.
pub(super) fn as_markdown(rows: &[Row]) -> String {
    let mut text =
        "| what | median | min to max | unit | beside | ratio | target | met |\n|---|---|---|---|---|---|---|---|\n"
            .to_owned();
    for row in rows.iter().filter(|row| !row.name.starts_with("python/")) {
        let target = TARGETS.iter().find(|(name, _)| *name == row.name).map(|(_, target)| target);
        let met = target.map_or("", |target| if target.is_met(row) { "yes" } else { "**no**" });
        let optional = |value: Option<f64>| value.map(number).unwrap_or_default();
        text += &format!(
            "| {} | {} | {} to {} | {} | {} | {} | {} | {met} |\n",
            row.name,
            number(row.value),
            number(row.min),
            number(row.max),
            row.unit,
            optional(row.baseline),
            optional(row.ratio),
            target.map(Target::shown).unwrap_or_default(),
        );
    }
    text
}

/// Replaces the table in the README.
pub(super) fn into_readme(root: &Path, rows: &[Row]) -> Result<(), Failure> {
    let path = root.join(README);
    let text = markdown::replaced(&fs::read_to_string(&path)?, MARKS, &as_markdown(rows));
    fs::write(&path, text.map_err(|failure| failure.during(README))?)?;
    Ok(())
}

/// Three digits that matter, and all before the point.
fn number(value: f64) -> String {
    let size = value.abs();
    if size >= 100.0 {
        grouped(value.round() as i64)
    } else if size >= 10.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.3}")
    }
}

fn grouped(value: i64) -> String {
    let digits = value.unsigned_abs().to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if value < 0 { format!("-{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_show_what_matters() {
        assert_eq!([number(0.28123), number(12.34), number(48_000.4)], ["0.281", "12.3", "48,000"]);
    }

    #[test]
    fn a_missed_target_is_said() {
        let row = Row {
            name: "live token read".into(),
            value: 120.0,
            unit: "ns".into(),
            min: 110.0,
            max: 130.0,
            baseline: None,
            ratio: None,
        };
        assert!(as_markdown(&[row]).contains("| ≤ 100 | **no** |"));
    }
}
