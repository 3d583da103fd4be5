//! What `onboarding --json` writes, and what must be true of it.
//!
//! Every field is read here and every expectation stands in the tables below; nothing else knows the example's data.

use std::collections::{BTreeMap, HashSet};

use serde::Deserialize;
use serde_json::Value;

/// Rows of `examples/data/new_hires.csv`, and how many of them are wrong on purpose.
const ROWS: usize = 30;
const INVALID_ROWS: usize = 2;

/// People whose user is there before the first run.
const EXISTING_USERS: usize = 1;

/// How many people end how.
const OUTCOMES: &[Ending] = &[
    // A licence runs out on purpose.
    Ending { outcome: "CompletedWithErrors", people: People::AtLeast(1), has_next_action: true },
    Ending { outcome: "Succeeded", people: People::TheRest, has_next_action: false },
];

/// Providers that must have been called.
const PROVIDERS: &[&str] = &["graph", "halopsa"];

struct Ending {
    outcome: &'static str,
    people: People,
    /// Whether the person who reads the table is told what to do next.
    has_next_action: bool,
}

enum People {
    AtLeast(usize),
    TheRest,
}

/// Picks one of a person's ids.
type Id = fn(&Person) -> &Value;

/// The document. A missing field is an error; an absent value is `null`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Document {
    people: Vec<Person>,
    invalid_rows: Vec<InvalidRow>,
    created: Created,
    providers: BTreeMap<String, Provider>,
}

#[derive(Debug, Clone, Deserialize)]
struct Person {
    row: u64,
    tenant: String,
    upn: Value,
    outcome: String,
    user_id: Value,
    ticket_id: Value,
    time_entry_id: Value,
    error: Value,
}

#[derive(Debug, Clone, Deserialize)]
struct InvalidRow {
    row: u64,
    column: String,
    reason: String,
}

#[derive(Debug, Clone, Deserialize)]
struct Provider {
    calls: u64,
    throttled: u64,
}

/// How many of each there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct Created {
    pub(crate) users: usize,
    pub(crate) tickets: usize,
    pub(crate) time_entries: usize,
}

impl Document {
    /// Reads the text of a document.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        serde_json::from_str(text).map_err(|error| format!("the document does not read: {error}"))
    }

    /// How many people are in it.
    pub(crate) fn people(&self) -> usize {
        self.people.len()
    }

    /// What is wrong with the first run on an empty store.
    pub(crate) fn first_run_problems(&self) -> Vec<String> {
        let mut found = self.problems();
        if self.created != self.distinct() {
            found.push(format!("created {:?}, but the people have {:?}", self.created, self.distinct()));
        }
        for name in PROVIDERS {
            match self.providers.get(*name) {
                Some(Provider { calls, throttled }) if *calls > 0 && throttled <= calls => {}
                other => found.push(format!("provider {name} has {other:?}")),
            }
        }
        found
    }

    /// What is wrong with a run that found everything done.
    pub(crate) fn repeated_run_problems(&self) -> Vec<String> {
        let mut found = self.problems();
        if self.created != Created::default() {
            found.push(format!("a repeated run created {:?}", self.created));
        }
        found
    }

    /// What is wrong whatever happened before: rows, endings, ids.
    pub(crate) fn problems(&self) -> Vec<String> {
        let mut found = self.row_problems();
        for ending in OUTCOMES {
            found.extend(self.ending_problems(ending));
        }
        for person in &self.people {
            found.extend(person.problem());
        }
        let ids: [(&str, Id); 3] = [
            ("user_id", |person| &person.user_id),
            ("ticket_id", |person| &person.ticket_id),
            ("time_entry_id", |person| &person.time_entry_id),
        ];
        for (name, id) in ids {
            if self.present(id).count() != self.different(id) {
                found.push(format!("two people share one {name}"));
            }
        }
        found
    }

    /// What the simulators must have gained by these people.
    pub(crate) fn distinct(&self) -> Created {
        Created {
            users: self.different(|person| &person.user_id).saturating_sub(EXISTING_USERS),
            tickets: self.different(|person| &person.ticket_id),
            time_entries: self.different(|person| &person.time_entry_id),
        }
    }

    fn row_problems(&self) -> Vec<String> {
        let mut found = Vec::new();
        if self.invalid_rows.len() != INVALID_ROWS {
            found.push(format!("{} invalid rows instead of {INVALID_ROWS}", self.invalid_rows.len()));
        }
        if self.people.len() != ROWS - INVALID_ROWS {
            found.push(format!("{} people instead of {}", self.people.len(), ROWS - INVALID_ROWS));
        }
        let told = |row: &&InvalidRow| row.row > 0 && !row.column.is_empty() && !row.reason.is_empty();
        let untold = self.invalid_rows.iter().filter(|row| !told(row));
        found.extend(untold.map(|row| format!("an invalid row without its place or reason: {row:?}")));
        let invalid = self.invalid_rows.iter().map(|row| row.row);
        let rows: HashSet<_> = self.people.iter().map(|person| person.row).chain(invalid).collect();
        if rows.len() != self.people.len() + self.invalid_rows.len() {
            found.push("a row is in the document twice".to_owned());
        }
        found
    }

    fn ending_problems(&self, ending: &Ending) -> Option<String> {
        let count = self.people.iter().filter(|person| person.outcome == ending.outcome).count();
        let listed = |person: &&Person| OUTCOMES.iter().any(|ending| ending.outcome == person.outcome);
        match ending.people {
            People::AtLeast(least) if count < least => {
                Some(format!("{count} people ended as {} instead of {least} or more", ending.outcome))
            }
            People::TheRest => {
                let stranger = self.people.iter().find(|person| !listed(person))?;
                Some(format!("row {} ended as {}: {}", stranger.row, stranger.outcome, stranger.error))
            }
            People::AtLeast(_) => None,
        }
    }

    fn present(&self, id: Id) -> impl Iterator<Item = String> {
        self.people.iter().map(id).filter(|value| !value.is_null()).map(Value::to_string)
    }

    fn different(&self, id: Id) -> usize {
        self.present(id).collect::<HashSet<_>>().len()
    }
}

