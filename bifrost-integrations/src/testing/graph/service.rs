//! A request to Graph from token to headers: who asks, may they, how much does it cost.

use std::time::Duration;

use http::{Method, StatusCode};

use super::batch;
use super::error::{self, GraphError, RequestIds};
use super::throttle::{self, Caller, Throttle, Verdict};
use super::{Context, GraphSettings, Moment};
use crate::testing::call::Call;
use crate::testing::identity::{Access, TokenProblem};
use crate::testing::outcome::SimResponse;
use crate::testing::random;
use crate::testing::world::{Handled, World};

/// What Graph keeps besides the directories.
#[derive(Debug)]
pub(crate) struct GraphState {
    pub(crate) settings: GraphSettings,
    throttle: Throttle,
}

impl GraphState {
    pub(crate) fn new(settings: GraphSettings) -> Self {
        Self { settings, throttle: Throttle::default() }
    }
}

impl World {
    /// Answers a request to Graph.
    pub(crate) fn answer_graph(&mut self, call: &Call, moment: Moment) -> Handled {
        let ids = self.request_ids(call, moment);
        let access = match self.identity.check(call.bearer(), moment.wall) {
            Ok(access) => access,
            Err(problem) => return Handled::free(with_ids(unauthorized(problem, &ids), &ids)),
        };
        match call.parts().as_slice() {
            [version @ ("v1.0" | "beta"), "$batch"] if call.method == Method::POST => {
                self.answer_batch(call, version, &access, moment)
            }
            _ => self.answer_one(call, &access, moment),
        }
    }

    fn answer_batch(&mut self, call: &Call, version: &str, access: &Access, moment: Moment) -> Handled {
        let ids = self.request_ids(call, moment);
        let members = match batch::read(call, version) {
            Ok(members) => members,
            Err(error) => return Handled::free(with_ids(error.response(&ids), &ids)),
        };
        let mut units = 0;
        let mut answers = batch::run(&members, |member| {
            let handled = self.answer_member(member, access, moment);
            units += handled.units.unwrap_or(0);
            handled.response
        });
        if let Some(directory) = self.entra.find(&access.tenant) {
            random::shuffle(&directory.entropy, &mut answers);
        }
        let body = serde_json::json!({"responses": answers});
        Handled { response: with_ids(SimResponse::json(StatusCode::OK, &body), &ids), units: Some(units) }
    }

    /// Answers a member of a batch: it has its own price, its own faults and its own line in the log.
    fn answer_member(&mut self, call: &Call, access: &Access, moment: Moment) -> Handled {
        let names = self.tenant_names(&access.tenant);
        let fault = self.strike(call, &names, true);
        let scripted = fault.as_ref().and_then(|fault| self.plain_fault(fault, call, moment));
        let handled = match scripted {
            Some(response) => Handled::free(response),
            None => self.answer_one(call, access, moment),
        };
        let status = Some(handled.response.status);
        self.record(call, &names, status, handled.units, fault.as_ref(), true, moment);
        handled
    }

    fn answer_one(&mut self, call: &Call, access: &Access, moment: Moment) -> Handled {
        let ids = self.request_ids(call, moment);
        let Self { entra, graph, .. } = self;
        let Some(directory) = entra.find_mut(&access.tenant) else {
            return Handled::free(with_ids(unauthorized(TokenProblem::Unknown, &ids), &ids));
        };
        let cost = throttle::cost(call);
        let caller = Caller { app: &access.client_id, tenant: &directory.id, users: directory.users.len() };
        let verdict = graph.throttle.charge(&graph.settings.limits, caller, cost, moment.mono);
        let response = match &verdict.refusal {
            Some(refusal) => error::throttled(&ids)
                .with_header("retry-after", &whole_seconds(refusal.retry_after).to_string())
                .with_header("x-ms-throttle-scope", &refusal.scope)
                .with_header("x-ms-throttle-information", refusal.reason),
            None => {
                let mut cx = Context { call, directory, settings: &graph.settings, moment };
                super::answer(&mut cx).unwrap_or_else(|error| error.response(&ids))
            }
        };
        let response = with_usage(response, &verdict).with_header("x-ms-resource-unit", &cost.units.to_string());
        Handled { response: with_ids(response, &ids), units: Some(cost.units) }
    }

    /// Ids for one request; the caller's own is repeated.
    pub(crate) fn request_ids(&self, call: &Call, moment: Moment) -> RequestIds {
        let request = random::guid(&self.noise);
        let client = call.header("client-request-id").unwrap_or(&request).to_owned();
        RequestIds { request, client, at: moment.wall }
    }
}

fn with_ids(response: SimResponse, ids: &RequestIds) -> SimResponse {
    response.with_header("request-id", &ids.request).with_header("client-request-id", &ids.client)
}

/// The share of the limit in use is told only when it is nearly used up.
fn with_usage(response: SimResponse, verdict: &Verdict) -> SimResponse {
    if verdict.used <= 0.8 {
        return response;
    }
    response.with_header("x-ms-throttle-limit-percentage", &format!("{:.2}", verdict.used.min(1.8)))
}

/// Rounded up, and never zero: zero would be an invitation to hammer.
fn whole_seconds(wait: Duration) -> u64 {
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
}

fn unauthorized(problem: TokenProblem, ids: &RequestIds) -> SimResponse {
    let message = match problem {
        TokenProblem::Missing => "Access token is empty.",
        TokenProblem::Unknown => "Access token validation failure.",
        TokenProblem::Expired => "Lifetime validation failed, the token is expired.",
    };
    GraphError::new(StatusCode::UNAUTHORIZED, "InvalidAuthenticationToken", message)
        .response(ids)
        .with_header("www-authenticate", "Bearer realm=\"\", error=\"invalid_token\"")
}
