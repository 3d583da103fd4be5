//! Processes of their own: for each measurement, and for those parts of one whose memory must not be counted with the
//! rest.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use serde::{Deserialize, Serialize};

use crate::figure::{Figure, Scale};
use crate::{MEASUREMENTS, PARTS};

/// The option that tells a process its task.
pub(crate) const TASK: &str = "--task";

/// A part of a measurement: given the folder of a store, and how many of whatever it is about.
pub(crate) struct Part {
    pub(crate) name: &'static str,
    pub(crate) run: fn(&Path, u64) -> Vec<Figure>,
}

impl Part {
    /// Does it in a process of its own.
    pub(crate) fn apart(&self, folder: &Path, count: u64) -> Vec<Figure> {
        let name = self.name.to_owned();
        Task::Part { name, folder: folder.to_owned(), count }.apart(false).unwrap()
    }
}

/// What a process is for.
#[derive(Serialize, Deserialize)]
pub(crate) enum Task {
    Measurement { name: String },
    Part { name: String, folder: PathBuf, count: u64 },
}

impl Task {
    pub(crate) fn measurement(name: &str) -> Self {
        Self::Measurement { name: name.to_owned() }
    }

    /// Does it here, and prints the figures for the process that asked.
    pub(crate) fn run(&self, scale: Scale) -> ExitCode {
        let figures = match self {
            Self::Measurement { name } => {
                MEASUREMENTS.iter().find(|found| found.name == name).map(|found| (found.run)(scale))
            }
            Self::Part { name, folder, count } => {
                PARTS.iter().find(|found| found.name == name).map(|found| (found.run)(folder, *count))
            }
        };
        let Some(figures) = figures else { return ExitCode::from(2) };
        println!("{}", serde_json::to_string(&figures).unwrap());
        ExitCode::SUCCESS
    }

    /// Does it in a process of its own.
    pub(crate) fn apart(&self, full: bool) -> Result<Vec<Figure>, String> {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.arg(TASK).arg(serde_json::to_string(self).unwrap()).args(full.then_some("--full"));
        let output = command.stderr(Stdio::inherit()).output().map_err(|error| error.to_string())?;
        if !output.status.success() {
            return Err(format!("its process ended as {}", output.status));
        }
        serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())
    }
}
