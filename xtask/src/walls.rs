//! The walls between the crates: who may depend on whom.
//!
//! ```text
//! bifrost-core  <-  bifrost-actors        \
//! bifrost-core  <-  bifrost-integrations   >  bifrost-hub  <-  bifrost-py, bifrost-http
//! ```
//!
//! Three rules, from near to far. Among our own packages only the edges of [`ROOMS`] exist, in tests too: a test of the
//! actors that needs an integration belongs to the facade. A walled crate of somebody else is asked for by its owner
//! alone ([`OWNED`]). And nothing a library ships may bring a walled crate in by a detour ([`Room::never`]).

use std::collections::{HashMap, HashSet, VecDeque};

use crate::metadata::{Dependency, Metadata, Package};
use crate::report::{Failure, Outcome, Report};
use crate::workspace::Workspace;

/// One of our packages and what stands on its side of the wall.
struct Room {
    package: &'static str,
    /// Our packages it may depend on.
    may_use: &'static [&'static str],
    /// What may not reach it, however long the way: tests excepted, they do not ship.
    never: &'static [&'static str],
    /// Whether its tests and examples may ask for crates that others own.
    free_tests: bool,
}

const ROOMS: &[Room] = &[
    Room {
        package: "bifrost-core",
        may_use: &[],
        never: &["ractor", "reqwest", "hyper", "axum", "pyo3", "oauth2", "backoff"],
        free_tests: false,
    },
    Room {
        package: "bifrost-actors",
        may_use: &["bifrost-core"],
        never: &["reqwest", "hyper", "axum", "pyo3", "oauth2", "backoff"],
        free_tests: false,
    },
    Room {
        package: "bifrost-integrations",
        may_use: &["bifrost-core"],
        never: &["ractor", "axum", "pyo3"],
        free_tests: false,
    },
    Room {
        package: "bifrost-hub",
        may_use: &["bifrost-core", "bifrost-actors", "bifrost-integrations"],
        never: &["axum", "pyo3"],
        // Its tests and examples stand in for the host program, which uses what it likes.
        free_tests: true,
    },
    Room { package: "bifrost-py", may_use: &["bifrost-hub"], never: &["axum"], free_tests: false },
    Room { package: "bifrost-http", may_use: &["bifrost-hub"], never: &["pyo3"], free_tests: true },
    Room { package: "xtask", may_use: &[], never: &[], free_tests: false },
];

/// Crates of others that only these packages may name in their manifest.
const OWNED: &[(&str, &[&str])] = &[
    ("sled", &["bifrost-core"]),
    ("ractor", &["bifrost-actors"]),
    ("reqwest", &["bifrost-integrations"]),
    ("oauth2", &["bifrost-integrations"]),
    ("backoff", &["bifrost-integrations"]),
    ("governor", &["bifrost-integrations"]),
    ("hyper", &["bifrost-integrations", "bifrost-http"]),
    ("axum", &["bifrost-http"]),
    ("pyo3", &["bifrost-py"]),
    ("pyo3-build-config", &["bifrost-py"]),
];

/// Fails on any edge through a wall.
pub(crate) fn check(workspace: &Workspace) -> Outcome {
    let metadata = workspace.metadata()?;
    Failure::if_any(&violations(metadata))?;
    Ok(Report::figure(format!("{} packages", metadata.members().count())))
}

fn violations(metadata: &Metadata) -> Vec<String> {
    let ours: HashSet<_> = metadata.members().map(|package| package.name.as_str()).collect();
    let mut found = Vec::new();
    for package in metadata.members() {
        match ROOMS.iter().find(|room| room.package == package.name) {
            Some(room) => {
                found.extend(package.dependencies.iter().filter_map(|asked| edge_violation(room, asked, &ours)));
                found.extend(detours(room, package, metadata));
            }
            None => found.push(format!("{}: give the package a row in xtask/src/walls.rs", package.name)),
        }
    }
    found
}

/// What is wrong with one line of a manifest, if anything.
fn edge_violation(room: &Room, asked: &Dependency, ours: &HashSet<&str>) -> Option<String> {
    let is_test = asked.kind.as_deref() == Some("dev");
    let name = asked.name.as_str();
    if ours.contains(name) {
        // Depending on oneself in tests switches one's own features on; it is no edge.
        let fine = room.may_use.contains(&name) || (is_test && name == room.package);
        return (!fine).then(|| format!("{} -> {name}: a wall stands between them", room.package));
    }
    let (_, owners) = OWNED.iter().find(|(owned, _)| *owned == name)?;
    let fine = owners.contains(&room.package) || (is_test && room.free_tests);
    (!fine).then(|| format!("{} -> {name}: only {} may ask for it", room.package, owners.join(" and ")))
}

/// Ways by which a shipped dependency of `package` reaches what must never reach it, direct ones aside.
fn detours(room: &Room, package: &Package, metadata: &Metadata) -> Vec<String> {
    let by_id = metadata.by_id();
    let name = |id: &str| by_id.get(id).map_or_else(|| id.to_owned(), |package| package.name.clone());
    let way_back = reached(&package.id, metadata);
    let mut found: Vec<_> = way_back
        .keys()
        .filter(|id| room.never.contains(&name(id).as_str()))
        .map(|id| path_to(id, &way_back).iter().map(|step| name(step)).collect::<Vec<_>>())
        .filter(|path| path.len() > 2)
        .map(|path| format!("{}: what {} ships must not contain the last", path.join(" -> "), room.package))
        .collect();
    found.sort_unstable();
    found
}

