//! What happens to tickets: notes and time (`/Actions`). An action is known by its ticket and its number within it.

use bifrost_core::{Error, Result};
use serde_json::{Map, Value};

use super::HaloPsa;
use super::model::Action;
use super::reference::{Reference, Text};

/// The built-in outcome for an internal note: an action without an outcome is refused.
pub const INTERNAL_NOTE: i64 = 7;
/// The most hours of one time entry.
pub const MAX_HOURS: f64 = 24.0;

/// Calls about actions.
#[derive(Debug, Clone)]
pub struct Actions {
    halo: HaloPsa,
}

impl Actions {
    pub(super) fn new(halo: HaloPsa) -> Self {
        Self { halo }
    }

    /// All actions of a ticket. The list has no pages.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn of_ticket(&self, ticket_id: i64) -> Result<Vec<Action>> {
        self.halo.whole_list(requests::of_ticket(ticket_id)?, "actions").await
    }

    /// One action of a ticket.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn get(&self, ticket_id: i64, id: i64) -> Result<Action> {
        self.halo.one(requests::get(ticket_id, id)?).await
    }

    /// Adds a note or a time entry. Not repeated when its outcome is unknown: ask [`Actions::find`] then.
    ///
    /// # Errors
    /// `InvalidInput` for hours that are no time entry; `Rejected` such as for an outcome the ticket's workflow does
    /// not offer; `UnknownOutcome` when the answer was lost.
    pub async fn add(&self, action: &NewAction) -> Result<Action> {
        self.halo.written(requests::add(action)?).await
    }

    /// The action of a ticket that carries this reference: the probe for [`Actions::add`].
    ///
    /// # Errors
    /// As [`Actions::of_ticket`].
    pub async fn find(&self, ticket_id: i64, reference: &Reference) -> Result<Option<Action>> {
        let carries =
            |action: &Action| reference.marks(action.note.as_deref()) || reference.marks(action.note_html.as_deref());
        Ok(self.of_ticket(ticket_id).await?.into_iter().find(carries))
    }
}

/// The calls about actions as requests, built without I/O.
pub mod requests {
    use bifrost_core::integration::Outbound;

    use super::super::{check_id, create, read};
    use super::{NewAction, Result};
    use crate::call::Query;

    const LIST: &str = "/Actions";

    /// `GET /Actions` of a ticket.
    ///
    /// # Errors
    /// `InvalidInput` for an id that is not above zero.
    pub fn of_ticket(ticket_id: i64) -> Result<Outbound> {
        let query = Query::new().with("ticket_id", check_id("ticket id", ticket_id)?).with("includehtmlnote", true);
        read(LIST, LIST, &query)
    }

    /// `GET /Actions/{id}` of a ticket.
    ///
    /// # Errors
    /// `InvalidInput` for an id that is not above zero.
    pub fn get(ticket_id: i64, id: i64) -> Result<Outbound> {
        let path = format!("/Actions/{}", check_id("action id", id)?);
        let query = Query::new().with("ticket_id", check_id("ticket id", ticket_id)?);
        read(&path, "/Actions/{id}", &query)
    }

    /// `POST /Actions`.
    ///
    /// # Errors
    /// `InvalidInput` for an id or hours out of range.
    pub fn add(action: &NewAction) -> Result<Outbound> {
        create(LIST, &action.to_body()?)
    }
}

/// An action to add. What the customer sees of it is decided by [`NewAction::visible`]; nothing is, unless said so.
#[derive(Debug, Clone, PartialEq)]
pub struct NewAction {
    ticket_id: i64,
    text: Text,
    hours: Option<f64>,
    reference: Option<Reference>,
    fields: Map<String, Value>,
}

impl NewAction {
    /// A note.
    pub fn note(ticket_id: i64, text: impl Into<String>) -> Self {
        Self { ticket_id, text: Text::Plain(text.into()), hours: None, reference: None, fields: Map::new() }
            .outcome(INTERNAL_NOTE)
            .set("hiddenfromuser", true)
    }

    /// A note as HTML.
    pub fn note_html(ticket_id: i64, html: impl Into<String>) -> Self {
        let text = Text::Html(html.into());
        Self { text, ..Self::note(ticket_id, "") }
    }

    /// Time spent, in hours: 0.25 is a quarter of an hour. More than 0, at most 24.
    pub fn time(ticket_id: i64, hours: f64, text: impl Into<String>) -> Self {
        Self { hours: Some(hours), ..Self::note(ticket_id, text) }
    }

    /// Makes it a time entry: see [`NewAction::time`].
    #[must_use]
    pub fn with_hours(mut self, hours: f64) -> Self {
        self.hours = Some(hours);
        self
    }

    /// The kind of action, by its id in `/Outcome`; which ones a ticket takes is decided by its workflow.
    #[must_use]
    pub fn outcome(self, id: i64) -> Self {
        self.set("outcome_id", id)
    }

    /// Lets the customer see it.
    #[must_use]
    pub fn visible(self) -> Self {
        self.set("hiddenfromuser", false)
    }

    /// The status it sets.
    #[must_use]
    pub fn new_status(self, id: i64) -> Self {
        self.set("new_status", id)
    }

    /// What [`Actions::find`] finds it by.
    #[must_use]
    pub fn reference(mut self, reference: Reference) -> Self {
        self.reference = Some(reference);
        self
    }

    /// Sets any other field.
    #[must_use]
    pub fn set(mut self, field: impl Into<String>, value: impl Into<Value>) -> Self {
        self.fields.insert(field.into(), value.into());
        self
    }

    fn to_body(&self) -> Result<Map<String, Value>> {
        let mut body = self.fields.clone();
        body.insert("ticket_id".to_owned(), super::check_id("ticket id", self.ticket_id)?.into());
        if let Some(hours) = self.hours {
            check_hours(hours)?;
            body.insert("timetaken".to_owned(), hours.into());
        }
        let (field, text) = self.text.field("note", "note_html", self.reference.as_ref());
        body.insert(field.to_owned(), text.into());
        Ok(body)
    }
}

fn check_hours(hours: f64) -> Result<()> {
    if hours > 0.0 && hours <= MAX_HOURS {
        return Ok(());
    }
    let message = "a time entry has more than 0 and at most 24 hours";
    Err(Error::invalid("add time entry", message).with("used", hours).with("limit", MAX_HOURS))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bifrost_core::integration::Safety;
    use serde_json::json;

    #[test]
    fn a_time_entry_is_a_list_of_one_and_never_repeated() {
        let reference = Reference::new("0198-step-3").unwrap();
        let request = requests::add(&NewAction::time(12, 0.25, "Set up").reference(reference)).unwrap();
        assert_eq!((request.safety, request.endpoint), (Safety::Once, "/Actions"));
        let body: Value = serde_json::from_slice(request.request.body()).unwrap();
        assert_eq!(
            body,
            json!([{
                "ticket_id": 12, "timetaken": 0.25, "outcome_id": 7, "hiddenfromuser": true,
                "note": "Set up\n\n[ref 0198-step-3]",
            }])
        );
    }

    #[test]
    fn hours_are_bounded() {
        for hours in [0.0, -1.0, 24.01, f64::NAN, f64::INFINITY] {
            assert!(requests::add(&NewAction::time(1, hours, "x")).is_err(), "{hours}");
        }
        assert!(requests::add(&NewAction::time(1, 24.0, "x")).is_ok());
        assert!(requests::add(&NewAction::note(0, "x")).is_err());
    }
}
