//! Licences: <https://learn.microsoft.com/graph/api/user-assignlicense>.

use std::collections::HashSet;

use http::StatusCode;
use serde_json::{Value, json};

use super::directory::{Sku, assigned_skus, text};
use super::error::GraphError;
use super::schema::USER;
use super::{Answer, Context};
use crate::testing::outcome::SimResponse;

/// The products of the tenant. This list has no pages.
pub(crate) fn subscribed_skus(cx: &mut Context<'_>) -> Answer {
    let tenant = &cx.directory.id;
    let skus: Vec<Value> = cx.directory.skus.iter().map(|sku| show(sku, tenant)).collect();
    let body = json!({
        "@odata.context": format!("{}/v1.0/$metadata#subscribedSkus", cx.call.base),
        "value": skus,
    });
    Ok(SimResponse::json(StatusCode::OK, &body))
}

fn show(sku: &Sku, tenant: &str) -> Value {
    json!({
        "id": format!("{tenant}_{}", sku.id),
        "accountId": tenant,
        "skuId": sku.id,
        "skuPartNumber": sku.part_number,
        "appliesTo": "User",
        "capabilityStatus": "Enabled",
        "consumedUnits": sku.consumed,
        "prepaidUnits": {"enabled": sku.enabled, "suspended": 0, "warning": 0, "lockedOut": 0},
        "servicePlans": [],
        "subscriptionIds": [],
    })
}

/// The products of one user.
pub(crate) fn details(cx: &mut Context<'_>, key: &str) -> Answer {
    let id = cx.directory.user_id(key)?;
    let user = cx.directory.users.get(&id).ok_or_else(|| GraphError::not_found(key))?;
    let assigned = assigned_skus(&user.properties);
    let skus = cx.directory.skus.iter().filter(|sku| assigned.contains(&sku.id));
    let details: Vec<Value> = skus
        .map(|sku| json!({"id": sku.id, "skuId": sku.id, "skuPartNumber": sku.part_number, "servicePlans": []}))
        .collect();
    let body = json!({
        "@odata.context": format!("{}/v1.0/$metadata#licenseDetails", cx.call.base),
        "value": details,
    });
    Ok(SimResponse::json(StatusCode::OK, &body))
}

/// Assigns and removes, all or nothing. What is removed is free for what is added.
pub(crate) fn assign(cx: &mut Context<'_>, key: &str) -> Answer {
    let body = cx.body()?;
    let add = read_additions(&body)?;
    let remove = read_removals(&body)?;
    let id = cx.directory.user_id(key)?;
    let user = cx.directory.users.get(&id).ok_or_else(|| GraphError::not_found(key))?;
    let mut assigned = user.properties.get("assignedLicenses").and_then(Value::as_array).cloned().unwrap_or_default();
    let has_location = text(&user.properties, "usageLocation").is_some();
    let before = assigned_skus(&user.properties);
    for sku in &remove {
        if !before.contains(sku) {
            return Err(GraphError::bad("User does not have a corresponding license."));
        }
        assigned.retain(|licence| licence["skuId"] != sku.as_str());
    }
    if !add.is_empty() && !has_location {
        return Err(GraphError::bad("License assignment cannot be done for user with invalid usage location."));
    }
    for (sku_id, licence) in add {
        check_seat(cx, &sku_id, &before)?;
        assigned.retain(|other| other["skuId"] != sku_id.as_str());
        assigned.push(licence);
    }
    settle(cx, &id, &before, assigned);
    let user = cx.directory.users.get(&id).ok_or_else(|| GraphError::not_found(key))?;
    let shown = USER.project(&user.properties, None);
    Ok(SimResponse::json(StatusCode::OK, &cx.entity("users", shown)))
}

fn check_seat(cx: &Context<'_>, sku_id: &str, before: &[String]) -> Result<(), GraphError> {
    let sku = cx.directory.skus.iter().find(|sku| sku.id == sku_id);
    let sku = sku
        .ok_or_else(|| GraphError::bad(format!("License {sku_id} does not correspond to a valid company License.")))?;
    // A seat that the user holds already needs no other.
    if before.iter().any(|held| held == sku_id) || sku.consumed < sku.enabled {
        return Ok(());
    }
    Err(GraphError::bad(format!("Subscription with SKU {sku_id} does not have any available licenses.")))
}

/// Writes the new list and moves the counts by the difference.
fn settle(cx: &mut Context<'_>, id: &str, before: &[String], assigned: Vec<Value>) {
    let changes = [("assignedLicenses".to_owned(), Value::Array(assigned))].into_iter().collect();
    cx.directory.update_user(id, changes);
    let after = cx.directory.users.get(id).map(|user| assigned_skus(&user.properties)).unwrap_or_default();
    for gone in before.iter().filter(|sku| !after.contains(sku)) {
        cx.directory.release(gone);
    }
    for new in after.iter().filter(|sku| !before.contains(sku)) {
        if let Some(sku) = cx.directory.skus.iter_mut().find(|sku| sku.id == *new) {
            sku.consumed += 1;
        }
    }
}

/// `addLicenses`, each with its product's id.
fn read_additions(body: &Value) -> Result<Vec<(String, Value)>, GraphError> {
    let mut seen = HashSet::new();
    let mut additions = Vec::new();
    for entry in required_list(body, "addLicenses")? {
        let sku = entry["skuId"].as_str().map(str::to_ascii_lowercase);
        let sku = sku.ok_or_else(|| GraphError::bad("A license without 'skuId'."))?;
        if !seen.insert(sku.clone()) {
            return Err(GraphError::bad("A license is named twice."));
        }
        let plans = entry.get("disabledPlans").cloned().unwrap_or_else(|| json!([]));
        additions.push((sku.clone(), json!({"skuId": sku, "disabledPlans": plans})));
    }
    Ok(additions)
}

fn read_removals(body: &Value) -> Result<Vec<String>, GraphError> {
    let ids = required_list(body, "removeLicenses")?.iter();
    let ids: Option<Vec<String>> = ids.map(|id| id.as_str().map(str::to_ascii_lowercase)).collect();
    ids.ok_or_else(|| GraphError::bad("'removeLicenses' must hold ids."))
}

/// Both lists must be there, even when they are empty.
fn required_list<'a>(body: &'a Value, name: &str) -> Result<&'a Vec<Value>, GraphError> {
    body.get(name).and_then(Value::as_array).ok_or_else(|| {
        GraphError::bad(format!("One or more parameters of the operation 'assignLicense' are missing: {name}."))
    })
}
