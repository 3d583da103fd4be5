//! What the command line asks for.

use std::path::PathBuf;
use std::time::Duration;

pub(crate) const USAGE: &str =
    "usage: lab [--full] [--minutes N] [--seed S] [--only NAME[,NAME…]] [--report PATH] | lab --list";

/// The seed of continuous integration: a red run there is red here.
const DEFAULT_SEED: u64 = 1;

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Arguments {
    pub(crate) full: bool,
    /// Rounds with new seeds begin until this time is over.
    pub(crate) at_least: Duration,
    pub(crate) seed: u64,
    pub(crate) only: Option<Vec<String>>,
    pub(crate) report: Option<PathBuf>,
    pub(crate) list: bool,
}

impl Arguments {
    pub(crate) fn parse(given: &[String]) -> Result<Self, String> {
        let mut arguments =
            Self { full: false, at_least: Duration::ZERO, seed: DEFAULT_SEED, only: None, report: None, list: false };
        let mut rest = given.iter();
        while let Some(word) = rest.next() {
            let mut value = || rest.next().ok_or_else(|| format!("{word} needs a value"));
            match word.as_str() {
                "--full" => arguments.full = true,
                "--list" => arguments.list = true,
                "--minutes" => arguments.at_least = Duration::from_secs(60 * number(word, value()?)?),
                "--seed" => arguments.seed = number(word, value()?)?,
                "--only" => arguments.only = Some(value()?.split(',').map(str::to_owned).collect()),
                "--report" => arguments.report = Some(value()?.into()),
                other => return Err(format!("unknown argument {other}")),
            }
        }
        Ok(arguments)
    }
}

fn number(word: &str, value: &str) -> Result<u64, String> {
    value.parse().map_err(|_| format!("{word} needs a number, not {value}"))
}
