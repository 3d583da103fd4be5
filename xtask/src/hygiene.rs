//! What must not be in a file that anybody may clone: paths of one machine, leftover markers, links to nowhere.

use std::env;
use std::path::{Component, Path, PathBuf};

use crate::markdown;
use crate::report::{Failure, Outcome, Report};
use crate::rust_code::{line_of, word_positions};
use crate::workspace::Workspace;

/// Folders that exist on one machine alone. Written in pieces, so that this file passes its own check.
const MACHINE_FOLDERS: &[&str] = &[concat!("/ho", "me/"), concat!("/ro", "ot/"), concat!("/wo", "rk/")];

/// Markers of unfinished work: finish it, or write an issue.
const MARKERS: &[&str] = &[concat!("TO", "DO"), concat!("FIX", "ME")];

/// Fails on machine paths, leftover markers and relative links without a target.
pub(crate) fn check(workspace: &Workspace) -> Outcome {
    let files = workspace.text_files()?;
    let folders = machine_folders(workspace.root(), env::var_os("HOME").as_deref().map(Path::new));
    let mut found = Vec::new();
    for (path, text) in &files {
        found.extend(machine_paths(path, text, &folders));
        found.extend(markers(path, text));
        if path.ends_with(".md") {
            found.extend(dead_links(workspace.root(), path, text));
        }
    }
    Failure::if_any(&found)?;
    Ok(Report::figure(format!("{} files", files.len())))
}

/// The folders known beforehand, and those of the machine we are on.
fn machine_folders(root: &Path, home: Option<&Path>) -> Vec<String> {
    let here = [Some(root), home].into_iter().flatten();
    // A short path such as /src is no sign of a machine, and a good name for something else.
    let telling = here.filter(|path| path.components().count() > 2).filter_map(Path::to_str);
    let known = MACHINE_FOLDERS.iter().map(|&folder| folder.to_owned());
    known.chain(telling.map(|path| format!("{path}/"))).collect()
}

fn machine_paths(path: &str, text: &str, folders: &[String]) -> Vec<String> {
    let mut lines: Vec<_> = folders
        .iter()
        .flat_map(|folder| text.match_indices(folder.as_str()))
        .filter(|(at, _)| is_absolute(text, *at))
        .map(|(at, _)| line_of(text, at))
        .collect();
    lines.sort_unstable();
    lines.dedup();
    lines.iter().map(|line| format!("{path}:{line}: a path of one machine")).collect()
}

/// Whether the slash at `at` begins a path rather than continuing one.
fn is_absolute(text: &str, at: usize) -> bool {
    let before = text[..at].chars().next_back();
    !before.is_some_and(|before| before.is_alphanumeric() || "._-~}/*".contains(before))
}

fn markers(path: &str, text: &str) -> Vec<String> {
    let found = MARKERS.iter().flat_map(|marker| word_positions(text, marker).into_iter().map(move |at| (at, marker)));
    found.map(|(at, marker)| format!("{path}:{}: {marker}", line_of(text, at))).collect()
}

fn dead_links(root: &Path, path: &str, text: &str) -> Vec<String> {
    let folder = Path::new(path).parent().unwrap_or(Path::new(""));
    let mut found = Vec::new();
    for (line, prose) in markdown::prose(text) {
        let dead = link_targets(&prose).into_iter().filter(|target| !leads_somewhere(root, folder, target));
        found.extend(dead.map(|target| format!("{path}:{line}: the link {target} leads nowhere in the repository")));
    }
    found
}

/// The relative targets of the links in a line.
fn link_targets(prose: &str) -> Vec<&str> {
    let inline = prose.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next());
    let reference = prose.strip_prefix('[').and_then(|rest| rest.split_once("]: ")).map(|(_, target)| target.trim());
    let targets = inline.chain(reference).map(|target| target.split('#').next().unwrap_or_default());
    targets.filter(|target| !target.is_empty() && !target.contains(':')).collect()
}

/// Whether the target is there, and inside the repository: a neighbour's folder is not in anybody's clone.
fn leads_somewhere(root: &Path, folder: &Path, target: &str) -> bool {
    let mut inside = PathBuf::new();
    let from_root = target.strip_prefix('/');
    let path = from_root.map_or_else(|| folder.join(target), PathBuf::from);
    for part in path.components() {
        match part {
            Component::ParentDir if !inside.pop() => return false,
            Component::Normal(name) => inside.push(name),
            _ => {}
        }
    }
    root.join(inside).exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folders() -> Vec<String> {
        machine_folders(Path::new("/srv/builds/bifrost"), Some(Path::new("/")))
    }

    #[test]
    fn machine_paths_are_red() {
        for folder in MACHINE_FOLDERS {
            let text = format!("fine\nrun `{folder}somebody/x`");
            assert_eq!(machine_paths("a.md", &text, &folders()), ["a.md:2: a path of one machine"]);
        }
        assert_eq!(machine_paths("a.rs", "\"/srv/builds/bifrost/target\"", &folders()).len(), 1);
    }

    #[test]
    fn paths_that_merely_contain_such_a_name_are_green() {
        for folder in MACHINE_FOLDERS {
            let text = format!("https://example.test{folder}x and ./some{folder}x and {{id}}{folder}x");
            assert_eq!(machine_paths("a.md", &text, &folders()), Vec::<String>::new());
        }
    }

    #[test]
    fn a_short_root_is_no_machine_path() {
        assert_eq!(machine_folders(Path::new("/src"), None).len(), MACHINE_FOLDERS.len());
    }

    #[test]
    fn markers_are_red_as_words_alone() {
        for marker in MARKERS {
            assert_eq!(markers("a.rs", &format!("// {marker}: later")).len(), 1);
            assert_eq!(markers("a.rs", &format!("// {marker}S_{marker}x")).len(), 0);
        }
    }

    #[test]
    fn links_must_lead_somewhere_inside() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("clone");
        std::fs::create_dir_all(root.join("docs")).unwrap();
        std::fs::write(root.join("docs/a.md"), "").unwrap();
        std::fs::write(folder.path().join("outside.md"), "").unwrap();
        let links = |text: &str| dead_links(&root, "docs/b.md", text).len();
        assert_eq!(links("[a](a.md) [b](../docs/a.md#part) [c](https://example.test/x) [d](#here) [e](/docs)"), 0);
        assert_eq!(links("[a](missing.md)"), 1);
        assert_eq!(links("[a](../../outside.md)"), 1);
        assert_eq!(links("[ref]: missing.md"), 1);
        assert_eq!(links("`[a](missing.md)`"), 0);
    }
}
