//! Groups. Calls: <https://learn.microsoft.com/graph/api/resources/group>. Members by diff: [`super::members`].

use bifrost_core::{Error, ErrorKind, Result};
use futures_util::stream::{Stream, TryStreamExt};

use super::Graph;
use super::members::MembershipPlan;
use super::model::{Change, DirectoryObject, Group};
use super::page::{self, Page, ResumeToken};
use super::query::{Filter, ListQuery};

/// Calls about groups.
#[derive(Debug, Clone)]
pub struct Groups {
    graph: Graph,
}

impl Groups {
    pub(super) fn new(graph: Graph) -> Self {
        Self { graph }
    }

    /// The group with this object id.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn get(&self, id: &str) -> Result<Group> {
        self.graph.json(requests::get(id)?).await
    }

    /// The same, `None` when there is none.
    ///
    /// # Errors
    /// Any but `NotFound`.
    pub async fn get_opt(&self, id: &str) -> Result<Option<Group>> {
        match self.get(id).await {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            other => other.map(Some),
        }
    }

    /// All groups `query` asks for, fetched page by page as the stream is polled.
    pub fn list(&self, query: &ListQuery) -> impl Stream<Item = Result<Group>> + Send + use<> {
        page::items(self.graph.clone(), requests::list(query))
    }

    /// The first page; [`Groups::next_page`] goes on.
    ///
    /// # Errors
    /// `Rejected` for a query Graph does not support.
    pub async fn page(&self, query: &ListQuery) -> Result<Page<Group>> {
        page::fetch(&self.graph, requests::list(query)?).await
    }

    /// The page after the one `token` came with.
    ///
    /// # Errors
    /// `Rejected` when the token has expired or leads to another host.
    pub async fn next_page(&self, token: &ResumeToken) -> Result<Page<Group>> {
        let request = page::following(token, requests::LIST, self.graph.base())?;
        page::fetch(&self.graph, request).await
    }

    /// All groups of this display name: names are not unique.
    ///
    /// # Errors
    /// As [`Groups::page`].
    pub async fn find_by_name(&self, display_name: &str) -> Result<Vec<Group>> {
        let query = ListQuery::new().filter(Filter::eq("displayName", display_name));
        self.list(&query).try_collect().await
    }

    /// The one group of this display name.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` when several bear the name.
    pub async fn require_by_name(&self, display_name: &str) -> Result<Group> {
        let mut found = self.find_by_name(display_name).await?;
        match (found.pop(), found.len()) {
            (Some(group), 0) => Ok(group),
            (None, _) => Err(named(ErrorKind::NotFound, "no group bears this name", display_name)
                .next_action("create the group, or correct its name")),
            (Some(_), others) => {
                let message = format!("{} groups bear this name", others + 1);
                Err(named(ErrorKind::Conflict, &message, display_name).next_action("name the group by its id"))
            }
        }
    }

    /// The direct members, fetched page by page as the stream is polled.
    pub fn members(&self, group: &str) -> impl Stream<Item = Result<DirectoryObject>> + Send + use<> {
        page::items(self.graph.clone(), requests::members(group))
    }

    /// The first page of the direct members; [`Groups::next_members_page`] goes on.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn members_page(&self, group: &str) -> Result<Page<DirectoryObject>> {
        page::fetch(&self.graph, requests::members(group)?).await
    }

    /// The page after the one `token` came with.
    ///
    /// # Errors
    /// As [`Groups::next_page`].
    pub async fn next_members_page(&self, token: &ResumeToken) -> Result<Page<DirectoryObject>> {
        let request = page::following(token, requests::MEMBERS, self.graph.base())?;
        page::fetch(&self.graph, request).await
    }

    /// Makes `object` (a user's or group's id) a member.
    ///
    /// # Errors
    /// `NotFound` when group or object are unknown, which may pass some seconds after they were created.
    pub async fn add_member(&self, group: &str, object: &str) -> Result<Change> {
        let request = requests::add_member(self.graph.base(), group, object)?;
        match self.graph.connection.send(request).await {
            Ok(_) => Ok(Change::Made),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(Change::AlreadyDone),
            Err(error) => Err(error),
        }
    }

    /// Ends a membership.
    ///
    /// # Errors
    /// Any but `NotFound`, which is [`Change::AlreadyDone`].
    pub async fn remove_member(&self, group: &str, object: &str) -> Result<Change> {
        match self.graph.connection.send(requests::remove_member(group, object)?).await {
            Ok(_) => Ok(Change::Made),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Change::AlreadyDone),
            Err(error) => Err(error),
        }
    }

    /// What [`Groups::set_members`] would do; changes nothing.
    ///
    /// # Errors
    /// `NotFound`; `Rejected` when the members of this group cannot be changed through Graph.
    pub async fn plan_members<S: AsRef<str>>(
        &self,
        group: &str,
        wanted: impl IntoIterator<Item = S>,
    ) -> Result<MembershipPlan> {
        let wanted: Vec<String> = wanted.into_iter().map(|id| id.as_ref().to_owned()).collect();
        let found = self.get(group).await?;
        if let Some(reason) = found.members_read_only() {
            return Err(Error::new(ErrorKind::Rejected, "plan members", reason).with("name", group));
        }
        let members: Vec<DirectoryObject> = self.members(group).try_collect().await?;
        let present = members.into_iter().map(|member| member.id);
        Ok(MembershipPlan::new(group, present, wanted))
    }

    /// Makes the direct members exactly `wanted`, in batches of up to 20 calls, and says what was changed.
    ///
    /// # Errors
    /// As [`Groups::plan_members`]; when single changes fail, the first error with the number of failures, after the
    /// others were made. Calling again goes on from there.
    pub async fn set_members<S: AsRef<str>>(
        &self,
        group: &str,
        wanted: impl IntoIterator<Item = S>,
    ) -> Result<MembershipPlan> {
        let plan = self.plan_members(group, wanted).await?;
        plan.apply(&self.graph).await?;
        Ok(plan)
    }
}