impl Person {
    /// What is wrong with one person's line.
    fn problem(&self) -> Option<String> {
        let ending = OUTCOMES.iter().find(|ending| ending.outcome == self.outcome)?;
        let place = format!("row {} ({}, {})", self.row, self.tenant, self.upn);
        if ending.has_next_action {
            return next_action(&self.error).is_none().then(|| format!("{place} is not told what to do next"));
        }
        let ids = [&self.upn, &self.user_id, &self.ticket_id, &self.time_entry_id];
        let is_whole = ids.iter().all(|id| !id.is_null()) && self.error.is_null();
        (!is_whole).then(|| format!("{place} ended as {} with something missing: {self:?}", self.outcome))
    }
}

/// The text that tells a person what to do next: the error itself, or its `next_action`.
fn next_action(error: &Value) -> Option<&str> {
    let text = error.get("next_action").unwrap_or(error).as_str()?;
    (!text.trim().is_empty()).then_some(text)
}

/// A document as the example should write it, for the tests.
#[cfg(test)]
pub(crate) fn made_up() -> Value {
    use serde_json::json;

    let person = |row: usize| {
        let short = row == 7;
        json!({
            "row": row, "tenant": "contoso", "upn": format!("p{row}@contoso.test"), "licence": null, "groups": [],
            "outcome": if short { "CompletedWithErrors" } else { "Succeeded" },
            "user_id": format!("u{row}"), "ticket_id": row, "time_entry_id": row + 1000, "duration_ms": 5,
            "error": if short { json!({"message": "no licence left", "next_action": "buy one"}) } else { Value::Null },
        })
    };
    let people = ROWS - INVALID_ROWS;
    let mut document = json!({
        "people": (1..=people).map(person).collect::<Vec<_>>(),
        "invalid_rows": [
            {"row": people + 1, "column": "start_date", "reason": "not a date"},
            {"row": people + 2, "column": "tenant", "reason": "unknown"},
        ],
        "providers": {"graph": {"calls": 100, "throttled": 2}, "halopsa": {"calls": 80, "throttled": 0}},
    });
    document["created"] = json!({"users": people - EXISTING_USERS, "tickets": people, "time_entries": people});
    document
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The problems of a first run whose value at `pointer` is another.
    fn with(pointer: &str, value: Value) -> String {
        let mut document = made_up();
        *document.pointer_mut(pointer).unwrap() = value;
        Document::parse(&document.to_string()).unwrap().first_run_problems().join("\n")
    }

    #[test]
    fn the_document_as_promised_is_green() {
        let document = Document::parse(&made_up().to_string()).unwrap();
        assert_eq!(document.first_run_problems(), Vec::<String>::new());
    }

    #[test]
    fn each_broken_promise_is_red() {
        for (pointer, value, told) in [
            ("/invalid_rows", json!([]), "0 invalid rows"),
            ("/invalid_rows/0/reason", json!(""), "without its place or reason"),
            ("/people/27/row", json!(1), "a row is in the document twice"),
            ("/people/6/outcome", json!("Succeeded"), "0 people ended as CompletedWithErrors"),
            ("/people/6/error", json!(null), "not told what to do next"),
            ("/people/0/outcome", json!("Failed"), "row 1 ended as Failed"),
            ("/people/0/ticket_id", json!(null), "something missing"),
            ("/people/0/ticket_id", json!(2), "share one ticket_id"),
            ("/created/users", json!(28), "but the people have"),
            ("/providers", json!({}), "provider graph has None"),
        ] {
            let problems = with(pointer, value);
            assert!(problems.contains(told), "{pointer}: {problems}");
        }
    }

    #[test]
    fn a_missing_field_does_not_read() {
        let mut document = made_up();
        document["people"][3].as_object_mut().unwrap().remove("ticket_id");
        assert!(Document::parse(&document.to_string()).unwrap_err().contains("ticket_id"));
    }

    #[test]
    fn a_repeated_run_creates_nothing() {
        let mut document = made_up();
        let problems = |document: &Value| Document::parse(&document.to_string()).unwrap().repeated_run_problems();
        assert_eq!(problems(&document).len(), 1);
        document["created"] = json!({"users": 0, "tickets": 0, "time_entries": 0});
        assert_eq!(problems(&document), Vec::<String>::new());
    }

    #[test]
    fn an_error_may_be_a_text_or_carry_its_next_action() {
        assert_eq!(next_action(&json!("buy licences")), Some("buy licences"));
        assert_eq!(next_action(&json!({"next_action": "buy licences"})), Some("buy licences"));
        assert_eq!(next_action(&json!({"message": "no licence left"})), None);
        assert_eq!(next_action(&json!(" ")), None);
    }
}
