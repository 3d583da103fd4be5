//! What is asked of a run.

use std::path::PathBuf;

/// Where figures come from, as `--only` takes them.
const SOURCES: &[&str] = &["criterion", "figures", "python"];

/// What follows `cargo xtask bench`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// Measures others, too.
    pub(super) peers: bool,
    /// Shows that everything works; the figures mean nothing.
    pub(super) quick: bool,
    /// Writes the table into the README of the benches.
    pub(super) readme: bool,
    pub(super) json: Option<PathBuf>,
    only: Option<Vec<String>>,
}

impl Options {
    /// Reads what follows `cargo xtask bench`.
    pub(crate) fn parse(arguments: &[String]) -> Result<Self, String> {
        let mut options = Self::default();
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            let mut value = || rest.next().ok_or_else(|| format!("{argument} needs a value"));
            match argument.as_str() {
                "--peers" => options.peers = true,
                "--quick" => options.quick = true,
                "--readme" => options.readme = true,
                "--json" => options.json = Some(value()?.into()),
                "--only" => options.only = Some(sources(value()?)?),
                other => return Err(format!("unknown argument {other}")),
            }
        }
        Ok(options)
    }

    pub(super) fn wants(&self, source: &str) -> bool {
        self.only.as_ref().is_none_or(|only| only.iter().any(|wanted| wanted == source))
    }
}

fn sources(names: &str) -> Result<Vec<String>, String> {
    let names: Vec<String> = names.split(',').map(|name| name.trim().to_owned()).collect();
    match names.iter().find(|name| !SOURCES.contains(&name.as_str())) {
        Some(unknown) => Err(format!("no figures come from {unknown}; there are: {}", SOURCES.join(", "))),
        None => Ok(names),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Result<Options, String> {
        Options::parse(&words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn everything_is_measured_unless_something_is_named() {
        let options = parsed(&["--peers"]).unwrap();
        assert!(options.peers && SOURCES.iter().all(|source| options.wants(source)));
        let options = parsed(&["--only", "criterion, python", "--quick"]).unwrap();
        assert!(options.quick && options.wants("python") && !options.wants("figures"));
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        assert!(parsed(&["--only", "ruby"]).is_err());
        assert!(parsed(&["--json"]).is_err());
        assert!(parsed(&["--fast"]).is_err());
    }
}
