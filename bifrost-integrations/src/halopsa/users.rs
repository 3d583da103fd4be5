//! Contacts of customers (`/Users`).

use bifrost_core::{Result, Timestamp};
use futures_util::future;
use futures_util::stream::{Stream, TryStreamExt};
use serde_json::{Map, Value};

use super::HaloPsa;
use super::model::User;
use super::page::{Page, ResumeToken};
use crate::call::Query;

/// Calls about contacts.
#[derive(Debug, Clone)]
pub struct Users {
    halo: HaloPsa,
}

impl Users {
    pub(super) fn new(halo: HaloPsa) -> Self {
        Self { halo }
    }

    /// The contact with this id.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn get(&self, id: i64) -> Result<User> {
        self.halo.one(requests::get(id)?).await
    }

    /// All contacts `query` asks for, by id, fetched page by page as the stream is polled.
    pub fn list(&self, query: &UserQuery) -> impl Stream<Item = Result<User>> + Send + use<> {
        requests::LIST.items(self.halo.clone(), query.to_query())
    }

    /// One page: the first one without a token.
    ///
    /// # Errors
    /// As [`bifrost_core::Connection::send`].
    pub async fn page(&self, query: &UserQuery, token: Option<&ResumeToken>) -> Result<Page<User>> {
        requests::LIST.fetch(&self.halo, &query.to_query(), token).await
    }

    /// The first contact of a customer with this mail address: the probe for [`Users::create`].
    ///
    /// # Errors
    /// As [`bifrost_core::Connection::send`].
    pub async fn find_by_email(&self, client_id: i64, address: &str) -> Result<Option<User>> {
        let query = UserQuery::new().client(client_id).search(address.trim());
        let same = |user: &User| future::ready(user.has_email(address));
        let mut found = std::pin::pin!(self.list(&query).try_filter(same));
        found.try_next().await
    }

    /// Creates a contact. Not repeated when its outcome is unknown.
    ///
    /// # Errors
    /// `Rejected` naming the field; `UnknownOutcome` when the answer was lost.
    pub async fn create(&self, user: &NewUser) -> Result<User> {
        self.halo.written(requests::create(user)?).await
    }
}

/// The calls about contacts as requests, built without I/O.
pub mod requests {
    use bifrost_core::integration::Outbound;

    use super::super::page::ListCall;
    use super::super::{check_id, create as post, read};
    use super::{NewUser, Result, UserQuery};
    use crate::call::Query;

    pub(super) const LIST: ListCall = ListCall { path: "/Users", key: "users" };

    /// `GET /Users`, first page.
    ///
    /// # Errors
    /// `InvalidInput` when the query is too long for a URI.
    pub fn list(query: &UserQuery) -> Result<Outbound> {
        LIST.page(&query.to_query(), None)
    }

    /// `GET /Users/{id}`.
    ///
    /// # Errors
    /// `InvalidInput` for an id that is not above zero.
    pub fn get(id: i64) -> Result<Outbound> {
        let path = format!("/Users/{}", check_id("user id", id)?);
        read(&path, "/Users/{id}", &Query::new().with("includedetails", true))
    }

    /// `POST /Users`.
    ///
    /// # Errors
    /// `InvalidInput` when a value does not serialize.
    pub fn create(user: &NewUser) -> Result<Outbound> {
        post(LIST.path, &user.0)
    }
}

/// Which contacts a list is about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserQuery(Query);

impl UserQuery {
    /// All active ones.
    pub fn new() -> Self {
        Self::default()
    }

    /// Those of one customer.
    #[must_use]
    pub fn client(self, id: i64) -> Self {
        Self(self.0.with("client_id", id))
    }

    /// Those of one site.
    #[must_use]
    pub fn site(self, id: i64) -> Self {
        Self(self.0.with("site_id", id))
    }

    /// Those a search for `text` finds.
    #[must_use]
    pub fn search(self, text: &str) -> Self {
        Self(self.0.with("search", text))
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

/// A contact to create.
#[derive(Debug, Clone, PartialEq)]
pub struct NewUser(Map<String, Value>);

impl NewUser {
    /// A contact of this name at a site.
    pub fn new(site_id: i64, first_name: impl Into<String>, last_name: impl Into<String>) -> Self {
        // `name` too: lists sort and search by it.
        let (first, last) = (first_name.into(), last_name.into());
        let full = format!("{first} {last}").trim().to_owned();
        Self(Map::new()).set("site_id", site_id).set("name", full).set("firstname", first).set("surname", last)
    }

    /// Sets the mail address.
    #[must_use]
    pub fn email(self, address: impl Into<String>) -> Self {
        self.set("emailaddress", address.into())
    }

    /// Sets the Entra object id.
    #[must_use]
    pub fn entra_id(self, id: impl Into<String>) -> Self {
        self.set("azureoid", id.into())
    }

    /// Sets any other field.
    #[must_use]
    pub fn set(mut self, field: impl Into<String>, value: impl Into<Value>) -> Self {
        self.0.insert(field.into(), value.into());
        self
    }
}
