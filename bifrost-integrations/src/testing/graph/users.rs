//! Users: <https://learn.microsoft.com/graph/api/resources/user>.

use http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use super::directory::{Object, graph_time, text};
use super::error::GraphError;
use super::list::{ListQuery, is_eventual, read_select};
use super::schema::{GROUP, USER, required_bool, required_text};
use super::{Answer, Context, licenses};
use crate::testing::outcome::SimResponse;
use crate::testing::random;

/// Requests under `/users`.
pub(crate) fn answer(cx: &mut Context<'_>, path: &[&str]) -> Answer {
    match (cx.call.method.clone(), path) {
        (Method::GET, []) => list(cx),
        (Method::POST, []) => create(cx),
        (Method::GET, ["$count"]) => count(cx),
        (Method::GET, [key]) => read(cx, key),
        (Method::PATCH, [key]) => update(cx, key),
        (Method::DELETE, [key]) => delete(cx, key),
        (Method::GET, [key, "memberOf", ..]) => member_of(cx, key),
        (Method::GET, [key, "licenseDetails"]) => licenses::details(cx, key),
        (Method::POST, [key, "assignLicense"]) => licenses::assign(cx, key),
        (Method::GET, [key, "manager"]) => manager(cx, key),
        (Method::PUT, [key, "manager", "$ref"]) => set_manager(cx, key),
        (Method::POST, [key, "revokeSignInSessions" | "microsoft.graph.revokeSignInSessions"]) => revoke(cx, key),
        (_, [] | [_]) => Err(GraphError::method_not_allowed()),
        (_, [.., last]) => Err(GraphError::no_such_segment(last)),
    }
}

fn list(cx: &mut Context<'_>) -> Answer {
    let query = ListQuery::read(cx.call, &USER)?;
    let show = |user: &Map<String, Value>| USER.project(user, query.select.as_deref());
    let body = query.page(cx.call, "users", cx.directory.users.after(0), show);
    Ok(SimResponse::json(StatusCode::OK, &body))
}

fn count(cx: &mut Context<'_>) -> Answer {
    if !is_eventual(cx.call) {
        return Err(GraphError::bad("$count is not currently supported."));
    }
    let query = ListQuery::read(cx.call, &USER)?;
    let count = cx.directory.users.iter().filter(|user| query.accepts(user)).count();
    Ok(SimResponse::new(StatusCode::OK, "text/plain", count.to_string()))
}

fn create(cx: &mut Context<'_>) -> Answer {
    let body = USER.writable(cx.body()?)?;
    let mut user = Map::new();
    user.insert("accountEnabled".to_owned(), required_bool(&body, "accountEnabled", "User")?.into());
    for name in ["displayName", "mailNickname", "userPrincipalName"] {
        user.insert(name.to_owned(), required_text(&body, name, "User")?.into());
    }
    check_password(body.get("passwordProfile"))?;
    check_values(cx, &body, None)?;
    let id = random::guid(&cx.directory.entropy);
    for (name, value) in body.into_iter().filter(|(name, value)| keeps(name) && !value.is_null()) {
        user.insert(name, value);
    }
    user.insert("id".to_owned(), id.clone().into());
    user.insert("createdDateTime".to_owned(), graph_time(cx.moment.wall).into());
    user.entry("userType").or_insert_with(|| "Member".into());
    let object = Object { properties: user, settled: cx.moment.mono + cx.settings.replication_delay };
    let shown = cx.entity("users", USER.project(&object.properties, None));
    cx.directory.insert_user(&id, object);
    let location =
        format!("{}/v2/{}/directoryObjects/{id}/Microsoft.DirectoryServices.User", cx.call.base, cx.directory.id);
    Ok(SimResponse::json(StatusCode::CREATED, &shown).with_header("location", &location))
}

fn read(cx: &mut Context<'_>, key: &str) -> Answer {
    let select = read_select(cx.call, &USER)?;
    let id = cx.directory.user_id(key)?;
    let user = cx.directory.users.get(&id).ok_or_else(|| GraphError::not_found(key))?;
    let shown = USER.project(&user.properties, select.as_deref());
    Ok(SimResponse::json(StatusCode::OK, &cx.entity("users", shown)))
}

