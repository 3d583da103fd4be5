//! Groups and their members: <https://learn.microsoft.com/graph/api/resources/group>.

use std::collections::HashSet;

use http::{Method, StatusCode};
use serde_json::{Map, Value};

use super::directory::{Members, Object, graph_time, merge, text};
use super::error::GraphError;
use super::list::{ListQuery, is_eventual, read_select};
use super::schema::{GROUP, USER, required_bool, required_text};
use super::users::typed;
use super::{Answer, Context, last_segment};
use crate::testing::outcome::SimResponse;
use crate::testing::random;

/// How many references one request may carry:
/// <https://learn.microsoft.com/graph/api/group-post-members#example-2-add-multiple-members-to-a-group-in-a-single-request>.
const LARGEST_BIND: usize = 20;

/// Requests under `/groups`.
pub(crate) fn answer(cx: &mut Context<'_>, path: &[&str]) -> Answer {
    match (cx.call.method.clone(), path) {
        (Method::GET, []) => list(cx),
        (Method::POST, []) => create(cx),
        (Method::GET, ["$count"]) => count(cx),
        (Method::GET, [id]) => read(cx, id),
        (Method::PATCH, [id]) => update(cx, id),
        (Method::DELETE, [id]) => delete(cx, id),
        (Method::GET, [id, "members" | "transitiveMembers"] | [id, "members", "microsoft.graph.user"]) => {
            list_members(cx, id)
        }
        (Method::POST, [id, "members", "$ref"]) => add_member(cx, id),
        (Method::DELETE, [id, "members", member, "$ref"]) => remove_member(cx, id, member),
        (_, [] | [_]) => Err(GraphError::method_not_allowed()),
        (_, [.., last]) => Err(GraphError::no_such_segment(last)),
    }
}

fn list(cx: &mut Context<'_>) -> Answer {
    let query = ListQuery::read(cx.call, &GROUP)?;
    let show = |group: &Map<String, Value>| GROUP.project(group, query.select.as_deref());
    let body = query.page(cx.call, "groups", cx.directory.groups.after(0), show);
    Ok(SimResponse::json(StatusCode::OK, &body))
}

fn count(cx: &mut Context<'_>) -> Answer {
    if !is_eventual(cx.call) {
        return Err(GraphError::bad("$count is not currently supported."));
    }
    let query = ListQuery::read(cx.call, &GROUP)?;
    let count = cx.directory.groups.iter().filter(|group| query.accepts(group)).count();
    Ok(SimResponse::new(StatusCode::OK, "text/plain", count.to_string()))
}

fn create(cx: &mut Context<'_>) -> Answer {
    let body = GROUP.writable(cx.body()?)?;
    check_new(&body)?;
    let members = bound(&body, "members@odata.bind")?;
    let owners = bound(&body, "owners@odata.bind")?;
    if members.len() + owners.len() > LARGEST_BIND {
        return Err(too_many_references());
    }
    let member_ids: Result<Vec<String>, GraphError> = members.iter().map(|id| cx.settled_user(id)).collect();
    let member_ids = member_ids?;
    let id = random::guid(&cx.directory.entropy);
    let mut group: Map<String, Value> =
        body.into_iter().filter(|(name, value)| !name.contains('@') && !value.is_null()).collect();
    group.insert("id".to_owned(), id.clone().into());
    group.insert("createdDateTime".to_owned(), graph_time(cx.moment.wall).into());
    let object = Object { properties: group, settled: cx.moment.mono + cx.settings.replication_delay };
    let shown = cx.entity("groups", GROUP.project(&object.properties, None));
    cx.directory.groups.insert(&id, object);
    let mut joined = Members::default();
    for member in member_ids {
        joined.add(&member);
    }
    cx.directory.members.insert(id, joined);
    Ok(SimResponse::json(StatusCode::CREATED, &shown))
}

fn check_new(body: &Map<String, Value>) -> Result<(), GraphError> {
    let name = required_text(body, "displayName", "Group")?;
    let nickname = required_text(body, "mailNickname", "Group")?;
    let mail = required_bool(body, "mailEnabled", "Group")?;
    let security = required_bool(body, "securityEnabled", "Group")?;
    if name.chars().count() > 256 || !is_nickname(nickname) {
        return Err(GraphError::bad("Invalid value specified for property 'mailNickname' of resource 'Group'."));
    }
    if is_kind(body, "Unified") != mail {
        return Err(GraphError::bad(
            "The service does not currently support writes of mail-enabled groups. Please ensure that the \
             mail-enablement property is unset and the security-enablement property is set.",
        ));
    }
    if !mail && !security {
        return Err(GraphError::bad("A group must be security-enabled or mail-enabled."));
    }
    Ok(())
}

fn is_nickname(text: &str) -> bool {
    text.len() <= 64 && text.chars().all(|c| c.is_ascii_graphic() && !"@()\\[]\";:.<>,".contains(c))
}

fn is_kind(group: &Map<String, Value>, kind: &str) -> bool {
    let kinds = group.get("groupTypes").and_then(Value::as_array);
    kinds.is_some_and(|kinds| kinds.iter().any(|value| value == kind))
}

fn read(cx: &mut Context<'_>, id: &str) -> Answer {
    let select = read_select(cx.call, &GROUP)?;
    let id = known(cx, id)?;
    let group = cx.directory.groups.get(&id).ok_or_else(|| GraphError::not_found(&id))?;
    let shown = GROUP.project(&group.properties, select.as_deref());
    Ok(SimResponse::json(StatusCode::OK, &cx.entity("groups", shown)))
}

