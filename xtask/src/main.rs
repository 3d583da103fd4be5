//! The repository's commands.
//!
//! ```text
//! cargo xtask test                    every check, in order, stopping at the first failure
//! cargo xtask test --keep-going       every check, whatever fails
//! cargo xtask test --only fmt,clippy  these checks alone
//! cargo xtask list                    the checks and what each is for
//! cargo xtask wheel                   the Python wheel, in target/wheels
//! cargo xtask wheel --debug           the same, compiled faster and running slower
//! cargo xtask soak                    every attack on the hub's promises, at length, and the table of what came of it
//! cargo xtask bench                   every benchmark, and the table of benches/README.md
//! ```

mod bench;
mod deny;
mod document;
mod features;
mod http;
mod hygiene;
mod ignored;
mod markdown;
mod metadata;
mod msrv;
mod names;
mod onboarding;
mod process;
mod python;
mod readme;
mod report;
mod runner;
mod rust_code;
mod simulators;
mod soak;
mod steps;
mod toolchain;
mod venv;
mod walls;
mod wheel;
mod workspace;

use std::process::ExitCode;

use crate::runner::Options;
use crate::wheel::Profile;
use crate::workspace::Workspace;

const USAGE: &str = "usage: cargo xtask test [--keep-going] [--only STEP[,STEP…]] | cargo xtask list | cargo xtask wheel [--release|--debug] | cargo xtask soak [--minutes N] [--seed S] [--only NAME[,NAME…]] [--json PATH] [--docs] | cargo xtask bench [--peers] [--only criterion,figures,python] [--quick] [--readme] [--json PATH]";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::from(2)
        }
    }
}

/// Runs the command the arguments name; `Ok(false)` says that a check failed.
fn dispatch(arguments: &[String]) -> Result<bool, String> {
    match arguments.split_first() {
        Some((command, rest)) if command == "test" => test(rest),
        Some((command, [])) if command == "list" => {
            steps::list();
            Ok(true)
        }
        Some((command, rest)) if command == "wheel" => wheel(rest),
        Some((command, rest)) if command == "soak" => soak(rest),
        Some((command, rest)) if command == "bench" => bench(rest),
        _ => Err(USAGE.to_owned()),
    }
}

fn test(arguments: &[String]) -> Result<bool, String> {
    let options = Options::parse(arguments).map_err(|message| format!("{message}\n{USAGE}"))?;
    let chosen = options.choose(steps::STEPS)?;
    let workspace = Workspace::locate()?;
    Ok(runner::run(&chosen, &workspace, options.keep_going))
}

fn soak(arguments: &[String]) -> Result<bool, String> {
    let options = soak::Options::parse(arguments).map_err(|message| format!("{message}\n{USAGE}"))?;
    soak::command(&Workspace::locate()?, &options).map_err(|failure| failure.to_string())
}

fn bench(arguments: &[String]) -> Result<bool, String> {
    let options = bench::Options::parse(arguments).map_err(|message| format!("{message}\n{USAGE}"))?;
    bench::command(&Workspace::locate()?, &options).map_err(|failure| failure.to_string())
}

fn wheel(arguments: &[String]) -> Result<bool, String> {
    let profile = Profile::parse(arguments).map_err(|message| format!("{message}\n{USAGE}"))?;
    wheel::command(&Workspace::locate()?, profile).map_err(|failure| failure.to_string())?;
    Ok(true)
}
