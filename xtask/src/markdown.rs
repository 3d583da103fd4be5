//! As much Markdown as the checks need: fenced code blocks, and the prose around them.

use crate::report::Failure;

/// A fenced code block.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Block<'a> {
    /// The line of the opening fence, counted from one.
    pub(crate) line: usize,
    /// What follows the fence, such as `rust` or `console`.
    pub(crate) info: &'a str,
    /// The file named by a comment right above: `<!-- file: examples/quickstart.rs -->`.
    pub(crate) file: Option<&'a str>,
    /// The lines between the fences.
    pub(crate) lines: Vec<&'a str>,
}

/// The fenced code blocks of a text, in order.
pub(crate) fn blocks(text: &str) -> Vec<Block<'_>> {
    let mut found = Vec::new();
    let mut named = None;
    let mut lines = text.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        let Some(info) = fence(line) else {
            named = if line.trim().is_empty() { named } else { named_file(line) };
            continue;
        };
        let inner = lines.by_ref().map(|(_, line)| line).take_while(|line| fence(line).is_none()).collect();
        found.push(Block { line: index + 1, info, file: named.take(), lines: inner });
    }
    found
}

/// The lines outside of code blocks, with their numbers, inline code blanked.
pub(crate) fn prose(text: &str) -> Vec<(usize, String)> {
    let mut inside = false;
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if fence(line).is_some() {
            inside = !inside;
        } else if !inside {
            found.push((index + 1, without_inline_code(line)));
        }
    }
    found
}

/// The text with `table` between two marks, each a comment on a line of its own, in the place of what stood there.
pub(crate) fn replaced(text: &str, (begins, ends): (&str, &str), table: &str) -> Result<String, Failure> {
    let missing = || Failure::new(format!("the marks {begins} and {ends} are missing"));
    let (before, rest) = text.split_once(begins).ok_or_else(missing)?;
    let (_, after) = rest.split_once(ends).ok_or_else(missing)?;
    Ok(format!("{before}{begins}\n\n{table}\n{ends}{after}"))
}

/// What follows the fence, when the line is one.
fn fence(line: &str) -> Option<&str> {
    line.trim_start().strip_prefix("```").map(str::trim)
}

fn named_file(line: &str) -> Option<&str> {
    line.trim().strip_prefix("<!-- file:")?.strip_suffix("-->").map(str::trim)
}

fn without_inline_code(line: &str) -> String {
    line.split('`').step_by(2).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_know_their_info_place_and_file() {
        let text = "a\n<!-- file: x.rs -->\n\n```rust\nfn f() {}\n```\ntext\n```console\n$ ls\n```\n";
        assert_eq!(
            blocks(text),
            [
                Block { line: 4, info: "rust", file: Some("x.rs"), lines: vec!["fn f() {}"] },
                Block { line: 8, info: "console", file: None, lines: vec!["$ ls"] },
            ]
        );
    }

    #[test]
    fn a_file_comment_counts_only_right_above() {
        let text = "<!-- file: x.rs -->\nother text\n```rust\n```\n";
        assert_eq!(blocks(text)[0].file, None);
    }

    #[test]
    fn only_what_stands_between_the_marks_is_replaced() {
        let text = "before\n<start>\nold\n<end>\nafter\n";
        let marks = ("<start>", "<end>");
        assert_eq!(replaced(text, marks, "new").unwrap(), "before\n<start>\n\nnew\n<end>\nafter\n");
        assert!(replaced("no marks", marks, "new").is_err());
    }

    #[test]
    fn prose_leaves_code_out() {
        let text = "see `a` and b\n```\n[x](y)\n```\nend";
        assert_eq!(prose(text), [(1, "see   and b".to_owned()), (5, "end".to_owned())]);
    }
}