fn named(kind: ErrorKind, message: &str, name: &str) -> Error {
    Error::new(kind, "find group", message).with("name", name)
}

/// The calls about groups as requests, built without I/O.
pub mod requests {
    use bifrost_core::integration::{Outbound, Safety};
    use http::Method;
    use serde_json::json;
    use url::Url;

    use super::super::{read, write};
    use super::{Group, ListQuery, Result, page};
    use crate::call::{Query, segment};

    /// The endpoint of lists.
    pub(super) const LIST: &str = "/groups";
    const ONE: &str = "/groups/{group-id}";
    /// The endpoint of member lists.
    pub(super) const MEMBERS: &str = "/groups/{group-id}/members";
    const MEMBERS_REF: &str = "/groups/{group-id}/members/$ref";
    const MEMBER_REF: &str = "/groups/{group-id}/members/{directoryObject-id}/$ref";
    /// The largest page Graph gives for members.
    const MEMBERS_PER_PAGE: u16 = 999;
    /// What is read of a member.
    const MEMBER_SELECT: &[&str] = &["id", "displayName", "userPrincipalName"];

    /// `GET /groups`.
    ///
    /// # Errors
    /// `InvalidInput` when the query is too long for a URI.
    pub fn list(query: &ListQuery) -> Result<Outbound> {
        page::first(LIST, LIST, query, Group::SELECT)
    }

    /// `GET /groups/{id}`.
    ///
    /// # Errors
    /// `InvalidInput` for an empty id.
    pub fn get(id: &str) -> Result<Outbound> {
        read(&path(id)?, ONE, &Query::new().with_fixed("$select", Group::select()))
    }

    /// `GET /groups/{id}/members`.
    ///
    /// # Errors
    /// `InvalidInput` for an empty id.
    pub fn members(group: &str) -> Result<Outbound> {
        let query = ListQuery::new().page_size(MEMBERS_PER_PAGE);
        page::first(&format!("{}/members", path(group)?), MEMBERS, &query, MEMBER_SELECT)
    }

    /// `POST /groups/{id}/members/$ref`. Repeating it is harmless: the second time it is refused as existing.
    ///
    /// # Errors
    /// `InvalidInput` for an empty id.
    pub fn add_member(base: &Url, group: &str, object: &str) -> Result<Outbound> {
        let object = segment("object id", object)?;
        let body = json!({ "@odata.id": format!("{base}/directoryObjects/{object}") });
        let path = format!("{}/members/$ref", path(group)?);
        write(Method::POST, &path, MEMBERS_REF, Some(&body), Safety::Idempotent)
    }

    /// `DELETE /groups/{id}/members/{id}/$ref`: without `/$ref` the object itself could be meant.
    ///
    /// # Errors
    /// `InvalidInput` for an empty id.
    pub fn remove_member(group: &str, object: &str) -> Result<Outbound> {
        let path = format!("{}/members/{}/$ref", path(group)?, segment("object id", object)?);
        write(Method::DELETE, &path, MEMBER_REF, None::<&()>, Safety::Idempotent)
    }

    fn path(id: &str) -> Result<String> {
        Ok(format!("/groups/{}", segment("group id", id)?))
    }
}
