//! A test that is switched off tests nothing and still looks like one.

use crate::markdown;
use crate::report::{Failure, Outcome, Report};
use crate::rust_code::{self, line_of};
use crate::workspace::Workspace;

/// Fails on an ignored test, an ignored documentation example, or one in the Markdown files.
pub(crate) fn check(workspace: &Workspace) -> Outcome {
    let files = workspace.text_files()?;
    let found: Vec<_> = files.iter().flat_map(|(path, text)| violations(path, text)).collect();
    Failure::if_any(&found)?;
    Ok(Report::default())
}

fn violations(path: &str, text: &str) -> Vec<String> {
    if path.ends_with(".rs") {
        return [ignored_tests(path, text), ignored_examples(path, text)].concat();
    }
    if path.ends_with(".md") {
        let blocks = markdown::blocks(text).into_iter().filter(|block| is_ignored(block.info));
        return blocks.map(|block| format!("{path}:{}: an ignored code block", block.line)).collect();
    }
    Vec::new()
}

fn ignored_tests(path: &str, source: &str) -> Vec<String> {
    let code = rust_code::code(source);
    let attributes = code.match_indices("#[").filter(|(at, _)| is_ignoring(&code[at + 2..]));
    attributes.map(|(at, _)| format!("{path}:{}: an ignored test", line_of(&code, at))).collect()
}

/// Whether an attribute says `ignore`, by itself or under a condition.
fn is_ignoring(attribute: &str) -> bool {
    let body = attribute.split(']').next().unwrap_or_default().trim_start();
    let conditional = body.starts_with("cfg_attr");
    rust_code::word_positions(body, "ignore").into_iter().any(|at| at == 0 || conditional)
}

fn ignored_examples(path: &str, source: &str) -> Vec<String> {
    let comments = rust_code::comments(source);
    let told = |(index, line): (usize, &str)| {
        let line = line.trim();
        let prose = line.strip_prefix("///").or_else(|| line.strip_prefix("//!"))?.trim_start();
        let info = prose.strip_prefix("```")?;
        is_ignored(info).then(|| format!("{path}:{}: an ignored documentation example", index + 1))
    };
    comments.lines().enumerate().filter_map(told).collect()
}

/// Whether the words after the fence switch the example off; `ignore-` with a platform counts too.
fn is_ignored(info: &str) -> bool {
    info.split([',', ' ']).any(|word| word.starts_with("ignore"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_tests_are_red_however_written() {
        for source in [
            "#[test]\n#[ignore]\nfn f() {}",
            "#[test]\n#[ignore = \"slow\"]\nfn f() {}",
            "#[test]\n#[cfg_attr(miri, ignore)]\nfn f() {}",
        ] {
            assert_eq!(violations("a.rs", source), ["a.rs:2: an ignored test"], "{source}");
        }
    }

    #[test]
    fn ignored_examples_are_red() {
        assert_eq!(violations("a.rs", "/// ```ignore\n/// x\n/// ```").len(), 1);
        assert_eq!(violations("a.rs", "    //! ```rust,ignore\n").len(), 1);
        assert_eq!(violations("a.md", "text\n\n```rust,ignore\nx\n```\n"), ["a.md:3: an ignored code block"]);
    }

    #[test]
    fn running_ones_and_mentions_are_green() {
        for source in [
            "/// ```no_run\n/// x\n/// ```",
            "/// Set `#[ignore]` never.",
            "let s = \"#[ignore]\";",
            "#[serde(rename = \"ignore\")]\nstruct S;",
            "fn ignore() {}",
        ] {
            assert_eq!(violations("a.rs", source), Vec::<String>::new(), "{source}");
        }
    }
}
