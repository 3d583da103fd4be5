//! Actions: notes, mails and time on a ticket.

use bifrost_core::Timestamp;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::instance::{API_AGENT, Instance};
use super::state::{Answer, Refused, outcome_named, parse_id};
use super::table::{Entity, Row, halo_time, integer, text};
use super::{list, write};
use crate::testing::call::Call;
use crate::testing::outcome::SimResponse;

/// Requests under `/api/Actions`.
pub(crate) fn answer(instance: &mut Instance, call: &Call, path: &[&str], now: Timestamp) -> Answer {
    match (&call.method, path) {
        (&Method::GET, []) => {
            let rows = match call.parameter("ticket_id") {
                Some(ticket) => instance.actions_of(parse_id(ticket)?).cloned().collect(),
                None => instance.actions.values().cloned().collect(),
            };
            Ok(list::envelope(rows, Some("actions"), call))
        }
        (&Method::GET, [id]) => {
            let row = instance.actions.get(&key(call, id)?).ok_or_else(Refused::not_found)?;
            Ok(SimResponse::json(StatusCode::OK, &Value::Object(row.clone())))
        }
        (&Method::DELETE, [id]) => {
            let key = key(call, id)?;
            instance.actions.remove(&key).ok_or_else(Refused::not_found)?;
            sum_up(instance, key.0, now);
            Ok(SimResponse::empty(StatusCode::OK))
        }
        (&Method::POST, []) => {
            let rows = write::read_rows(call)?;
            let saved: Result<Vec<Row>, Refused> = rows.into_iter().map(|row| save(instance, row, now)).collect();
            Ok(write::created(saved?))
        }
        _ => Err(Refused::method_not_allowed()),
    }
}

/// An action is named by ticket and number.
fn key(call: &Call, id: &str) -> Result<(i64, i64), Refused> {
    let ticket = call.parameter("ticket_id").ok_or_else(|| Refused::bad("ticket_id is required"))?;
    Ok((parse_id(ticket)?, parse_id(id)?))
}

fn save(instance: &mut Instance, row: Row, now: Timestamp) -> Result<Row, Refused> {
    let ticket = integer(&row, "ticket_id").ok_or_else(|| Refused::bad("ticket_id is required"))?;
    if instance.get(Entity::Ticket, ticket).is_none() {
        return Err(Refused::not_found());
    }
    if row.get("timetaken").is_some_and(|hours| !hours.as_f64().is_some_and(|hours| (0.0..=10_000.0).contains(&hours)))
    {
        return Err(Refused::bad("timetaken must be a number of hours"));
    }
    let changes: Row = row.into_iter().filter(|(name, _)| !name.starts_with('_')).collect();
    let saved = match integer(&changes, "id").filter(|id| *id > 0) {
        Some(id) => {
            let row = instance.actions.get_mut(&(ticket, id)).ok_or_else(Refused::not_found)?;
            row.extend(changes);
            row.clone()
        }
        None => create(instance, ticket, changes, now)?,
    };
    sum_up(instance, ticket, now);
    Ok(saved)
}

fn create(instance: &mut Instance, ticket: i64, mut row: Row, now: Timestamp) -> Result<Row, Refused> {
    let outcome = outcome_of(instance, &row)?;
    let status = new_status(instance, &row, outcome)?;
    let id = instance.actions_of(ticket).filter_map(|row| integer(row, "id")).max().unwrap_or(0) + 1;
    let named = outcome.and_then(|id| text(instance.get(Entity::Outcome, id)?, "outcome"));
    if let Some(name) = named.map(str::to_owned) {
        row.insert("outcome".to_owned(), name.into());
    }
    let agent = integer(&row, "who_agentid").unwrap_or(API_AGENT);
    let who = instance.name_of(Entity::Agent, agent).unwrap_or_default().to_owned();
    for (name, value) in [
        ("outcome_id", json!(outcome.unwrap_or(0))),
        ("who_agentid", json!(agent)),
        ("who", json!(who)),
        ("datetime", json!(halo_time(now))),
        ("note", json!("")),
        ("hiddenfromuser", json!(false)),
        ("timetaken", json!(0.0)),
    ] {
        row.entry(name).or_insert(value);
    }
    row.insert("id".to_owned(), id.into());
    row.insert("ticket_id".to_owned(), ticket.into());
    row.insert("actiondatecreated".to_owned(), halo_time(now).into());
    if let (Some(status), Some(row)) = (status, instance.table(Entity::Ticket).get_mut(ticket)) {
        write::set_status(row, status, now);
    }
    instance.actions.insert((ticket, id), row.clone());
    Ok(row)
}

/// An action needs an outcome, by id or by name. A name that is not configured is taken as it is.
fn outcome_of(instance: &Instance, row: &Row) -> Result<Option<i64>, Refused> {
    let name = text(row, "outcome").filter(|name| !name.trim().is_empty());
    match (integer(row, "outcome_id").filter(|id| *id > 0), name) {
        (Some(id), _) if instance.get(Entity::Outcome, id).is_some() => Ok(Some(id)),
        (Some(_), _) => Err(Refused::bad("The field 'outcome_id' names nothing that exists")),
        (None, Some(name)) => Ok(outcome_named(instance, name)),
        (None, None) => Err(Refused::bad("An Outcome must be entered for this Action")),
    }
}

/// The status the ticket gets: the action's own wish, or what its outcome does.
fn new_status(instance: &Instance, row: &Row, outcome: Option<i64>) -> Result<Option<i64>, Refused> {
    let of_outcome = || integer(instance.get(Entity::Outcome, outcome?)?, "newstatus");
    let wished = integer(row, "new_status").filter(|status| *status > 0);
    let status = wished.or_else(of_outcome).filter(|status| *status > 0);
    match status {
        Some(status) if instance.get(Entity::Status, status).is_none() => {
            Err(Refused::bad("The field 'new_status' names nothing that exists"))
        }
        other => Ok(other),
    }
}

/// Brings the ticket's time and dates in line with its actions.
fn sum_up(instance: &mut Instance, ticket: i64, now: Timestamp) {
    let hours = |row: &Row| row.get("timetaken").and_then(Value::as_f64).unwrap_or_default();
    let total: f64 = instance.actions_of(ticket).map(hours).sum();
    if let Some(row) = instance.table(Entity::Ticket).get_mut(ticket) {
        row.insert("timetaken".to_owned(), json!(total));
        row.insert("last_update".to_owned(), halo_time(now).into());
        row.insert("lastactiondate".to_owned(), halo_time(now).into());
    }
}
