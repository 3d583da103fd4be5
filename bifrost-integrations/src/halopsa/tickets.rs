//! Tickets (`/Tickets`).

use std::time::Duration;

use bifrost_core::{Error, Result, Timestamp};
use futures_util::future;
use futures_util::stream::{Stream, TryStreamExt};
use serde_json::{Map, Value};

use super::HaloPsa;
use super::actions::NewAction;
use super::model::Ticket;
use super::page::{Page, ResumeToken};
use super::reference::{Reference, Text};
use super::ticket_query::TicketQuery;

/// How far the clocks of the hub and of HaloPSA may differ.
const CLOCK_SLACK: Duration = Duration::from_secs(60 * 60);

/// Calls about tickets.
#[derive(Debug, Clone)]
pub struct Tickets {
    halo: HaloPsa,
}

impl Tickets {
    pub(super) fn new(halo: HaloPsa) -> Self {
        Self { halo }
    }

    /// The ticket with this id, with all its fields.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn get(&self, id: i64) -> Result<Ticket> {
        self.halo.one(requests::get(id)?).await
    }

    /// All tickets `query` asks for, by id, fetched page by page as the stream is polled. Rows carry less than
    /// [`Tickets::get`].
    pub fn list(&self, query: &TicketQuery) -> impl Stream<Item = Result<Ticket>> + Send + use<> {
        requests::LIST.items(self.halo.clone(), query.to_query())
    }

    /// One page: the first one without a token.
    ///
    /// # Errors
    /// As [`bifrost_core::Connection::send`].
    pub async fn page(&self, query: &TicketQuery, token: Option<&ResumeToken>) -> Result<Page<Ticket>> {
        requests::LIST.fetch(&self.halo, &query.to_query(), token).await
    }

    /// Opens a ticket. Not repeated when its outcome is unknown: ask [`Tickets::find_by_reference`] then.
    ///
    /// # Errors
    /// `Rejected` naming a field the ticket type demands; `UnknownOutcome` when the answer was lost.
    pub async fn create(&self, ticket: &NewTicket) -> Result<Ticket> {
        self.halo.written(requests::create(ticket)?).await
    }

    /// The ticket of a customer that carries this reference: the probe for [`Tickets::create`]. Give the time the
    /// execution began, if it is known: then only tickets that changed since are read, not all of the customer's.
    ///
    /// The comparison is made here, on every row: HaloPSA's search covers other fields on each instance, and a probe
    /// that misses the ticket would let it be created twice.
    ///
    /// # Errors
    /// As [`bifrost_core::Connection::send`].
    pub async fn find_by_reference(
        &self,
        client_id: i64,
        reference: &Reference,
        since: Option<Timestamp>,
    ) -> Result<Option<Ticket>> {
        let mut query = TicketQuery::new().client(client_id).newest_first();
        if let Some(since) = since {
            query = query.updated_since(since.saturating_sub(CLOCK_SLACK));
        }
        let carries = |ticket: &Ticket| future::ready(is_marked(ticket, reference));
        let mut found = std::pin::pin!(self.list(&query).try_filter(carries));
        found.try_next().await
    }

    /// Changes what `update` names and nothing else.
    ///
    /// # Errors
    /// `NotFound`; `Rejected` naming the field.
    pub async fn update(&self, id: i64, update: &TicketUpdate) -> Result<Ticket> {
        self.halo.written(requests::update(id, update)?).await
    }

    /// Resolves a ticket, and answers it as it is then. Not repeated when its outcome is unknown and it is done by an
    /// action: ask [`Ticket::is_closed`] of [`Tickets::get`] then.
    ///
    /// # Errors
    /// `Rejected` such as for an outcome the ticket's workflow does not offer.
    pub async fn resolve(&self, id: i64, resolution: &Resolution) -> Result<Ticket> {
        match resolution {
            Resolution::Status(_) => self.halo.written(requests::resolve(id, resolution)?).await,
            Resolution::Action(_) => {
                let request = requests::resolve(id, resolution)?;
                self.halo.connection().send(request).await?;
                self.get(id).await
            }
        }
    }
}

