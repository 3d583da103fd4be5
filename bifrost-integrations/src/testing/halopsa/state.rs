//! All instances, and the way of a request to one of them: limit, token, scope, resource.

use std::collections::{BTreeMap, HashMap};

use bifrost_core::testing::SeededEntropy;
use bifrost_core::{Secret, Timestamp};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::auth::{App, Token};
use super::instance::{API_AGENT, Instance};
use super::table::{Entity, row, text};
use super::{HalopsaSettings, actions, list, write};
use crate::testing::call::Call;
use crate::testing::graph::Moment;
use crate::testing::limits::Rate;
use crate::testing::outcome::SimResponse;
use crate::testing::random;

#[derive(Debug)]
pub(crate) struct HalopsaState {
    pub(crate) settings: HalopsaSettings,
    instances: BTreeMap<String, Instance>,
    /// By instance and client id.
    pub(super) apps: HashMap<(String, String), App>,
    pub(super) tokens: HashMap<String, Token>,
    /// Refresh tokens that were not used yet: instance, client id, scope.
    pub(super) refresh: HashMap<String, (String, String, String)>,
    pub(super) issued: u64,
    pub(super) entropy: SeededEntropy,
}

/// A refusal, as one of the many shapes in which the vendor writes them.
#[derive(Debug)]
pub(crate) struct Refused(Box<SimResponse>);

impl Refused {
    pub(crate) fn with(response: SimResponse) -> Self {
        Self(Box::new(response))
    }

    /// The answer that carries the refusal.
    fn into_response(self) -> SimResponse {
        *self.0
    }

    /// 400 with a JSON string.
    pub(crate) fn bad(reason: impl Into<String>) -> Self {
        Self::with(SimResponse::json(StatusCode::BAD_REQUEST, &Value::String(reason.into())))
    }

    pub(crate) fn not_found() -> Self {
        Self::with(SimResponse::new(StatusCode::NOT_FOUND, "text/plain", "Not Found"))
    }

    fn unauthorized() -> Self {
        let body = json!({"Message": "Authorization has been denied for this request."});
        Self::with(SimResponse::json(StatusCode::UNAUTHORIZED, &body))
    }

    fn forbidden() -> Self {
        Self::with(SimResponse::empty(StatusCode::FORBIDDEN))
    }

    pub(crate) fn method_not_allowed() -> Self {
        let body = json!({"Message": "The requested resource does not support this method."});
        Self::with(SimResponse::json(StatusCode::METHOD_NOT_ALLOWED, &body))
    }
}

pub(crate) type Answer = Result<SimResponse, Refused>;

impl HalopsaState {
    pub(crate) fn new(seed: u64, settings: HalopsaSettings) -> Self {
        Self {
            settings,
            instances: BTreeMap::new(),
            apps: HashMap::new(),
            tokens: HashMap::new(),
            refresh: HashMap::new(),
            issued: 0,
            entropy: random::stream(seed, "halopsa"),
        }
    }

    pub(crate) fn add_instance(&mut self, name: &str, now: Timestamp) {
        let limit = self.settings.limit;
        self.instances.entry(name.to_owned()).or_insert_with(|| Instance::new(limit, now));
    }

    pub(crate) fn add_app(&mut self, instance: &str, client_id: &str, secret: &Secret) {
        let app = App { secret: secret.clone(), has_agent: true };
        self.apps.insert((instance.to_owned(), client_id.to_owned()), app);
    }

    pub(crate) fn set_agent(&mut self, instance: &str, client_id: &str, has_agent: bool) {
        if let Some(app) = self.apps.get_mut(&(instance.to_owned(), client_id.to_owned())) {
            app.has_agent = has_agent;
        }
    }

    pub(crate) fn revoke_tokens(&mut self, instance: &str) {
        self.tokens.retain(|_, token| token.instance != instance);
    }

    pub(crate) fn set_limit(&mut self, limit: Rate) {
        self.settings.limit = limit;
        for instance in self.instances.values_mut() {
            instance.window.set_rate(limit);
        }
    }

    pub(crate) fn issued(&self) -> u64 {
        self.issued
    }

    pub(crate) fn instance(&self, name: &str) -> Option<&Instance> {
        self.instances.get(name)
    }

    /// Adds a client to an instance, as a new customer gets one.
    pub(crate) fn add_client(&mut self, instance: &str, name: &str, domain: &str, tenant_id: &str, now: Timestamp) {
        if let Some(instance) = self.instances.get_mut(instance) {
            let client = json!({"name": name, "website": domain, "domain": domain, "azure_tenant_id": tenant_id});
            instance.add_client(row(client), "Main", now);
        }
    }

    /// The instance a request is for: its token says, or the `tenant` parameter, or there is only one.
    pub(crate) fn instance_of(&self, call: &Call) -> Option<String> {
        let by_token = call.bearer().and_then(|token| self.tokens.get(token));
        let by_parameter = || match call.parameter("tenant") {
            Some(tenant) => self.instances.contains_key(tenant).then(|| tenant.to_owned()),
            None if self.instances.len() == 1 => self.instances.keys().next().cloned(),
            None => None,
        };
        by_token.map(|token| token.instance.clone()).or_else(by_parameter)
    }

    /// Answers a request.
    pub(crate) fn answer(&mut self, call: &Call, moment: Moment) -> SimResponse {
        let instance = self.instance_of(call);
        if let Some(refused) = self.limit(instance.as_deref(), moment) {
            return refused;
        }
        let parts: Vec<String> = call.segments.iter().map(|part| part.to_ascii_lowercase()).collect();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let answer = match (&call.method, parts.as_slice()) {
            (&Method::POST, ["auth", "token"]) => self.token(call, instance, moment.wall),
            (&Method::GET, ["api", "authinfo"]) => Ok(auth_info(call, instance)),
            (_, ["api", resource, rest @ ..]) => self.resource(call, resource, rest, moment),
            _ => Err(Refused::not_found()),
        };
        answer.unwrap_or_else(Refused::into_response)
    }

