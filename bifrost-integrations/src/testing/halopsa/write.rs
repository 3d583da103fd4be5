//! Creating and changing records: an array goes in, one object comes out.

use bifrost_core::Timestamp;
use http::StatusCode;
use serde_json::{Value, json};

use super::instance::{Instance, STATUS_CLOSED, STATUS_NEW};
use super::state::{Answer, Refused};
use super::table::{Entity, Row, UNSET_DATE, halo_time, integer, text};
use crate::testing::call::Call;
use crate::testing::outcome::SimResponse;

/// `POST /api/{entity}`.
pub(crate) fn answer(instance: &mut Instance, entity: Entity, call: &Call, now: Timestamp) -> Answer {
    if !matches!(entity, Entity::Client | Entity::Site | Entity::User | Entity::Ticket) {
        return Err(Refused::method_not_allowed());
    }
    let rows = read_rows(call)?;
    let ids: Result<Vec<i64>, Refused> = rows.into_iter().map(|row| save(instance, entity, row, now)).collect();
    let saved = ids?.into_iter().filter_map(|id| instance.get(entity, id));
    Ok(created(saved.map(|row| instance.show(entity, row)).collect()))
}

/// The elements of the body. A bare object is refused: some versions take it, so a client must not rely on it.
pub(crate) fn read_rows(call: &Call) -> Result<Vec<Row>, Refused> {
    let Some(Value::Array(items)) = call.json() else {
        return Err(Refused::bad("The request body must be a JSON array"));
    };
    let rows: Option<Vec<Row>> = items.into_iter().map(|item| item.as_object().cloned()).collect();
    match rows {
        Some(rows) if !rows.is_empty() => Ok(rows),
        _ => Err(Refused::bad("The request body must be an array of objects")),
    }
}

/// One object for one element; the vendor does not say what comes for several, an array does.
pub(crate) fn created(mut rows: Vec<Row>) -> SimResponse {
    let body = match rows.len() {
        1 => rows.pop().map_or(Value::Null, Value::Object),
        _ => rows.into_iter().map(Value::Object).collect(),
    };
    SimResponse::json(StatusCode::CREATED, &body)
}

fn save(instance: &mut Instance, entity: Entity, row: Row, now: Timestamp) -> Result<i64, Refused> {
    check_whole(entity, &row)?;
    check_references(instance, entity, &row)?;
    let changes: Row = row.into_iter().filter(|(name, _)| !name.starts_with('_')).collect();
    match integer(&changes, "id").filter(|id| *id != 0) {
        Some(id) => update(instance, entity, id, changes, now),
        None => create(instance, entity, changes, now),
    }
}

fn update(instance: &mut Instance, entity: Entity, id: i64, changes: Row, now: Timestamp) -> Result<i64, Refused> {
    let row = instance.table(entity).get_mut(id).ok_or_else(Refused::not_found)?;
    let status = integer(&changes, "status_id");
    for (name, value) in changes.into_iter().filter(|(name, _)| name != "id") {
        row.insert(name, value);
    }
    row.insert(change_field(entity).to_owned(), halo_time(now).into());
    if let Some(status) = status.filter(|_| entity == Entity::Ticket) {
        set_status(row, status, now);
    }
    Ok(id)
}

/// The same fact has one name in tickets and another elsewhere.
fn change_field(entity: Entity) -> &'static str {
    if entity == Entity::Ticket { "last_update" } else { "lastupdate" }
}

fn create(instance: &mut Instance, entity: Entity, mut row: Row, now: Timestamp) -> Result<i64, Refused> {
    row.remove("id");
    match entity {
        Entity::Client => {
            require(&row, "name")?;
            let site = text(&row, "newclient_sitename").unwrap_or("Main").to_owned();
            row.retain(|name, _| !name.starts_with("newclient_"));
            Ok(instance.add_client(row, &site, now))
        }
        Entity::Site => {
            require(&row, "name")?;
            integer(&row, "client_id").ok_or_else(|| Refused::bad("Please select a Client"))?;
            Ok(instance.add_site(row))
        }
        Entity::User => {
            let name = full_name(&row)?;
            integer(&row, "site_id").ok_or_else(|| Refused::bad("Please select a Site"))?;
            row.insert("name".to_owned(), name.into());
            row.entry("inactive").or_insert(false.into());
            row.insert("datecreated".to_owned(), halo_time(now).into());
            row.insert("lastupdate".to_owned(), halo_time(now).into());
            row.entry("lastlogindate").or_insert(UNSET_DATE.into());
            Ok(instance.table(Entity::User).insert(row))
        }
        _ => create_ticket(instance, row, now),
    }
}