/// Every package that ships with `start`, each with the one before it on a shortest way.
fn reached<'a>(start: &'a str, metadata: &'a Metadata) -> HashMap<&'a str, &'a str> {
    let nodes: HashMap<_, _> = metadata.resolve.nodes.iter().map(|node| (node.id.as_str(), node)).collect();
    let mut way_back = HashMap::new();
    let mut waiting = VecDeque::from([start]);
    while let Some(id) = waiting.pop_front() {
        let edges = nodes.get(id).map(|node| node.deps.as_slice()).unwrap_or_default();
        for edge in edges.iter().filter(|edge| edge.ships()) {
            let next = edge.pkg.as_str();
            if next != start && !way_back.contains_key(next) {
                way_back.insert(next, id);
                waiting.push_back(next);
            }
        }
    }
    way_back
}

fn path_to<'a>(end: &'a str, way_back: &HashMap<&'a str, &'a str>) -> Vec<&'a str> {
    let mut path: Vec<_> = std::iter::successors(Some(end), |id| way_back.get(id).copied()).collect();
    path.reverse();
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::made_up;

    fn house() -> Vec<(&'static str, &'static [&'static str])> {
        vec![
            ("bifrost-core", &["serde", "sled", "dev:bifrost-core", "dev:proptest"]),
            ("bifrost-actors", &["bifrost-core", "ractor", "dev:proptest"]),
            ("bifrost-integrations", &["bifrost-core", "reqwest", "backoff", "hyper", "dev:bifrost-integrations"]),
            ("bifrost-hub", &["bifrost-core", "bifrost-actors", "bifrost-integrations", "dev:hyper"]),
            ("bifrost-py", &["bifrost-hub", "pyo3"]),
            ("xtask", &["serde"]),
        ]
    }

    /// The house with one package's dependencies extended by one.
    fn with(package: &str, dependency: &'static str) -> Vec<String> {
        let mut dependencies: Vec<Vec<&'static str>> = Vec::new();
        let house = house();
        for (name, existing) in &house {
            let mut extended = existing.to_vec();
            extended.extend((*name == package).then_some(dependency));
            dependencies.push(extended);
        }
        let members: Vec<_> =
            house.iter().zip(&dependencies).map(|((name, _), list)| (*name, list.as_slice())).collect();
        violations(&made_up::workspace(&members))
    }

    #[test]
    fn the_house_as_designed_is_green() {
        assert_eq!(violations(&made_up::workspace(&house())), Vec::<String>::new());
    }

    #[test]
    fn each_forbidden_edge_among_our_packages_is_red() {
        for (package, dependency) in [
            ("bifrost-core", "bifrost-actors"),
            ("bifrost-core", "bifrost-integrations"),
            ("bifrost-core", "bifrost-hub"),
            ("bifrost-actors", "bifrost-integrations"),
            ("bifrost-integrations", "bifrost-actors"),
            ("bifrost-core", "bifrost-py"),
            ("bifrost-actors", "bifrost-py"),
            ("bifrost-integrations", "bifrost-py"),
            ("bifrost-hub", "bifrost-py"),
            ("bifrost-hub", "xtask"),
            ("xtask", "bifrost-core"),
        ] {
            let found = with(package, dependency);
            assert_eq!(found[0], format!("{package} -> {dependency}: a wall stands between them"));
        }
    }

    #[test]
    fn siblings_do_not_meet_in_their_tests_either() {
        assert_eq!(with("bifrost-actors", "dev:bifrost-integrations").len(), 1);
        assert_eq!(with("bifrost-hub", "dev:bifrost-py").len(), 1);
    }

    #[test]
    fn each_walled_crate_has_its_owner() {
        for (package, dependency) in [
            ("bifrost-core", "ractor"),
            ("bifrost-core", "reqwest"),
            ("bifrost-core", "pyo3"),
            ("bifrost-core", "axum"),
            ("bifrost-core", "dev:hyper"),
            ("bifrost-actors", "sled"),
            ("bifrost-actors", "reqwest"),
            ("bifrost-integrations", "ractor"),
            ("bifrost-integrations", "sled"),
            ("bifrost-hub", "reqwest"),
            ("bifrost-hub", "pyo3"),
            ("bifrost-py", "axum"),
        ] {
            let edge = format!("{package} -> {}: only ", dependency.trim_start_matches("dev:"));
            let found = with(package, dependency);
            assert_eq!(found.iter().filter(|told| told.starts_with(&edge)).count(), 1, "{found:?}");
        }
    }

    #[test]
    fn a_detour_is_red_and_shows_its_way() {
        let mut metadata = made_up::workspace(&[("bifrost-core", &["jsonschema"])]);
        made_up::add(&mut metadata, "jsonschema", &["referencing"]);
        made_up::add(&mut metadata, "referencing", &["reqwest"]);
        let found = violations(&metadata);
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("bifrost-core -> jsonschema -> referencing -> reqwest: "), "{}", found[0]);
    }

    #[test]
    fn what_only_tests_pull_in_is_no_detour() {
        let mut metadata = made_up::workspace(&[("bifrost-core", &["dev:wiremock", "bytes"])]);
        made_up::add(&mut metadata, "wiremock", &["hyper"]);
        made_up::add(&mut metadata, "bytes", &["dev:hyper"]);
        assert_eq!(violations(&metadata), Vec::<String>::new());
    }

    #[test]
    fn a_package_without_a_row_is_red() {
        let found = violations(&made_up::workspace(&[("bifrost-new", &[])]));
        assert!(found[0].contains("give the package a row"), "{}", found[0]);
    }
}
