//! The table in the README of the benches.

use std::fs;
use std::path::Path;

use super::plot;
use super::row::Row;
use super::target::{self, Target};
use crate::markdown;
use crate::report::Failure;

const README: &str = "benches/README.md";
const MARKS: (&str, &str) =
    ("<!-- results of cargo xtask bench: start -->", "<!-- results of cargo xtask bench: end -->");

/// What stands between the marks: the figures, how they grow, and what they were measured on.
pub(super) fn report(rows: &[Row], facts: &[String]) -> String {
    let facts: String = facts.iter().map(|fact| format!("- {fact}\n")).collect();
    format!("{}\n{facts}\n{}", as_table(rows), plot::of(rows))
}

/// Replaces the report in the README.
pub(super) fn into_readme(root: &Path, report: &str) -> Result<(), Failure> {
    let path = root.join(README);
    let text = markdown::replaced(&fs::read_to_string(&path)?, MARKS, report);
    fs::write(&path, text.map_err(|failure| failure.during(README))?)?;
    Ok(())
}

/// All figures but those of Python, which have a table of their own.
fn as_table(rows: &[Row]) -> String {
    let heads = ["what", "median", "min to max", "unit", "beside", "ratio", "target", "met"];
    let mut lines = vec![heads.map(str::to_owned)];
    lines.extend(rows.iter().filter(|row| !row.name.starts_with("python/")).map(cells));
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or_default();
    let widths: [usize; 8] = std::array::from_fn(width);
    lines.insert(1, widths.map(|width| "-".repeat(width)));
    let shown = |line: &[String; 8]| {
        let padded = line.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        format!("| {} |\n", padded.collect::<Vec<_>>().join(" | "))
    };
    lines.iter().map(shown).collect()
}

fn cells(row: &Row) -> [String; 8] {
    let target = target::of(row);
    let met = target.map_or("", |target| if target.is_met(row) { "yes" } else { "**no**" });
    let optional = |value: Option<f64>| value.map(number).unwrap_or_default();
    [
        row.name.clone(),
        number(row.value),
        format!("{} to {}", number(row.min), number(row.max)),
        row.unit.clone(),
        optional(row.baseline),
        optional(row.ratio),
        target.map(Target::shown).unwrap_or_default(),
        met.to_owned(),
    ]
}

/// Three digits that matter, and all before the point.
pub(super) fn number(value: f64) -> String {
    let size = value.abs();
    if size >= 100.0 {
        grouped(value.round() as i64)
    } else if size >= 10.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.3}")
    }
}

/// A whole number as people write it.
pub(super) fn grouped(value: i64) -> String {
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
        let rows = [Row::new("live token read", &[120.0], "ns"), Row::new("python/trivial_rate", &[1.0], "/s")];
        let report = report(&rows, &["2 cores".to_owned()]);
        assert!(report.contains("| live token read | 120    | 120 to 120 | ns   |"), "{report}");
        assert!(report.contains("| ≤ 100  | **no** |\n\n- 2 cores\n"), "{report}");
        assert!(!report.contains("python/"), "{report}");
    }
}