fn create_ticket(instance: &mut Instance, mut row: Row, now: Timestamp) -> Result<i64, Refused> {
    require(&row, "summary")?;
    let site_of_user = integer(&row, "user_id").and_then(|user| integer(instance.get(Entity::User, user)?, "site_id"));
    if let Some(site) = site_of_user {
        row.entry("site_id").or_insert(site.into());
    }
    let client_of_site =
        integer(&row, "site_id").and_then(|site| integer(instance.get(Entity::Site, site)?, "client_id"));
    row.entry("client_id").or_insert(client_of_site.unwrap_or(1).into());
    let time = halo_time(now);
    for (name, value) in [
        ("details", json!("")),
        ("tickettype_id", json!(1)),
        ("agent_id", json!(1)),
        ("priority_id", json!(4)),
        ("team", json!("1st Line Support")),
        ("status_id", json!(STATUS_NEW)),
        ("dateoccurred", json!(time)),
        ("timetaken", json!(0.0)),
        ("hasbeenclosed", json!(false)),
        ("dateclosed", json!(UNSET_DATE)),
    ] {
        row.entry(name).or_insert(value);
    }
    for name in ["datecreated", "last_update", "lastactiondate"] {
        row.insert(name.to_owned(), time.clone().into());
    }
    let status = integer(&row, "status_id").unwrap_or(STATUS_NEW);
    set_status(&mut row, status, now);
    Ok(instance.table(Entity::Ticket).insert(row))
}

/// Moves a ticket to a status.
pub(crate) fn set_status(ticket: &mut Row, status: i64, now: Timestamp) {
    ticket.insert("status_id".to_owned(), status.into());
    let (closed, at) = if status == STATUS_CLOSED { (true, halo_time(now)) } else { (false, UNSET_DATE.to_owned()) };
    ticket.insert("dateclosed".to_owned(), at.into());
    if closed {
        ticket.insert("hasbeenclosed".to_owned(), true.into());
    }
}

fn require(row: &Row, name: &str) -> Result<(), Refused> {
    match text(row, name) {
        Some(text) if !text.trim().is_empty() => Ok(()),
        _ => Err(Refused::bad(format!("The field '{name}' is required"))),
    }
}

fn full_name(row: &Row) -> Result<String, Refused> {
    if let Some(name) = text(row, "name").filter(|name| !name.trim().is_empty()) {
        return Ok(name.to_owned());
    }
    let parts = ["firstname", "surname"].map(|field| text(row, field).unwrap_or_default());
    let name = parts.join(" ").trim().to_owned();
    if name.is_empty() {
        return Err(Refused::bad("The field 'name' is required"));
    }
    Ok(name)
}

/// Numbers that are whole by declaration must come whole.
fn check_whole(entity: Entity, row: &Row) -> Result<(), Refused> {
    const TICKET: [&str; 7] = ["id", "client_id", "site_id", "user_id", "agent_id", "status_id", "tickettype_id"];
    let whole = if entity == Entity::Ticket { TICKET.as_slice() } else { &["id"] };
    let wrong =
        whole.iter().find(|name| row.get(**name).is_some_and(|value| !value.is_null() && value.as_i64().is_none()));
    match wrong {
        Some(name) => Err(Refused::with(SimResponse::json(
            StatusCode::BAD_REQUEST,
            &json!({"title": "One or more validation errors occurred.", "status": 400,
                    "errors": {*name: ["The value could not be converted to System.Int32."]}}),
        ))),
        None => Ok(()),
    }
}

/// Ids must name what exists.
pub(crate) fn check_references(instance: &Instance, entity: Entity, row: &Row) -> Result<(), Refused> {
    for (name, target) in [
        ("client_id", Entity::Client),
        ("site_id", Entity::Site),
        ("user_id", Entity::User),
        ("agent_id", Entity::Agent),
        ("status_id", Entity::Status),
        ("tickettype_id", Entity::TicketType),
    ] {
        let relevant = entity == Entity::Ticket || matches!(name, "client_id" | "site_id");
        // Zero and below mean "none" or "default".
        let id = integer(row, name).filter(|id| relevant && *id > 0);
        if id.is_some_and(|id| instance.get(target, id).is_none()) {
            return Err(Refused::bad(format!("The field '{name}' names nothing that exists")));
        }
    }
    Ok(())
}
