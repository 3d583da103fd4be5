//! Users. Calls: <https://learn.microsoft.com/graph/api/resources/user>.

use std::fmt;

use bifrost_core::{Error, ErrorKind, Result, Secret};
use futures_util::stream::Stream;
use serde_json::{Map, Value, json};

use super::model::{Change, User};
use super::page::{self, Page, ResumeToken};
use super::query::{Filter, ListQuery};
use super::{Graph, read};
use crate::call;

/// Calls about users.
#[derive(Debug, Clone)]
pub struct Users {
    graph: Graph,
}

impl Users {
    pub(super) fn new(graph: Graph) -> Self {
        Self { graph }
    }

    /// Creates a user. Not repeated when its outcome is unknown: ask [`Users::find_by_upn`] then.
    ///
    /// # Errors
    /// `AlreadyExists` when the sign-in name is taken; `UnknownOutcome` when the answer was lost.
    pub async fn create(&self, user: &NewUser) -> Result<User> {
        self.graph.json(requests::create(user)?).await
    }

    /// The user with this object id or sign-in name.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn get(&self, id_or_upn: &str) -> Result<User> {
        self.graph.json(requests::get(id_or_upn)?).await
    }

    /// The same, `None` when there is none.
    ///
    /// # Errors
    /// Any but `NotFound`.
    pub async fn get_opt(&self, id_or_upn: &str) -> Result<Option<User>> {
        match self.get(id_or_upn).await {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            other => other.map(Some),
        }
    }

    /// The user with this sign-in name: the probe for [`Users::create`], as sign-in names are unique. It reads the
    /// object itself, not the search index, which lags writes.
    ///
    /// # Errors
    /// Any but `NotFound`.
    pub async fn find_by_upn(&self, upn: &str) -> Result<Option<User>> {
        self.get_opt(upn).await
    }

    /// Changes what `update` names and nothing else.
    ///
    /// # Errors
    /// `NotFound`; `Rejected` naming the property.
    pub async fn update(&self, id_or_upn: &str, update: &UserUpdate) -> Result<()> {
        self.graph.connection.send(requests::update(id_or_upn, update)?).await?;
        Ok(())
    }

    /// Moves a user to the deleted items, where it can be restored from for 30 days.
    ///
    /// # Errors
    /// Any but `NotFound`, which is [`Change::AlreadyDone`].
    pub async fn delete(&self, id_or_upn: &str) -> Result<Change> {
        match self.graph.connection.send(requests::delete(id_or_upn)?).await {
            Ok(_) => Ok(Change::Made),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Change::AlreadyDone),
            Err(error) => Err(error),
        }
    }

    /// All users `query` asks for, fetched page by page as the stream is polled.
    pub fn list(&self, query: &ListQuery) -> impl Stream<Item = Result<User>> + Send + use<> {
        page::items(self.graph.clone(), requests::list(query))
    }

    /// The first page; [`Users::next_page`] goes on.
    ///
    /// # Errors
    /// `Rejected` for a query Graph does not support.
    pub async fn page(&self, query: &ListQuery) -> Result<Page<User>> {
        page::fetch(&self.graph, requests::list(query)?).await
    }

    /// The page after the one `token` came with.
    ///
    /// # Errors
    /// `Rejected` when the token has expired or leads to another host.
    pub async fn next_page(&self, token: &ResumeToken) -> Result<Page<User>> {
        let request = page::following(token, requests::LIST, self.graph.base())?;
        page::fetch(&self.graph, request).await
    }

    /// How many users there are, or how many `filter` holds for; from the search index, which lags writes.
    ///
    /// # Errors
    /// `Rejected` for a filter Graph does not support.
    pub async fn count(&self, filter: Option<&Filter>) -> Result<u64> {
        let request = requests::count(filter)?;
        let endpoint = request.endpoint;
        let response = self.graph.connection.send(request).await?;
        let text = String::from_utf8_lossy(response.body());
        let number = text.trim_start_matches('\u{feff}').trim();
        number.parse().map_err(|_| call::unexpected(&response, endpoint))
    }
}

/// The calls about users as requests, built without I/O.
pub mod requests {
    use bifrost_core::integration::{Outbound, Safety};
    use http::Method;

    use super::super::write;
    use super::{Filter, ListQuery, NewUser, Result, User, UserUpdate, page, read};
    use crate::call::{Query, segment};

    /// The endpoint of lists and creates.
    pub(super) const LIST: &str = "/users";
    const ONE: &str = "/users/{user-id}";

    /// `GET /users`.
    ///
    /// # Errors
    /// `InvalidInput` when the query is too long for a URI.
    pub fn list(query: &ListQuery) -> Result<Outbound> {
        page::first(LIST, LIST, query, User::SELECT)
    }

