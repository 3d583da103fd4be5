//! HaloPSA's records. A ticket alone has some 890 fields: what is modelled is typed, the rest is kept in `extra`.
//!
//! Field names: the interface description each instance serves at `/api/swagger`, also at
//! <https://usehalo.com/swagger/>. Everything but the id may be missing; list rows carry less than single records.

use bifrost_core::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::value::{flag, id, number, text, time};

/// A record with an id of its own.
pub trait Record {
    /// Other names fields occur under: the same field differs between a list row, a single record and the answer to a
    /// POST.
    const ALIASES: &'static [(&'static str, &'static str)] = &[];

    /// Its id; 0 when the answer had none.
    fn id(&self) -> i64;
}

/// Declares a record: every field is optional and read with the named reader.
macro_rules! record {
    (
        $(#[$about:meta])* $name:ident, aliases: [$($alias:literal => $field_name:literal),*],
        $($(#[$doc:meta])* $field:ident: $kind:ty = $read:literal),* $(,)?
    ) => {
        $(#[$about])*
        #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
        #[serde(default)]
        pub struct $name {
            /// The id; 0 when the answer had none.
            #[serde(deserialize_with = "id_or_zero")]
            pub id: i64,
            $($(#[$doc])* #[serde(deserialize_with = $read, skip_serializing_if = "Option::is_none")]
            pub $field: Option<$kind>,)*
            /// What is not modelled.
            #[serde(flatten)]
            pub extra: Map<String, Value>,
        }

        impl Record for $name {
            const ALIASES: &'static [(&'static str, &'static str)] = &[$(($alias, $field_name)),*];

            fn id(&self) -> i64 {
                self.id
            }
        }
    };
}

fn id_or_zero<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    Ok(id(deserializer)?.unwrap_or(0))
}

record! {
    /// A customer (`/Client`).
    Client, aliases: [],
    /// The name.
    name: String = "text",
    /// The group of clients it belongs to.
    toplevel_id: i64 = "id",
    /// True when it is no customer any more.
    inactive: bool = "flag",
    /// The site everything without a site belongs to.
    main_site_id: i64 = "id",
    /// The website.
    website: String = "text",
    /// Its Entra tenant, where one is set.
    azure_tenant_id: String = "text",
    /// When it was made.
    datecreated: Timestamp = "time",
}

record! {
    /// A place of a customer (`/Site`).
    Site, aliases: [],
    /// The name.
    name: String = "text",
    /// The customer.
    client_id: i64 = "id",
    /// The customer's name.
    client_name: String = "text",
    /// True when it is not used any more.
    inactive: bool = "flag",
}

record! {
    /// A contact of a customer (`/Users`).
    User, aliases: [],
    /// The full name.
    name: String = "text",
    /// The first name.
    firstname: String = "text",
    /// The last name.
    surname: String = "text",
    /// The mail address.
    emailaddress: String = "text",
    /// The second mail address.
    email2: String = "text",
    /// The third mail address.
    email3: String = "text",
    /// The site.
    site_id: i64 = "id",
    /// The customer.
    client_id: i64 = "id",
    /// True when it is not used any more.
    inactive: bool = "flag",
    /// The Entra object id.
    azureoid: String = "text",
}

record! {
    /// A ticket (`/Tickets`).
    Ticket, aliases: [
        "lastupdate" => "last_update",
        "useremail" => "user_email",
        "category1" => "category_1",
        "category2" => "category_2",
        "category3" => "category_3",
        "category4" => "category_4",
        "ticket_tags" => "tags"
    ],
    /// The summary.
    summary: String = "text",
    /// The description as plain text.
    details: String = "text",
    /// The customer.
    client_id: i64 = "id",
    /// The customer's name.
    client_name: String = "text",
    /// The site.
    site_id: i64 = "id",
    /// The contact.
    user_id: i64 = "id",
    /// The contact's name.
    user_name: String = "text",
    /// The contact's mail address.
    user_email: String = "text",
    /// The ticket type.
    tickettype_id: i64 = "id",
    /// The status.
    status_id: i64 = "id",
    /// The priority.
    priority_id: i64 = "id",
    /// The agent it is assigned to.
    agent_id: i64 = "id",
    /// The team, by name.
    team: String = "text",
    /// The first category.
    category_1: String = "text",
    /// When it happened.
    dateoccurred: Timestamp = "time",
    /// When it was closed.
    dateclosed: Timestamp = "time",
    /// When it last changed.
    last_update: Timestamp = "time",
    /// Whether it has ever been closed.
    hasbeenclosed: bool = "flag",
    /// Time spent, in hours.
    timetaken: f64 = "number",
    /// The id another system knows it by.
    third_party_id_string: String = "text",
}

record! {
    /// Something that happened to a ticket: a note, a mail, time spent (`/Actions`). Its key is the pair of
    /// `ticket_id` and `id`; `id` counts per ticket.
    Action, aliases: [],
    /// The ticket.
    ticket_id: i64 = "id",
    /// What kind of action, by name.
    outcome: String = "text",
    /// What kind of action.
    outcome_id: i64 = "id",
    /// Who did it.
    who: String = "text",
    /// When it was done.
    datetime: Timestamp = "time",
    /// The text, plain.
    note: String = "text",
    /// The text as HTML.
    note_html: String = "text",
    /// True for what the customer does not see.
    hiddenfromuser: bool = "flag",
    /// Time spent, in hours.
    timetaken: f64 = "number",
    /// The status it set.
    new_status: i64 = "id",
}

record! {
    /// Somebody of the provider who works on tickets (`/Agent`).
    Agent, aliases: [],
    /// The full name.
    name: String = "text",
    /// The mail address.
    email: String = "text",
    /// The team, by name.
    team: String = "text",
    /// True when it may not sign in.
    isdisabled: bool = "flag",
    /// True for agents that exist for applications only.
    isapiagent: bool = "flag",
}

record! {
    /// A status of tickets (`/Status`).
    Status, aliases: [],
    /// The name.
    name: String = "text",
    /// The short name.
    shortname: String = "text",
    /// Its place in lists.
    sequence: i64 = "id",
}

record! {
    /// A type of tickets (`/TicketType`).
    TicketType, aliases: [],
    /// The name.
    name: String = "text",
    /// What it is used for, such as `ticket` or `project`.
    r#use: String = "text",
}

record! {
    /// A kind of action, which decides what it does to the ticket (`/Outcome`).
    Outcome, aliases: [],
    /// The name.
    outcome: String = "text",
    /// What its button says.
    buttonname: String = "text",
    /// True when it is not offered.
    hidden: bool = "flag",
    /// The status it sets, where it sets one.
    newstatus: i64 = "id",
}

impl Ticket {
    /// The built-in status that means closed. Others may mean it too: see `/Status`.
    pub const CLOSED: i64 = 9;

    /// Whether it is closed: by the built-in status, or by the date it was closed at.
    pub fn is_closed(&self) -> bool {
        self.status_id == Some(Self::CLOSED) || self.dateclosed.is_some()
    }
}

impl User {
    /// Whether this is one of its mail addresses; case does not matter.
    pub fn has_email(&self, address: &str) -> bool {
        let known = [&self.emailaddress, &self.email2, &self.email3];
        known.into_iter().flatten().any(|own| own.trim().eq_ignore_ascii_case(address.trim()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::halopsa::page::read_record;
    use serde_json::json;

    #[test]
    fn odd_values_and_old_names_are_read() {
        let row = json!({
            "id": 95.0, "client_id": "7", "dateclosed": "1899-12-30T00:00:00", "lastupdate": "2026-08-01T06:30:00",
            "last_update": null, "hasbeenclosed": 0, "timetaken": "0.25", "something_new": {"a": 1}, "team": null,
        });
        let ticket: Ticket = read_record(row).unwrap();
        assert_eq!((ticket.id, ticket.client_id, ticket.dateclosed), (95, Some(7), None));
        assert_eq!(ticket.last_update, "2026-08-01T06:30:00Z".parse().ok());
        assert_eq!((ticket.hasbeenclosed, ticket.timetaken), (Some(false), Some(0.25)));
        assert_eq!(ticket.extra["something_new"]["a"], 1);
        assert!(!ticket.is_closed());
        let again: Ticket = read_record(serde_json::to_value(&ticket).unwrap()).unwrap();
        assert_eq!(again, ticket);
    }

    #[test]
    fn the_current_name_wins_over_the_old_one() {
        let ticket: Ticket = read_record(json!({"user_email": "new", "useremail": "old"})).unwrap();
        assert_eq!((ticket.id, ticket.user_email.as_deref()), (0, Some("new")));
    }
}
