//! The table: on the terminal and in the documentation.

use std::fs;
use std::path::Path;

use super::row::Row;
use crate::markdown;
use crate::report::Failure;

const DOCUMENT: &str = "docs/reliability.md";
const MARKS: (&str, &str) =
    ("<!-- results of cargo xtask soak: start -->", "<!-- results of cargo xtask soak: end -->");

/// For a terminal: one line per row, the promise last because it is long.
pub(super) fn as_text(rows: &[Row]) -> String {
    let mut text = format!(
        "{:14} {:>9} {:>10} {:>6} {:>9}  {}\n",
        "attack", "attempts", "violations", "seed", "duration", "promise"
    );
    for row in rows {
        let Row { name, promise, attempts, seed, seconds, .. } = row;
        text += &format!("{name:14} {attempts:>9} {:>10} {seed:>6} {seconds:>7.0} s  {promise}\n", verdict(row));
    }
    text
}

/// Replaces the table in the documentation.
pub(super) fn into_document(root: &Path, rows: &[Row]) -> Result<(), Failure> {
    let path = root.join(DOCUMENT);
    let text = fs::read_to_string(&path)?;
    let text = markdown::replaced(&text, MARKS, &as_markdown(rows)).map_err(|failure| failure.during(DOCUMENT))?;
    fs::write(&path, text)?;
    Ok(())
}

fn as_markdown(rows: &[Row]) -> String {
    let mut text =
        "| attack | promise | attempts | violations | seed | duration |\n|---|---|---|---|---|---|\n".to_owned();
    for row in rows {
        let Row { name, promise, attempts, unit, seed, seconds, .. } = row;
        text += &format!("| `{name}` | {promise} | {attempts} {unit} | {} | {seed} | {seconds:.0} s |\n", verdict(row));
    }
    text
}

fn verdict(row: &Row) -> String {
    if row.not_run.is_some() { "not run".to_owned() } else { row.violations.len().to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_did_not_run_shows_no_number() {
        let row = Row { name: "power".into(), not_run: Some("no room".into()), ..Row::default() };
        assert!(as_markdown(std::slice::from_ref(&row)).contains("| not run |"));
        assert!(as_text(&[row]).contains("not run"));
    }
}
