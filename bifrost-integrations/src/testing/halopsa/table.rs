//! Rows of one HaloPSA instance.

use std::collections::BTreeMap;

use bifrost_core::Timestamp;
use serde_json::{Map, Value};

/// One record.
pub(crate) type Row = Map<String, Value>;

/// What a path under `/api` is about. Actions are apart: their key is a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Entity {
    Client,
    Site,
    User,
    Ticket,
    Agent,
    Status,
    TicketType,
    Outcome,
}

impl Entity {
    /// By the first part of the path; case does not matter.
    pub(crate) fn of_path(segment: &str) -> Option<Self> {
        Some(match segment.to_ascii_lowercase().as_str() {
            "client" => Self::Client,
            "site" => Self::Site,
            "users" => Self::User,
            "tickets" => Self::Ticket,
            "agent" => Self::Agent,
            "status" => Self::Status,
            "tickettype" => Self::TicketType,
            "outcome" => Self::Outcome,
            _ => return None,
        })
    }

    /// The member of the list envelope that holds the rows; `None` where the list is a bare array.
    pub(crate) fn list_key(self) -> Option<&'static str> {
        match self {
            Self::Client => Some("clients"),
            Self::Site => Some("sites"),
            Self::User => Some("users"),
            Self::Ticket => Some("tickets"),
            Self::Agent | Self::Status | Self::TicketType | Self::Outcome => None,
        }
    }

    /// The scope that covers it, after `read:` or `edit:`; `None` where any token will do.
    pub(crate) fn scope(self) -> Option<&'static str> {
        match self {
            Self::Client | Self::Site | Self::User => Some("customers"),
            Self::Ticket => Some("tickets"),
            Self::Agent | Self::Status | Self::TicketType | Self::Outcome => None,
        }
    }
}

/// The rows of one kind, by id.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: BTreeMap<i64, Row>,
    last: i64,
}

impl Table {
    /// Adds a row; its id is the next one.
    pub(crate) fn insert(&mut self, mut row: Row) -> i64 {
        self.last += 1;
        row.insert("id".to_owned(), self.last.into());
        self.rows.insert(self.last, row);
        self.last
    }

    /// Adds a row whose id is given, as built-in ones are.
    pub(crate) fn insert_as(&mut self, id: i64, mut row: Row) {
        row.insert("id".to_owned(), id.into());
        self.rows.insert(id, row);
        self.last = self.last.max(id);
    }

    pub(crate) fn get(&self, id: i64) -> Option<&Row> {
        self.rows.get(&id)
    }

    pub(crate) fn get_mut(&mut self, id: i64) -> Option<&mut Row> {
        self.rows.get_mut(&id)
    }

    pub(crate) fn remove(&mut self, id: i64) -> bool {
        self.rows.remove(&id).is_some()
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(crate) fn rows(&self) -> impl Iterator<Item = &Row> {
        self.rows.values()
    }
}

/// An instant as HaloPSA writes it.
pub(crate) fn halo_time(now: Timestamp) -> String {
    now.to_string()
}

/// How HaloPSA writes a date that is not set.
pub(crate) const UNSET_DATE: &str = "1900-01-01T00:00:00";

/// The number under `name`, whole or with a fraction of zero.
pub(crate) fn integer(row: &Row, name: &str) -> Option<i64> {
    let value = row.get(name)?;
    value.as_i64().or_else(|| {
        let number = value.as_f64().filter(|number| number.fract() == 0.0 && number.abs() < 1e15)?;
        #[allow(clippy::cast_possible_truncation, reason = "checked to be whole and small")]
        Some(number as i64)
    })
}

/// The text under `name`.
pub(crate) fn text<'a>(row: &'a Row, name: &str) -> Option<&'a str> {
    row.get(name).and_then(Value::as_str)
}

/// A row from a JSON object.
pub(crate) fn row(value: Value) -> Row {
    match value {
        Value::Object(row) => row,
        _ => Row::new(),
    }
}
