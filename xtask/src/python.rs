//! The Python package, tested as people get it: the built wheel in environments of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::onboarding::CREDENTIALS;
use crate::process;
use crate::report::{Failure, Outcome, Report};
use crate::venv::{self, Environment, Python};
use crate::wheel::{self, Profile, Wheel};
use crate::workspace::Workspace;

const PROJECT: &str = "bindings/python";
const EXAMPLES: &str = "examples/python";

/// Folders with Python of ours, as far as they are there.
const SOURCES: &[&str] = &[PROJECT, EXAMPLES, "benches/python"];

/// A suite that takes longer hangs.
const TESTS_WITHIN: Duration = Duration::from_secs(900);

/// What pytest answers when there was nothing to run.
const NOTHING_COLLECTED: i32 = 5;

/// Builds the wheel, installs it into every Python here, and tests it.
pub(crate) fn check(workspace: &Workspace) -> Outcome {
    let mut parts = Parts::default();
    let pythons = venv::pythons()?;
    let newest = pythons.last().ok_or_else(|| Failure::new("no Python"))?;
    let folder = workspace.metadata()?.target_directory.join("python");
    let tools =
        parts.run("tools", || Ok((tools(workspace, newest, &folder)?, format!("Python {}", newest.version()))))?;
    parts.run("ruff", || ruff(workspace, &tools).map(|()| ((), String::new())))?;
    let wheel = parts.run("wheel", || {
        let wheel = wheel::build(workspace, Profile::Release, &Stdio::piped)?;
        let size = wheel.shown_size();
        Ok((wheel, size))
    })?;
    let installed = Installed { workspace, tools: &tools, wheel: &wheel, folder: &folder };
    for python in &pythons {
        parts.run(&format!("smoke {}", python.version()), || installed.smoke(python).map(|()| ((), String::new())))?;
    }
    let passed = installed.test(&mut parts)?;
    Ok(Report::figure(format!("{} Pythons, {passed} tests", pythons.len())).with_parts(parts.lines))
}

/// Builds the wheel, installs it beside the tools, and runs one file of the package's tests for at most so long with
/// these variables set; fails as pytest does.
pub(crate) fn run_file(
    workspace: &Workspace,
    file: &str,
    variables: &[(&str, String)],
    within: Duration,
) -> Result<(), Failure> {
    let pythons = venv::pythons()?;
    let newest = pythons.last().ok_or_else(|| Failure::new("no Python"))?;
    let folder = workspace.metadata()?.target_directory.join("python");
    let tools = tools(workspace, newest, &folder)?;
    let wheel = wheel::build(workspace, Profile::Release, &Stdio::piped)?;
    tools.install_into(&tools, &wheel.path)?;
    let installed = Installed { workspace, tools: &tools, wheel: &wheel, folder: &folder };
    let mut command = installed.pytest_in(PROJECT);
    command.arg(file).envs(variables.iter().map(|(name, value)| (name, value)));
    run_tests(&mut command, &folder.join("pytest-file.log"), within).map(drop)
}

/// What the package is tested with, in an environment of its own.
fn tools(workspace: &Workspace, python: &Python, folder: &Path) -> Result<Environment, Failure> {
    let requirements = workspace.root().join(PROJECT).join("requirements-test.txt");
    let requirements = ["--requirement", &requirements.to_string_lossy()];
    Environment::with_tools(python, folder.join(format!("tools-{}", python.version())), &requirements)
}

/// The parts of the check: each is timed, and named when it fails.
#[derive(Default)]
struct Parts {
    lines: Vec<String>,
}

impl Parts {
    /// Runs one part, which answers what the next ones need and something to tell.
    fn run<T>(&mut self, name: &str, part: impl FnOnce() -> Result<(T, String), Failure>) -> Result<T, Failure> {
        let started = Instant::now();
        let (answer, told) = part().map_err(|failure| failure.during(name))?;
        let told = if told.is_empty() { told } else { format!("  ({told})") };
        self.lines.push(format!("{name:14} {:>6.1} s{told}", started.elapsed().as_secs_f64()));
        Ok(answer)
    }
}

