//! One HaloPSA instance: its records and what it is born with.

use std::collections::BTreeMap;

use bifrost_core::Timestamp;
use serde_json::{Value, json};

use super::table::{Entity, Row, Table, UNSET_DATE, halo_time, integer, row, text};
use crate::testing::limits::{Rate, RollingWindow};

/// The status a new ticket has.
pub(crate) const STATUS_NEW: i64 = 1;
/// The status of a closed ticket.
pub(crate) const STATUS_CLOSED: i64 = 9;
/// The agent API calls run as.
pub(crate) const API_AGENT: i64 = 2;

#[derive(Debug)]
pub(crate) struct Instance {
    pub(crate) window: RollingWindow,
    tables: BTreeMap<Entity, Table>,
    /// By ticket, then number within the ticket.
    pub(crate) actions: BTreeMap<(i64, i64), Row>,
}

impl Instance {
    pub(crate) fn new(limit: Rate, now: Timestamp) -> Self {
        let mut instance =
            Self { window: RollingWindow::new(limit), tables: BTreeMap::new(), actions: BTreeMap::new() };
        instance.born_with(Entity::Agent, agents());
        instance.born_with(Entity::Status, statuses());
        instance.born_with(Entity::TicketType, ticket_types());
        instance.born_with(Entity::Outcome, outcomes());
        let unknown = json!({"name": "Unknown", "inactive": false, "toplevel_id": 1, "datecreated": halo_time(now)});
        instance.born_with(Entity::Client, vec![(1, unknown)]);
        // Ticket numbers of a living instance are not small.
        instance.tables.entry(Entity::Ticket).or_default().insert_as(2000, Row::new());
        instance.tables.entry(Entity::Ticket).or_default().remove(2000);
        instance
    }

    fn born_with(&mut self, entity: Entity, rows: Vec<(i64, Value)>) {
        let table = self.tables.entry(entity).or_default();
        for (id, value) in rows {
            table.insert_as(id, row(value));
        }
    }

    pub(crate) fn table(&mut self, entity: Entity) -> &mut Table {
        self.tables.entry(entity).or_default()
    }

    pub(crate) fn get(&self, entity: Entity, id: i64) -> Option<&Row> {
        self.tables.get(&entity)?.get(id)
    }

    pub(crate) fn rows(&self, entity: Entity) -> impl Iterator<Item = &Row> {
        self.tables.get(&entity).into_iter().flat_map(Table::rows)
    }

    pub(crate) fn len(&self, entity: Entity) -> usize {
        self.tables.get(&entity).map_or(0, Table::len)
    }

    pub(crate) fn name_of(&self, entity: Entity, id: i64) -> Option<&str> {
        text(self.get(entity, id)?, "name")
    }

    pub(crate) fn actions_of(&self, ticket: i64) -> impl Iterator<Item = &Row> {
        self.actions.range((ticket, i64::MIN)..=(ticket, i64::MAX)).map(|(_, row)| row)
    }

    pub(crate) fn time_entries(&self) -> usize {
        let hours = |row: &Row| row.get("timetaken").and_then(Value::as_f64).unwrap_or_default();
        self.actions.values().filter(|row| hours(row) > 0.0).count()
    }

    /// A client with its main site and the general user that tickets without a named person hang on.
    pub(crate) fn add_client(&mut self, mut client: Row, site_name: &str, now: Timestamp) -> i64 {
        client.entry("inactive").or_insert(false.into());
        client.entry("toplevel_id").or_insert(1.into());
        client.insert("datecreated".to_owned(), halo_time(now).into());
        client.insert("lastupdate".to_owned(), halo_time(now).into());
        let client_id = self.table(Entity::Client).insert(client);
        let site = json!({
            "name": site_name, "client_id": client_id, "inactive": false, "datecreated": halo_time(now),
        });
        let site_id = self.add_site(row(site));
        let user = json!({
            "name": "General User", "firstname": "General", "surname": "User", "site_id": site_id,
            "inactive": false, "isserviceaccount": false, "datecreated": halo_time(now), "lastlogindate": UNSET_DATE,
        });
        let user_id = self.table(Entity::User).insert(row(user));
        if let Some(client) = self.table(Entity::Client).get_mut(client_id) {
            client.insert("main_site_id".to_owned(), site_id.into());
            client.insert("main_contact_id".to_owned(), user_id.into());
        }
        client_id
    }

