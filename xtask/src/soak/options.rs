//! What is asked of a soak.

use std::path::PathBuf;

/// The seed that a machine which checks every change uses, so that what is red there is red here.
const DEFAULT_SEED: u64 = 1;

/// How much is tried, and from where chance begins.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Scale {
    pub(crate) full: bool,
    /// Rounds with new seeds begin until these are over.
    pub(crate) minutes: u64,
    pub(crate) seed: u64,
    only: Option<Vec<String>>,
}

/// What the command line said.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Options {
    pub(super) scale: Scale,
    pub(super) json: Option<PathBuf>,
    /// The table goes into the documentation.
    pub(super) docs: bool,
}

impl Scale {
    /// As a check of every change runs it.
    pub(super) fn short() -> Self {
        Self { full: false, minutes: 0, seed: DEFAULT_SEED, only: None }
    }

    /// Whether the row of this name is asked for.
    pub(super) fn wants(&self, name: &str) -> bool {
        self.only.as_ref().is_none_or(|only| only.iter().any(|wanted| wanted == name))
    }

    /// A name that was asked for and is none of these.
    pub(super) fn unknown(&self, known: &[String]) -> Option<&str> {
        let only = self.only.iter().flatten();
        only.map(String::as_str).find(|wanted| known.iter().all(|name| name != wanted))
    }
}

impl Options {
    /// Reads what follows `cargo xtask soak`.
    pub(crate) fn parse(arguments: &[String]) -> Result<Self, String> {
        let scale = Scale { full: true, minutes: 0, seed: DEFAULT_SEED, only: None };
        let mut options = Self { scale, json: None, docs: false };
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            let mut value = || rest.next().ok_or_else(|| format!("{argument} needs a value"));
            match argument.as_str() {
                "--minutes" => options.scale.minutes = number(argument, value()?)?,
                "--seed" => options.scale.seed = number(argument, value()?)?,
                "--only" => options.scale.only = Some(value()?.split(',').map(|name| name.trim().to_owned()).collect()),
                "--json" => options.json = Some(value()?.into()),
                "--docs" => options.docs = true,
                other => return Err(format!("unknown argument {other}")),
            }
        }
        Ok(options)
    }
}

fn number(argument: &str, value: &str) -> Result<u64, String> {
    value.parse().map_err(|_| format!("{argument} needs a number, not {value}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Result<Options, String> {
        Options::parse(&words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn everything_at_length_is_what_nothing_asks_for() {
        let options = parsed(&[]).unwrap();
        assert!(options.scale.full && options.scale.wants("crash") && !options.docs);
        assert_eq!((options.scale.minutes, options.scale.seed), (0, DEFAULT_SEED));
    }

    #[test]
    fn names_are_taken_and_unknown_ones_are_found() {
        let scale = parsed(&["--only", "crash, power", "--seed", "7", "--minutes", "30"]).unwrap().scale;
        assert!(scale.wants("power") && !scale.wants("days"));
        assert_eq!((scale.seed, scale.minutes), (7, 30));
        assert_eq!(scale.unknown(&["crash".to_owned()]), Some("power"));
        assert_eq!(scale.unknown(&["crash".to_owned(), "power".to_owned()]), None);
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        assert!(parsed(&["--minutes", "soon"]).is_err());
        assert!(parsed(&["--seed"]).is_err());
        assert!(parsed(&["--quick"]).is_err());
    }
}