fn update(cx: &mut Context<'_>, key: &str) -> Answer {
    let changes = USER.writable(cx.body()?)?;
    let id = cx.directory.user_id(key)?;
    for name in ["displayName", "mailNickname", "userPrincipalName"] {
        if changes.contains_key(name) {
            required_text(&changes, name, "User")?;
        }
    }
    if changes.contains_key("accountEnabled") {
        required_bool(&changes, "accountEnabled", "User")?;
    }
    if changes.contains_key("passwordProfile") {
        check_password(changes.get("passwordProfile"))?;
    }
    check_values(cx, &changes, Some(&id))?;
    let changes = changes.into_iter().filter(|(name, _)| keeps(name)).collect();
    cx.directory.update_user(&id, changes);
    Ok(SimResponse::empty(StatusCode::NO_CONTENT))
}

fn delete(cx: &mut Context<'_>, key: &str) -> Answer {
    let id = cx.directory.user_id(key)?;
    cx.directory.delete_user(&id, cx.moment.wall);
    Ok(SimResponse::empty(StatusCode::NO_CONTENT))
}

fn member_of(cx: &mut Context<'_>, key: &str) -> Answer {
    let query = ListQuery::read(cx.call, &GROUP)?;
    let id = cx.directory.user_id(key)?;
    let directory = &*cx.directory;
    let groups = directory.groups.after(0).filter(|(_, group)| {
        let members = text(group, "id").and_then(|group| directory.members.get(group));
        members.is_some_and(|members| members.contains(&id))
    });
    let show = |group: &Map<String, Value>| typed(GROUP.odata_type, GROUP.project(group, query.select.as_deref()));
    let body = query.page(cx.call, "directoryObjects", groups, show);
    Ok(SimResponse::json(StatusCode::OK, &body))
}

fn manager(cx: &mut Context<'_>, key: &str) -> Answer {
    let id = cx.directory.user_id(key)?;
    let user = cx.directory.users.get(&id);
    let manager = user.and_then(|user| text(&user.properties, MANAGER));
    let manager = manager.and_then(|id| cx.directory.users.get(id));
    let manager = manager.ok_or_else(|| GraphError::not_found("manager"))?;
    let shown = typed(USER.odata_type, USER.project(&manager.properties, None));
    Ok(SimResponse::json(StatusCode::OK, &cx.entity("directoryObjects", shown)))
}

fn set_manager(cx: &mut Context<'_>, key: &str) -> Answer {
    let id = cx.directory.user_id(key)?;
    let reference = cx.reference()?;
    let manager = cx.directory.user_id(&reference)?;
    let change = [(MANAGER.to_owned(), manager.into())].into_iter().collect();
    cx.directory.update_user(&id, change);
    Ok(SimResponse::empty(StatusCode::NO_CONTENT))
}

fn revoke(cx: &mut Context<'_>, key: &str) -> Answer {
    let id = cx.directory.user_id(key)?;
    let now = graph_time(cx.moment.wall).into();
    let change = [("signInSessionsValidFromDateTime".to_owned(), now)].into_iter().collect();
    cx.directory.update_user(&id, change);
    Ok(SimResponse::json(StatusCode::OK, &cx.entity("Edm.Boolean", json_value(true))))
}

/// Where the manager's id is kept. The name cannot be asked for: no property contains a blank.
const MANAGER: &str = "manager id";

fn json_value(value: bool) -> Map<String, Value> {
    [("value".to_owned(), value.into())].into_iter().collect()
}

/// Passwords are checked and forgotten: a simulator has no need to know one.
fn keeps(name: &str) -> bool {
    name != "passwordProfile" && !name.contains('@')
}

/// The same object with its type.
pub(crate) fn typed(odata_type: &str, object: Map<String, Value>) -> Map<String, Value> {
    let mut shown: Map<String, Value> = [("@odata.type".to_owned(), odata_type.into())].into_iter().collect();
    shown.extend(object);
    shown
}

