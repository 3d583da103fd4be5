//! Places of customers (`/Site`).

use bifrost_core::Result;
use futures_util::stream::Stream;
use serde_json::{Map, Value};

use super::HaloPsa;
use super::model::Site;
use super::page::{Page, ResumeToken};

/// Calls about sites.
#[derive(Debug, Clone)]
pub struct Sites {
    halo: HaloPsa,
}

impl Sites {
    pub(super) fn new(halo: HaloPsa) -> Self {
        Self { halo }
    }

    /// The site with this id.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn get(&self, id: i64) -> Result<Site> {
        self.halo.one(requests::get(id)?).await
    }

    /// All active sites of a customer, by id, fetched page by page as the stream is polled.
    pub fn of_client(&self, client_id: i64) -> impl Stream<Item = Result<Site>> + Send + use<> {
        requests::LIST.items(self.halo.clone(), requests::filter(client_id))
    }

    /// One page of them: the first one without a token.
    ///
    /// # Errors
    /// As [`bifrost_core::Connection::send`].
    pub async fn page(&self, client_id: i64, token: Option<&ResumeToken>) -> Result<Page<Site>> {
        requests::LIST.fetch(&self.halo, &requests::filter(client_id), token).await
    }

    /// Creates a site. Not repeated when its outcome is unknown.
    ///
    /// # Errors
    /// `Rejected` naming the field; `UnknownOutcome` when the answer was lost.
    pub async fn create(&self, site: &NewSite) -> Result<Site> {
        self.halo.written(requests::create(site)?).await
    }
}

/// The calls about sites as requests, built without I/O.
pub mod requests {
    use bifrost_core::integration::Outbound;

    use super::super::page::ListCall;
    use super::super::{check_id, create as post, read};
    use super::{NewSite, Result};
    use crate::call::Query;

    pub(super) const LIST: ListCall = ListCall { path: "/Site", key: "sites" };

    pub(super) fn filter(client_id: i64) -> Query {
        Query::new().with("client_id", client_id)
    }

    /// `GET /Site` of a customer, first page.
    ///
    /// # Errors
    /// None in practice.
    pub fn of_client(client_id: i64) -> Result<Outbound> {
        LIST.page(&filter(client_id), None)
    }

    /// `GET /Site/{id}`.
    ///
    /// # Errors
    /// `InvalidInput` for an id that is not above zero.
    pub fn get(id: i64) -> Result<Outbound> {
        let path = format!("/Site/{}", check_id("site id", id)?);
        read(&path, "/Site/{id}", &Query::new().with("includedetails", true))
    }

    /// `POST /Site`.
    ///
    /// # Errors
    /// `InvalidInput` when a value does not serialize.
    pub fn create(site: &NewSite) -> Result<Outbound> {
        post(LIST.path, &site.0)
    }
}

/// A site to create.
#[derive(Debug, Clone, PartialEq)]
pub struct NewSite(Map<String, Value>);

impl NewSite {
    /// A site of this name at a customer.
    pub fn new(client_id: i64, name: impl Into<String>) -> Self {
        Self(Map::new()).set("client_id", client_id).set("name", name.into())
    }

    /// Sets any other field.
    #[must_use]
    pub fn set(mut self, field: impl Into<String>, value: impl Into<Value>) -> Self {
        self.0.insert(field.into(), value.into());
        self
    }
}
