//! The Python wheel: built by maturin, and judged by what `pip` will read in it.
//!
//! It takes the release profile as the examples do, so that the dependencies of both are compiled once.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde::Deserialize;

use crate::process;
use crate::report::Failure;
use crate::venv::{self, Environment};
use crate::workspace::Workspace;

const PROJECT: &str = "bindings/python";

/// What people wait for when they install it.
const LARGEST: u64 = 20 * 1_000_000;

/// One wheel for every CPython from 3.10 on.
const TAG: &str = "cp310-abi3";

/// How the native half is compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    Release,
    Debug,
}

impl Profile {
    /// Reads what follows `cargo xtask wheel`.
    pub(crate) fn parse(arguments: &[String]) -> Result<Self, String> {
        match arguments {
            [] => Ok(Self::Release),
            [flag] if flag == "--release" => Ok(Self::Release),
            [flag] if flag == "--debug" => Ok(Self::Debug),
            [first, ..] => Err(format!("unknown argument {first}")),
        }
    }
}

/// A built and judged wheel.
#[derive(Debug)]
pub(crate) struct Wheel {
    pub(crate) path: PathBuf,
    /// The folder it was unpacked to.
    pub(crate) unpacked: PathBuf,
    size: u64,
}

impl Wheel {
    /// Its size for a person.
    pub(crate) fn shown_size(&self) -> String {
        let tenths = self.size.div_ceil(100_000);
        format!("{}.{} MB", tenths / 10, tenths % 10)
    }
}

/// `cargo xtask wheel`: builds and tells where it is.
pub(crate) fn command(workspace: &Workspace, profile: Profile) -> Result<(), Failure> {
    let wheel = build(workspace, profile, &Stdio::inherit)?;
    println!("{} ({})", wheel.path.display(), wheel.shown_size());
    Ok(())
}

/// Builds the wheel into `wheels` of cargo's target folder; fails when it is not what we promise.
pub(crate) fn build(workspace: &Workspace, profile: Profile, output: &dyn Fn() -> Stdio) -> Result<Wheel, Failure> {
    let target = &workspace.metadata()?.target_directory;
    let wheels = target.join("wheels");
    for old in wheels_in(&wheels) {
        fs::remove_file(old)?;
    }
    let environment = maturin(workspace)?;
    let mut command = environment.command("maturin");
    command.args(["build", "--locked", "--interpreter"]).arg(environment.program("python"));
    command.arg("--out").arg(&wheels).current_dir(workspace.root().join(PROJECT));
    if profile == Profile::Release {
        command.arg("--release");
    }
    let ended = command.stdin(Stdio::null()).stdout(output()).stderr(output()).output()?;
    if !ended.status.success() {
        let told = [ended.stdout, ended.stderr].concat();
        return Err(Failure::new(format!("maturin build: {}\n{}", ended.status, String::from_utf8_lossy(&told))));
    }
    let built = wheels_in(&wheels);
    let [path] = built.as_slice() else {
        return Err(Failure::new(format!("maturin built {} wheels where one was to be", built.len())));
    };
    judge(&environment, path, &target.join("python/unpacked"), profile)
}

/// An environment with the maturin that `pip install` would take, too.
fn maturin(workspace: &Workspace) -> Result<Environment, Failure> {
    let pythons = venv::pythons()?;
    let newest = pythons.last().ok_or_else(|| Failure::new("no Python"))?;
    let requirements = build_requirements(&workspace.read("bindings/python/pyproject.toml").unwrap_or_default())?;
    let requirements: Vec<_> = requirements.iter().map(String::as_str).collect();
    let folder = workspace.metadata()?.target_directory.join(format!("python/maturin-{}", newest.version()));
    Environment::with_tools(newest, folder, &requirements)
}

#[derive(Deserialize)]
struct Project {
    #[serde(rename = "build-system")]
    build_system: BuildSystem,
}

#[derive(Deserialize)]
struct BuildSystem {
    requires: Vec<String>,
}

fn build_requirements(project: &str) -> Result<Vec<String>, Failure> {
    let project: Project =
        toml::from_str(project).map_err(|error| Failure::new(format!("bindings/python/pyproject.toml: {error}")))?;
    Ok(project.build_system.requires)
}

