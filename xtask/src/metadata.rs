//! The parts of `cargo metadata` that the checks read.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::process::Stdio;

use serde::Deserialize;

use crate::report::Failure;
use crate::workspace::Workspace;

/// The workspace and everything it depends on.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Metadata {
    pub(crate) packages: Vec<Package>,
    pub(crate) workspace_members: Vec<String>,
    pub(crate) resolve: Resolve,
    /// Where cargo puts what it builds, and we what we make of it.
    #[serde(default)]
    pub(crate) target_directory: PathBuf,
}

/// One package, ours or somebody else's.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Package {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) version: String,
    #[serde(default)]
    pub(crate) license: Option<String>,
    #[serde(default)]
    pub(crate) rust_version: Option<String>,
    #[serde(default)]
    pub(crate) source: Option<String>,
    #[serde(default)]
    pub(crate) dependencies: Vec<Dependency>,
    #[serde(default)]
    pub(crate) features: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    pub(crate) targets: Vec<Target>,
}

/// What a manifest asks for.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// `None` for an ordinary one, else `dev` or `build`.
    #[serde(default)]
    pub(crate) kind: Option<String>,
    /// The versions it takes.
    #[serde(default)]
    pub(crate) req: String,
    /// The folder it is in, when it is one of our own.
    #[serde(default)]
    pub(crate) path: Option<String>,
}

/// A library, program, example or test of a package.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Target {
    pub(crate) kind: Vec<String>,
}

/// What was chosen for what the manifests ask.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Resolve {
    pub(crate) nodes: Vec<Node>,
}

/// One package of the resolved graph.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Node {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) deps: Vec<Edge>,
}

/// One edge of the resolved graph.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Edge {
    pub(crate) pkg: String,
    pub(crate) dep_kinds: Vec<EdgeKind>,
}

/// Why the edge is there.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct EdgeKind {
    #[serde(default)]
    pub(crate) kind: Option<String>,
}

impl Edge {
    /// Whether the library itself needs it, not only its tests.
    pub(crate) fn ships(&self) -> bool {
        self.dep_kinds.iter().any(|kind| kind.kind.as_deref() != Some("dev"))
    }
}

impl Package {
    /// Whether there is a library in it.
    pub(crate) fn is_library(&self) -> bool {
        let kinds = ["lib", "rlib", "cdylib"];
        self.targets.iter().flat_map(|target| &target.kind).any(|kind| kinds.contains(&kind.as_str()))
    }
}

impl Metadata {
    /// Asks cargo, with all features; for `platforms`, or for all there are when none is named.
    pub(crate) fn read(workspace: &Workspace, platforms: &[String]) -> Result<Self, Failure> {
        let mut command = workspace.cargo(&["metadata", "--format-version", "1", "--all-features", "--quiet"]);
        for platform in platforms {
            command.args(["--filter-platform", platform]);
        }
        let output = command.stdin(Stdio::null()).output()?;
        if !output.status.success() {
            return Err(Failure::new(String::from_utf8_lossy(&output.stderr)).during("cargo metadata"));
        }
        serde_json::from_slice(&output.stdout).map_err(|error| Failure::new(format!("reading cargo metadata: {error}")))
    }

    /// Our own packages.
    pub(crate) fn members(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| self.workspace_members.contains(&package.id))
    }

    /// Packages by their id.
    pub(crate) fn by_id(&self) -> HashMap<&str, &Package> {
        self.packages.iter().map(|package| (package.id.as_str(), package)).collect()
    }
}

/// Small made-up workspaces for the tests of the checks.
#[cfg(test)]
pub(crate) mod made_up {
    use super::*;

    /// A workspace whose members have these dependencies (`dev:` before a name makes it one of the tests).
    pub(crate) fn workspace(members: &[(&str, &[&str])]) -> Metadata {
        let mut metadata = Metadata::default();
        for (name, dependencies) in members {
            add(&mut metadata, name, dependencies);
            metadata.workspace_members.push((*name).to_owned());
        }
        metadata
    }

    /// Adds a package with these dependencies.
    pub(crate) fn add(metadata: &mut Metadata, name: &str, dependencies: &[&str]) {
        let dependencies: Vec<_> = dependencies.iter().map(|text| dependency(text)).collect();
        let deps = dependencies
            .iter()
            .map(|Dependency { name, kind, .. }| Edge {
                pkg: name.clone(),
                dep_kinds: vec![EdgeKind { kind: kind.clone() }],
            })
            .collect();
        metadata.resolve.nodes.push(Node { id: name.to_owned(), deps });
        metadata.packages.push(package(name, name, "1.0.0", dependencies));
    }

    /// A package by itself.
    pub(crate) fn package(id: &str, name: &str, version: &str, dependencies: Vec<Dependency>) -> Package {
        let (id, name, version) = (id.to_owned(), name.to_owned(), version.to_owned());
        Package { id, name, version, dependencies, ..Package::default() }
    }

    fn dependency(text: &str) -> Dependency {
        let (name, kind) = match text.strip_prefix("dev:") {
            Some(name) => (name, Some("dev".to_owned())),
            None => (text, None),
        };
        Dependency { name: name.to_owned(), kind, ..Dependency::default() }
    }
}
