//! Microsoft Graph: users, groups, licences, the organization and `$batch`, one directory per tenant, throttled by
//! resource units.
//!
//! Only tokens of the simulated identity platform are accepted, and only until they expire or are revoked. The token
//! decides which tenant answers.

mod batch;
mod directory;
mod error;
mod filter;
mod groups;
mod licenses;
mod list;
mod parser;
mod schema;
mod service;
mod simulator;
mod throttle;
mod users;

use std::time::Duration;

use bifrost_core::Timestamp;
use http::{Method, StatusCode};
use serde_json::{Map, Value};

use super::call::Call;
use super::outcome::SimResponse;
pub(super) use directory::{Directory, Entra, Object, Sku, graph_time};
use error::GraphError;
pub(super) use error::for_status;
pub(super) use service::GraphState;
pub use simulator::{GraphGroup, GraphLicense, GraphSimulator, GraphUser};
pub use throttle::GraphLimits;

/// What the simulated Graph can be told.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GraphSettings {
    /// The limits in force.
    pub limits: GraphLimits,
    /// How long references to a new user fail with 404, as they do in production until the directory has replicated.
    /// Zero unless changed.
    pub replication_delay: Duration,
}

/// A moment on both hands of the clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    pub(crate) wall: Timestamp,
    pub(crate) mono: Duration,
}

/// What a request under one tenant is answered from.
pub(crate) struct Context<'a> {
    pub(crate) call: &'a Call,
    pub(crate) directory: &'a mut Directory,
    pub(crate) settings: &'a GraphSettings,
    pub(crate) moment: Moment,
}

type Answer = Result<SimResponse, GraphError>;

impl Context<'_> {
    /// The JSON body.
    fn body(&self) -> Result<Value, GraphError> {
        let body = self.call.json();
        body.ok_or_else(|| {
            GraphError::new(StatusCode::BAD_REQUEST, "BadRequest", "Unable to read JSON request payload.")
        })
    }

    /// The id in a body that is a reference: `{"@odata.id": "…/directoryObjects/{id}"}`.
    fn reference(&self) -> Result<String, GraphError> {
        let body = self.body()?;
        let id = body["@odata.id"].as_str().and_then(last_segment);
        id.ok_or_else(|| GraphError::bad("the body holds no '@odata.id'"))
    }

    /// The id of a user that references may name already.
    fn settled_user(&self, reference: &str) -> Result<String, GraphError> {
        let id = self.directory.user_id(reference)?;
        let settled = self.directory.users.get(&id).is_some_and(|user| user.settled <= self.moment.mono);
        if settled { Ok(id) } else { Err(GraphError::not_found(&id)) }
    }

    /// A single object, with its context.
    fn entity(&self, set: &str, object: Map<String, Value>) -> Value {
        let context = format!("{}/v1.0/$metadata#{set}/$entity", self.call.base);
        let mut shown: Map<String, Value> = [("@odata.context".to_owned(), context.into())].into_iter().collect();
        shown.extend(object);
        Value::Object(shown)
    }
}

/// Answers one request, its token and its price settled.
pub(crate) fn answer(cx: &mut Context<'_>) -> Answer {
    let parts = cx.call.parts();
    let path: Vec<&str> = parts.into_iter().map(strip_namespace).collect();
    match path.as_slice() {
        ["v1.0" | "beta", "users", rest @ ..] => users::answer(cx, rest),
        ["v1.0" | "beta", "groups", rest @ ..] => groups::answer(cx, rest),
        ["v1.0" | "beta", "subscribedSkus"] if cx.call.method == Method::GET => licenses::subscribed_skus(cx),
        ["v1.0" | "beta", "organization"] if cx.call.method == Method::GET => Ok(organization(cx)),
        ["v1.0" | "beta", "directory", "deletedItems", rest @ ..] => users::deleted_items(cx, rest),
        ["v1.0" | "beta", unknown, ..] => Err(GraphError::no_such_segment(unknown)),
        _ => Err(GraphError::new(StatusCode::BAD_REQUEST, "BadRequest", "Invalid version.")),
    }
}

/// Actions may be written with their namespace.
fn strip_namespace(segment: &str) -> &str {
    match segment.strip_prefix("microsoft.graph.") {
        Some(action) if !matches!(action, "user" | "group") => action,
        _ => segment,
    }
}

fn organization(cx: &Context<'_>) -> SimResponse {
    let body = serde_json::json!({
        "@odata.context": format!("{}/v1.0/$metadata#organization", cx.call.base),
        "value": [cx.directory.organization()],
    });
    SimResponse::json(StatusCode::OK, &body)
}

/// The last part of a reference's address.
fn last_segment(reference: &str) -> Option<String> {
    let last = reference.trim_end_matches('/').rsplit('/').next()?;
    (!last.is_empty()).then(|| last.to_owned())
}

#[cfg(test)]
mod tests;
