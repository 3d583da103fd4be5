//! Whole answers with bodies that are not what the documentation says: JSON of any shape, JSON that is none.

use futures_util::stream::{self, StreamExt};
use serde_json::{Value, json};

use super::doors::{DOORS, Door, Expect, Way, attack};
use super::server::{Piece, whole};
use crate::dice::Dice;
use crate::findings::Findings;
use crate::lab::Round;

/// The names of fields that some client reads.
const NAMES: [&str; 14] = [
    "value",
    "@odata.nextLink",
    "@odata.count",
    "id",
    "displayName",
    "error",
    "record_count",
    "clients",
    "tickets",
    "access_token",
    "token_type",
    "expires_in",
    "refresh_token",
    "userPrincipalName",
];

pub(super) async fn wrong_shapes(round: &Round, findings: &mut Findings) {
    let way = Way::new();
    let mut tasks: Vec<(Door, String, Vec<u8>, Expect)> = Vec::new();
    for (name, body, expect) in known() {
        for door in DOORS {
            // A raw call gives back any JSON there is.
            let expect = if door == Door::Raw { Expect::Either } else { expect };
            tasks.push((door, name.to_owned(), body.clone(), expect));
        }
    }
    let dice = round.dice();
    for number in 0..round.scale(120, 4_000) {
        let body = any_json(&dice, 4).to_string().into_bytes();
        tasks.push((*dice.pick(&DOORS), format!("shape {number}"), body, Expect::Either));
    }
    let ended = stream::iter(tasks.into_iter().map(|(door, name, body, expect)| {
        let way = &way;
        async move { attack(way, door, &name, vec![Piece::Bytes(whole(&body))], expect).await }
    }));
    for found in ended.buffer_unordered(16).collect::<Vec<_>>().await {
        findings.add(found);
    }
}

fn known() -> Vec<(&'static str, Vec<u8>, Expect)> {
    let text = |text: &str| text.as_bytes().to_vec();
    let deep = |open: &str, close: &str| [open.repeat(10_000), close.repeat(10_000)].concat().into_bytes();
    vec![
        ("nothing", text(""), Expect::Error),
        ("ten thousand arrays", deep("[", "]"), Expect::Error),
        ("ten thousand objects", deep("{\"value\":", "}"), Expect::Error),
        ("arrays that never close", text(&"[".repeat(100_000)), Expect::Error),
        ("not a number", text(r#"{"id":NaN,"value":NaN,"record_count":Infinity,"access_token":NaN}"#), Expect::Error),
        ("bad UTF-8", b"{\"id\":\"\xff\xfe\",\"value\":\"\xc0\",\"access_token\":\"\xff\"}".to_vec(), Expect::Error),
        ("lone surrogates", text(r#"{"id":"\ud800","value":"\udfff","access_token":"\ud800"}"#), Expect::Error),
        ("a number of a million digits", text(&format!("{{\"id\":{}}}", "9".repeat(1_000_000))), Expect::Error),
        ("a page of HTML", text("<html><body>canary-client-secret canary-access-token</body></html>"), Expect::Error),
        ("null", text("null"), Expect::Error),
        ("a text", text("\"canary-access-token canary-client-secret\""), Expect::Error),
        (
            "texts for everything",
            text(
                r#"{"id":["canary-access-token"],"value":"canary-access-token","clients":"canary-access-token","record_count":"canary-client-secret","access_token":["canary-client-secret"],"token_type":"canary-client-secret"}"#,
            ),
            Expect::Error,
        ),
        (
            "the same key twice",
            text(
                r#"{"id":"1","id":"2","value":[],"value":[],"record_count":0,"record_count":1,"clients":[],"access_token":"a","access_token":"b"}"#,
            ),
            Expect::Either,
        ),
        ("an empty token", text(r#"{"access_token":"","value":1,"id":[],"record_count":[]}"#), Expect::Error),
        (
            "a token that no header holds",
            text(r#"{"access_token":"a\r\nx: y","value":1,"id":[],"record_count":[]}"#),
            Expect::Error,
        ),
        (
            "a token of another type",
            text(r#"{"access_token":"a","token_type":"mac","value":1,"id":[],"record_count":[]}"#),
            Expect::Error,
        ),
        (
            "a negative count",
            text(r#"{"record_count":-1,"clients":{},"value":{},"id":{},"access_token":{}}"#),
            Expect::Error,
        ),
    ]
}

/// Any JSON, with names that clients read.
fn any_json(dice: &Dice, depth: u64) -> Value {
    match dice.below(if depth == 0 { 5 } else { 8 }) {
        0 => Value::Null,
        1 => json!(dice.chance(1, 2)),
        2 => json!(i64::from_ne_bytes(dice.next().to_ne_bytes())),
        3 => json!(f64::from_bits(dice.next())),
        4 => json!(*dice.pick(&["", "canary-access-token", "https://127.0.0.1:1/", "\u{0}", "2026-13-99T99:99:99Z"])),
        5 => (0..dice.below(4)).map(|_| any_json(dice, depth - 1)).collect(),
        _ => {
            let field = |_| ((*dice.pick(&NAMES)).to_owned(), any_json(dice, depth - 1));
            Value::Object((0..dice.below(6)).map(field).collect())
        }
    }
}
