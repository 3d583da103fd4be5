//! HaloPSA (and HaloITSM, HaloServiceDesk, HaloCRM, which share its API): typed calls over a connection.
//!
//! Requests are built by pure functions (each area's `requests`), sent through [`Connection::send`], and read into
//! the types of [`model`]. Writes are always sent as a list of one record; answers may be an object or a list. What
//! has an id is an update and may be repeated; what has none is a create and is never repeated blindly. Creates carry
//! a [`Reference`] by which a probe finds them again.
//!
//! ```no_run
//! use bifrost_core::{Connection, Result};
//! use bifrost_integrations::halopsa::{HaloPsa, NewAction, NewTicket, Reference, Resolution};
//!
//! async fn onboard(connection: Connection, key: &str) -> Result<i64> {
//!     let halo = HaloPsa::new(connection)?;
//!     let client = halo.clients().require_by_name("Contoso AG").await?;
//!     let reference = Reference::new(key)?;
//!     // As a probe, after a crash or a lost answer:
//!     let found = halo.tickets().find_by_reference(client.id, &reference, None).await?;
//!     let ticket = match found {
//!         Some(ticket) => ticket,
//!         None => {
//!             let ticket = NewTicket::new("Onboard Zoë Müller").client(client.id).reference(reference.clone());
//!             halo.tickets().create(&ticket).await?
//!         }
//!     };
//!     let time = NewAction::time(ticket.id, 0.5, "Account and licence set up").reference(reference);
//!     halo.actions().add(&time).await?;
//!     halo.tickets().resolve(ticket.id, &Resolution::closed()).await?;
//!     Ok(ticket.id)
//! }
//! ```

pub mod actions;
pub mod agents;
pub mod clients;
pub mod config;
pub mod context;
pub mod error;
pub mod integration;
pub mod lookups;
pub mod model;
pub mod page;
pub mod reference;
pub mod sites;
#[cfg(test)]
mod tests;
pub mod ticket_query;
pub mod tickets;
pub mod users;
mod value;