fn ruff(workspace: &Workspace, tools: &Environment) -> Result<(), Failure> {
    let present: Vec<_> = SOURCES.iter().filter(|folder| workspace.root().join(folder).exists()).collect();
    for action in [&["check"][..], &["format", "--check"]] {
        let mut command = tools.command("ruff");
        command.args(action).args(["--no-cache", "--quiet", "--config", "bindings/python/pyproject.toml"]);
        process::capture(command.args(&present).current_dir(workspace.root()))?;
    }
    Ok(())
}

/// The wheel and what it is tested with.
struct Installed<'a> {
    workspace: &'a Workspace,
    tools: &'a Environment,
    wheel: &'a Wheel,
    folder: &'a Path,
}

impl Installed<'_> {
    /// The wheel by itself in a new environment.
    fn smoke(&self, python: &Python) -> Result<(), Failure> {
        let environment = Environment::fresh(python, self.folder.join(format!("smoke-{}", python.version())))?;
        self.tools.install_into(&environment, &self.wheel.path)?;
        let members = self.workspace.metadata()?.members();
        let version = members.filter(|package| package.name == "bifrost-py").map(|package| package.version.as_str());
        let mut command = environment.command("python");
        command.arg("-I").arg(self.project("tools/smoke.py")).args(version);
        process::capture(command.current_dir(self.folder)).map(drop)
    }

    /// Everything else, with the tools and the wheel in one environment.
    fn test(&self, parts: &mut Parts) -> Result<usize, Failure> {
        self.tools.install_into(self.tools, &self.wheel.path)?;
        parts.run("stubs", || self.stubs().map(|told| ((), told)))?;
        parts.run("mypy", || self.mypy().map(|()| ((), String::new())))?;
        parts.run("pyright", || self.pyright().map(|()| ((), String::new())))?;
        let mut passed = parts.run("pytest", || counted(self.pytest(&["tests"], PROJECT)?))?;
        if self.workspace.root().join(EXAMPLES).exists() {
            // As a reader would run them: a test imports the workflow that stands beside it.
            let arguments = ["-n", "4", "--import-mode=prepend"];
            passed += parts.run("examples", || counted(self.pytest(&arguments, EXAMPLES)?))?;
        }
        Ok(passed)
    }

    fn stubs(&self) -> Result<String, Failure> {
        let mut command = self.tools.command("python");
        command.arg("-I").arg(self.project("tools/compare_stubs.py")).current_dir(self.folder);
        Ok(process::capture(&mut command)?.trim().to_owned())
    }

    fn mypy(&self) -> Result<(), Failure> {
        let mut command = self.tools.command("mypy");
        command
            .arg("--config-file")
            .arg(self.project("pyproject.toml"))
            .arg("--cache-dir")
            .arg(self.folder.join("mypy"));
        command.args(["--strict", "--package", "bifrost"]);
        process::capture(command.current_dir(self.folder)).map(drop)
    }

    /// pyright takes no package by its name, so it gets what was installed as a folder.
    fn pyright(&self) -> Result<(), Failure> {
        let settings = serde_json::json!({"extends": self.project("pyproject.toml"), "include": ["bifrost"]});
        fs::write(self.wheel.unpacked.join("pyrightconfig.json"), settings.to_string())?;
        if !self.wheel.unpacked.join("bifrost/py.typed").exists() {
            return Err(Failure::new("the wheel has no bifrost/py.typed"));
        }
        let mut command = self.tools.command("pyright");
        command.arg("--pythonpath").arg(self.tools.program("python"));
        process::capture(command.current_dir(&self.wheel.unpacked)).map(drop)
    }

    /// Runs the tests in `folder` of the repository; how many passed.
    fn pytest(&self, arguments: &[&str], folder: &str) -> Result<usize, Failure> {
        let mut command = self.pytest_in(folder);
        command.args(arguments);
        if !arguments.contains(&"tests") {
            command.arg(".");
        }
        run_tests(&mut command, &self.folder.join("pytest.log"), TESTS_WITHIN)
    }

    /// pytest in `folder` of the repository.
    fn pytest_in(&self, folder: &str) -> Command {
        let mut command = self.tools.command("pytest");
        command.args(["-p", "no:cacheprovider", "--config-file"]).arg(self.project("pyproject.toml"));
        command.args(["--rootdir", ".", "--color", "no"]);
        command.env("PYTHONDONTWRITEBYTECODE", "1").current_dir(self.workspace.root().join(folder));
        process::remove_variables(&mut command, CREDENTIALS);
        command
    }

    fn project(&self, name: &str) -> PathBuf {
        self.workspace.root().join(PROJECT).join(name)
    }
}

