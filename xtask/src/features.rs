//! Each library builds without warnings with no feature, with each alone, and with all.

use std::process::Stdio;

use serde::Deserialize;

use crate::metadata::Package;
use crate::report::{Failure, Outcome, Report};
use crate::workspace::Workspace;

/// Fails at the first combination that does not build or warns.
pub(crate) fn check(workspace: &Workspace) -> Outcome {
    let metadata = workspace.metadata()?;
    let mut checked = 0;
    // Package by package, few features first: what one combination built serves the next.
    for package in metadata.members().filter(|package| package.is_library()) {
        for flags in combinations(package) {
            build(workspace, &package.name, &flags)?;
            checked += 1;
        }
    }
    Ok(Report::figure(format!("{checked} combinations")))
}

/// The flags of every combination: none, each alone, all.
fn combinations(package: &Package) -> Vec<Vec<String>> {
    let owned = |flags: &[&str]| flags.iter().map(|&flag| flag.to_owned()).collect::<Vec<_>>();
    let features: Vec<_> = package.features.keys().filter(|name| *name != "default").collect();
    let mut found = vec![owned(&["--no-default-features"])];
    found.extend(features.iter().map(|feature| owned(&["--no-default-features", "--features", feature])));
    if features.len() > 1 {
        found.push(owned(&["--all-features"]));
    }
    found
}

fn build(workspace: &Workspace, package: &str, flags: &[String]) -> Result<(), Failure> {
    let shown = format!("cargo check -p {package} {}", flags.join(" "));
    let mut command = workspace.cargo(&["check", "--quiet", "--message-format", "json", "--package", package]);
    // Flags that deny warnings would have everything built anew; reading the messages costs nothing.
    let output = command.args(flags).stdin(Stdio::null()).output()?;
    let complaints = complaints(&String::from_utf8_lossy(&output.stdout));
    if output.status.success() && complaints.is_empty() {
        return Ok(());
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    Err(Failure::new(format!("$ {shown}\n{}{stderr}", complaints.concat())))
}

/// One line of cargo's messages.
#[derive(Deserialize)]
struct Line {
    message: Option<Diagnostic>,
}

#[derive(Deserialize)]
struct Diagnostic {
    level: String,
    rendered: Option<String>,
}

/// The warnings and errors among cargo's messages; of other people's crates it only passes errors on.
fn complaints(messages: &str) -> Vec<String> {
    let parsed = messages.lines().filter_map(|line| serde_json::from_str::<Line>(line).ok());
    let diagnostics = parsed.filter_map(|line| line.message);
    let bad = diagnostics.filter(|diagnostic| diagnostic.level == "warning" || diagnostic.level.starts_with("error"));
    bad.filter_map(|diagnostic| diagnostic.rendered).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(features: &[&str]) -> Package {
        let features = features.iter().map(|&name| (name.to_owned(), Vec::new())).collect();
        Package { features, ..Package::default() }
    }

    #[test]
    fn none_each_and_all_are_checked_but_not_default() {
        let flags: Vec<_> =
            combinations(&package(&["default", "graph", "testing"])).iter().map(|f| f.join(" ")).collect();
        assert_eq!(
            flags,
            [
                "--no-default-features",
                "--no-default-features --features graph",
                "--no-default-features --features testing",
                "--all-features",
            ]
        );
    }

    #[test]
    fn a_package_without_features_is_checked_once() {
        assert_eq!(combinations(&package(&[])).len(), 1);
        assert_eq!(combinations(&package(&["one"])).len(), 2);
    }

    #[test]
    fn warnings_count_and_notes_do_not() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact"}"#,
            "\n",
            r#"{"reason":"compiler-message","message":{"level":"warning","rendered":"unused"}}"#,
            "\n",
            r#"{"reason":"compiler-message","message":{"level":"failure-note","rendered":"more"}}"#,
            "\nnot json\n",
        );
        assert_eq!(complaints(messages), ["unused"]);
    }
}
