//! The README shows code that is compiled and commands that are run.
//!
//! A Rust or Python block names its file in a comment right above it, `<!-- file: examples/quickstart.rs -->`, and equals
//! that file from the line after its marker, `// --8<-- readme` or `# --8<-- readme`, or all of it where there is none.

use crate::markdown::{self, Block};
use crate::report::{Failure, Outcome, Report};
use crate::workspace::Workspace;

const MARKERS: &[&str] = &["// --8<-- readme", "# --8<-- readme"];

/// Languages whose blocks in the README must come from a file.
const LANGUAGES: &[&str] = &["rust", "python"];

/// What a person types who never saw the project.
const SET_UP: &[&str] = &["cargo run --release --example onboarding", "cargo xtask test"];

/// Languages of blocks that hold commands.
const SHELLS: &[&str] = &["console", "sh", "shell", "bash"];

/// Fails when the README shows something that is not there.
pub(crate) fn check(workspace: &Workspace) -> Outcome {
    let readme = workspace.read("README.md").ok_or_else(|| Failure::new("there is no README.md"))?;
    let mut found = missing_commands(&readme);
    for (path, text) in workspace.text_files()?.iter().filter(|(path, _)| path.ends_with(".md")) {
        for block in markdown::blocks(text) {
            found.extend(block_violation(workspace, path, &block));
        }
    }
    Failure::if_any(&found)?;
    Ok(Report::default())
}

fn block_violation(workspace: &Workspace, path: &str, block: &Block<'_>) -> Option<String> {
    let place = format!("{path}:{}", block.line);
    let Some(file) = block.file else {
        let language = block.info.split(',').next().unwrap_or_default();
        let unnamed = path == "README.md" && LANGUAGES.contains(&language);
        return unnamed.then(|| format!("{place}: a {language} block must name its file, see CONTRIBUTING.md"));
    };
    let Some(source) = workspace.read(file) else {
        return Some(format!("{place}: there is no {file}"));
    };
    let difference = first_difference(&block.lines, &shown_lines(&source))?;
    Some(format!("{place}: differs from {file}: {difference}"))
}

/// The lines of an example that its reader sees.
fn shown_lines(source: &str) -> Vec<&str> {
    let lines: Vec<_> = source.lines().collect();
    let begin = lines.iter().position(|line| MARKERS.contains(&line.trim())).map_or(0, |marker| marker + 1);
    lines[begin..].to_vec()
}

fn first_difference(shown: &[&str], source: &[&str]) -> Option<String> {
    let shown = trimmed(shown);
    let source = trimmed(source);
    let end = shown.len().max(source.len());
    let line = (0..end).find(|&line| shown.get(line) != source.get(line))?;
    let text = |lines: &[&str]| lines.get(line).map_or("nothing more".to_owned(), |text| format!("`{text}`"));
    Some(format!("line {} is {} here and {} there", line + 1, text(&shown), text(&source)))
}

/// Without space at the ends of lines and without empty lines around.
fn trimmed<'a>(lines: &[&'a str]) -> Vec<&'a str> {
    let lines: Vec<_> = lines.iter().map(|line| line.trim_end()).collect();
    let begin = lines.iter().position(|line| !line.is_empty()).unwrap_or(lines.len());
    let end = lines.iter().rposition(|line| !line.is_empty()).map_or(begin, |last| last + 1);
    lines[begin..end].to_vec()
}

fn missing_commands(readme: &str) -> Vec<String> {
    let blocks: Vec<_> = markdown::blocks(readme).into_iter().filter(|block| SHELLS.contains(&block.info)).collect();
    let lines = blocks.iter().flat_map(|block| &block.lines);
    let typed: Vec<_> = lines.map(|line| line.trim().trim_start_matches("$ ")).collect();
    let missing = SET_UP.iter().filter(|command| !typed.iter().any(|line| line == *command));
    missing.map(|command| format!("README.md: no console block shows `{command}`")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repository(readme: &str, example: &str) -> (tempfile::TempDir, Workspace) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("examples")).unwrap();
        std::fs::write(folder.path().join("examples/quickstart.rs"), example).unwrap();
        let commands = SET_UP.join("\n$ ");
        let readme = format!("{readme}\n```console\n$ {commands}\n```\n");
        std::fs::write(folder.path().join("README.md"), readme).unwrap();
        let workspace = Workspace::at(folder.path().to_owned());
        (folder, workspace)
    }

    fn outcome(readme: &str, example: &str) -> Result<(), String> {
        let (_folder, workspace) = repository(readme, example);
        check(&workspace).map(|_| ()).map_err(|failure| failure.to_string())
    }

    const NAMED: &str = "<!-- file: examples/quickstart.rs -->\n```rust\nfn main() {}\n```";

    #[test]
    fn a_block_that_equals_its_file_is_green() {
        assert_eq!(outcome(NAMED, "fn main() {}\n"), Ok(()));
        assert_eq!(outcome(NAMED, "//! Run it.\n\n// --8<-- readme\n\nfn main() {}\n"), Ok(()));
        assert_eq!(outcome(NAMED, "# --8<-- readme\nfn main() {}\n"), Ok(()));
    }

    #[test]
    fn a_block_that_differs_is_red_and_says_where() {
        let told = outcome(NAMED, "fn main() { go() }\n").unwrap_err();
        assert!(told.contains("line 1 is `fn main() {}` here and `fn main() { go() }` there"), "{told}");
        assert!(outcome(NAMED, "fn main() {}\nfn more() {}\n").unwrap_err().contains("nothing more"));
    }

    #[test]
    fn a_block_without_a_file_is_red() {
        assert!(outcome("```rust\nfn main() {}\n```", "").is_err());
        assert!(outcome("```python\nmain()\n```", "").is_err());
        assert!(outcome("<!-- file: examples/gone.rs -->\n```rust\n```", "").unwrap_err().contains("there is no"));
    }

    #[test]
    fn missing_set_up_commands_are_red() {
        assert_eq!(missing_commands("```console\n$ cargo xtask test\n```").len(), 1);
        assert_eq!(missing_commands("cargo xtask test").len(), 2);
    }
}