use bifrost_core::integration::{Outbound, Safety};
use bifrost_core::{Connection, Error, ErrorKind, Result};
use bytes::Bytes;
use http::{Method, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use self::actions::{Actions, NewAction};
pub use self::agents::Agents;
pub use self::clients::{ClientQuery, Clients, NewClient};
pub use self::config::{HaloPsaConfig, PROVIDER};
pub use self::context::HaloPsaContext;
pub use self::integration::HaloPsaIntegration;
pub use self::lookups::Lookups;
pub use self::model::{Action, Agent, Client, Outcome, Record, Site, Status, Ticket, TicketType, User};
pub use self::page::{Page, ResumeToken};
pub use self::reference::Reference;
pub use self::sites::{NewSite, Sites};
pub use self::ticket_query::TicketQuery;
pub use self::tickets::{NewTicket, Resolution, TicketUpdate, Tickets};
pub use self::users::{NewUser, UserQuery, Users};
use crate::call::{self, Query};

/// The HaloPSA client of one connection. Cheap to clone.
#[derive(Debug, Clone)]
pub struct HaloPsa {
    connection: Connection,
}

impl HaloPsa {
    /// A client over `connection`.
    ///
    /// # Errors
    /// `InvalidInput` when the connection does not lead to HaloPSA.
    pub fn new(connection: Connection) -> Result<Self> {
        connection.expect_provider(PROVIDER)?;
        Ok(Self { connection })
    }

    /// The connection underneath.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Customers.
    pub fn clients(&self) -> Clients {
        Clients::new(self.clone())
    }

    /// Places of customers.
    pub fn sites(&self) -> Sites {
        Sites::new(self.clone())
    }

    /// Contacts of customers.
    pub fn users(&self) -> Users {
        Users::new(self.clone())
    }

    /// Tickets.
    pub fn tickets(&self) -> Tickets {
        Tickets::new(self.clone())
    }

    /// Notes and time on tickets.
    pub fn actions(&self) -> Actions {
        Actions::new(self.clone())
    }

    /// The provider's own people.
    pub fn agents(&self) -> Agents {
        Agents::new(self.clone())
    }

    /// Statuses, ticket types and outcomes.
    pub fn lookups(&self) -> Lookups {
        Lookups::new(self.clone())
    }

    /// The door for calls that have no type yet: a GET of `path`, such as `/Asset/5`. A parameter HaloPSA does not
    /// know is ignored silently: a misspelt filter returns everything.
    ///
    /// # Errors
    /// As [`Connection::send`]; `Rejected` when the answer is no `T`.
    pub async fn get<T: DeserializeOwned>(&self, path: &str, query: &Query) -> Result<T> {
        let request = call::bare(Method::GET, path, query)?;
        let response = self.connection.send(Outbound::new(request, RAW)).await?;
        call::read_json(&response, RAW)
    }

    /// The door for calls that have no type yet: any method with a JSON body, which is sent as it is. Say whether it
    /// may be repeated.
    ///
    /// # Errors
    /// As [`Connection::send`].
    pub async fn raw<B: Serialize + ?Sized + Sync>(
        &self,
        method: Method,
        path: &str,
        body: &B,
        safety: Safety,
    ) -> Result<Response<Bytes>> {
        let request = call::with_json(method, path, body)?;
        self.connection.send(Outbound::new(request, RAW).with_safety(safety)).await
    }

    async fn one<T: Record + DeserializeOwned>(&self, request: Outbound) -> Result<T> {
        let endpoint = request.endpoint;
        page::read_one(&self.connection.send(request).await?, endpoint)
    }

    async fn written<T: Record + DeserializeOwned>(&self, request: Outbound) -> Result<T> {
        let endpoint = request.endpoint;
        page::read_written(&self.connection.send(request).await?, endpoint)
    }

    async fn whole_list<T: Record + DeserializeOwned>(&self, request: Outbound, key: &str) -> Result<Vec<T>> {
        let endpoint = request.endpoint;
        let response = self.connection.send(request).await?;
        Ok(page::read_list(&response, endpoint, key)?.0)
    }
}

/// The endpoint name of calls without a type.
const RAW: &str = "(raw)";

/// A read of one record with all its details.
fn read(path: &str, endpoint: &'static str, query: &Query) -> Result<Outbound> {
    Ok(Outbound::new(call::bare(Method::GET, path, query)?, endpoint))
}

/// A create: a list of one record without an id.
fn create<B: Serialize>(path: &'static str, record: &B) -> Result<Outbound> {
    let request = call::with_json(Method::POST, path, &[record])?;
    Ok(Outbound::new(request, path).with_safety(Safety::Once))
}

/// An update: a list of one record with an id and full values, so doing it twice is doing it once.
fn update<B: Serialize>(path: &'static str, record: &B) -> Result<Outbound> {
    let request = call::with_json(Method::POST, path, &[record])?;
    Ok(Outbound::new(request, path).with_safety(Safety::Idempotent))
}

/// Ids of HaloPSA's records start at 1; 0 in a POST would create a record.
fn check_id(what: &'static str, id: i64) -> Result<i64> {
    if id > 0 {
        return Ok(id);
    }
    Err(Error::invalid("build request", format!("the {what} is not above zero")).with("name", id))
}

/// The one record `matches` holds for.
fn only<T>(what: &'static str, name: &str, mut found: Vec<T>) -> Result<T> {
    let refuse = |kind, message: String| Err(Error::new(kind, "find record", message).with("name", name));
    match (found.pop(), found.len()) {
        (Some(record), 0) => Ok(record),
        (None, _) => refuse(ErrorKind::NotFound, format!("no {what} bears this name")),
        (Some(_), others) => refuse(ErrorKind::Conflict, format!("{} {what}s bear this name", others + 1))
            .map_err(|error: Error| error.next_action("name it by its id")),
    }
}

/// Whether a name is the one that was asked for: case and surrounding space do not matter.
fn same_name(known: Option<&str>, wanted: &str) -> bool {
    known.is_some_and(|known| known.trim().to_lowercase() == wanted.trim().to_lowercase())
}
