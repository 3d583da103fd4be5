//! The main example, run as a person would: once, again on the same data, and through a crash.
//!
//! What must be true of its results stands in `document.rs`, what the simulators tell in `simulators.rs`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde::Deserialize;

use crate::document::{Created, Document};
use crate::process::{self, Ended};
use crate::report::{Failure, Outcome, Report};
use crate::simulators::Simulators;
use crate::workspace::Workspace;

/// No run takes longer once it is built.
const RUN_WITHIN: Duration = Duration::from_secs(120);

/// In the middle of the work: some people are through, most are not.
const CRASH_AFTER_STEPS: &str = "120";

const SIGKILL: i32 = 9;

/// Words of which one tells a person that nothing was done twice.
const SAYS_SO: &[&str] = &["already", "nothing"];

/// With credentials in its environment the example would talk to somebody's real tenant.
pub(crate) const CREDENTIALS: &[&str] = &["BIFROST_", "GRAPH_", "ENTRA_", "AZURE_", "MS_", "HALO"];

/// Runs the example in every way it promises.
pub(crate) fn check(workspace: &Workspace) -> Outcome {
    let programs = Programs::build(workspace)?;
    let folder = tempfile::tempdir()?;
    let stage = Stage { workspace, programs: &programs, folder: folder.path() };
    let people = stage.first_run().map_err(|failure| failure.during("first run"))?;
    stage.second_run().map_err(|failure| failure.during("second run on the same data"))?;
    let simulators = Simulators::start(&programs.simulators)?;
    stage.crash_and_resume(&simulators).map_err(|failure| failure.during("crash and resume"))?;
    Ok(Report::figure(format!("{people} people, 4 runs")))
}

/// The built examples.
struct Programs {
    onboarding: PathBuf,
    simulators: PathBuf,
}

/// What cargo says about a program it built.
#[derive(Deserialize)]
struct Artifact {
    target: ArtifactTarget,
    executable: Option<PathBuf>,
}

#[derive(Deserialize)]
struct ArtifactTarget {
    name: String,
}

impl Programs {
    fn build(workspace: &Workspace) -> Result<Self, Failure> {
        let arguments = ["build", "--release", "--quiet", "--message-format", "json-render-diagnostics"];
        let mut command = workspace.cargo(&arguments);
        let output =
            command.args(["--example", "onboarding", "--example", "simulators"]).stdin(Stdio::null()).output()?;
        if !output.status.success() {
            return Err(Failure::new(String::from_utf8_lossy(&output.stderr)).during("building the examples"));
        }
        let messages = String::from_utf8_lossy(&output.stdout);
        Ok(Self { onboarding: executable(&messages, "onboarding")?, simulators: executable(&messages, "simulators")? })
    }
}

/// Where cargo says it put the program.
fn executable(messages: &str, name: &str) -> Result<PathBuf, Failure> {
    let artifacts = messages.lines().filter_map(|line| serde_json::from_str::<Artifact>(line).ok());
    let mut programs =
        artifacts.filter(|artifact| artifact.target.name == name).filter_map(|artifact| artifact.executable);
    programs.next().ok_or_else(|| Failure::new(format!("cargo built no example called {name}")))
}

/// Where the runs take place.
struct Stage<'a> {
    workspace: &'a Workspace,
    programs: &'a Programs,
    folder: &'a Path,
}

impl Stage<'_> {
    /// As the README says, on an empty store.
    fn first_run(&self) -> Result<usize, Failure> {
        let mut command = self.workspace.cargo(&["run", "--release", "--quiet", "--example", "onboarding", "--"]);
        let ended = self.run(&mut command, "data", &[])?;
        let document = self.document(&ended)?;
        Failure::if_any(&document.first_run_problems())?;
        Ok(document.people())
    }

    /// On the store of the first run: nothing is left to do, and the output says so.
    fn second_run(&self) -> Result<(), Failure> {
        let ended = self.run(&mut Command::new(&self.programs.onboarding), "data", &[])?;
        Failure::if_any(&self.document(&ended)?.repeated_run_problems())?;
        let printed = ended.output.to_lowercase();
        if SAYS_SO.iter().any(|word| printed.contains(word)) {
            return Ok(());
        }
        Err(Failure::new(format!("it does not say that nothing was created twice:\n{}", ended.output)))
    }

    /// Killed in the middle of the work, started again: everything is there exactly once.
    fn crash_and_resume(&self, simulators: &Simulators) -> Result<(), Failure> {
        let before = simulators.counts()?;
        let shared = ["--simulators", simulators.argument()];
        let crash = [&shared[..], &["--crash-after", CRASH_AFTER_STEPS]].concat();
        let crashed = self.run(&mut Command::new(&self.programs.onboarding), "crash-data", &crash)?;
        if !was_killed(&crashed) {
            return Err(Failure::new(format!("it was to kill itself, but: {}\n{}", crashed.status, crashed.output)));
        }
        let halfway = simulators.counts()?;
        let resumed = self.run(&mut Command::new(&self.programs.onboarding), "crash-data", &shared)?;
        let document = self.document(&resumed)?;
        let mut problems = document.problems();
        problems.extend(count_problems(before, halfway, simulators.counts()?, document.distinct()));
        Failure::if_any(&problems)
    }

    /// Runs the example on one of our data folders; it writes its document beside it.
    fn run(&self, command: &mut Command, data: &str, more: &[&str]) -> Result<Ended, Failure> {
        process::remove_variables(command, CREDENTIALS);
        let document = self.document_path();
        if document.exists() {
            fs::remove_file(&document)?;
        }
        command.current_dir(self.workspace.root());
        command.arg("--json").arg(&document).arg("--data").arg(self.folder.join(data)).args(more);
        process::run_within(command, RUN_WITHIN, &self.folder.join("output"))
    }

    fn document(&self, ended: &Ended) -> Result<Document, Failure> {
        if !ended.status.success() {
            return Err(Failure::new(format!("{}\n{}", ended.output, ended.status)));
        }
        let text =
            fs::read_to_string(self.document_path()).map_err(|error| Failure::from(error).during("reading --json"))?;
        Ok(Document::parse(&text)?)
    }

    fn document_path(&self) -> PathBuf {
        self.folder.join("document.json")
    }
}