fn is_marked(ticket: &Ticket, reference: &Reference) -> bool {
    ticket.third_party_id_string.as_deref() == Some(reference.as_str()) || reference.marks(ticket.details.as_deref())
}

/// The calls about tickets as requests, built without I/O.
pub mod requests {
    use bifrost_core::integration::Outbound;

    use super::super::page::ListCall;
    use super::super::{actions, check_id, create as post, read, update as post_update};
    use super::{NewTicket, Resolution, Result, TicketQuery, TicketUpdate};
    use crate::call::Query;

    pub(super) const LIST: ListCall = ListCall { path: "/Tickets", key: "tickets" };

    /// `GET /Tickets`, first page.
    ///
    /// # Errors
    /// `InvalidInput` when the query is too long for a URI.
    pub fn list(query: &TicketQuery) -> Result<Outbound> {
        LIST.page(&query.to_query(), None)
    }

    /// `GET /Tickets/{id}`.
    ///
    /// # Errors
    /// `InvalidInput` for an id that is not above zero.
    pub fn get(id: i64) -> Result<Outbound> {
        let path = format!("/Tickets/{}", check_id("ticket id", id)?);
        read(&path, "/Tickets/{id}", &Query::new().with("includedetails", true))
    }

    /// `POST /Tickets` without an id.
    ///
    /// # Errors
    /// `InvalidInput` for an empty summary.
    pub fn create(ticket: &NewTicket) -> Result<Outbound> {
        post(LIST.path, &ticket.to_body()?)
    }

    /// `POST /Tickets` with an id.
    ///
    /// # Errors
    /// `InvalidInput` for an id that is not above zero.
    pub fn update(id: i64, update: &TicketUpdate) -> Result<Outbound> {
        post_update(LIST.path, &update.to_body(id)?)
    }

    /// `POST /Tickets` with a status, or `POST /Actions` with an outcome.
    ///
    /// # Errors
    /// `InvalidInput` for an id that is not above zero.
    pub fn resolve(id: i64, resolution: &Resolution) -> Result<Outbound> {
        match resolution {
            Resolution::Status(status) => {
                // Appointments that are still open would otherwise keep it open.
                let closing = TicketUpdate::new().status(*status).set("_appointment01_ok", true);
                update(id, &closing)
            }
            Resolution::Action(action) => actions::requests::add(&action.on_ticket(id)),
        }
    }
}

/// How a ticket is resolved.
#[derive(Debug, Clone, PartialEq)]
pub enum Resolution {
    /// By setting this status; mails and closing rules of an action do not run.
    Status(i64),
    /// By an action whose outcome closes it, with the rules and mails that hang on it.
    Action(ClosingAction),
}

impl Resolution {
    /// By setting the built-in status `Closed`.
    pub fn closed() -> Self {
        Self::Status(Ticket::CLOSED)
    }

    /// By an action with this outcome, such as the one a lookup finds for `Resolve`.
    pub fn by_outcome(outcome_id: i64, note: impl Into<String>) -> Self {
        Self::Action(ClosingAction { outcome_id, note: note.into(), new_status: None })
    }
}

/// The action that closes a ticket.
#[derive(Debug, Clone, PartialEq)]
pub struct ClosingAction {
    /// The outcome.
    pub outcome_id: i64,
    /// What is said; the customer sees it.
    pub note: String,
    /// The status to set, if the outcome sets none.
    pub new_status: Option<i64>,
}

impl ClosingAction {
    fn on_ticket(&self, ticket_id: i64) -> NewAction {
        let action = NewAction::note(ticket_id, self.note.clone()).outcome(self.outcome_id).visible();
        match self.new_status {
            Some(status) => action.new_status(status),
            None => action,
        }
    }
}

