//! The checks that are one cargo command.

use crate::process;
use crate::report::{Failure, Outcome, Report};
use crate::workspace::Workspace;

/// `cargo fmt`, changing nothing.
pub(crate) fn fmt(workspace: &Workspace) -> Outcome {
    process::capture(&mut workspace.cargo(&["fmt", "--all", "--check"]))?;
    Ok(Report::default())
}

/// clippy over every target, warnings denied.
pub(crate) fn clippy(workspace: &Workspace) -> Outcome {
    let arguments = ["clippy", "--workspace", "--all-targets", "--all-features", "--", "-D", "warnings"];
    process::capture(&mut workspace.cargo(&arguments))?;
    Ok(Report::default())
}

/// Every test and documentation example. One process per test binary finds what tests share by mistake.
pub(crate) fn test(workspace: &Workspace) -> Outcome {
    let arguments = ["test", "--workspace", "--all-features", "--no-fail-fast"];
    let output = process::capture(&mut workspace.cargo(&arguments))?;
    let (passed, ignored) = count(&output);
    if ignored > 0 {
        return Err(Failure::new(format!("{ignored} tests or documentation examples are ignored:\n{output}")));
    }
    Ok(Report::figure(format!("{passed} tests")))
}

/// The documentation of our own crates, warnings denied.
pub(crate) fn docs(workspace: &Workspace) -> Outcome {
    let mut command = workspace.cargo(&["doc", "--workspace", "--no-deps", "--all-features"]);
    process::capture(command.env("RUSTDOCFLAGS", "-D warnings"))?;
    Ok(Report::default())
}

/// How many tests passed and were ignored, over all test binaries.
fn count(output: &str) -> (usize, usize) {
    let results = output.lines().filter(|line| line.starts_with("test result: "));
    results.fold((0, 0), |(passed, ignored), line| (passed + number(line, "passed"), ignored + number(line, "ignored")))
}

/// The number before `word` in a result line such as `ok. 3 passed; 0 failed; 1 ignored`.
fn number(line: &str, word: &str) -> usize {
    let words: Vec<_> = line.split([' ', ';']).collect();
    let pair = words.windows(2).find(|pair| pair[1] == word);
    pair.and_then(|pair| pair[0].parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_added_up() {
        let output = "running 3 tests\ntest result: ok. 3 passed; 0 failed; 1 ignored; 0 measured\n\
                      noise 9 passed\ntest result: ok. 40 passed; 0 failed; 0 ignored; 0 measured\n";
        assert_eq!(count(output), (43, 1));
    }
}