fn update(cx: &mut Context<'_>, id: &str) -> Answer {
    let changes = GROUP.writable(cx.body()?)?;
    let id = known(cx, id)?;
    let references = bound(&changes, "members@odata.bind")?;
    if references.len() > LARGEST_BIND {
        return Err(too_many_references());
    }
    if changes.contains_key("displayName") {
        required_text(&changes, "displayName", "Group")?;
    }
    let members = joining(cx, &id, &references)?;
    if let Some(group) = cx.directory.groups.get_mut(&id) {
        let changes = changes.into_iter().filter(|(name, _)| !name.contains('@')).collect();
        merge(&mut group.properties, changes);
    }
    join(cx, &id, &members);
    Ok(SimResponse::empty(StatusCode::NO_CONTENT))
}

fn delete(cx: &mut Context<'_>, id: &str) -> Answer {
    let id = known(cx, id)?;
    let licensed = cx.directory.groups.get(&id).is_some_and(|group| {
        let licences = group.properties.get("assignedLicenses").and_then(Value::as_array);
        licences.is_some_and(|licences| !licences.is_empty())
    });
    if licensed {
        return Err(GraphError::bad("A group with licences cannot be deleted."));
    }
    let Some(group) = cx.directory.groups.remove(&id) else {
        return Err(GraphError::not_found(&id));
    };
    // Microsoft 365 groups go to the recycle bin, security groups are gone at once.
    if is_kind(&group.properties, "Unified") {
        cx.directory.recycle(&id, group, false, Vec::new(), cx.moment.wall);
    } else {
        cx.directory.members.remove(&id);
    }
    Ok(SimResponse::empty(StatusCode::NO_CONTENT))
}

fn list_members(cx: &mut Context<'_>, id: &str) -> Answer {
    let query = ListQuery::read(cx.call, &USER)?;
    let id = known(cx, id)?;
    let directory = &*cx.directory;
    let members = directory.members.get(&id).into_iter().flat_map(Members::iter);
    let users = members.filter_map(|(place, id)| Some((place, &directory.users.get(id)?.properties)));
    let show = |user: &Map<String, Value>| typed(USER.odata_type, USER.project(user, query.select.as_deref()));
    let body = query.page(cx.call, "directoryObjects", users, show);
    Ok(SimResponse::json(StatusCode::OK, &body))
}

fn add_member(cx: &mut Context<'_>, id: &str) -> Answer {
    let id = known(cx, id)?;
    let reference = cx.reference()?;
    let members = joining(cx, &id, &[reference])?;
    join(cx, &id, &members);
    Ok(SimResponse::empty(StatusCode::NO_CONTENT))
}

fn remove_member(cx: &mut Context<'_>, id: &str, member: &str) -> Answer {
    let id = known(cx, id)?;
    refuse_dynamic(cx, &id)?;
    let member = member.to_ascii_lowercase();
    let removed = cx.directory.members.get_mut(&id).is_some_and(|members| members.remove(&member));
    if removed { Ok(SimResponse::empty(StatusCode::NO_CONTENT)) } else { Err(GraphError::not_found(&member)) }
}

/// Checks that all of them may join; nobody joins otherwise.
fn joining(cx: &Context<'_>, group: &str, references: &[String]) -> Result<Vec<String>, GraphError> {
    if references.is_empty() {
        return Ok(Vec::new());
    }
    refuse_dynamic(cx, group)?;
    let ids: Result<Vec<String>, GraphError> = references.iter().map(|id| cx.settled_user(id)).collect();
    let ids = ids?;
    let mut seen: HashSet<&str> = HashSet::new();
    let members = cx.directory.members.get(group);
    let taken = |id: &str| members.is_some_and(|members| members.contains(id));
    if ids.iter().any(|id| taken(id) || !seen.insert(id)) {
        return Err(GraphError::bad(
            "One or more added object references already exist for the following modified properties: 'members'.",
        ));
    }
    Ok(ids)
}

fn join(cx: &mut Context<'_>, group: &str, ids: &[String]) {
    let members = cx.directory.members.entry(group.to_owned()).or_default();
    for id in ids {
        members.add(id);
    }
}

fn refuse_dynamic(cx: &Context<'_>, group: &str) -> Result<(), GraphError> {
    let group = cx.directory.groups.get(group);
    if group.is_some_and(|group| is_kind(&group.properties, "DynamicMembership")) {
        return Err(GraphError::bad("Insufficient privileges to change the members of a dynamic group."));
    }
    Ok(())
}

fn known(cx: &Context<'_>, id: &str) -> Result<String, GraphError> {
    let id = id.to_ascii_lowercase();
    match cx.directory.groups.get(&id) {
        Some(group) if text(&group.properties, "id").is_some() => Ok(id),
        _ => Err(GraphError::not_found(&id)),
    }
}

/// The ids that `name` refers to.
fn bound(body: &Map<String, Value>, name: &str) -> Result<Vec<String>, GraphError> {
    let Some(value) = body.get(name) else {
        return Ok(Vec::new());
    };
    let references = value.as_array().ok_or_else(|| GraphError::bad(format!("'{name}' must be a list")))?;
    let ids = references.iter().map(|reference| reference.as_str().and_then(last_segment));
    let ids: Option<Vec<String>> = ids.collect();
    ids.ok_or_else(|| GraphError::bad(format!("'{name}' holds what is no reference")))
}

fn too_many_references() -> GraphError {
    GraphError::bad(format!("More than {LARGEST_BIND} references in one request."))
}