fn wheels_in(folder: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "whl")).collect()
}

/// Unpacks the wheel and reads what it says about itself.
fn judge(python: &Environment, path: &Path, unpacked: &Path, profile: Profile) -> Result<Wheel, Failure> {
    if unpacked.exists() {
        fs::remove_dir_all(unpacked)?;
    }
    process::capture(python.command("python").args(["-m", "zipfile", "-e"]).arg(path).arg(unpacked))?;
    let size = fs::metadata(path)?.len();
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut problems: Vec<_> = name_problems(&name).into_iter().collect();
    problems.extend(metadata_problems(&metadata(unpacked)?));
    if profile == Profile::Release {
        problems.extend(size_problem(size));
    }
    Failure::if_any(&problems)?;
    Ok(Wheel { path: path.to_owned(), unpacked: unpacked.to_owned(), size })
}

fn metadata(unpacked: &Path) -> Result<String, Failure> {
    let folders = fs::read_dir(unpacked)?.flatten().map(|entry| entry.path());
    let mut described = folders.filter(|path| path.extension().is_some_and(|extension| extension == "dist-info"));
    let described = described.next().ok_or_else(|| Failure::new("the wheel does not describe itself"))?;
    Ok(fs::read_to_string(described.join("METADATA"))?)
}

fn name_problems(name: &str) -> Option<String> {
    let tag = format!("-{TAG}-");
    (!name.contains(&tag)).then(|| format!("{name} is not tagged {TAG}: some Pythons cannot install it"))
}

/// Dependencies that nobody asked for; those of an extra are asked for by its name.
fn metadata_problems(metadata: &str) -> Vec<String> {
    let headers = metadata.lines().take_while(|line| !line.is_empty());
    let required = headers.filter_map(|line| line.strip_prefix("Requires-Dist: "));
    let mandatory = required.filter(|requirement| {
        let condition = requirement.split_once(';').map_or("", |(_, condition)| condition);
        !condition.contains("extra ==")
    });
    mandatory.map(|requirement| format!("the wheel requires {requirement}, and was to require nothing")).collect()
}

fn size_problem(size: u64) -> Option<String> {
    (size > LARGEST).then(|| format!("the wheel has {size} bytes, more than {LARGEST}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wheel_for_one_python_alone_is_red() {
        assert_eq!(name_problems("bifrost_hub-0.1.0-cp310-abi3-manylinux_2_34_x86_64.whl"), None);
        assert!(name_problems("bifrost_hub-0.1.0-cp311-cp311-manylinux_2_34_x86_64.whl").is_some());
    }

    #[test]
    fn a_mandatory_dependency_is_red_and_an_extra_is_not() {
        let extra = "Name: bifrost-hub\nRequires-Dist: rich ; extra == 'pretty'\n\nRequires-Dist: in the text";
        assert_eq!(metadata_problems(extra), Vec::<String>::new());
        let mandatory = "Requires-Dist: httpx>=1\nRequires-Dist: tomli ; python_version < '3.11'\n";
        assert_eq!(metadata_problems(mandatory).len(), 2);
    }

    #[test]
    fn too_large_is_red() {
        assert_eq!(size_problem(LARGEST), None);
        assert!(size_problem(LARGEST + 1).is_some());
        let wheel = Wheel { path: PathBuf::new(), unpacked: PathBuf::new(), size: 245_355 };
        assert_eq!(wheel.shown_size(), "0.3 MB");
    }

    #[test]
    fn maturin_is_the_one_that_pip_would_take() {
        let project = "[build-system]\nrequires = [\"maturin>=1.9.4,<2\"]\n";
        assert_eq!(build_requirements(project).unwrap(), ["maturin>=1.9.4,<2"]);
        assert!(build_requirements("").is_err());
    }

    #[test]
    fn the_profile_is_release_unless_told() {
        let parse = |arguments: &[&str]| Profile::parse(&arguments.iter().map(|&a| a.to_owned()).collect::<Vec<_>>());
        assert_eq!(parse(&[]), Ok(Profile::Release));
        assert_eq!(parse(&["--debug"]), Ok(Profile::Debug));
        assert!(parse(&["--fast"]).is_err());
        assert!(parse(&["--debug", "--release"]).is_err());
    }
}