fn counted(passed: usize) -> Result<(usize, String), Failure> {
    Ok((passed, format!("{passed} tests")))
}

/// Runs pytest; every test must pass, and none may be left out.
fn run_tests(command: &mut Command, log: &Path, within: Duration) -> Result<usize, Failure> {
    let ended = process::run_within(command, within, log)?;
    if ended.status.code() == Some(NOTHING_COLLECTED) {
        return Ok(0);
    }
    let tally = tally(&ended.output);
    if ended.status.success() && tally.left_out == 0 {
        return Ok(tally.passed);
    }
    Err(Failure::new(format!("{}\n{}, {} tests left out", ended.output, ended.status, tally.left_out)))
}

/// What pytest counted.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    passed: usize,
    left_out: usize,
}

/// Reads the last line, such as `== 1 failed, 4 passed, 2 skipped in 0.46s ==`.
fn tally(output: &str) -> Tally {
    let last = output.lines().rev().find(|line| line.contains(" in ")).unwrap_or_default();
    let words: Vec<_> = last.split([' ', ',', '=']).filter(|word| !word.is_empty()).collect();
    let mut tally = Tally::default();
    for pair in words.windows(2) {
        let number: usize = pair[0].parse().unwrap_or_default();
        match pair[1] {
            "passed" => tally.passed += number,
            "skipped" | "deselected" | "xfailed" | "xpassed" => tally.left_out += number,
            _ => {}
        }
    }
    tally
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_counted_from_the_last_line() {
        let output = "3 passed in the text\n==== 14 passed, 2 skipped, 1 xfailed in 0.46s ====\n";
        assert_eq!(tally(output), Tally { passed: 14, left_out: 3 });
        assert_eq!(tally("15 passed in 0.47s"), Tally { passed: 15, left_out: 0 });
        assert_eq!(tally(""), Tally::default());
    }

    #[test]
    fn a_failed_part_is_named_and_a_passed_one_is_timed() {
        let mut parts = Parts::default();
        parts.run("mypy", || Ok(((), "4 files".to_owned()))).unwrap();
        assert!(parts.lines[0].starts_with("mypy ") && parts.lines[0].ends_with(" s  (4 files)"), "{:?}", parts.lines);
        let failure = parts.run::<()>("pyright", || Err(Failure::new("wrong type"))).unwrap_err();
        assert_eq!(failure.to_string(), "pyright:\nwrong type");
    }

    #[cfg(unix)]
    #[test]
    fn failed_and_left_out_tests_are_red() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let run = |script: &str| run_tests(Command::new("sh").args(["-c", script]), &log, TESTS_WITHIN);
        assert_eq!(run("echo '2 passed in 1s'").unwrap(), 2);
        assert_eq!(run("echo 'no tests ran in 1s'; exit 5").unwrap(), 0);
        assert!(run("echo '1 failed, 2 passed in 1s'; exit 1").is_err());
        assert!(run("echo '2 passed, 1 skipped in 1s'").unwrap_err().to_string().contains("1 tests left out"));
    }
}
