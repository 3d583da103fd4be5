//! Tells code from comments and literals in a Rust source, so that checks on names do not trip over prose.

/// What a character belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Code,
    Comment,
    Literal,
}

/// The source with comments, strings and characters blanked; lines stay where they are.
pub(crate) fn code(source: &str) -> String {
    keep(source, Kind::Code)
}

/// The source with everything but its comments blanked; lines stay where they are.
pub(crate) fn comments(source: &str) -> String {
    keep(source, Kind::Comment)
}

/// Whether the character can be part of a name.
pub(crate) fn is_word(character: char) -> bool {
    character == '_' || character.is_alphanumeric()
}

/// The line, counted from one, that holds the byte at `position`.
pub(crate) fn line_of(text: &str, position: usize) -> usize {
    text[..position].matches('\n').count() + 1
}

/// Where `word` stands by itself, not as part of a longer one.
pub(crate) fn word_positions(text: &str, word: &str) -> Vec<usize> {
    text.match_indices(word)
        .map(|(position, _)| position)
        .filter(|&position| {
            let before = text[..position].chars().next_back();
            let after = text[position + word.len()..].chars().next();
            !before.is_some_and(is_word) && !after.is_some_and(is_word)
        })
        .collect()
}

fn keep(source: &str, kept: Kind) -> String {
    let characters: Vec<char> = source.chars().collect();
    let blanked = |(&character, kind): (&char, Kind)| match character {
        '\n' => '\n',
        _ if kind == kept => character,
        _ => ' ',
    };
    characters.iter().zip(classify(&characters)).map(blanked).collect()
}

fn classify(source: &[char]) -> Vec<Kind> {
    let mut kinds = Vec::with_capacity(source.len());
    while kinds.len() < source.len() {
        let at = kinds.len();
        let (kind, end) = token(source, at);
        kinds.resize(end.clamp(at + 1, source.len()), kind);
    }
    kinds
}

/// The kind of what begins at `at`, and where it ends.
fn token(source: &[char], at: usize) -> (Kind, usize) {
    let starts = |text: &str| source[at..].iter().take(text.len()).copied().eq(text.chars());
    if starts("//") {
        return (Kind::Comment, find(source, at, |rest| rest[0] == '\n'));
    }
    if starts("/*") {
        return (Kind::Comment, block_comment_end(source, at));
    }
    let in_word = at > 0 && is_word(source[at - 1]);
    if !in_word && let Some(end) = raw_string_end(source, at) {
        return (Kind::Literal, end);
    }
    match source[at] {
        '"' => (Kind::Literal, quoted_end(source, at, '"')),
        '\'' if is_character(source, at) => (Kind::Literal, quoted_end(source, at, '\'')),
        _ => (Kind::Code, at + 1),
    }
}

/// The first position from `at` where `is_end` holds for what follows, or the end of the source.
fn find(source: &[char], at: usize, is_end: impl Fn(&[char]) -> bool) -> usize {
    (at..source.len()).find(|&position| is_end(&source[position..])).unwrap_or(source.len())
}

fn block_comment_end(source: &[char], at: usize) -> usize {
    let (mut depth, mut position) = (0_usize, at);
    while position < source.len() {
        match source[position..] {
            ['/', '*', ..] => depth += 1,
            ['*', '/', ..] => depth -= 1,
            _ => {
                position += 1;
                continue;
            }
        }
        position += 2;
        if depth == 0 {
            break;
        }
    }
    position
}

/// The end of a raw string such as `r"…"`, `br#"…"#`, if one begins at `at`.
fn raw_string_end(source: &[char], at: usize) -> Option<usize> {
    let prefix = match source[at..] {
        ['b' | 'c', 'r', ..] => 2,
        ['r', ..] => 1,
        _ => return None,
    };
    let hashes = source[at + prefix..].iter().take_while(|&&character| character == '#').count();
    let opening = at + prefix + hashes;
    if source.get(opening) != Some(&'"') {
        return None;
    }
    let closes = |rest: &[char]| {
        rest[0] == '"' && rest.len() > hashes && rest[1..=hashes].iter().all(|&character| character == '#')
    };
    Some(find(source, opening + 1, closes) + 1 + hashes)
}

fn quoted_end(source: &[char], at: usize, quote: char) -> usize {
    let mut position = at + 1;
    while position < source.len() && source[position] != quote {
        position += if source[position] == '\\' { 2 } else { 1 };
    }
    position + 1
}

/// Whether the apostrophe at `at` opens a character rather than a lifetime.
fn is_character(source: &[char], at: usize) -> bool {
    source.get(at + 1) == Some(&'\\') || source.get(at + 2) == Some(&'\'')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn squeezed(text: &str) -> String {
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn comments_and_literals_are_no_code() {
        for (source, expected) in [
            ("let a = 1; // sled", "let a = 1;"),
            ("a /* one /* two */ still */ b", "a b"),
            (r#"let s = "sled \" more"; b"#, "let s = ; b"),
            (r##"let s = r#"sled " more"#; b"##, "let s = ; b"),
            ("let s = br\"raw\\\"; b", "let s = ; b"),
            ("let q = '\"'; b \"x\"", "let q = ; b"),
            (r"let q = '\''; b", "let q = ; b"),
            ("fn f<'a>(x: &'a str) {}", "fn f<'a>(x: &'a str) {}"),
            ("let r#type = attr\"x\";", "let r#type = attr ;"),
            ("let unicode = \"Zoë\"; ok", "let unicode = ; ok"),
        ] {
            assert_eq!(squeezed(&code(source)), expected, "{source}");
        }
    }

    #[test]
    fn comments_alone_can_be_kept() {
        assert_eq!(squeezed(&comments("let a = \"// no\"; /// yes\nlet b;")), "/// yes");
    }

    #[test]
    fn lines_stay_where_they_are() {
        let source = "/* a\nb */\nuse x;\n\"c\nd\"\n";
        assert_eq!(code(source).matches('\n').count(), source.matches('\n').count());
        assert_eq!(line_of(source, source.find("use").unwrap()), 3);
    }

    #[test]
    fn words_stand_by_themselves() {
        assert_eq!(word_positions("sledge sled my_sled sled::x", "sled"), [7, 20]);
    }
}
