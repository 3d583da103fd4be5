//! Customers (`/Client`).

use bifrost_core::{Result, Timestamp};
use futures_util::future;
use futures_util::stream::{Stream, TryStreamExt};
use serde_json::{Map, Value};

use super::model::Client;
use super::page::{Page, ResumeToken};
use super::{HaloPsa, only, same_name};
use crate::call::Query;

/// Calls about customers.
#[derive(Debug, Clone)]
pub struct Clients {
    halo: HaloPsa,
}

impl Clients {
    pub(super) fn new(halo: HaloPsa) -> Self {
        Self { halo }
    }

    /// The customer with this id.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn get(&self, id: i64) -> Result<Client> {
        self.halo.one(requests::get(id)?).await
    }

    /// All customers `query` asks for, by id, fetched page by page as the stream is polled.
    pub fn list(&self, query: &ClientQuery) -> impl Stream<Item = Result<Client>> + Send + use<> {
        requests::LIST.items(self.halo.clone(), query.to_query())
    }

    /// One page: the first one without a token.
    ///
    /// # Errors
    /// As [`bifrost_core::Connection::send`].
    pub async fn page(&self, query: &ClientQuery, token: Option<&ResumeToken>) -> Result<Page<Client>> {
        requests::LIST.fetch(&self.halo, &query.to_query(), token).await
    }

    /// All active customers of this name. It is the probe for [`Clients::create`] where names are unique.
    ///
    /// # Errors
    /// As [`bifrost_core::Connection::send`].
    pub async fn find_by_name(&self, name: &str) -> Result<Vec<Client>> {
        let query = ClientQuery::new().search(name.trim()).names_only();
        let same = |client: &Client| future::ready(same_name(client.name.as_deref(), name));
        self.list(&query).try_filter(same).try_collect().await
    }

    /// The one active customer of this name.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` when several bear it.
    pub async fn require_by_name(&self, name: &str) -> Result<Client> {
        only("client", name, self.find_by_name(name).await?)
    }

    /// Creates a customer, with a main site of the name HaloPSA gives it. Not repeated when its outcome is unknown.
    ///
    /// # Errors
    /// `Rejected` naming the field; `UnknownOutcome` when the answer was lost.
    pub async fn create(&self, client: &NewClient) -> Result<Client> {
        self.halo.written(requests::create(client)?).await
    }
}

/// The calls about customers as requests, built without I/O.
pub mod requests {
    use bifrost_core::integration::Outbound;

    use super::super::page::ListCall;
    use super::super::{check_id, create as post, read};
    use super::{ClientQuery, NewClient, Result};
    use crate::call::Query;

    pub(super) const LIST: ListCall = ListCall { path: "/Client", key: "clients" };

    /// `GET /Client`, first page.
    ///
    /// # Errors
    /// `InvalidInput` when the query is too long for a URI.
    pub fn list(query: &ClientQuery) -> Result<Outbound> {
        LIST.page(&query.to_query(), None)
    }

    /// `GET /Client/{id}`.
    ///
    /// # Errors
    /// `InvalidInput` for an id that is not above zero.
    pub fn get(id: i64) -> Result<Outbound> {
        let path = format!("/Client/{}", check_id("client id", id)?);
        read(&path, "/Client/{id}", &Query::new().with("includedetails", true))
    }

    /// `POST /Client`.
    ///
    /// # Errors
    /// `InvalidInput` when a value does not serialize.
    pub fn create(client: &NewClient) -> Result<Outbound> {
        post(LIST.path, &client.0)
    }
}

/// Which customers a list is about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientQuery(Query);

impl ClientQuery {
    /// All active ones.
    pub fn new() -> Self {
        Self::default()
    }

    /// Those a search for `text` finds.
    #[must_use]
    pub fn search(self, text: &str) -> Self {
        Self(self.0.with("search", text))
    }

    /// Searches in names only.
    #[must_use]
    pub fn names_only(self) -> Self {
        Self(self.0.with("search_name_only", true))
    }

    /// Those of one group of clients.
    #[must_use]
    pub fn top_level(self, id: i64) -> Self {
        Self(self.0.with("toplevel_id", id))
    }

    /// Inactive ones too.
    #[must_use]
    pub fn include_inactive(self) -> Self {
        Self(self.0.with("includeinactive", true))
    }

    /// Those that changed since.
    #[must_use]
    pub fn updated_since(self, time: Timestamp) -> Self {
        Self(self.0.with("lastupdatefromdate", time))
    }

    fn to_query(&self) -> Query {
        self.0.clone()
    }
}

/// A customer to create.
#[derive(Debug, Clone, PartialEq)]
pub struct NewClient(Map<String, Value>);

impl NewClient {
    /// A customer of this name.
    pub fn new(name: impl Into<String>) -> Self {
        Self(Map::new()).set("name", name.into())
    }

    /// The group of clients it belongs to; which one is the default differs between instances.
    #[must_use]
    pub fn top_level(self, id: i64) -> Self {
        self.set("toplevel_id", id)
    }

    /// The name of its main site.
    #[must_use]
    pub fn site_name(self, name: impl Into<String>) -> Self {
        self.set("newclient_sitename", name.into())
    }

    /// Sets any other field.
    #[must_use]
    pub fn set(mut self, field: impl Into<String>, value: impl Into<Value>) -> Self {
        self.0.insert(field.into(), value.into());
        self
    }
}
