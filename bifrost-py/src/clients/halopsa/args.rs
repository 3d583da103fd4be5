//! What Python says of a call to HaloPSA. `set` holds further fields under HaloPSA's names.

use super::{
    ClientQuery, ClosingAction, Deserialize, Map, NewAction, NewTicket, Reference, Resolution, Result, TicketQuery,
    Timestamp, UserQuery, Value,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ById {
    pub(super) id: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ByName {
    pub(super) name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ByEmail {
    pub(super) client_id: i64,
    pub(super) address: String,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ListClients {
    search: Option<String>,
    names_only: bool,
    top_level: Option<i64>,
    include_inactive: bool,
    updated_since: Option<Timestamp>,
    pub(super) resume: Option<String>,
}

impl ListClients {
    pub(super) fn query(&self) -> ClientQuery {
        let mut query = ClientQuery::new();
        if let Some(text) = &self.search {
            query = query.search(text);
        }
        if self.names_only {
            query = query.names_only();
        }
        if let Some(id) = self.top_level {
            query = query.top_level(id);
        }
        if self.include_inactive {
            query = query.include_inactive();
        }
        match self.updated_since {
            Some(time) => query.updated_since(time),
            None => query,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateClient {
    pub(super) name: String,
    #[serde(default)]
    pub(super) set: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListSites {
    pub(super) client_id: i64,
    pub(super) resume: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateSite {
    pub(super) client_id: i64,
    pub(super) name: String,
    #[serde(default)]
    pub(super) set: Map<String, Value>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ListUsers {
    client_id: Option<i64>,
    site_id: Option<i64>,
    search: Option<String>,
    include_inactive: bool,
    updated_since: Option<Timestamp>,
    pub(super) resume: Option<String>,
}

impl ListUsers {
    pub(super) fn query(&self) -> UserQuery {
        let mut query = UserQuery::new();
        if let Some(id) = self.client_id {
            query = query.client(id);
        }
        if let Some(id) = self.site_id {
            query = query.site(id);
        }
        if let Some(text) = &self.search {
            query = query.search(text);
        }
        if self.include_inactive {
            query = query.include_inactive();
        }
        match self.updated_since {
            Some(time) => query.updated_since(time),
            None => query,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateUser {
    pub(super) site_id: i64,
    pub(super) first_name: String,
    pub(super) last_name: String,
    #[serde(default)]
    pub(super) set: Map<String, Value>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ListTickets {
    client_id: Option<i64>,
    site_id: Option<i64>,
    user_id: Option<i64>,
    agent_id: Option<i64>,
    statuses: Option<Vec<i64>>,
    types: Option<Vec<i64>>,
    open: bool,
    closed: bool,
    search: Option<String>,
    updated_since: Option<Timestamp>,
    occurred_between: Option<(Timestamp, Timestamp)>,
    newest_first: bool,
    pub(super) resume: Option<String>,
}

impl ListTickets {
    pub(super) fn query(&self) -> TicketQuery {
        let mut query = TicketQuery::new();
        for (id, narrow) in [
            (self.client_id, TicketQuery::client as fn(TicketQuery, i64) -> TicketQuery),
            (self.site_id, TicketQuery::site),
            (self.user_id, TicketQuery::user),
            (self.agent_id, TicketQuery::agent),
        ] {
            query = id.into_iter().fold(query, narrow);
        }
        if let Some(ids) = &self.statuses {
            query = query.statuses(ids.iter().copied());
        }
        if let Some(ids) = &self.types {
            query = query.types(ids.iter().copied());
        }
        for (wanted, narrow) in [
            (self.open, TicketQuery::open as fn(TicketQuery) -> TicketQuery),
            (self.closed, TicketQuery::closed),
            (self.newest_first, TicketQuery::newest_first),
        ] {
            query = if wanted { narrow(query) } else { query };
        }
        if let Some(text) = &self.search {
            query = query.search(text);
        }
        if let Some(time) = self.updated_since {
            query = query.updated_since(time);
        }
        match self.occurred_between {
            Some((start, end)) => query.occurred_between(start, end),
            None => query,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateTicket {
    summary: String,
    details: Option<String>,
    details_html: Option<String>,
    reference: Option<String>,
    #[serde(default)]
    set: Map<String, Value>,
}

impl CreateTicket {
    pub(super) fn ticket(self) -> Result<NewTicket> {
        let new = NewTicket::new(self.summary);
        let mut new = self.set.into_iter().fold(new, |new, (field, value)| new.set(field, value));
        if let Some(text) = self.details {
            new = new.details(text);
        }
        if let Some(html) = self.details_html {
            new = new.details_html(html);
        }
        match self.reference {
            Some(reference) => Ok(new.reference(Reference::new(reference)?)),
            None => Ok(new),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FindTicket {
    pub(super) client_id: i64,
    pub(super) reference: String,
    pub(super) since: Option<Timestamp>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UpdateTicket {
    pub(super) id: i64,
    pub(super) set: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AssignTicket {
    pub(super) id: i64,
    pub(super) agent_id: i64,
    pub(super) team: String,
}

/// By an action when an outcome is named, else by a status, which is `Closed` unless it is named.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ResolveTicket {
    pub(super) id: i64,
    status: Option<i64>,
    outcome_id: Option<i64>,
    #[serde(default)]
    note: String,
}

impl ResolveTicket {
    pub(super) fn resolution(self) -> Resolution {
        match (self.outcome_id, self.status) {
            (Some(outcome_id), new_status) => {
                Resolution::Action(ClosingAction { outcome_id, note: self.note, new_status })
            }
            (None, Some(status)) => Resolution::Status(status),
            (None, None) => Resolution::closed(),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OfTicket {
    pub(super) ticket_id: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GetAction {
    pub(super) ticket_id: i64,
    pub(super) id: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FindAction {
    pub(super) ticket_id: i64,
    pub(super) reference: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AddAction {
    ticket_id: i64,
    note: Option<String>,
    note_html: Option<String>,
    hours: Option<f64>,
    outcome_id: Option<i64>,
    #[serde(default)]
    visible: bool,
    new_status: Option<i64>,
    reference: Option<String>,
    #[serde(default)]
    set: Map<String, Value>,
}

impl AddAction {
    pub(super) fn action(self) -> Result<NewAction> {
        let text = self.note.unwrap_or_default();
        let mut new = match (self.hours, self.note_html) {
            (Some(hours), None) => NewAction::time(self.ticket_id, hours, text),
            (None, None) => NewAction::note(self.ticket_id, text),
            (hours, Some(html)) => {
                let new = NewAction::note_html(self.ticket_id, html);
                hours.into_iter().fold(new, NewAction::with_hours)
            }
        };
        new = self.outcome_id.into_iter().fold(new, NewAction::outcome);
        new = self.new_status.into_iter().fold(new, NewAction::new_status);
        if self.visible {
            new = new.visible();
        }
        if let Some(reference) = self.reference {
            new = new.reference(Reference::new(reference)?);
        }
        Ok(self.set.into_iter().fold(new, |new, (field, value)| new.set(field, value)))
    }
}
