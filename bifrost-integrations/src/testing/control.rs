//! The simulators' own endpoints, for other processes: `/_sim/state` and `/_sim/faults`.

use http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use super::call::Call;
use super::graph::Directory;
use super::log::RequestRecord;
use super::outcome::SimResponse;
use super::script::FaultRule;
use super::world::World;

pub(super) fn answer(world: &mut World, call: &Call) -> SimResponse {
    match (&call.method, call.parts().as_slice()) {
        (&Method::GET, ["state"]) => SimResponse::json(StatusCode::OK, &state(world, call)),
        (&Method::GET, ["faults"]) => SimResponse::json(StatusCode::OK, &json!({"rules": world.faults.rules()})),
        (&Method::POST, ["faults"]) => script(world, call),
        (&Method::DELETE, ["faults"]) => {
            world.faults.clear();
            SimResponse::empty(StatusCode::NO_CONTENT)
        }
        _ => SimResponse::json(StatusCode::NOT_FOUND, &json!({"error": "no such endpoint under /_sim"})),
    }
}

/// Takes one rule, or a list of them.
fn script(world: &mut World, call: &Call) -> SimResponse {
    let rules = match serde_json::from_slice::<Vec<FaultRule>>(&call.body) {
        Ok(rules) => Ok(rules),
        Err(_) => serde_json::from_slice::<FaultRule>(&call.body).map(|rule| vec![rule]),
    };
    match rules {
        Ok(rules) => {
            let count = rules.len();
            rules.into_iter().for_each(|rule| world.faults.push(rule));
            SimResponse::json(StatusCode::CREATED, &json!({"scripted": count}))
        }
        Err(error) => SimResponse::json(StatusCode::BAD_REQUEST, &json!({"error": error.to_string()})),
    }
}

/// Counts and the request log; `?log=N` shows the last N requests only.
fn state(world: &World, call: &Call) -> Value {
    let wanted = call.parameter("log").and_then(|text| text.parse().ok()).unwrap_or(usize::MAX);
    let records: Vec<&RequestRecord> = world.log.records().collect();
    let tenants: Map<String, Value> =
        world.entra.iter().map(|directory| (directory.name.clone(), tenant(directory))).collect();
    json!({
        "seed": world.seed,
        "requests": world.log.total(),
        "throttled": world.log.throttled(),
        "counts": totals(world),
        "tokens_issued": {"identity": world.identity.issued(), "halopsa": world.halopsa.issued()},
        "tenants": tenants,
        "halopsa": world.halopsa.counts(),
        "log": records[records.len().saturating_sub(wanted)..],
    })
}

/// How many there are of each, over all tenants and instances.
fn totals(world: &World) -> Value {
    let over_tenants = |count: fn(&Directory) -> usize| world.entra.iter().map(count).sum::<usize>();
    let seats = |directory: &Directory| directory.skus.iter().map(|sku| sku.consumed as usize).sum();
    let mut totals = world.halopsa.totals();
    totals["users"] = over_tenants(|directory| directory.users.len()).into();
    totals["groups"] = over_tenants(|directory| directory.groups.len()).into();
    totals["licences"] = over_tenants(seats).into();
    totals
}

fn tenant(directory: &Directory) -> Value {
    let licences: Map<String, Value> = directory
        .skus
        .iter()
        .map(|sku| (sku.part_number.clone(), json!({"enabled": sku.enabled, "consumed": sku.consumed})))
        .collect();
    json!({
        "id": directory.id,
        "domains": directory.domains,
        "users": directory.users.len(),
        "deleted": directory.deleted.len(),
        "groups": directory.groups.len(),
        "licences": licences,
    })
}
