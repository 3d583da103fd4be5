//! Microsoft Graph: typed calls over a connection.
//!
//! Requests are built by pure functions (each area's `requests`), sent through [`Connection::send`], and read into
//! the types of [`model`]. Unknown properties are kept, unknown enum members are text.
//!
//! ```no_run
//! use bifrost_core::{Connection, Result, Secret};
//! use bifrost_integrations::graph::{Graph, NewUser, UserUpdate};
//!
//! async fn hire(connection: Connection, password: Secret) -> Result<String> {
//!     let graph = Graph::new(connection)?;
//!     let zoe = NewUser::new("zoe@contoso.com", "Zoë Müller", password).usage_location("CH");
//!     let user = graph.users().create(&zoe).await?;
//!     graph.users().update(&user.id, &UserUpdate::new().department("Sales")).await?;
//!     graph.licenses().assign_by_name(&user.id, "SPE_E3").await?;
//!     let group = graph.groups().require_by_name("Sales").await?;
//!     graph.groups().add_member(&group.id, &user.id).await?;
//!     Ok(user.id)
//! }
//! ```
//!
//! **Eventual consistency.** For some seconds after a user or group was created, calls that refer to it may answer 404
//! or 400 "…objects being referenced do not exist". The client cannot tell that from an id that is wrong, so it
//! reports `NotFound` or `Rejected` as they are; a workflow that has just created the object marks such an error as
//! passing with [`Error::retry`](bifrost_core::Error::retry), and its retry policy does the rest.

pub mod batch;
pub mod config;
pub mod context;
pub mod cost;
pub mod error;
pub mod groups;
pub mod integration;
pub mod licenses;
pub mod members;
pub mod model;
pub mod page;
pub mod password;
pub mod query;
#[cfg(test)]
mod tests;
pub mod users;

use std::sync::Arc;

use bifrost_core::integration::{Outbound, Safety};
use bifrost_core::{Clock, Connection, Result, SystemClock};
use bytes::Bytes;
use http::{Method, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;

pub use self::config::{Cloud, GraphConfig, PROVIDER};
pub use self::context::GraphContext;
pub use self::groups::Groups;
pub use self::integration::GraphIntegration;
pub use self::licenses::{LicenseAssignment, Licenses};
pub use self::members::MembershipPlan;
pub use self::model::{AssignedLicense, Change, DirectoryObject, Group, SubscribedSku, User};
pub use self::page::{Page, ResumeToken};
pub use self::password::random_password;
pub use self::query::{Filter, ListQuery, Literal};
pub use self::users::{NewUser, UserUpdate, Users};
use crate::call::{self, Query, read_json};

/// The Microsoft Graph client of one connection. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Graph {
    connection: Connection,
    base: Arc<Url>,
    clock: Arc<dyn Clock>,
}

impl Graph {
    /// A client over `connection`.
    ///
    /// # Errors
    /// `InvalidInput` when the connection does not lead to Graph.
    pub fn new(connection: Connection) -> Result<Self> {
        connection.expect_provider(PROVIDER)?;
        let base = Arc::new(config::base_url(connection.settings())?);
        Ok(Self { connection, base, clock: Arc::new(SystemClock::new()) })
    }

    /// Waits between the rounds of a batch by this clock instead of the machine's.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// The connection underneath.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Users.
    pub fn users(&self) -> Users {
        Users::new(self.clone())
    }

    /// Groups and their members.
    pub fn groups(&self) -> Groups {
        Groups::new(self.clone())
    }

    /// Licences.
    pub fn licenses(&self) -> Licenses {
        Licenses::new(self.clone())
    }

    /// Sends many requests in batches of up to 20; see [`batch`].
    pub async fn batch(&self, requests: Vec<Outbound>) -> Vec<Result<Response<Bytes>>> {
        batch::send(&self.connection, self.clock.as_ref(), requests).await
    }

    /// The door for calls that have no type yet: a GET of `path`, such as `/organization`.
    ///
    /// # Errors
    /// As [`Connection::send`]; `Rejected` when the answer is no `T`.
    pub async fn get<T: DeserializeOwned>(&self, path: &str, query: &Query) -> Result<T> {
        let request = call::bare(Method::GET, path, query)?;
        self.json(Outbound::new(request, RAW)).await
    }

    /// The door for calls that have no type yet: any method with a JSON body. Say whether it may be repeated.
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

    /// Where the API is, such as `https://graph.microsoft.com/v1.0`.
    pub(crate) fn base(&self) -> &Url {
        &self.base
    }

    pub(crate) async fn json<T: DeserializeOwned>(&self, request: Outbound) -> Result<T> {
        let endpoint = request.endpoint;
        let response = self.connection.send(request).await?;
        read_json(&response, endpoint)
    }
}

/// The endpoint name of calls without a type.
const RAW: &str = "(raw)";

/// A read with its cost.
pub(crate) fn read(path: &str, endpoint: &'static str, query: &Query) -> Result<Outbound> {
    let cost = cost::cost(&Method::GET, endpoint, query);
    Ok(Outbound::new(call::bare(Method::GET, path, query)?, endpoint).with_cost(cost))
}

/// A write with its cost and whether it may be repeated.
pub(crate) fn write<B: Serialize + ?Sized>(
    method: Method,
    path: &str,
    endpoint: &'static str,
    body: Option<&B>,
    safety: Safety,
) -> Result<Outbound> {
    let query = Query::new();
    let cost = cost::cost(&method, endpoint, &query);
    let request = match body {
        Some(body) => call::with_json(method, path, body)?,
        None => call::bare(method, path, &query)?,
    };
    Ok(Outbound::new(request, endpoint).with_cost(cost).with_safety(safety))
}
