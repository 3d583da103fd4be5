//! HaloPSA: clients, sites, users, tickets, actions and the lists around them, behind its own token endpoint and its
//! rolling rate limit.
//!
//! Resources: <https://halopsa.com/apidoc/resources>; sign-in: <https://halopsa.com/apidoc/authentication>. Where the
//! vendor publishes nothing the simulator does what clients report: unknown parameters are ignored, lists are paged
//! only with `pageinate=true`, writes take arrays, a repeated creation makes a second record.

mod actions;
mod auth;
mod instance;
mod list;
mod state;
mod table;
mod write;

use std::time::Duration;

use bifrost_core::Secret;
use serde_json::Value;

use super::call::Provider;
use super::limits::Rate;
use super::log::RequestRecord;
use super::simulators::Simulators;
use instance::Instance;
pub(super) use state::HalopsaState;
use table::{Entity, Row, integer, text};

/// The instance of the demo world: the `tenant` parameter of its token endpoint.
pub const HALOPSA_INSTANCE: &str = "demo";

/// What the simulated HaloPSA can be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HalopsaSettings {
    /// Requests per rolling window for a whole instance, its token endpoint included. The vendor publishes no number;
    /// its error text has named 300 in 5 minutes, which is the default.
    pub limit: Rate,
    /// How long an access token works; 3600 seconds unless changed.
    pub access_lifetime: Duration,
}

impl Default for HalopsaSettings {
    fn default() -> Self {
        Self { limit: Rate::per_seconds(300, 300), access_lifetime: Duration::from_secs(3600) }
    }
}

/// A ticket, as assertions want to see it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct HaloTicket {
    /// The ticket number.
    pub id: i64,
    /// The one-line summary.
    pub summary: String,
    /// The client, 0 for none.
    pub client_id: i64,
    /// The status: 1 new, 2 in progress, 9 closed.
    pub status_id: i64,
    /// The hours booked by actions.
    pub time_taken: f64,
    /// Every field.
    pub fields: Value,
}

/// An action: a note, a mail or time on a ticket.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct HaloAction {
    /// The ticket.
    pub ticket_id: i64,
    /// Counts from 1 within the ticket.
    pub id: i64,
    /// The name of the outcome.
    pub outcome: String,
    /// The text.
    pub note: String,
    /// Hours.
    pub time_taken: f64,
    /// Every field.
    pub fields: Value,
}

/// A client, a site or a user, as assertions want to see it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct HaloRecord {
    /// The number.
    pub id: i64,
    /// The name.
    pub name: String,
    /// Every field.
    pub fields: Value,
}

/// The simulated HaloPSA, for assertions and for making trouble.
#[derive(Debug, Clone)]
pub struct HalopsaSimulator {
    pub(super) sims: Simulators,
    pub(super) instance: String,
}

impl HalopsaSimulator {
    /// Another instance, created empty but for the built-in records if there is none of this name.
    #[must_use]
    pub fn instance(&self, name: &str) -> Self {
        let now = self.sims.clock().now();
        self.sims.world().halopsa.add_instance(name, now);
        Self { sims: self.sims.clone(), instance: name.to_owned() }
    }

    /// Registers an application.
    pub fn add_app(&self, client_id: &str, secret: &Secret) {
        self.sims.world().halopsa.add_app(&self.instance, client_id, secret);
    }

    /// Takes the agent from an application: its token requests fail with status 500 and a page of HTML.
    pub fn remove_agent(&self, client_id: &str) {
        self.sims.world().halopsa.set_agent(&self.instance, client_id, false);
    }

    /// Undoes [`remove_agent`](Self::remove_agent).
    pub fn restore_agent(&self, client_id: &str) {
        self.sims.world().halopsa.set_agent(&self.instance, client_id, true);
    }

    /// Makes every access token invalid at once.
    pub fn revoke_tokens(&self) {
        self.sims.world().halopsa.revoke_tokens(&self.instance);
    }

    /// How many access tokens were issued, over all instances.
    pub fn tokens_issued(&self) -> u64 {
        self.sims.world().halopsa.issued()
    }

    /// Changes the rolling limit of every instance. What was counted stays counted.
    pub fn set_limit(&self, limit: Rate) {
        self.sims.world().halopsa.set_limit(limit);
    }

    /// Changes how long access tokens issued from now on work.
    pub fn set_access_lifetime(&self, lifetime: Duration) {
        self.sims.world().halopsa.settings.access_lifetime = lifetime;
    }

    /// The tickets, by number.
    pub fn tickets(&self) -> Vec<HaloTicket> {
        self.read(|instance| {
            let tickets = instance.rows(Entity::Ticket).map(|row| HaloTicket {
                id: number(row, "id"),
                summary: string(row, "summary"),
                client_id: number(row, "client_id"),
                status_id: number(row, "status_id"),
                time_taken: hours(row),
                fields: Value::Object(row.clone()),
            });
            tickets.collect()
        })
    }

    /// One ticket.
    pub fn ticket(&self, id: i64) -> Option<HaloTicket> {
        self.tickets().into_iter().find(|ticket| ticket.id == id)
    }

    /// The actions of one ticket.
    pub fn actions(&self, ticket: i64) -> Vec<HaloAction> {
        self.read(|instance| {
            let actions = instance.actions_of(ticket).map(|row| HaloAction {
                ticket_id: number(row, "ticket_id"),
                id: number(row, "id"),
                outcome: string(row, "outcome"),
                note: string(row, "note"),
                time_taken: hours(row),
                fields: Value::Object(row.clone()),
            });
            actions.collect()
        })
    }

    /// How many actions there are on all tickets.
    pub fn action_count(&self) -> usize {
        self.read(|instance| instance.actions.len())
    }

    /// How many of them book time.
    pub fn time_entry_count(&self) -> usize {
        self.read(Instance::time_entries)
    }

    /// The clients.
    pub fn clients(&self) -> Vec<HaloRecord> {
        self.records(Entity::Client)
    }

    /// The sites.
    pub fn sites(&self) -> Vec<HaloRecord> {
        self.records(Entity::Site)
    }

    /// The users: contacts at clients.
    pub fn users(&self) -> Vec<HaloRecord> {
        self.records(Entity::User)
    }

    /// The client with this name.
    pub fn client(&self, name: &str) -> Option<HaloRecord> {
        self.clients().into_iter().find(|client| client.name == name)
    }

    /// The last requests to HaloPSA, token requests included, oldest first.
    pub fn requests(&self) -> Vec<RequestRecord> {
        self.sims.requests_to(Provider::Halopsa)
    }

    fn records(&self, entity: Entity) -> Vec<HaloRecord> {
        self.read(|instance| {
            let records = instance.rows(entity).map(|row| HaloRecord {
                id: number(row, "id"),
                name: string(row, "name"),
                fields: Value::Object(row.clone()),
            });
            records.collect()
        })
    }

    fn read<T: Default>(&self, look: impl FnOnce(&Instance) -> T) -> T {
        self.sims.world().halopsa.instance(&self.instance).map(look).unwrap_or_default()
    }
}

fn number(row: &Row, name: &str) -> i64 {
    integer(row, name).unwrap_or_default()
}

fn string(row: &Row, name: &str) -> String {
    text(row, name).unwrap_or_default().to_owned()
}

fn hours(row: &Row) -> f64 {
    row.get("timetaken").and_then(Value::as_f64).unwrap_or_default()
}

#[cfg(test)]
mod tests;
