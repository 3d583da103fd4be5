//! Lists: filters that are known, everything else ignored without a word.

use http::StatusCode;
use serde_json::{Value, json};

use super::instance::{Instance, STATUS_CLOSED};
use super::table::{Entity, Row, integer, text};
use crate::testing::call::Call;
use crate::testing::outcome::SimResponse;

const DEFAULT_PAGE: usize = 50;
const LARGEST_PAGE: usize = 100;

/// `GET /api/{entity}`.
pub(crate) fn answer(instance: &Instance, entity: Entity, call: &Call) -> SimResponse {
    let shown = instance.rows(entity).map(|row| instance.show(entity, row));
    let mut rows: Vec<Row> = shown.filter(|row| passes(entity, row, call)).collect();
    order(&mut rows, call);
    if entity == Entity::Ticket {
        // A list row is the smaller form of a ticket.
        for row in &mut rows {
            row.remove("details_html");
            row.remove("customfields");
        }
    }
    envelope(rows, entity.list_key(), call)
}

/// Rows in their envelope, a page of them when `pageinate` is set.
pub(crate) fn envelope(mut rows: Vec<Row>, key: Option<&str>, call: &Call) -> SimResponse {
    let Some(key) = key else {
        let rows = rows.into_iter().map(Value::Object).collect();
        return SimResponse::json(StatusCode::OK, &Value::Array(rows));
    };
    let total = rows.len();
    let mut body = json!({"record_count": total});
    if is_true(call.parameter("pageinate")) {
        let page = number(call, "page_no").unwrap_or(1).max(1);
        let size = number(call, "page_size").unwrap_or(DEFAULT_PAGE).clamp(1, LARGEST_PAGE);
        let skipped = (page - 1).saturating_mul(size).min(total);
        rows = rows.into_iter().skip(skipped).take(size).collect();
        body["page_no"] = page.into();
        body["page_size"] = size.into();
    } else {
        rows.truncate(number(call, "count").unwrap_or(DEFAULT_PAGE));
    }
    body[key] = rows.into_iter().map(Value::Object).collect();
    SimResponse::json(StatusCode::OK, &body)
}

fn passes(entity: Entity, row: &Row, call: &Call) -> bool {
    is_active(entity, row, call)
        && by_ids(entity, row, call)
        && by_state(entity, row, call)
        && by_date(row, call)
        && by_search(row, call)
        && by_advanced_search(row, call)
}

fn is_active(entity: Entity, row: &Row, call: &Call) -> bool {
    let disabled = match entity {
        Entity::Agent => {
            row.get("isdisabled") == Some(&Value::Bool(true)) && !is_true(call.parameter("includedisabled"))
        }
        _ => row.get("inactive") == Some(&Value::Bool(true)) && !is_true(call.parameter("includeinactive")),
    };
    !disabled
}

/// Filters by id, single or as a list with commas.
fn by_ids(entity: Entity, row: &Row, call: &Call) -> bool {
    const SHARED: [(&str, &str); 3] =
        [("client_id", "client_id"), ("site_id", "site_id"), ("toplevel_id", "toplevel_id")];
    const TICKET: [(&str, &str); 9] = [
        ("user_id", "user_id"),
        ("agent_id", "agent_id"),
        ("agent", "agent_id"),
        ("status_id", "status_id"),
        ("status", "status_id"),
        ("tickettype_id", "tickettype_id"),
        ("requesttype_id", "tickettype_id"),
        ("requesttype", "tickettype_id"),
        ("ticketids", "id"),
    ];
    let of_tickets = if entity == Entity::Ticket { TICKET.as_slice() } else { &[] };
    SHARED.iter().chain(of_tickets).all(|(parameter, field)| match call.parameter(parameter) {
        Some(wanted) if !wanted.is_empty() => {
            let actual = integer(row, field);
            wanted.split(',').any(|id| id.trim().parse().ok() == actual && actual.is_some())
        }
        _ => true,
    })
}

fn by_state(entity: Entity, row: &Row, call: &Call) -> bool {
    let closed = integer(row, "status_id") == Some(STATUS_CLOSED);
    entity != Entity::Ticket
        || !(is_true(call.parameter("open_only")) && closed || is_true(call.parameter("closed_only")) && !closed)
}

/// Instants compare as text: both sides are UTC and begin with the largest unit.
fn by_date(row: &Row, call: &Call) -> bool {
    let changed = text(row, "lastupdate").or_else(|| text(row, "last_update"));
    let plain = |text: &str| text.trim_end_matches('Z').to_owned();
    let from = call.parameter("lastupdatefromdate").map(plain);
    let to = call.parameter("lastupdatetodate").map(plain);
    let changed = changed.map(plain).unwrap_or_default();
    from.is_none_or(|from| changed >= from) && to.is_none_or(|to| changed <= to)
}

fn by_search(row: &Row, call: &Call) -> bool {
    const SEARCHED: [&str; 6] = ["name", "summary", "details", "emailaddress", "reportedby", "website"];
    let Some(wanted) = call.parameter("search").filter(|wanted| !wanted.is_empty()) else {
        return true;
    };
    let wanted = wanted.to_lowercase();
    let mut texts = SEARCHED.iter().filter_map(|name| text(row, name));
    texts.any(|text| text.to_lowercase().contains(&wanted))
        || integer(row, "id").is_some_and(|id| id.to_string() == wanted)
}

/// `[{"filter_name": …, "filter_type": 2, "filter_value": …}]`; type 2 means equal.
fn by_advanced_search(row: &Row, call: &Call) -> bool {
    let filters = call.parameter("advanced_search").and_then(|text| serde_json::from_str::<Vec<Value>>(text).ok());
    filters.into_iter().flatten().all(|filter| {
        let actual = filter["filter_name"].as_str().and_then(|name| text(row, name));
        let wanted = filter["filter_value"].as_str();
        filter["filter_type"] != 2 || matches!((actual, wanted), (Some(a), Some(b)) if a.eq_ignore_ascii_case(b))
    })
}

fn order(rows: &mut [Row], call: &Call) {
    let Some(field) = call.parameter("order").filter(|field| !field.is_empty()) else {
        return;
    };
    rows.sort_by_cached_key(|row| (integer(row, field), text(row, field).unwrap_or_default().to_lowercase()));
    if is_true(call.parameter("orderdesc")) {
        rows.reverse();
    }
}

fn number(call: &Call, name: &str) -> Option<usize> {
    call.parameter(name)?.parse().ok()
}

fn is_true(value: Option<&str>) -> bool {
    value.is_some_and(|value| value.eq_ignore_ascii_case("true") || value == "1")
}
