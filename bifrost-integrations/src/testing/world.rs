//! The state behind all simulators, and the way of one request through it: faults first, then the provider, then the
//! log.

use std::time::Duration;

use bifrost_core::testing::SeededEntropy;
use bytes::Bytes;
use http::StatusCode;
use serde_json::json;

use super::call::{Call, Provider, Target};
use super::faults::{Fault, http_date};
use super::graph::{self, Entra, GraphState, Moment};
use super::halopsa::HalopsaState;
use super::identity::IdentityState;
use super::log::{RequestLog, RequestRecord};
use super::outcome::{SimBody, SimOutcome, SimResponse};
use super::script::{FaultScript, Shot};
use super::{control, random};

/// A provider's answer and its price.
#[derive(Debug)]
pub(super) struct Handled {
    pub(super) response: SimResponse,
    pub(super) units: Option<u32>,
}

impl Handled {
    pub(super) fn free(response: SimResponse) -> Self {
        Self { response, units: None }
    }
}

/// What becomes of a request, and when the caller learns it.
#[derive(Debug)]
pub(super) enum Effect {
    After(Duration, SimOutcome),
    Never,
}

/// Everything the simulators know.
#[derive(Debug)]
pub(super) struct World {
    pub(super) seed: u64,
    pub(super) entra: Entra,
    pub(super) identity: IdentityState,
    pub(super) graph: GraphState,
    pub(super) halopsa: HalopsaState,
    pub(super) faults: FaultScript,
    pub(super) log: RequestLog,
    /// Request ids and the like, which mean nothing.
    pub(super) noise: SeededEntropy,
}

impl World {
    /// Answers a request. Nothing waits in here: the caller realises delays after the lock is gone.
    pub(super) fn handle(&mut self, call: &Call, moment: Moment) -> Effect {
        match call.target {
            Target::Control => Effect::After(Duration::ZERO, SimOutcome::Response(control::answer(self, call))),
            Target::Provider(provider) => self.handle_for(provider, call, moment),
        }
    }

    fn handle_for(&mut self, provider: Provider, call: &Call, moment: Moment) -> Effect {
        let names = self.names_of(provider, call, moment);
        let fault = self.strike(call, &names, false);
        let (effect, units) = self.under(fault.as_ref(), provider, call, moment);
        let status = match &effect {
            Effect::After(_, outcome) => outcome.status(),
            Effect::Never => None,
        };
        self.record(call, &names, status, units, fault.as_ref(), false, moment);
        match effect {
            Effect::After(delay, SimOutcome::Response(mut response)) => {
                response.set(http::header::DATE, &http_date(moment.wall));
                Effect::After(delay, SimOutcome::Response(response))
            }
            other => other,
        }
    }

    /// What happens to the request under a fault.
    fn under(
        &mut self,
        fault: Option<&Fault>,
        provider: Provider,
        call: &Call,
        moment: Moment,
    ) -> (Effect, Option<u32>) {
        let now = |outcome| Effect::After(Duration::ZERO, outcome);
        let Some(fault) = fault else {
            let handled = self.provide(provider, call, moment);
            return (now(SimOutcome::Response(handled.response)), handled.units);
        };
        match fault {
            Fault::Hang => return (Effect::Never, None),
            Fault::Reset => return (now(SimOutcome::ConnectionReset), None),
            _ => {}
        }
        if let Some(response) = self.plain_fault(fault, call, moment) {
            return (now(SimOutcome::Response(response)), None);
        }
        let Handled { response, units } = self.provide(provider, call, moment);
        let effect = match fault {
            Fault::DropAnswer => now(SimOutcome::AnswerDropped),
            Fault::Delay { millis } => Effect::After(Duration::from_millis(*millis), SimOutcome::Response(response)),
            other => now(SimOutcome::Response(spoil(response, other))),
        };
        (effect, units)
    }

    fn provide(&mut self, provider: Provider, call: &Call, moment: Moment) -> Handled {
        match provider {
            Provider::Identity => Handled::free(self.identity.answer(call, &self.entra, moment.wall)),
            Provider::Graph => self.answer_graph(call, moment),
            Provider::Halopsa => Handled::free(self.halopsa.answer(call, moment)),
        }
    }

    /// The answer of a fault that keeps the request from having an effect; `None` for the other faults.
    pub(super) fn plain_fault(&mut self, fault: &Fault, call: &Call, moment: Moment) -> Option<SimResponse> {
        match fault {
            Fault::Status { status, retry_after } => {
                let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                let mut response = self.error_page(status, call, moment);
                if let Some(value) = retry_after.render(moment.wall) {
                    response.set(http::header::RETRY_AFTER, &value);
                }
                Some(response)
            }
            Fault::Answer { status, content_type, body } => {
                let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                Some(SimResponse::new(status, content_type, body.clone()))
            }
            Fault::Aad { error } => Some(self.identity.refuse(call, &self.entra, *error, moment.wall)),
            Fault::Redirect { location } => {
                Some(SimResponse::empty(StatusCode::TEMPORARY_REDIRECT).with_header("location", location))
            }
            _ => None,
        }
    }