    fn limit(&mut self, instance: Option<&str>, moment: Moment) -> Option<SimResponse> {
        let window = &mut self.instances.get_mut(instance?)?.window;
        (!window.admit(moment.mono)).then(|| rate_limited(window.rate()))
    }

    fn resource(&mut self, call: &Call, resource: &str, rest: &[&str], moment: Moment) -> Answer {
        let token = call.bearer().and_then(|token| self.tokens.get(token));
        let token = token.filter(|token| moment.wall < token.expires).ok_or_else(Refused::unauthorized)?;
        let is_actions = resource == "actions";
        let entity = Entity::of_path(resource);
        let area = if is_actions { Some("tickets") } else { entity.and_then(Entity::scope) };
        if area.is_some_and(|area| !token.covers(area, call.is_write())) {
            return Err(Refused::forbidden());
        }
        let instance = self.instances.get_mut(&token.instance).ok_or_else(Refused::unauthorized)?;
        if is_actions {
            return actions::answer(instance, call, rest, moment.wall);
        }
        let entity = entity.ok_or_else(Refused::not_found)?;
        match (&call.method, rest) {
            (&Method::GET, []) => Ok(list::answer(instance, entity, call)),
            (&Method::GET, ["me"]) if entity == Entity::Agent => read(instance, entity, API_AGENT),
            (&Method::GET, [id]) => read(instance, entity, parse_id(id)?),
            (&Method::POST, []) => write::answer(instance, entity, call, moment.wall),
            (&Method::DELETE, [id]) => delete(instance, entity, parse_id(id)?),
            _ => Err(Refused::method_not_allowed()),
        }
    }

    /// What comes with an error status of the hosting.
    pub(crate) fn error_page(&self, status: StatusCode) -> SimResponse {
        if status == StatusCode::TOO_MANY_REQUESTS {
            return rate_limited(self.settings.limit);
        }
        if status.is_server_error() {
            let body = format!("<!DOCTYPE html><html><body><h1>{status}</h1></body></html>");
            return SimResponse::new(status, "text/html; charset=utf-8", body);
        }
        SimResponse::new(status, "text/plain", "")
    }

    /// How many records there are in all instances together. Contacts are not users here: those are Entra's.
    pub(crate) fn totals(&self) -> Value {
        let sum = |count: fn(&Instance) -> usize| self.instances.values().map(count).sum::<usize>();
        json!({
            "tickets": sum(|instance| instance.len(Entity::Ticket)),
            "actions": sum(|instance| instance.actions.len()),
            "time_entries": sum(Instance::time_entries),
            "clients": sum(|instance| instance.len(Entity::Client)),
            "contacts": sum(|instance| instance.len(Entity::User)),
        })
    }

    /// How many records there are in each instance, for the state endpoint.
    pub(crate) fn counts(&self) -> Value {
        let instances = self.instances.iter().map(|(name, instance)| {
            let counts = json!({
                "tickets": instance.len(Entity::Ticket),
                "actions": instance.actions.len(),
                "time_entries": instance.time_entries(),
                "clients": instance.len(Entity::Client),
                "sites": instance.len(Entity::Site),
                "users": instance.len(Entity::User),
            });
            (name.clone(), counts)
        });
        Value::Object(instances.collect())
    }
}

/// The vendor's text, which is all a client gets: no header says how long to wait.
fn rate_limited(rate: Rate) -> SimResponse {
    let minutes = rate.per.as_secs().div_ceil(60);
    let text = format!("Rate Limit Reached - {} Requests per rolling {minutes} minute window", rate.amount);
    SimResponse::new(StatusCode::TOO_MANY_REQUESTS, "text/plain", text)
}

fn auth_info(call: &Call, instance: Option<String>) -> SimResponse {
    let body = json!({"auth_url": format!("{}/auth", call.base), "tenant_id": instance.unwrap_or_default()});
    SimResponse::json(StatusCode::OK, &body)
}

fn read(instance: &Instance, entity: Entity, id: i64) -> Answer {
    let row = instance.get(entity, id).ok_or_else(Refused::not_found)?;
    Ok(SimResponse::json(StatusCode::OK, &Value::Object(instance.show(entity, row))))
}

fn delete(instance: &mut Instance, entity: Entity, id: i64) -> Answer {
    let built_in = matches!(entity, Entity::Agent | Entity::Status | Entity::TicketType | Entity::Outcome);
    if built_in {
        return Err(Refused::method_not_allowed());
    }
    if !instance.table(entity).remove(id) {
        return Err(Refused::not_found());
    }
    if entity == Entity::Ticket {
        instance.actions.retain(|(ticket, _), _| *ticket != id);
    }
    Ok(SimResponse::empty(StatusCode::OK))
}

pub(crate) fn parse_id(text: &str) -> Result<i64, Refused> {
    text.parse().map_err(|_| Refused::not_found())
}

/// The id of the outcome with this name.
pub(crate) fn outcome_named(instance: &Instance, name: &str) -> Option<i64> {
    let mut outcomes = instance.rows(Entity::Outcome);
    let found = outcomes.find(|row| text(row, "outcome").is_some_and(|text| text.eq_ignore_ascii_case(name)))?;
    super::table::integer(found, "id")
}