fn check_password(profile: Option<&Value>) -> Result<(), GraphError> {
    let Some(Value::Object(profile)) = profile else {
        return Err(GraphError::bad("A value is required for property 'passwordProfile' of resource 'User'."));
    };
    let password = required_text(profile, "password", "User")?;
    let kinds: [fn(char) -> bool; 3] =
        [|c| c.is_ascii_lowercase(), |c| c.is_ascii_uppercase(), |c| !c.is_ascii_alphabetic()];
    if password.chars().count() < 8 || kinds.iter().any(|kind| !password.chars().any(kind)) {
        return Err(GraphError::bad("The specified password does not comply with password complexity requirements."));
    }
    Ok(())
}

/// Rules that hold on create and on update alike.
fn check_values(cx: &Context<'_>, body: &Map<String, Value>, own_id: Option<&str>) -> Result<(), GraphError> {
    if let Some(upn) = text(body, "userPrincipalName") {
        check_upn(cx, upn)?;
        if cx.directory.upn_taken(upn, own_id) {
            return Err(GraphError::conflict("userPrincipalName"));
        }
    }
    match body.get("usageLocation") {
        None | Some(Value::Null) => {}
        Some(Value::String(code)) if code.len() == 2 && code.chars().all(|c| c.is_ascii_alphabetic()) => {}
        Some(_) => {
            return Err(GraphError::bad("Invalid value specified for property 'usageLocation' of resource 'User'."));
        }
    }
    let phones = body.get("businessPhones").and_then(Value::as_array);
    if phones.is_some_and(|phones| phones.len() > 1) {
        return Err(GraphError::bad("Property 'businessPhones' takes one element only."));
    }
    Ok(())
}

fn check_upn(cx: &Context<'_>, upn: &str) -> Result<(), GraphError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "'.-_!#^~".contains(c);
    let parts = upn.split_once('@').filter(|(local, _)| !local.is_empty() && local.chars().all(allowed));
    let Some((_, domain)) = parts else {
        return Err(GraphError::bad("Property userPrincipalName is invalid."));
    };
    if cx.directory.domains.iter().any(|own| own.eq_ignore_ascii_case(domain)) {
        return Ok(());
    }
    let message = "The domain portion of the userPrincipalName property is invalid. \
        You must use one of the verified domain names in your organization.";
    Err(GraphError::bad(message))
}

/// The recycle bin: `/directory/deletedItems`.
pub(crate) fn deleted_items(cx: &mut Context<'_>, path: &[&str]) -> Answer {
    match (cx.call.method.clone(), path) {
        (Method::GET, ["microsoft.graph.user"]) => {
            let query = ListQuery::read(cx.call, &USER)?;
            let users = cx.directory.deleted.values().filter(|deleted| deleted.is_user);
            let users = (1..).zip(users.map(|deleted| &deleted.object.properties));
            let show = |user: &Map<String, Value>| USER.project(user, query.select.as_deref());
            Ok(SimResponse::json(StatusCode::OK, &query.page(cx.call, "users", users, show)))
        }
        (Method::POST, [id, "restore"]) => {
            let restored = cx.directory.restore(id)?;
            let schema = if restored.contains_key("userPrincipalName") { &USER } else { &GROUP };
            let shown = typed(schema.odata_type, schema.project(&restored, None));
            Ok(SimResponse::json(StatusCode::OK, &cx.entity("directoryObjects", shown)))
        }
        (Method::DELETE, [id]) => match cx.directory.deleted.remove(*id) {
            Some(_) => Ok(SimResponse::empty(StatusCode::NO_CONTENT)),
            None => Err(GraphError::not_found(id)),
        },
        (Method::GET, [id]) => match cx.directory.deleted.get(*id) {
            Some(deleted) => {
                let shown = json!({"id": id, "deletedDateTime": deleted.object.properties.get("deletedDateTime")});
                Ok(SimResponse::json(StatusCode::OK, &shown))
            }
            None => Err(GraphError::not_found(id)),
        },
        _ => Err(GraphError::no_such_segment("deletedItems")),
    }
}
