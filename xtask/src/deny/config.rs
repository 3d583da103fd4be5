//! deny.toml, as far as our own rules read it. Its format is cargo-deny's.

use serde::Deserialize;

use crate::report::Failure;
use crate::workspace::Workspace;

/// The file.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Config {
    graph: Graph,
    advisories: Advisories,
    pub(super) licenses: Licenses,
    pub(super) bans: Bans,
    pub(super) sources: Sources,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Graph {
    targets: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Advisories {
    ignore: Vec<Ignored>,
}

#[derive(Debug, Deserialize)]
struct Ignored {
    id: String,
    #[serde(default)]
    reason: String,
}

/// `[licenses]`
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Licenses {
    pub(super) allow: Vec<String>,
    pub(super) exceptions: Vec<Exception>,
}

/// Licences that one crate may have beside those of `allow`.
#[derive(Debug, Deserialize)]
pub(super) struct Exception {
    #[serde(rename = "crate")]
    pub(super) spec: Spec,
    pub(super) allow: Vec<String>,
}

/// `[bans]`
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Bans {
    pub(super) deny: Vec<Banned>,
    pub(super) skip: Vec<Banned>,
}

/// A crate, and why it is named.
#[derive(Debug, Deserialize)]
pub(super) struct Banned {
    #[serde(rename = "crate")]
    pub(super) spec: Spec,
    #[serde(default)]
    pub(super) reason: String,
}

/// `[sources]`
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(super) struct Sources {
    pub(super) allow_registry: Vec<String>,
    pub(super) allow_git: Vec<String>,
}

/// `name`, or `name@version` where the version may leave out its last parts.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub(super) struct Spec {
    text: String,
    name: String,
    version: Option<String>,
}

impl From<String> for Spec {
    fn from(text: String) -> Self {
        let (name, version) = match text.split_once('@') {
            Some((name, version)) => (name.to_owned(), Some(version.to_owned())),
            None => (text.clone(), None),
        };
        Self { text, name, version }
    }
}

impl std::fmt::Display for Spec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl Spec {
    /// Whether the package is meant.
    pub(super) fn matches(&self, name: &str, version: &str) -> bool {
        let same_version = |wanted: &String| version == wanted || version.starts_with(&format!("{wanted}."));
        self.name == name && self.version.as_ref().is_none_or(same_version)
    }
}

impl Config {
    /// Reads the file of the workspace.
    pub(super) fn read(workspace: &Workspace) -> Result<Self, Failure> {
        let text = workspace.read("deny.toml").ok_or_else(|| Failure::new("there is no deny.toml"))?;
        Self::parse(&text)
    }

    /// Reads the text of such a file.
    pub(super) fn parse(text: &str) -> Result<Self, Failure> {
        toml::from_str(text).map_err(|error| Failure::new(format!("deny.toml: {error}")))
    }

    /// The platforms we build for.
    pub(super) fn targets(&self) -> Vec<String> {
        self.graph.targets.clone()
    }

    /// Exceptions that do not say when and why they were made.
    pub(super) fn undated(&self) -> Vec<String> {
        let named = self.bans.skip.iter().chain(&self.bans.deny);
        let bans = named.map(|entry| (entry.spec.to_string(), &entry.reason));
        let advisories = self.advisories.ignore.iter().map(|entry| (entry.id.clone(), &entry.reason));
        let undated = bans.chain(advisories).filter(|(_, reason)| !is_dated(reason));
        undated
            .map(|(what, _)| format!("deny.toml: the reason of {what} must begin with its date: 2026-01-31: why"))
            .collect()
    }
}

/// Whether the reason looks like `2026-01-31: because`.
fn is_dated(reason: &str) -> bool {
    let Some((date, why)) = reason.split_once(": ") else {
        return false;
    };
    let fits = |(shape, character): (char, char)| {
        if shape == '0' { character.is_ascii_digit() } else { character == '-' }
    };
    date.len() == 10 && "0000-00-00".chars().zip(date.chars()).all(fits) && !why.trim().is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_match_by_their_leading_parts() {
        let matches = |spec: &str, version| Spec::from(spec.to_owned()).matches("syn", version);
        assert!(matches("syn", "2.0.119"));
        assert!(matches("syn@2", "2.0.119"));
        assert!(matches("syn@2.0.119", "2.0.119"));
        assert!(!matches("syn@2.0.1", "2.0.119"));
        assert!(!matches("syn@2", "20.0.0"));
        assert!(!matches("synstructure", "2.0.0"));
    }

    #[test]
    fn every_exception_is_dated() {
        let config = Config::parse(
            "[advisories]\nignore = [{ id = \"RUSTSEC-1\", reason = \"old\" }]\n\
             [bans]\nskip = [{ crate = \"a@1\", reason = \"2026-11-22: b needs it\" }, { crate = \"c\" }]\n\
             deny = [{ crate = \"d\", reason = \"2026-11-22: \" }]",
        )
        .unwrap();
        let told = config.undated().join("\n");
        assert_eq!(told.lines().count(), 3, "{told}");
        assert!(!told.contains("a@1"), "{told}");
    }

    #[test]
    fn the_file_of_this_repository_reads() {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../deny.toml");
        let config = Config::parse(&std::fs::read_to_string(root).unwrap()).unwrap();
        assert!(!config.licenses.allow.is_empty());
        assert_eq!(config.undated(), Vec::<String>::new());
    }
}
