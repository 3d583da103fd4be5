//! Where the repository is, and which files belong to it.

use std::cell::OnceCell;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::metadata::Metadata;
use crate::process;
use crate::report::Failure;

/// Folders that hold no source even where git is not there to say so.
const NOT_OURS: &[&str] = &["target", "node_modules", ".git", ".venv"];

/// The repository on this machine.
pub(crate) struct Workspace {
    root: PathBuf,
    metadata: OnceCell<Metadata>,
}

impl Workspace {
    /// The workspace this program was built from.
    pub(crate) fn locate() -> Result<Self, String> {
        let output = Command::new(process::cargo_program())
            .args(["locate-project", "--workspace", "--message-format", "plain"])
            .output()
            .map_err(|error| format!("running cargo locate-project: {error}"))?;
        let manifest = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
        match manifest.parent() {
            Some(root) if output.status.success() => Ok(Self::at(root.to_owned())),
            _ => Err(format!("cargo found no workspace here: {}", String::from_utf8_lossy(&output.stderr).trim())),
        }
    }

    /// The workspace in `root`.
    pub(crate) fn at(root: PathBuf) -> Self {
        Self { root, metadata: OnceCell::new() }
    }

    /// The root folder.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Everything cargo knows about the workspace on every platform, with all features; asked once.
    pub(crate) fn metadata(&self) -> Result<&Metadata, Failure> {
        if let Some(known) = self.metadata.get() {
            return Ok(known);
        }
        let read = Metadata::read(self, &[])?;
        Ok(self.metadata.get_or_init(|| read))
    }

    /// A `cargo` command that runs in the root folder.
    pub(crate) fn cargo(&self, arguments: &[&str]) -> Command {
        let mut command = process::cargo();
        command.args(arguments).current_dir(&self.root);
        command
    }

    /// Text files of the repository as paths from the root, sorted: what git tracks or would track.
    pub(crate) fn text_files(&self) -> Result<Vec<(String, String)>, Failure> {
        let mut names = match self.git_files() {
            Some(names) => names,
            None => self.walked_files()?,
        };
        names.sort_unstable();
        Ok(names.into_iter().filter_map(|name| self.read(&name).map(|text| (name, text))).collect())
    }

    /// The content of one file, if it is there and is text.
    pub(crate) fn read(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.root.join(name)).ok()
    }

    fn git_files(&self) -> Option<Vec<String>> {
        let output = Command::new("git")
            .args(["ls-files", "--cached", "--others", "--exclude-standard", "-z"])
            .current_dir(&self.root)
            .output()
            .ok()?;
        let names = String::from_utf8(output.stdout).ok()?;
        let names: Vec<_> = names.split('\0').filter(|name| !name.is_empty()).map(str::to_owned).collect();
        // A source archive inside somebody else's repository is ignored there: git then knows no file of it.
        (output.status.success() && !names.is_empty()).then_some(names)
    }

    fn walked_files(&self) -> Result<Vec<String>, Failure> {
        let mut names = Vec::new();
        let mut folders = vec![self.root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder)? {
                let entry = entry?;
                let kind = entry.file_type()?;
                if kind.is_dir() && !NOT_OURS.iter().any(|name| entry.file_name() == *name) {
                    folders.push(entry.path());
                } else if kind.is_file() {
                    names.extend(relative(&self.root, &entry.path()));
                }
            }
        }
        Ok(names)
    }
}

/// `path` from `root`, with forward slashes on every platform.
fn relative(root: &Path, path: &Path) -> Option<String> {
    let parts: Option<Vec<_>> =
        path.strip_prefix(root).ok()?.components().map(|part| part.as_os_str().to_str()).collect();
    Some(parts?.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_git_the_folders_are_walked_and_build_output_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("src/deep")).unwrap();
        fs::create_dir_all(folder.path().join("target")).unwrap();
        fs::write(folder.path().join("src/deep/lib.rs"), "code").unwrap();
        fs::write(folder.path().join("target/built.rs"), "built").unwrap();
        let files = Workspace::at(folder.path().to_owned()).walked_files().unwrap();
        assert_eq!(files, ["src/deep/lib.rs"]);
    }

    #[test]
    fn files_that_are_not_text_are_left_out() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("picture"), [0xff, 0xfe, 0x00]).unwrap();
        assert_eq!(Workspace::at(folder.path().to_owned()).text_files().unwrap(), []);
    }
}