    pub(crate) fn add_site(&mut self, mut site: Row) -> i64 {
        site.entry("inactive").or_insert(false.into());
        self.table(Entity::Site).insert(site)
    }

    /// The record as an answer shows it: names beside the ids, some numbers as the vendor types them.
    pub(crate) fn show(&self, entity: Entity, row: &Row) -> Row {
        let mut shown = row.clone();
        let site_client = |site: i64| self.get(Entity::Site, site).and_then(|site| integer(site, "client_id"));
        let client_of_user = integer(row, "site_id").filter(|_| entity == Entity::User).and_then(site_client);
        if let Some(client) = client_of_user {
            shown.insert("client_id".to_owned(), client.into());
        }
        for (id_field, name_field, target) in [
            ("client_id", "client_name", Entity::Client),
            ("site_id", "site_name", Entity::Site),
            ("user_id", "user_name", Entity::User),
        ] {
            let name = integer(&shown, id_field).and_then(|id| self.name_of(target, id));
            if let Some(name) = name.map(str::to_owned) {
                shown.insert(name_field.to_owned(), name.into());
            }
        }
        // The vendor types these two as numbers, and they come with a fraction.
        let fractional = match entity {
            Entity::User => Some("site_id"),
            Entity::Site => Some("client_id"),
            _ => None,
        };
        let number = fractional.and_then(|name| Some((name, shown.get(name)?.as_f64()?)));
        if let Some((name, number)) = number {
            shown.insert(name.to_owned(), json!(number));
        }
        shown
    }
}

fn agents() -> Vec<(i64, Value)> {
    let agent = |name: &str, email: &str, api: bool| {
        json!({"name": name, "email": email, "isdisabled": false, "is_agent": true, "isapiagent": api,
               "team": "1st Line Support"})
    };
    vec![
        (1, agent("Unassigned", "", false)),
        (API_AGENT, agent("Hub API", "", true)),
        (3, agent("Alex Rivera", "alex.rivera@provider.example", false)),
        (4, agent("Sam Okafor", "sam.okafor@provider.example", false)),
    ]
}

fn statuses() -> Vec<(i64, Value)> {
    let status = |name: &str, sequence| json!({"name": name, "shortname": name, "type": 0, "sequence": sequence});
    vec![
        (STATUS_NEW, status("New", 1)),
        (2, status("In Progress", 2)),
        (4, status("With User", 3)),
        (8, status("Resolved", 8)),
        (STATUS_CLOSED, status("Closed", 9)),
    ]
}

fn ticket_types() -> Vec<(i64, Value)> {
    let kind = |name: &str| json!({"name": name, "use": "ticket", "agentscanselect": true});
    vec![(1, kind("Incident")), (3, kind("Service Request")), (21, kind("New Starter")), (24, kind("Alert"))]
}

/// `newstatus` is what posting the outcome does to the ticket; 0 leaves it alone.
fn outcomes() -> Vec<(i64, Value)> {
    let outcome = |name: &str, hidden: bool, new_status| json!({"outcome": name, "labels": name, "hidden": hidden, "sendemail": false, "newstatus": new_status});
    vec![
        (2, outcome("Public Note", false, 0)),
        (7, outcome("Internal Note", true, 0)),
        (12, outcome("Time Entry", true, 0)),
        (15, outcome("Start Work", true, 2)),
        (16, outcome("Close", false, STATUS_CLOSED)),
    ]
}
