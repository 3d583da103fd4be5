//! The fuzz targets under libFuzzer, a minute each. Their bodies are also tests of the crates, on stable.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use super::options::Scale;
use super::row::Row;
use crate::process::{self, Ended};
use crate::report::Failure;
use crate::workspace::Workspace;

const NAME: &str = "fuzz";
const VERSION: &str = "0.13.2";
const SECONDS_EACH: u64 = 60;
/// Building all of it takes this long at most.
const BUILD: Duration = Duration::from_secs(3_600);
/// Beyond its own time, a target may need this long to begin and to end.
const GRACE: Duration = Duration::from_secs(120);

pub(super) fn names(_: &Workspace) -> Result<Vec<String>, Failure> {
    Ok(vec![NAME.to_owned()])
}

/// Runs every target; without a nightly toolchain none, and the row says so.
pub(super) fn run(workspace: &Workspace, scale: &Scale) -> Result<Vec<Row>, Failure> {
    let begun = Instant::now();
    let mut row = Row {
        name: NAME.to_owned(),
        promise: "whatever stands in a file or an answer, reading it ends, in what was written or in a typed error"
            .to_owned(),
        unit: "inputs".to_owned(),
        seed: scale.seed,
        replay: format!("cargo xtask soak --only {NAME} --seed {}", scale.seed),
        ..Row::default()
    };
    let tools = Tools::of(workspace);
    match tools.ready(workspace) {
        Ok(()) => attack(workspace, scale, &tools, &mut row)?,
        Err(why) => row.not_run = Some(why),
    }
    row.seconds = begun.elapsed().as_secs_f64();
    Ok(vec![row])
}

fn attack(workspace: &Workspace, scale: &Scale, tools: &Tools, row: &mut Row) -> Result<(), Failure> {
    let targets = targets(workspace.root())?;
    let seconds = SECONDS_EACH.max(60 * scale.minutes / targets.len().max(1) as u64);
    for target in &targets {
        let folder = tempfile::tempdir()?;
        let artifacts = tools.target.join("fuzz/artifacts").join(target);
        fs::create_dir_all(&artifacts)?;
        let mut command = tools.fuzz(workspace, &["run", "--sanitizer", "none", target]);
        // What is found goes into the first folder; the repository's own samples are only read.
        command.arg(folder.path()).arg(workspace.root().join("fuzz/corpus").join(target)).arg("--");
        command.args([&format!("-max_total_time={seconds}"), &format!("-seed={}", scale.seed.max(1))]);
        command.args(["-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1", "-max_len=4096"]);
        command.arg(format!("-artifact_prefix={}/", artifacts.display()));
        let ended =
            process::run_within(&mut command, Duration::from_secs(seconds) + GRACE, &folder.path().join("log"))?;
        let executed = executed(&ended.output);
        row.attempts += executed;
        row.measured.insert(target.clone(), executed as f64);
        row.violations.extend(violation(target, &ended));
    }
    Ok(())
}

/// The names of the targets.
fn targets(root: &Path) -> Result<Vec<String>, Failure> {
    let mut names = Vec::new();
    for entry in fs::read_dir(root.join("fuzz/fuzz_targets"))? {
        names.extend(entry?.path().file_stem().and_then(|name| name.to_str()).map(str::to_owned));
    }
    names.sort_unstable();
    Ok(names)
}

/// How many inputs were tried: from the statistics at the end, or from the last line before there were any.
fn executed(output: &str) -> u64 {
    let statistics = output.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
    let progress = || output.lines().rev().find_map(|line| line.strip_prefix('#')?.split_whitespace().next());
    statistics.or_else(progress).and_then(|number| number.trim().parse().ok()).unwrap_or_default()
}

/// What a target found, with the input that shows it.
fn violation(target: &str, ended: &Ended) -> Option<String> {
    if ended.status.success() {
        return None;
    }
    let lines = || ended.output.lines();
    let input = lines().find_map(|line| line.split("Test unit written to ").nth(1));
    let what = lines().find(|line| line.contains("panicked at") || line.contains("ERROR: libFuzzer"));
    Some(match input {
        Some(input) => format!("{target}: {}: {input}", what.unwrap_or("it failed").trim()),
        None => format!("{target}: it ended without a finding: {}", lines().next_back().unwrap_or_default()),
    })
}

/// Where cargo-fuzz is, and where it builds.
struct Tools {
    target: PathBuf,
}

impl Tools {
    fn of(workspace: &Workspace) -> Self {
        let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace.root().join("target"), PathBuf::from);
        Self { target: workspace.root().join(target) }
    }

    /// Installs and builds what is missing; else why nothing can run.
    fn ready(&self, workspace: &Workspace) -> Result<(), String> {
        let nightly = process::capture(process::program("cargo").args(["+nightly", "--version"]));
        nightly.map_err(|_| "there is no nightly toolchain: rustup toolchain install nightly".to_owned())?;
        let root = self.target.join("tools");
        if !root.join("bin/cargo-fuzz").exists() {
            let mut install = workspace.cargo(&["install", "cargo-fuzz", "--version", VERSION, "--locked", "--root"]);
            install.arg(&root).env("CARGO_TARGET_DIR", root.join("build"));
            process::capture(&mut install).map_err(|failure| format!("cargo-fuzz cannot be installed: {failure}"))?;
        }
        let mut build = self.fuzz(workspace, &["build", "--sanitizer", "none"]);
        let log = self.target.join("fuzz-build.log");
        let built = process::run_within(&mut build, BUILD, &log).map_err(|failure| failure.to_string())?;
        if built.status.success() { Ok(()) } else { Err(format!("the targets do not build:\n{}", built.output)) }
    }

    /// A cargo-fuzz command. The toolchain is chosen by rustup's own cargo, not by the one that started us.
    fn fuzz(&self, workspace: &Workspace, arguments: &[&str]) -> Command {
        let mut command = process::program("cargo");
        process::remove_variables(&mut command, &["CARGO", "RUSTUP_TOOLCHAIN", "RUSTC", "RUSTDOC"]);
        let path = env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(self.target.join("tools/bin")).chain(env::split_paths(&path));
        if let Ok(path) = env::join_paths(folders) {
            command.env("PATH", path);
        }
        command.env("CARGO_TARGET_DIR", self.target.join("fuzz"));
        command.args(["+nightly", "fuzz"]).args(arguments).current_dir(workspace.root());
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_are_counted_in_the_end_or_on_the_way() {
        assert_eq!(executed("#2 INITED\n#4096 pulse\nstat::number_of_executed_units: 5120\n"), 5120);
        assert_eq!(executed("#2\tINITED cov: 3\n#4096\tpulse\n"), 4096);
        assert_eq!(executed("error: no such target"), 0);
    }

    #[test]
    fn every_target_has_samples() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        for target in targets(&root).unwrap() {
            let samples = fs::read_dir(root.join("fuzz/corpus").join(&target)).unwrap().map(|entry| entry.unwrap());
            let lengths: Vec<_> = samples.map(|sample| sample.metadata().unwrap().len()).collect();
            assert!((1..=40).contains(&lengths.len()), "{target} has {} samples", lengths.len());
            assert!(lengths.iter().all(|length| *length <= 2_048), "{target} has a long sample");
        }
    }
}
