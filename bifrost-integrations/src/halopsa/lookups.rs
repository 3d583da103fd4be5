//! What tickets refer to and each instance sets up its own way: statuses, ticket types, outcomes.

use bifrost_core::Result;

use super::model::{Outcome, Status, TicketType};
use super::{HaloPsa, only, same_name};

/// Calls about statuses, ticket types and outcomes. The lists have no pages.
#[derive(Debug, Clone)]
pub struct Lookups {
    halo: HaloPsa,
}

impl Lookups {
    pub(super) fn new(halo: HaloPsa) -> Self {
        Self { halo }
    }

    /// All statuses.
    ///
    /// # Errors
    /// As [`bifrost_core::Connection::send`].
    pub async fn statuses(&self) -> Result<Vec<Status>> {
        self.halo.whole_list(requests::statuses()?, "").await
    }

    /// The status of this name, such as `Closed`.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` when several bear it.
    pub async fn require_status(&self, name: &str) -> Result<Status> {
        let mut found = self.statuses().await?;
        found.retain(|status| same_name(status.name.as_deref(), name));
        only("status", name, found)
    }

    /// All ticket types.
    ///
    /// # Errors
    /// As [`bifrost_core::Connection::send`].
    pub async fn ticket_types(&self) -> Result<Vec<TicketType>> {
        self.halo.whole_list(requests::ticket_types()?, "").await
    }

    /// The ticket type of this name, such as `Service Request`.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` when several bear it.
    pub async fn require_ticket_type(&self, name: &str) -> Result<TicketType> {
        let mut found = self.ticket_types().await?;
        found.retain(|kind| same_name(kind.name.as_deref(), name));
        only("ticket type", name, found)
    }

    /// All outcomes.
    ///
    /// # Errors
    /// As [`bifrost_core::Connection::send`].
    pub async fn outcomes(&self) -> Result<Vec<Outcome>> {
        self.halo.whole_list(requests::outcomes()?, "").await
    }

    /// The outcome of this name, such as `Private Note`.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` when several bear it.
    pub async fn require_outcome(&self, name: &str) -> Result<Outcome> {
        let mut found = self.outcomes().await?;
        found.retain(|outcome| same_name(outcome.outcome.as_deref(), name));
        only("outcome", name, found)
    }
}

/// The calls about lookups as requests, built without I/O.
pub mod requests {
    use bifrost_core::integration::Outbound;

    use super::super::read;
    use super::Result;
    use crate::call::Query;

    /// `GET /Status`.
    ///
    /// # Errors
    /// None in practice.
    pub fn statuses() -> Result<Outbound> {
        read("/Status", "/Status", &Query::new())
    }

    /// `GET /TicketType`.
    ///
    /// # Errors
    /// None in practice.
    pub fn ticket_types() -> Result<Outbound> {
        read("/TicketType", "/TicketType", &Query::new())
    }

    /// `GET /Outcome`.
    ///
    /// # Errors
    /// None in practice.
    pub fn outcomes() -> Result<Outbound> {
        read("/Outcome", "/Outcome", &Query::new())
    }
}
