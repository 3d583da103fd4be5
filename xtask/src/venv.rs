//! The Pythons of this machine, and environments made from them.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process;
use crate::report::Failure;

/// The minor versions of Python 3 that we test with.
const MINORS: RangeInclusive<u32> = 10..=13;

/// Asks a Python what it is. One that cannot make environments is of no use, so it is to fail here.
const INTRODUCTION: &str =
    "import ensurepip, sys, venv; print(sys.implementation.name, *sys.version_info[:3], sys.executable)";

/// What would have a Python look for packages elsewhere than in its environment.
const SETTINGS: &[&str] = &["PYTHON", "VIRTUAL_ENV", "CONDA_", "PYTEST_", "MYPY", "RUFF_"];

/// One interpreter.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Python {
    version: [u32; 3],
    program: PathBuf,
}

impl Python {
    /// Its version, such as `3.12.1`.
    pub(crate) fn version(&self) -> String {
        self.version.map(|number| number.to_string()).join(".")
    }

    /// The interpreter.
    pub(crate) fn program(&self) -> &Path {
        &self.program
    }
}

/// One interpreter for each version of Python we test with and find here, the oldest first.
pub(crate) fn pythons() -> Result<Vec<Python>, Failure> {
    let mut programs: Vec<_> = MINORS.map(|minor| PathBuf::from(format!("python3.{minor}"))).collect();
    programs.push("python3".into());
    programs.extend(pyenv_programs());
    let found = best(programs.iter().filter_map(|program| ask(program)));
    if found.is_empty() {
        let wanted: Vec<_> = MINORS.map(|minor| format!("3.{minor}")).collect();
        return Err(Failure::new(format!(
            "no usable Python here: install CPython {} with its venv module (Debian: python3-venv), on the path or by pyenv",
            wanted.join(" or ")
        )));
    }
    Ok(found)
}

fn pyenv_programs() -> Vec<PathBuf> {
    let root = env::var_os("PYENV_ROOT").map(PathBuf::from);
    let Some(root) = root.or_else(|| env::home_dir().map(|home| home.join(".pyenv"))) else {
        return Vec::new();
    };
    let versions = fs::read_dir(root.join("versions")).into_iter().flatten().flatten();
    versions.map(|version| version.path().join("bin/python3")).collect()
}

/// What the program says it is; nothing when it is not there or does not work, as pyenv's place holders do not.
fn ask(program: &Path) -> Option<Python> {
    let mut command = Command::new(program);
    process::remove_variables(&mut command, SETTINGS);
    let output = command.args(["-c", INTRODUCTION]).output().ok().filter(|output| output.status.success())?;
    introduced(String::from_utf8_lossy(&output.stdout).trim())
}

fn introduced(text: &str) -> Option<Python> {
    let mut words = text.splitn(5, ' ');
    (words.next()? == "cpython").then_some(())?;
    let mut number = || words.next()?.parse().ok();
    let version = [number()?, number()?, number()?];
    Some(Python { version, program: words.next()?.into() })
}

/// The newest of each minor version we test with, in order.
fn best(found: impl Iterator<Item = Python>) -> Vec<Python> {
    let mut by_minor: BTreeMap<u32, Python> = BTreeMap::new();
    for python in found.filter(|python| python.version[0] == 3 && MINORS.contains(&python.version[1])) {
        let place = by_minor.entry(python.version[1]).or_insert_with(|| python.clone());
        if python.version > place.version {
            *place = python;
        }
    }
    by_minor.into_values().collect()
}

/// A virtual environment.
#[derive(Debug)]
pub(crate) struct Environment {
    folder: PathBuf,
}

impl Environment {
    /// A new and empty one, without pip: [`Environment::install_into`] brings the wheel.
    pub(crate) fn fresh(python: &Python, folder: PathBuf) -> Result<Self, Failure> {
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        let mut command = Command::new(&python.program);
        process::remove_variables(&mut command, SETTINGS);
        process::capture(command.args(["-m", "venv", "--without-pip"]).arg(&folder))?;
        Ok(Self { folder })
    }

    /// One with tools of others, taken from the package index unless they are there from last time.
    pub(crate) fn with_tools(python: &Python, folder: PathBuf, requirements: &[&str]) -> Result<Self, Failure> {
        let environment = Self { folder };
        if process::capture(environment.command("python").args(["-m", "pip", "--version"])).is_err() {
            let fresh = Self::fresh(python, environment.folder.clone())?;
            process::capture(fresh.command("python").args(["-m", "ensurepip"]))?;
        }
        process::capture(environment.pip().arg("install").args(requirements))?;
        Ok(environment)
    }

    /// Installs a wheel into `other`, from nowhere but its file.
    pub(crate) fn install_into(&self, other: &Self, wheel: &Path) -> Result<(), Failure> {
        let mut command = self.pip();
        command.arg("--python").arg(other.program("python"));
        command.args(["install", "--no-deps", "--no-index", "--force-reinstall"]).arg(wheel);
        process::capture(&mut command).map(drop)
    }

    /// A command of the environment, blind to other ones.
    pub(crate) fn command(&self, name: &str) -> Command {
        let mut command = process::program(self.program(name));
        process::remove_variables(&mut command, SETTINGS);
        command
    }

    fn pip(&self) -> Command {
        let mut command = self.command("python");
        command.args(["-m", "pip", "--quiet", "--disable-pip-version-check"]);
        command
    }

    /// Where a program of the environment is.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        let programs = if cfg!(windows) { "Scripts" } else { "bin" };
        self.folder.join(programs).join(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn python(version: [u32; 3], program: &str) -> Python {
        Python { version, program: program.into() }
    }

    #[test]
    fn a_python_introduces_itself() {
        assert_eq!(introduced("cpython 3 12 1 /a b/python"), Some(python([3, 12, 1], "/a b/python")));
        assert_eq!(introduced("pypy 3 10 14 /pypy"), None);
        assert_eq!(introduced("cpython 3 12"), None);
        assert_eq!(introduced(""), None);
    }

    #[test]
    fn the_newest_of_each_supported_version_is_taken() {
        let found = [[3, 9, 18], [3, 12, 1], [3, 10, 2], [3, 12, 7], [3, 12, 3], [3, 99, 0], [2, 11, 0]];
        let chosen = best(found.into_iter().map(|version| python(version, "p")));
        assert_eq!(chosen.iter().map(Python::version).collect::<Vec<_>>(), ["3.10.2", "3.12.7"]);
    }

    #[test]
    fn what_is_not_there_or_fails_is_no_python() {
        assert_eq!(ask(Path::new("no-such-python")), None);
        assert_eq!(ask(Path::new("false")), None);
    }
}
