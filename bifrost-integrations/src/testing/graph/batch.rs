//! `$batch`: <https://learn.microsoft.com/graph/json-batching>.

use std::collections::{BTreeMap, HashSet};

use base64::Engine as _;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use serde_json::{Map, Value, json};

use super::error::GraphError;
use crate::testing::call::Call;
use crate::testing::outcome::SimResponse;

/// How many requests a batch may hold.
const LARGEST: usize = 20;

/// One request of a batch.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) id: String,
    pub(crate) call: Call,
    depends_on: Vec<String>,
}

/// Takes a batch apart; one malformed member spoils it all.
pub(crate) fn read(call: &Call, version: &str) -> Result<Vec<Member>, GraphError> {
    let body = call.json().ok_or_else(|| malformed("the body is not JSON"))?;
    let requests = body["requests"].as_array().ok_or_else(|| malformed("'requests' is missing"))?;
    if requests.is_empty() || requests.len() > LARGEST {
        return Err(malformed(&format!("a batch holds 1 to {LARGEST} requests")));
    }
    let members: Result<Vec<Member>, GraphError> =
        requests.iter().map(|request| read_member(call, version, request)).collect();
    let members = members?;
    let ids: HashSet<String> = members.iter().map(|member| member.id.to_lowercase()).collect();
    if ids.len() < members.len() {
        return Err(malformed("request ids must be unique"));
    }
    let known = |id: &String| ids.contains(&id.to_lowercase());
    if !members.iter().all(|member| member.depends_on.iter().all(known)) {
        return Err(malformed("'dependsOn' names no request of the batch"));
    }
    Ok(members)
}

fn read_member(call: &Call, version: &str, request: &Value) -> Result<Member, GraphError> {
    let field = |name: &str| request[name].as_str().filter(|text| !text.is_empty());
    let id = field("id").ok_or_else(|| malformed("a request has no id"))?;
    let method = field("method").and_then(|name| Method::from_bytes(name.to_ascii_uppercase().as_bytes()).ok());
    let method = method.ok_or_else(|| malformed("a request has no method"))?;
    let url = field("url").ok_or_else(|| malformed("a request has no url"))?;
    if url.contains("://") {
        return Err(malformed("urls are relative"));
    }
    let headers = read_headers(&request["headers"]);
    let body = match &request["body"] {
        Value::Null => Bytes::new(),
        _ if !headers.contains_key(http::header::CONTENT_TYPE) => {
            return Err(malformed("a request with a body needs a Content-Type"));
        }
        body => Bytes::from(body.to_string()),
    };
    let depends_on = request["dependsOn"].as_array().into_iter().flatten();
    let path = format!("/{version}/{}", url.trim_start_matches('/'));
    Ok(Member {
        id: id.to_owned(),
        call: call.member(method, &path, headers, body),
        depends_on: depends_on.filter_map(|id| id.as_str().map(str::to_owned)).collect(),
    })
}

fn read_headers(value: &Value) -> HeaderMap {
    let pairs = value.as_object().into_iter().flatten();
    pairs
        .filter_map(|(name, value)| {
            let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
            Some((name, HeaderValue::from_str(value.as_str()?).ok()?))
        })
        .collect()
}

/// Runs the members in their order, each after those it depends on; `run` answers one. A member whose predecessor
/// failed, or that waits for itself, gets 424.
pub(crate) fn run(members: &[Member], mut run: impl FnMut(&Call) -> SimResponse) -> Vec<Value> {
    let mut statuses: BTreeMap<String, StatusCode> = BTreeMap::new();
    let mut answers = Vec::new();
    let mut waiting: Vec<&Member> = members.iter().collect();
    while !waiting.is_empty() {
        let ready = |member: &&Member| {
            let mut before = member.depends_on.iter();
            before.all(|id| statuses.contains_key(&id.to_lowercase()))
        };
        let (mut now, later): (Vec<&Member>, Vec<&Member>) = waiting.into_iter().partition(ready);
        if now.is_empty() {
            answers.extend(later.iter().map(|member| show(&member.id, &dependency_failed())));
            break;
        }
        for member in now.drain(..) {
            let failed = |id: &String| statuses.get(&id.to_lowercase()).is_none_or(|status| !status.is_success());
            let answer = if member.depends_on.iter().any(failed) { dependency_failed() } else { run(&member.call) };
            statuses.insert(member.id.to_lowercase(), answer.status);
            answers.push(show(&member.id, &answer));
        }
        waiting = later;
    }
    answers
}

fn dependency_failed() -> SimResponse {
    let error = json!({"error": {"code": "FailedDependency", "message": "a request this one depends on failed"}});
    SimResponse::json(StatusCode::FAILED_DEPENDENCY, &error)
}

/// An answer as the batch carries it: JSON as it is, anything else in base64.
fn show(id: &str, answer: &SimResponse) -> Value {
    let headers = answer.headers.iter();
    let headers: Map<String, Value> =
        headers.filter_map(|(name, value)| Some((title_case(name.as_str()), value.to_str().ok()?.into()))).collect();
    let bytes = answer.body.to_bytes();
    let mut shown = json!({"id": id, "status": answer.status.as_u16(), "headers": headers});
    if !bytes.is_empty() {
        shown["body"] = serde_json::from_slice(&bytes)
            .unwrap_or_else(|_| base64::engine::general_purpose::URL_SAFE.encode(&bytes).into());
    }
    shown
}

/// `retry-after` as `Retry-After`: clients must not care.
fn title_case(name: &str) -> String {
    let words = name.split('-').map(|word| {
        let (first, rest) = word.split_at(word.len().min(1));
        first.to_ascii_uppercase() + rest
    });
    words.collect::<Vec<_>>().join("-")
}

fn malformed(reason: &str) -> GraphError {
    GraphError::new(StatusCode::BAD_REQUEST, "BadRequest", format!("Invalid batch payload format: {reason}."))
}
