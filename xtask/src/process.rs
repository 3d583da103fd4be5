//! Child processes: cargo with a clean environment, and programs that must end by a deadline.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::report::Failure;

/// What `cargo run` tells the program it starts. Handed on, it would look to build scripts like a change.
const ABOUT_XTASK: &[&str] = &["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_CRATE_", "CARGO_BIN_"];

/// The cargo that started us, or the one on the path.
pub(crate) fn cargo_program() -> OsString {
    env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// A cargo command that does not know it was started by cargo.
pub(crate) fn cargo() -> Command {
    program(cargo_program())
}

/// A command that does not know it was started by cargo.
pub(crate) fn program(path: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(path);
    remove_variables(&mut command, ABOUT_XTASK);
    command
}

/// Takes every environment variable that starts with one of `prefixes` from the command.
pub(crate) fn remove_variables(command: &mut Command, prefixes: &[&str]) {
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(|name| prefixes.iter().any(|prefix| name.starts_with(prefix))) {
            command.env_remove(name);
        }
    }
}

/// Runs to the end and answers everything printed, both streams in their order; a non-zero exit is a failure.
pub(crate) fn capture(command: &mut Command) -> Result<String, Failure> {
    let shown = shown(command);
    let attempt = |error: std::io::Error| Failure::from(error).during(&shown);
    let (mut reader, writer) = std::io::pipe().map_err(attempt)?;
    command.stdin(Stdio::null()).stdout(writer.try_clone().map_err(attempt)?).stderr(writer);
    let mut child = command.spawn().map_err(attempt)?;
    // The command still holds our end of the pipe; reading would never see its end.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut output = Vec::new();
    reader.read_to_end(&mut output).map_err(attempt)?;
    let status = child.wait().map_err(attempt)?;
    let output = String::from_utf8_lossy(&output).into_owned();
    if status.success() {
        return Ok(output);
    }
    Err(Failure::new(format!("$ {shown}\n{output}\n{status}")))
}

/// How a program ended, and what it printed.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) output: String,
}

/// Runs a program that must end within `deadline`; it is killed and the run is a failure when it does not.
pub(crate) fn run_within(command: &mut Command, deadline: Duration, log: &Path) -> Result<Ended, Failure> {
    let shown = shown(command);
    // A file, not a pipe: a program that prints much never waits for us, and we wait with a deadline.
    let file = File::create(log)?;
    command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
    let mut child = command.spawn().map_err(|error| Failure::from(error).during(&shown))?;
    let until = Instant::now() + deadline;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Ended { status, output: read_lossy(log) });
        }
        if Instant::now() >= until {
            child.kill()?;
            child.wait()?;
            let output = read_lossy(log);
            return Err(Failure::new(format!("$ {shown}\n{output}\nstill running after {} s", deadline.as_secs())));
        }
        thread::sleep(Duration::from_millis(20));
    }
}

fn read_lossy(path: &Path) -> String {
    std::fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

/// The command as a person would type it.
fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_stem().unwrap_or(program.as_os_str()).to_string_lossy().into_owned();
    let arguments = command.get_args().map(|argument| argument.to_string_lossy().into_owned());
    std::iter::once(name).chain(arguments).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_command_is_shown_with_its_output() {
        let failure = capture(cargo().arg("no-such-command-here")).unwrap_err().to_string();
        assert!(failure.starts_with("$ cargo no-such-command-here\n"), "{failure}");
        assert!(failure.contains("no such command"), "{failure}");
    }

    #[test]
    fn a_passing_command_answers_its_output() {
        assert!(capture(cargo().arg("--version")).unwrap().starts_with("cargo "));
    }

    #[cfg(unix)]
    #[test]
    fn a_program_that_does_not_end_is_killed_at_its_deadline() {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "echo begun; exec sleep 60"]);
        let failure = run_within(&mut command, Duration::from_millis(300), &folder.path().join("log")).unwrap_err();
        assert!(failure.to_string().contains("begun\n\nstill running"), "{failure}");
    }
}