    /// `GET /users/$count`.
    ///
    /// # Errors
    /// `InvalidInput` when the filter is too long for a URI.
    pub fn count(filter: Option<&Filter>) -> Result<Outbound> {
        const COUNT: &str = "/users/$count";
        let mut outbound = read(COUNT, COUNT, &Query::new().maybe("$filter", filter))?;
        page::mark(&mut outbound.request, true);
        Ok(outbound)
    }

    /// `GET /users/{id or sign-in name}`.
    ///
    /// # Errors
    /// `InvalidInput` for an empty id.
    pub fn get(id_or_upn: &str) -> Result<Outbound> {
        let query = Query::new().with_fixed("$select", User::select());
        read(&path(id_or_upn)?, ONE, &query)
    }

    /// `POST /users`.
    ///
    /// # Errors
    /// `InvalidInput` naming the property.
    pub fn create(user: &NewUser) -> Result<Outbound> {
        let mut outbound = write(Method::POST, LIST, LIST, Some(&user.to_body()?), Safety::Once)?;
        outbound.request.extensions_mut().insert(crate::http::Carries(vec![user.password.clone()]));
        Ok(outbound)
    }

    /// `PATCH /users/{id or sign-in name}`: full values, so doing it twice is doing it once.
    ///
    /// # Errors
    /// `InvalidInput` for an empty id or update.
    pub fn update(id_or_upn: &str, update: &UserUpdate) -> Result<Outbound> {
        let body = update.to_body()?;
        write(Method::PATCH, &path(id_or_upn)?, ONE, Some(body), Safety::Idempotent)
    }

    /// `DELETE /users/{id or sign-in name}`.
    ///
    /// # Errors
    /// `InvalidInput` for an empty id.
    pub fn delete(id_or_upn: &str) -> Result<Outbound> {
        write(Method::DELETE, &path(id_or_upn)?, ONE, None::<&()>, Safety::Idempotent)
    }

    fn path(id_or_upn: &str) -> Result<String> {
        Ok(format!("/users/{}", segment("user id", id_or_upn)?))
    }
}

/// A user to create.
#[derive(Clone)]
pub struct NewUser {
    upn: String,
    password: Secret,
    change_password: bool,
    properties: Map<String, Value>,
}

impl NewUser {
    /// A user that may sign in, and must change the password when it first does. The mail alias is made from the
    /// sign-in name.
    pub fn new(upn: impl Into<String>, display_name: impl Into<String>, password: Secret) -> Self {
        let upn = upn.into();
        let mut properties = Map::new();
        properties.insert("accountEnabled".into(), true.into());
        properties.insert("displayName".into(), display_name.into().into());
        properties.insert("mailNickname".into(), mail_alias(&upn).into());
        Self { upn, password, change_password: true, properties }
    }

    /// The sign-in name.
    pub fn upn(&self) -> &str {
        &self.upn
    }

    /// Sets the first name.
    #[must_use]
    pub fn given_name(self, name: impl Into<String>) -> Self {
        self.set("givenName", name.into())
    }

    /// Sets the last name.
    #[must_use]
    pub fn surname(self, name: impl Into<String>) -> Self {
        self.set("surname", name.into())
    }

    /// Sets the mail alias.
    #[must_use]
    pub fn mail_nickname(self, alias: impl Into<String>) -> Self {
        self.set("mailNickname", alias.into())
    }

    /// Sets the country licences are used in, ISO 3166 alpha-2: needed before a licence is assigned.
    #[must_use]
    pub fn usage_location(self, country: impl Into<String>) -> Self {
        self.set("usageLocation", country.into())
    }

    /// Sets the department.
    #[must_use]
    pub fn department(self, name: impl Into<String>) -> Self {
        self.set("department", name.into())
    }

    /// Sets the job title.
    #[must_use]
    pub fn job_title(self, title: impl Into<String>) -> Self {
        self.set("jobTitle", title.into())
    }

    /// Creates the user without the right to sign in.
    #[must_use]
    pub fn disabled(self) -> Self {
        self.set("accountEnabled", false)
    }

    /// Lets the user keep the password it was given.
    #[must_use]
    pub fn keep_password(mut self) -> Self {
        self.change_password = false;
        self
    }

    /// Sets any other property.
    #[must_use]
    pub fn set(mut self, property: impl Into<String>, value: impl Into<Value>) -> Self {
        self.properties.insert(property.into(), value.into());
        self
    }

    fn to_body(&self) -> Result<Value> {
        check_upn(&self.upn)?;
        check_country(self.properties.get("usageLocation"))?;
        if self.password.is_empty() {
            return Err(Error::invalid("create user", "the password is empty").with("name", &self.upn));
        }
        let mut body = self.properties.clone();
        body.insert("userPrincipalName".into(), self.upn.clone().into());
        body.insert(
            "passwordProfile".into(),
            json!({
                "password": self.password.expose(),
                "forceChangePasswordNextSignIn": self.change_password,
            }),
        );
        Ok(body.into())
    }
}

impl fmt::Debug for NewUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewUser").field("upn", &self.upn).field("properties", &self.properties).finish_non_exhaustive()
    }
}

