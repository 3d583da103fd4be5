//! What came of it: a table and totals for people, one JSON document for programs.

use std::collections::BTreeMap;
use std::io::{self, Write};

use bifrost::{ErrorReport, HubSnapshot};
use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{ContentArrangement, Table};
use serde::Serialize;

use crate::hires::InvalidRow;
use crate::people::{Created, Finished};

/// Everything that is told.
pub(crate) struct Report<'a> {
    pub(crate) people: &'a [Finished<'a>],
    pub(crate) invalid: &'a [InvalidRow],
    pub(crate) created: Created,
    pub(crate) snapshot: &'a HubSnapshot,
}

#[derive(Serialize)]
struct Document<'a> {
    people: Vec<PersonLine<'a>>,
    invalid_rows: &'a [InvalidRow],
    created: Created,
    providers: BTreeMap<&'a str, ProviderLine>,
}

#[derive(Serialize)]
struct PersonLine<'a> {
    row: u64,
    tenant: &'a str,
    upn: &'a str,
    outcome: &'a str,
    user_id: Option<&'a str>,
    licence: Option<&'a str>,
    groups: &'a [String],
    ticket_id: Option<i64>,
    time_entry_id: Option<&'a str>,
    duration_ms: Option<u64>,
    error: Option<ErrorLine>,
}

/// All problems of a person as one.
#[derive(Serialize)]
struct ErrorLine {
    code: &'static str,
    message: String,
    next_action: Option<String>,
}

#[derive(Serialize)]
struct ProviderLine {
    calls: u64,
    throttled: u64,
}

/// Rows that will not be worked on.
pub(crate) fn write_invalid(out: &mut dyn Write, rows: &[InvalidRow]) -> io::Result<()> {
    for row in rows {
        writeln!(out, "row {}, column {}: {}", row.row, row.column, row.reason)?;
    }
    Ok(())
}

impl Report<'_> {
    /// The table, what is left to do, and the totals.
    pub(crate) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "{}", self.table())?;
        for finished in self.people {
            for problem in &finished.problems {
                writeln!(out, "{}: {}", finished.person.hire.upn, problem)?;
            }
        }
        writeln!(out, "{}", self.summary())?;
        for (provider, sent) in &self.snapshot.providers {
            let fullest = sent.budget_used.values().copied().fold(0.0, f64::max);
            writeln!(
                out,
                "{provider}: {} calls, {} answered 429, budget used {:.0} %",
                sent.calls,
                sent.throttled,
                fullest * 100.0
            )?;
        }
        Ok(())
    }

    /// The document.
    pub(crate) fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        let providers = self.snapshot.providers.iter().map(|(provider, sent)| {
            let line = ProviderLine { calls: sent.calls, throttled: sent.throttled };
            (provider.as_str(), line)
        });
        let document = Document {
            people: self.people.iter().map(PersonLine::new).collect(),
            invalid_rows: self.invalid,
            created: self.created,
            providers: providers.collect(),
        };
        serde_json::to_writer_pretty(&mut *out, &document)?;
        writeln!(out)?;
        out.flush()
    }

    fn table(&self) -> Table {
        let mut table = Table::new();
        table.load_style(UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Dynamic).set_header([
            "person",
            "customer",
            "user principal name",
            "licence",
            "groups",
            "ticket",
            "outcome",
            "duration",
        ]);
        for finished in self.people {
            table.add_row(cells(finished));
        }
        table
    }

    fn summary(&self) -> String {
        let total = self.people.len();
        let earlier = self.people.iter().filter(|finished| finished.earlier).count();
        if earlier == total {
            return format!("nothing to do: all {total} people were onboarded before, and nothing was created twice");
        }
        let mut outcomes: BTreeMap<&str, usize> = BTreeMap::new();
        for finished in self.people {
            *outcomes.entry(&finished.outcome).or_default() += 1;
        }
        let outcomes: Vec<String> = outcomes.iter().map(|(outcome, count)| format!("{count} {outcome}")).collect();
        let Created { users, tickets, time_entries } = self.created;
        let before = match earlier {
            0 => String::new(),
            count => format!(" ({count} of them were onboarded before)"),
        };
        format!(
            "{total} people: {}{before}; created {users} users, {tickets} tickets, {time_entries} time entries",
            outcomes.join(", ")
        )
    }
}

impl<'a> PersonLine<'a> {
    fn new(finished: &'a Finished<'_>) -> Self {
        let result = finished.result.as_ref();
        Self {
            row: finished.person.row,
            tenant: &finished.person.customer,
            upn: &finished.person.hire.upn,
            outcome: &finished.outcome,
            user_id: result.map(|done| done.user_id.as_str()),
            licence: result.and_then(|done| done.licence.as_deref()),
            groups: result.map_or(&[], |done| &done.groups),
            ticket_id: result.map(|done| done.ticket_id),
            time_entry_id: result.map(|done| done.time_entry_id.as_str()),
            duration_ms: finished.took.and_then(|took| u64::try_from(took.as_millis()).ok()),
            error: ErrorLine::of(&finished.problems),
        }
    }
}

impl ErrorLine {
    fn of(problems: &[ErrorReport]) -> Option<Self> {
        let first = problems.first()?;
        let joined = |texts: Vec<&str>| texts.join("; ");
        let actions: Vec<&str> = problems.iter().filter_map(|one| one.next_action.as_deref()).collect();
        Some(Self {
            code: first.kind.code(),
            message: joined(problems.iter().map(|one| one.message.as_str()).collect()),
            next_action: (!actions.is_empty()).then(|| joined(actions)),
        })
    }
}

fn cells(finished: &Finished<'_>) -> [String; 8] {
    let hire = &finished.person.hire;
    let result = finished.result.as_ref();
    let none = || "–".to_owned();
    let note = match result {
        Some(done) if done.adopted => " (user was there)",
        _ => "",
    };
    [
        hire.name.clone(),
        finished.person.customer.clone(),
        hire.upn.clone(),
        result.and_then(|done| done.licence.clone()).unwrap_or_else(none),
        result.map_or_else(none, |done| done.groups.join(", ")),
        result.map_or_else(none, |done| done.ticket_id.to_string()),
        format!("{}{note}", finished.outcome),
        finished.took.map_or_else(none, |took| format!("{:.2} s", took.as_secs_f64())),
    ]
}