#[cfg(unix)]
fn was_killed(ended: &Ended) -> bool {
    use std::os::unix::process::ExitStatusExt as _;

    ended.status.signal() == Some(SIGKILL)
}

/// Elsewhere there are no signals: a killed process ends without success.
#[cfg(not(unix))]
fn was_killed(ended: &Ended) -> bool {
    let _ = SIGKILL;
    !ended.status.success()
}

/// What the simulators' counts say against exactly once.
fn count_problems(before: Created, halfway: Created, after: Created, people: Created) -> Vec<String> {
    let expected = Created {
        users: before.users + people.users,
        tickets: before.tickets + people.tickets,
        time_entries: before.time_entries + people.time_entries,
    };
    let mut found = Vec::new();
    if after != expected {
        found.push(format!("the simulators hold {after:?}, exactly once would be {expected:?}"));
    }
    if halfway == before || halfway == after {
        found.push(format!("the crash was not in the middle of the work: {before:?}, {halfway:?}, {after:?}"));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document;

    fn counts(users: usize, tickets: usize, time_entries: usize) -> Created {
        Created { users, tickets, time_entries }
    }

    #[test]
    fn exactly_once_is_green_and_more_or_less_is_red() {
        let judge = |after| count_problems(counts(5, 0, 0), counts(9, 3, 2), after, counts(27, 28, 28)).len();
        assert_eq!(judge(counts(32, 28, 28)), 0);
        assert_eq!(judge(counts(33, 28, 28)), 1);
        assert_eq!(judge(counts(32, 27, 28)), 1);
        assert_eq!(judge(counts(32, 28, 29)), 1);
    }

    #[test]
    fn a_crash_before_or_after_the_work_proves_nothing() {
        let (before, after) = (counts(1, 0, 0), counts(2, 1, 1));
        assert_eq!(count_problems(before, before, after, counts(1, 1, 1)).len(), 1);
        assert_eq!(count_problems(before, after, after, counts(1, 1, 1)).len(), 1);
    }

    #[test]
    fn programs_are_found_in_the_messages_of_cargo() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","target":{"name":"onboarding"},"executable":null}"#,
            "\n",
            r#"{"reason":"compiler-artifact","target":{"name":"onboarding"},"executable":"out/onboarding"}"#,
            "\n",
        );
        assert_eq!(executable(messages, "onboarding").unwrap(), PathBuf::from("out/onboarding"));
        assert!(executable(messages, "simulators").is_err());
    }

    #[cfg(unix)]
    #[test]
    fn a_killed_process_is_told_from_a_failed_one() {
        let folder = tempfile::tempdir().unwrap();
        let run = |script: &str| {
            let mut command = Command::new("sh");
            process::run_within(command.args(["-c", script]), RUN_WITHIN, &folder.path().join("log")).unwrap()
        };
        assert!(was_killed(&run("kill -KILL $$")));
        assert!(!was_killed(&run("exit 9")));
    }

    /// The whole step against a stand-in that writes the promised document and knows no simulators.
    #[cfg(unix)]
    #[test]
    fn the_second_run_must_say_that_nothing_was_done() {
        use std::os::unix::fs::PermissionsExt as _;

        let folder = tempfile::tempdir().unwrap();
        let mut promised = document::made_up();
        promised["created"] = serde_json::json!({"users": 0, "tickets": 0, "time_entries": 0});
        fs::write(folder.path().join("promised.json"), promised.to_string()).unwrap();
        let stand_in = folder.path().join("onboarding");
        let workspace = Workspace::at(folder.path().to_owned());
        let programs = Programs { onboarding: stand_in.clone(), simulators: PathBuf::new() };
        let stage = Stage { workspace: &workspace, programs: &programs, folder: folder.path() };
        for (printed, is_green) in [("28 people already onboarded", true), ("28 people", false)] {
            fs::write(&stand_in, format!("#!/bin/sh\ncp promised.json \"$2\"\necho {printed}\n")).unwrap();
            fs::set_permissions(&stand_in, fs::Permissions::from_mode(0o755)).unwrap();
            assert_eq!(stage.second_run().is_ok(), is_green, "{printed}");
        }
    }
}
