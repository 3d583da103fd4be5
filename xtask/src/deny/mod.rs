//! Licences, duplicate versions and sources, by the rules of deny.toml.
//!
//! Where `cargo deny` is installed it is the judge. Elsewhere the same rules are read from the same file and applied
//! to `cargo metadata`, so that nobody has to build a tool first. Either way every exception must say when it was
//! made and why.

mod config;
mod duplicates;
mod licences;
mod sources;

use std::collections::HashSet;
use std::process::Stdio;

use crate::metadata::Metadata;
use crate::process;
use crate::report::{Failure, Outcome, Report};
use crate::workspace::Workspace;

use self::config::Config;

/// Fails on what deny.toml does not allow.
pub(crate) fn check(workspace: &Workspace) -> Outcome {
    let config = Config::read(workspace)?;
    Failure::if_any(&config.undated())?;
    if has_cargo_deny(workspace) {
        let output = process::capture(&mut workspace.cargo(&["deny", "check", "bans", "licenses", "sources"]))?;
        let verdict = output.lines().next_back().unwrap_or_default().trim().to_owned();
        return Ok(Report::figure(format!("cargo deny: {verdict}")));
    }
    let targets = config.targets();
    let used = used(workspace, &targets)?;
    let mut metadata = Metadata::read(workspace, &targets)?;
    metadata.packages.retain(|package| used.contains(&(package.name.clone(), package.version.clone())));
    judge(&config, &metadata)
}

/// Names and versions of what is really built. The metadata also holds optional packages that no feature switches on.
fn used(workspace: &Workspace, targets: &[String]) -> Result<HashSet<(String, String)>, Failure> {
    let arguments = ["tree", "--workspace", "--all-features", "--edges", "normal,build,dev", "--prefix", "none"];
    let mut command = workspace.cargo(&arguments);
    for target in targets {
        command.args(["--target", target]);
    }
    let output = command.args(["--format", "{p}"]).stdin(Stdio::null()).output()?;
    if !output.status.success() {
        return Err(Failure::new(String::from_utf8_lossy(&output.stderr)).during("cargo tree"));
    }
    Ok(String::from_utf8_lossy(&output.stdout).lines().filter_map(name_and_version).collect())
}

/// Reads a line such as `serde v1.0.0 (proc-macro)`.
fn name_and_version(line: &str) -> Option<(String, String)> {
    let mut words = line.split(' ');
    let name = words.next()?;
    let version = words.next()?.strip_prefix('v')?;
    Some((name.to_owned(), version.to_owned()))
}

fn has_cargo_deny(workspace: &Workspace) -> bool {
    let mut command = workspace.cargo(&["deny", "--version"]);
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

fn judge(config: &Config, metadata: &Metadata) -> Outcome {
    let verdicts =
        [licences::judge(config, metadata), duplicates::judge(config, metadata), sources::judge(config, metadata)];
    let problems: Vec<_> = verdicts.iter().flat_map(|verdict| verdict.problems.clone()).collect();
    Failure::if_any(&problems)?;
    let unused = verdicts.into_iter().flat_map(|verdict| verdict.unused).collect();
    Ok(Report::figure(format!("{} packages", metadata.packages.len())).with_remarks(unused))
}

/// What one set of rules found: problems, and entries of deny.toml that nothing needs any more.
#[derive(Debug, Default, PartialEq, Eq)]
struct Verdict {
    problems: Vec<String>,
    unused: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::made_up;

    #[test]
    fn lines_of_the_tree_are_read() {
        let expected = Some(("syn".to_owned(), "3.0.10".to_owned()));
        assert_eq!(name_and_version("syn v3.0.10 (proc-macro) (*)"), expected);
        assert_eq!(name_and_version(""), None);
    }

    #[test]
    fn all_rules_are_asked_and_all_problems_told() {
        let mut metadata = made_up::workspace(&[("ours", &[])]);
        metadata.packages[0].license = Some("MIT".to_owned());
        for version in ["1.0.0", "2.0.0"] {
            let mut package = made_up::package(version, "twice", version, Vec::new());
            package.source = Some("git+https://example.test/twice".to_owned());
            metadata.packages.push(package);
        }
        let told = judge(&Config::parse("[licenses]\nallow = [\"MIT\"]").unwrap(), &metadata).unwrap_err().to_string();
        assert_eq!(told.lines().count(), 5, "{told}");
    }
}