    /// What the provider sends with an error status.
    fn error_page(&mut self, status: StatusCode, call: &Call, moment: Moment) -> SimResponse {
        match call.target {
            Target::Provider(Provider::Graph) => graph::for_status(status, &self.request_ids(call, moment)),
            Target::Provider(Provider::Halopsa) => self.halopsa.error_page(status),
            _ => SimResponse::json(
                status,
                &json!({"error": "temporarily_unavailable", "error_description": "a scripted fault", "error_codes": []}),
            ),
        }
    }

    pub(super) fn strike(&mut self, call: &Call, names: &[String], inside_batch: bool) -> Option<Fault> {
        let Target::Provider(provider) = call.target else {
            return None;
        };
        self.faults.strike(&Shot {
            provider,
            method: call.method.as_str(),
            path: &call.path,
            tenant_names: names,
            inside_batch,
        })
    }

    /// All names of the customer a request is about, the short one first.
    fn names_of(&self, provider: Provider, call: &Call, moment: Moment) -> Vec<String> {
        match provider {
            Provider::Identity => call.segments.first().map(|tenant| self.tenant_names(tenant)).unwrap_or_default(),
            Provider::Graph => match self.identity.check(call.bearer(), moment.wall) {
                Ok(access) => self.tenant_names(&access.tenant),
                Err(_) => Vec::new(),
            },
            Provider::Halopsa => self.halopsa.instance_of(call).into_iter().collect(),
        }
    }

    pub(super) fn tenant_names(&self, key: &str) -> Vec<String> {
        let Some(directory) = self.entra.find(key) else {
            return Vec::new();
        };
        let names = [directory.name.clone(), directory.id.clone()];
        names.into_iter().chain(directory.domains.iter().cloned()).collect()
    }

    #[allow(clippy::too_many_arguments, reason = "one line of the log has as many columns")]
    pub(super) fn record(
        &mut self,
        call: &Call,
        names: &[String],
        status: Option<StatusCode>,
        units: Option<u32>,
        fault: Option<&Fault>,
        batched: bool,
        moment: Moment,
    ) {
        let Target::Provider(provider) = call.target else {
            return;
        };
        // Somebody might put a secret into the query of a token request.
        let is_token_request = provider == Provider::Identity || call.path.to_ascii_lowercase().starts_with("/auth");
        self.log.push(RequestRecord {
            number: 0,
            at: moment.wall,
            provider,
            method: call.method.to_string(),
            path: call.path.clone(),
            query: if is_token_request { String::new() } else { call.raw_query.clone() },
            tenant: names.first().cloned(),
            status: status.map(|status| status.as_u16()),
            units,
            fault: fault.map(Fault::name),
            batched,
        });
    }
}

/// Spoils an answer on its way.
fn spoil(mut response: SimResponse, fault: &Fault) -> SimResponse {
    match fault {
        Fault::SlowBody { pieces, pause_millis } => {
            response.body = response.body.slowed(*pieces, Duration::from_millis(*pause_millis));
        }
        Fault::CutBody { after_bytes } => response.body = response.body.cut(*after_bytes),
        Fault::MalformedJson => response.body = SimBody::full(Bytes::from_static(b"{\"value\": [{\"id\": \"1\",")),
        Fault::OversizedBody { bytes } => response.body = oversized(*bytes),
        _ => {}
    }
    response
}

/// Valid JSON of exactly `bytes` bytes (two at least), in pieces that share their memory.
fn oversized(bytes: usize) -> SimBody {
    const PIECE: usize = 64 * 1024;
    let filler = Bytes::from(vec![b' '; PIECE]);
    let spaces = bytes.saturating_sub(2);
    let mut body = SimBody::full(Bytes::from_static(b"["));
    let push = |body: &mut SimBody, bytes| body.chunks.extend(SimBody::full(bytes).chunks);
    for _ in 0..spaces / PIECE {
        push(&mut body, filler.clone());
    }
    push(&mut body, filler.slice(..spaces % PIECE));
    push(&mut body, Bytes::from_static(b"]"));
    body
}

/// The stream of ids that mean nothing.
pub(super) fn noise(seed: u64) -> SeededEntropy {
    random::stream(seed, "request ids")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_oversized_body_is_json_of_that_size() {
        for bytes in [2, 3, 65_536, 200_001] {
            let body = oversized(bytes).to_bytes();
            assert_eq!(body.len(), bytes);
            assert!(serde_json::from_slice::<serde_json::Value>(&body).is_ok());
        }
    }
}
