//! Three crates are each named in one file, so that replacing one is the work of an afternoon.

use crate::report::{Failure, Outcome, Report};
use crate::rust_code::{self, is_word};
use crate::workspace::Workspace;

/// A crate and the one file that may name it.
const HOMES: &[(&str, &str)] = &[
    ("sled", "bifrost-core/src/store/embedded/state/engine.rs"),
    ("reqwest", "bifrost-integrations/src/http/transport.rs"),
    ("backoff", "bifrost-integrations/src/http/retry.rs"),
];

/// Fails when code outside its home names one of the crates. Prose may, and benches that measure beside the bare crate.
pub(crate) fn check(workspace: &Workspace) -> Outcome {
    let files = workspace.text_files()?;
    let is_checked = |path: &str| path.ends_with(".rs") && !path.starts_with("benches/");
    let sources: Vec<_> = files.iter().filter(|(path, _)| is_checked(path)).collect();
    let found: Vec<_> = sources.iter().flat_map(|(path, source)| violations(path, source)).collect();
    Failure::if_any(&found)?;
    Ok(Report::figure(format!("{} files", sources.len())))
}

fn violations(path: &str, source: &str) -> Vec<String> {
    let code = rust_code::code(source);
    let strangers = HOMES.iter().filter(|(_, home)| *home != path);
    strangers
        .flat_map(|(name, home)| {
            let uses = rust_code::word_positions(&code, name).into_iter().filter(|&at| is_crate(&code, at, name));
            let told = |at| format!("{path}:{}: {name} is named outside {home}", rust_code::line_of(&code, at));
            uses.map(told).collect::<Vec<_>>()
        })
        .collect()
}

/// Whether the word at `at` stands for the crate, not for a module, field or variable that happens to be called so.
fn is_crate(code: &str, at: usize, name: &str) -> bool {
    let before = &code[..at];
    if before.trim_end().ends_with('.') || is_inside_path(before) {
        return false;
    }
    let before = before.strip_suffix("::").unwrap_or(before).trim_end();
    let imported = ["use", "extern crate"].iter().any(|keyword| ends_with_words(before, keyword));
    imported || code[at + name.len()..].trim_start().starts_with("::")
}

/// Whether what comes before ends in `something::`; a bare `::` begins at the root instead.
fn is_inside_path(before: &str) -> bool {
    let Some(parent) = before.strip_suffix("::") else {
        return false;
    };
    parent.chars().next_back().is_some_and(|last| is_word(last) || last == '>')
}

fn ends_with_words(text: &str, words: &str) -> bool {
    let mut wanted = words.split(' ').rev();
    let mut present = text.rsplit(|character: char| character.is_whitespace() || character == ';' || character == '}');
    wanted.all(|word| present.next() == Some(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ELSEWHERE: &str = "src/lib.rs";

    #[test]
    fn each_way_to_name_the_crate_is_red_outside_its_home() {
        for (name, home) in HOMES {
            for form in [
                "use NAME;",
                "use NAME::Db;",
                "use ::NAME::Db;",
                "extern crate NAME;",
                "let x = NAME::open();",
                "pub use NAME as s;",
            ] {
                let source = format!("fn f() {{}}\n{}", form.replace("NAME", name));
                let found = violations(ELSEWHERE, &source);
                assert_eq!(found, [format!("{ELSEWHERE}:2: {name} is named outside {home}")], "{source}");
                assert_eq!(violations(home, &source), Vec::<String>::new());
            }
        }
    }

    #[test]
    fn prose_strings_and_namesakes_are_green() {
        for source in [
            "//! We use sled::Db behind a journal.",
            "/// reqwest::Client is hidden",
            "let text = \"use sled::Db\";",
            "use crate::store::sled::Engine;",
            "mod backoff;",
            "self.backoff.next(); let backoff = 3;",
            "use crate::policy::{retry, backoff};",
            "<T as Engine>::sled::x",
            "use sledge::Hammer;",
        ] {
            assert_eq!(violations(ELSEWHERE, source), Vec::<String>::new(), "{source}");
        }
    }
}