/// A ticket to open. Which fields are mandatory is decided by the ticket type; a refusal names them.
#[derive(Debug, Clone, PartialEq)]
pub struct NewTicket {
    summary: String,
    details: Text,
    reference: Option<Reference>,
    fields: Map<String, Value>,
}

impl NewTicket {
    /// A ticket with this summary.
    pub fn new(summary: impl Into<String>) -> Self {
        Self { summary: summary.into(), details: Text::Plain(String::new()), reference: None, fields: Map::new() }
    }

    /// The description.
    #[must_use]
    pub fn details(mut self, text: impl Into<String>) -> Self {
        self.details = Text::Plain(text.into());
        self
    }

    /// The description as HTML.
    #[must_use]
    pub fn details_html(mut self, html: impl Into<String>) -> Self {
        self.details = Text::Html(html.into());
        self
    }

    /// What [`Tickets::find_by_reference`] finds it by. It is sent as `third_party_id_string` and as the last line of
    /// the description.
    #[must_use]
    pub fn reference(mut self, reference: Reference) -> Self {
        self.reference = Some(reference);
        self
    }

    /// The customer.
    #[must_use]
    pub fn client(self, id: i64) -> Self {
        self.set("client_id", id)
    }

    /// The contact, with the site it belongs to: HaloPSA wants both.
    #[must_use]
    pub fn user(self, id: i64, site_id: i64) -> Self {
        self.set("user_id", id).set("site_id", site_id)
    }

    /// The site, for a ticket of nobody in particular.
    #[must_use]
    pub fn site(self, id: i64) -> Self {
        self.set("site_id", id)
    }

    /// The ticket type.
    #[must_use]
    pub fn ticket_type(self, id: i64) -> Self {
        self.set("tickettype_id", id)
    }

    /// The priority.
    #[must_use]
    pub fn priority(self, id: i64) -> Self {
        self.set("priority_id", id)
    }

    /// The agent it is assigned to.
    #[must_use]
    pub fn agent(self, id: i64) -> Self {
        self.set("agent_id", id)
    }

    /// The team it is assigned to, by name.
    #[must_use]
    pub fn team(self, name: impl Into<String>) -> Self {
        self.set("team", name.into())
    }

    /// Sets any other field.
    #[must_use]
    pub fn set(mut self, field: impl Into<String>, value: impl Into<Value>) -> Self {
        self.fields.insert(field.into(), value.into());
        self
    }

    fn to_body(&self) -> Result<Map<String, Value>> {
        if self.summary.trim().is_empty() {
            return Err(Error::invalid("open ticket", "the summary is empty"));
        }
        let mut body = self.fields.clone();
        body.insert("summary".to_owned(), self.summary.clone().into());
        let (field, text) = self.details.field("details", "details_html", self.reference.as_ref());
        if !text.is_empty() {
            body.insert(field.to_owned(), text.trim_start().into());
        }
        if let Some(reference) = &self.reference {
            body.insert("third_party_id_string".to_owned(), reference.as_str().into());
        }
        Ok(body)
    }
}

/// Changes to a ticket.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TicketUpdate(Map<String, Value>);

impl TicketUpdate {
    /// No change.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the status.
    #[must_use]
    pub fn status(self, id: i64) -> Self {
        self.set("status_id", id)
    }

    /// Sets the priority.
    #[must_use]
    pub fn priority(self, id: i64) -> Self {
        self.set("priority_id", id)
    }

    /// Assigns it, past the rules that would assign it elsewhere.
    #[must_use]
    pub fn assign(self, agent_id: i64, team: impl Into<String>) -> Self {
        self.set("agent_id", agent_id).set("team", team.into()).set("_forcereassign", true)
    }

    /// Sets the summary.
    #[must_use]
    pub fn summary(self, text: impl Into<String>) -> Self {
        self.set("summary", text.into())
    }

