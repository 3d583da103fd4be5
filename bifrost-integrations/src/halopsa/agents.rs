//! The provider's own people (`/Agent`).

use bifrost_core::Result;

use super::HaloPsa;
use super::model::Agent;

/// Calls about agents.
#[derive(Debug, Clone)]
pub struct Agents {
    halo: HaloPsa,
}

impl Agents {
    pub(super) fn new(halo: HaloPsa) -> Self {
        Self { halo }
    }

    /// The agent with this id.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn get(&self, id: i64) -> Result<Agent> {
        self.halo.one(requests::get(id)?).await
    }

    /// The agent the application works as: also the best way to see whether a connection works.
    ///
    /// # Errors
    /// `PermissionDenied`.
    pub async fn me(&self) -> Result<Agent> {
        self.halo.one(requests::me()?).await
    }

    /// All agents that may sign in. The list has no pages.
    ///
    /// # Errors
    /// As [`bifrost_core::Connection::send`].
    pub async fn list(&self) -> Result<Vec<Agent>> {
        self.halo.whole_list(requests::list()?, "results").await
    }
}

/// The calls about agents as requests, built without I/O.
pub mod requests {
    use bifrost_core::integration::Outbound;

    use super::super::{check_id, read};
    use super::Result;
    use crate::call::Query;

    /// `GET /Agent`.
    ///
    /// # Errors
    /// None in practice.
    pub fn list() -> Result<Outbound> {
        read("/Agent", "/Agent", &Query::new().with("includeenabled", true))
    }

    /// `GET /Agent/me`.
    ///
    /// # Errors
    /// None in practice.
    pub fn me() -> Result<Outbound> {
        read("/Agent/me", "/Agent/me", &Query::new())
    }

    /// `GET /Agent/{id}`.
    ///
    /// # Errors
    /// `InvalidInput` for an id that is not above zero.
    pub fn get(id: i64) -> Result<Outbound> {
        let path = format!("/Agent/{}", check_id("agent id", id)?);
        read(&path, "/Agent/{id}", &Query::new())
    }
}
