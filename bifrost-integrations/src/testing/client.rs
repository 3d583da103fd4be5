//! What the tests of the simulators ask with: a caller that gets itself tokens.

use std::sync::Arc;
use std::time::Duration;

use bifrost_core::testing::ManualClock;
use bytes::Bytes;
use http::Request;
use serde_json::Value;

use super::outcome::{SimOutcome, SimResponse};
use super::seed::{DEMO_CLIENT_ID, DEMO_CLIENT_SECRET, DEMO_HALOPSA_CLIENT_ID, DEMO_HALOPSA_CLIENT_SECRET};
use super::simulators::{Simulators, SimulatorsBuilder};

/// A world whose clock stands still, and the clock.
pub(crate) fn world(build: impl FnOnce(SimulatorsBuilder) -> SimulatorsBuilder) -> (Simulators, ManualClock) {
    let clock = ManualClock::starting_at("2026-03-01T08:00:00Z".parse().unwrap());
    let builder = Simulators::builder().with_seed(7).with_clock(Arc::new(clock.clone()));
    (build(builder).build(), clock)
}

/// Waits for an answer that does not wait for the clock.
pub(crate) fn now(sims: &Simulators, request: Request<Bytes>) -> SimOutcome {
    let answer = sims.handle(request);
    futures_util::FutureExt::now_or_never(answer).expect("an answer without a delay")
}

pub(crate) fn request(method: &str, uri: &str, token: &str, body: &Value) -> Request<Bytes> {
    let uri = uri.replace(' ', "%20").replace('"', "%22");
    let body = if body.is_null() { String::new() } else { body.to_string() };
    Request::builder()
        .method(method)
        .uri(uri)
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "application/json")
        .body(body.into())
        .unwrap()
}

/// A form of client credentials for Graph; later pairs win.
pub(crate) fn graph_form<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut form = vec![
        ("grant_type", "client_credentials"),
        ("client_id", DEMO_CLIENT_ID),
        ("client_secret", DEMO_CLIENT_SECRET),
        ("scope", "https://graph.microsoft.com/.default"),
    ];
    for pair in more {
        form.retain(|(name, _)| *name != pair.0);
        form.push(*pair);
    }
    form
}

pub(crate) fn post_form(uri: &str, form: &[(&str, &str)]) -> Request<Bytes> {
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    Request::post(uri).header("content-type", "application/x-www-form-urlencoded").body(body.into()).unwrap()
}

pub(crate) fn exchange(sims: &Simulators, tenant: &str, more: &[(&str, &str)]) -> SimOutcome {
    let uri = format!("https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token");
    now(sims, post_form(&uri, &graph_form(more)))
}

pub(crate) fn graph_token(sims: &Simulators, tenant: &str) -> String {
    exchange(sims, tenant, &[]).json()["access_token"].as_str().unwrap().to_owned()
}

pub(crate) fn halopsa_exchange(sims: &Simulators, more: &[(&str, &str)]) -> SimOutcome {
    let mut form = vec![
        ("grant_type", "client_credentials"),
        ("client_id", DEMO_HALOPSA_CLIENT_ID),
        ("client_secret", DEMO_HALOPSA_CLIENT_SECRET),
        ("scope", "all"),
    ];
    for pair in more {
        form.retain(|(name, _)| *name != pair.0);
        form.push(*pair);
    }
    now(sims, post_form("https://demo.halopsa.com/auth/token?tenant=demo", &form))
}

pub(crate) fn halopsa_token(sims: &Simulators) -> String {
    halopsa_exchange(sims, &[]).json()["access_token"].as_str().unwrap().to_owned()
}

/// One caller of one service.
pub(crate) struct Caller {
    pub(crate) sims: Simulators,
    pub(crate) token: String,
    pub(crate) base: &'static str,
}

impl Caller {
    pub(crate) fn graph(sims: &Simulators, tenant: &str) -> Self {
        Self { sims: sims.clone(), token: graph_token(sims, tenant), base: "https://graph.microsoft.com/v1.0" }
    }

    pub(crate) fn halopsa(sims: &Simulators) -> Self {
        Self { sims: sims.clone(), token: halopsa_token(sims), base: "https://demo.halopsa.com/api" }
    }

    /// Status and body of the answer; `path` may be a whole address.
    pub(crate) fn call(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let outcome = self.outcome(method, path, body);
        (outcome.status().unwrap().as_u16(), outcome.json())
    }

    pub(crate) fn get(&self, path: &str) -> (u16, Value) {
        self.call("GET", path, &Value::Null)
    }

    pub(crate) fn outcome(&self, method: &str, path: &str, body: &Value) -> SimOutcome {
        let uri = if path.starts_with("http") { path.to_owned() } else { format!("{}{path}", self.base) };
        now(&self.sims, request(method, &uri, &self.token, body))
    }

    pub(crate) fn response(&self, method: &str, path: &str, body: &Value) -> SimResponse {
        self.outcome(method, path, body).response().unwrap().clone()
    }
}

pub(crate) fn header<'a>(response: &'a SimResponse, name: &str) -> Option<&'a str> {
    response.headers.get(name).map(|value| value.to_str().unwrap())
}

pub(crate) const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}