/// Changes to a user.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct UserUpdate(Map<String, Value>);

impl UserUpdate {
    /// No change.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the country licences are used in, ISO 3166 alpha-2.
    #[must_use]
    pub fn usage_location(self, country: impl Into<String>) -> Self {
        self.set("usageLocation", country.into())
    }

    /// Sets the department.
    #[must_use]
    pub fn department(self, name: impl Into<String>) -> Self {
        self.set("department", name.into())
    }

    /// Sets the job title.
    #[must_use]
    pub fn job_title(self, title: impl Into<String>) -> Self {
        self.set("jobTitle", title.into())
    }

    /// Sets the name people see.
    #[must_use]
    pub fn display_name(self, name: impl Into<String>) -> Self {
        self.set("displayName", name.into())
    }

    /// Allows or forbids to sign in.
    #[must_use]
    pub fn account_enabled(self, enabled: bool) -> Self {
        self.set("accountEnabled", enabled)
    }

    /// Sets any other property.
    #[must_use]
    pub fn set(mut self, property: impl Into<String>, value: impl Into<Value>) -> Self {
        self.0.insert(property.into(), value.into());
        self
    }

    /// Empties a property.
    #[must_use]
    pub fn clear(self, property: impl Into<String>) -> Self {
        self.set(property, Value::Null)
    }

    fn to_body(&self) -> Result<&Map<String, Value>> {
        if self.0.is_empty() {
            return Err(Error::invalid("update user", "the update changes nothing"));
        }
        check_country(self.0.get("usageLocation"))?;
        Ok(&self.0)
    }
}

/// Checks a sign-in name: one `@`, and before it only what Entra allows
/// (<https://learn.microsoft.com/entra/identity/hybrid/connect/plan-connect-userprincipalname>).
///
/// # Errors
/// `InvalidInput` naming the first character that is not allowed.
pub fn check_upn(upn: &str) -> Result<()> {
    let refuse = |reason: String| Err(Error::invalid("check sign-in name", reason).with("name", upn));
    let Some((local, domain)) = upn.split_once('@') else {
        return refuse("the sign-in name has no `@`".to_owned());
    };
    if local.is_empty() || domain.is_empty() || upn.len() > 113 {
        return refuse("the sign-in name is not of the form `name@domain` with at most 113 characters".to_owned());
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || "'.-_!#^~".contains(c);
    let in_domain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
    let wrong = local.chars().find(|c| !allowed(*c)).or_else(|| domain.chars().find(|c| !in_domain(*c)));
    match wrong {
        Some(c) => refuse(format!("the sign-in name contains {c:?}, which Entra does not allow")),
        None => Ok(()),
    }
}

fn check_country(country: Option<&Value>) -> Result<()> {
    let Some(Value::String(country)) = country else {
        return Ok(());
    };
    if country.len() == 2 && country.chars().all(|c| c.is_ascii_uppercase()) {
        return Ok(());
    }
    let message = "the usage location is no two-letter country code such as `CH`";
    Err(Error::invalid("check usage location", message).with("name", country))
}

/// A mail alias from the part before the `@`, without what Graph refuses in aliases.
fn mail_alias(upn: &str) -> String {
    let local = upn.split('@').next().unwrap_or_default();
    local.chars().filter(|c| c.is_ascii_alphanumeric() || "'.-_!#^~".contains(*c)).take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bifrost_core::integration::Safety;

    #[test]
    fn creating_sends_every_mandatory_property_and_never_twice() {
        let user = NewUser::new("o'brien@contoso.com", "Zoë O'Brien", Secret::new("canary-1A"));
        let request = requests::create(&user).unwrap();
        assert_eq!((&request.safety, request.cost.writes), (&Safety::Once, 1));
        let body: Value = serde_json::from_slice(request.request.body()).unwrap();
        assert_eq!(
            body,
            json!({
                "accountEnabled": true,
                "displayName": "Zoë O'Brien",
                "mailNickname": "o'brien",
                "userPrincipalName": "o'brien@contoso.com",
                "passwordProfile": {"password": "canary-1A", "forceChangePasswordNextSignIn": true},
            })
        );
        assert!(!format!("{user:?} {request:?}").contains("canary"));
    }

    #[test]
    fn bad_values_are_refused_before_anything_is_sent() {
        let of = |upn: &str| NewUser::new(upn, "X", Secret::new("p"));
        for upn in ["zoë@contoso.com", "a b@contoso.com", "@contoso.com", "a", "a@", "a@b@c", "a@b/c"] {
            assert!(requests::create(&of(upn)).is_err(), "{upn}");
        }
        assert!(requests::create(&of("a@b.c").usage_location("Switzerland")).is_err());
        assert!(requests::create(&of("a@b.c").usage_location("CH")).is_ok());
        assert!(requests::update("1", &UserUpdate::new()).is_err());
        assert!(requests::delete("").is_err());
    }
}