    /// Sets any other field.
    #[must_use]
    pub fn set(mut self, field: impl Into<String>, value: impl Into<Value>) -> Self {
        self.0.insert(field.into(), value.into());
        self
    }

    fn to_body(&self, id: i64) -> Result<Map<String, Value>> {
        if self.0.is_empty() {
            return Err(Error::invalid("update ticket", "the update changes nothing"));
        }
        let mut body = self.0.clone();
        body.insert("id".to_owned(), super::check_id("ticket id", id)?.into());
        Ok(body)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bifrost_core::integration::{Outbound, Safety};
    use serde_json::json;

    use super::*;
    use crate::halopsa::PROVIDER;
    use crate::halopsa::error::HaloClassifier;
    use crate::scripted::{Scripted, reply};

    fn body(request: &Outbound) -> Value {
        serde_json::from_slice(request.request.body()).unwrap()
    }

    fn reference() -> Reference {
        Reference::new("0198-step-2").unwrap()
    }

    #[test]
    fn a_new_ticket_carries_its_reference_twice_and_no_id() {
        let ticket = NewTicket::new("Onboard Zoë").client(3).user(5, 4).ticket_type(1).reference(reference());
        let request = requests::create(&ticket).unwrap();
        assert_eq!(request.safety, Safety::Once);
        assert_eq!(
            body(&request),
            json!([{
                "summary": "Onboard Zoë", "client_id": 3, "user_id": 5, "site_id": 4, "tickettype_id": 1,
                "third_party_id_string": "0198-step-2", "details": "[ref 0198-step-2]",
            }])
        );
        assert!(requests::create(&NewTicket::new(" ")).is_err());
    }

    #[test]
    fn an_update_has_an_id_above_zero_and_may_repeat() {
        let request = requests::update(7, &TicketUpdate::new().status(2)).unwrap();
        assert_eq!((&request.safety, body(&request)), (&Safety::Idempotent, json!([{"id": 7, "status_id": 2}])));
        for id in [0, -1] {
            assert!(requests::update(id, &TicketUpdate::new().status(2)).is_err());
        }
        assert!(requests::update(7, &TicketUpdate::new()).is_err());
    }

    #[test]
    fn resolving_by_status_repeats_and_by_action_does_not() {
        let status = requests::resolve(7, &Resolution::closed()).unwrap();
        assert_eq!((status.endpoint, status.safety.clone()), ("/Tickets", Safety::Idempotent));
        assert_eq!(body(&status), json!([{"id": 7, "status_id": 9, "_appointment01_ok": true}]));
        let action = requests::resolve(7, &Resolution::by_outcome(19, "Done")).unwrap();
        assert_eq!((action.endpoint, action.safety.clone()), ("/Actions", Safety::Once));
        assert_eq!(body(&action)[0]["outcome_id"], 19);
    }

    #[tokio::test]
    async fn the_probe_compares_every_row_itself() {
        let rows = json!({"record_count": 3, "tickets": [
            {"id": 9, "third_party_id_string": "0198-step-21"},
            {"id": 8, "details": "text\n\n[ref 0198-step-2]"},
            {"id": 7, "third_party_id_string": "0198-step-2"},
        ]});
        let (scripted, connection) = Scripted::connect(PROVIDER, Arc::new(HaloClassifier), vec![reply(200, &rows)]);
        let tickets = HaloPsa::new(connection).unwrap().tickets();
        let since = "2026-08-01T10:00:00Z".parse().ok();
        let found = tickets.find_by_reference(3, &reference(), since).await.unwrap();
        assert_eq!(found.unwrap().id, 8);
        let uri = scripted.sent()[0].request.uri().to_string();
        assert_eq!(
            uri,
            "/Tickets?client_id=3&order=id&orderdesc=true&lastupdatefromdate=2026-08-01T09:00:00.000Z&pageinate=true\
             &page_size=100&page_no=1"
        );
    }
}
