//! Which requests a fault strikes, and when.

use serde::{Deserialize, Serialize};

use super::call::Provider;
use super::faults::Fault;

/// A fault and the requests it strikes: every filter that is set must match. Without [`times`](Self::times) or
/// [`nth`](Self::nth) it strikes every matching request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultRule {
    fault: Fault,
    #[serde(default)]
    provider: Option<Provider>,
    #[serde(default)]
    method: Option<String>,
    #[serde(default)]
    path: Option<String>,
    #[serde(default)]
    tenant: Option<String>,
    /// How many matching requests pass first.
    #[serde(default)]
    skip: u64,
    /// How many it strikes then; absent: all.
    #[serde(default)]
    times: Option<u64>,
}

impl FaultRule {
    /// Strikes every request.
    pub fn new(fault: Fault) -> Self {
        Self { fault, provider: None, method: None, path: None, tenant: None, skip: 0, times: None }
    }

    /// Only requests to `provider`.
    #[must_use]
    pub fn on(mut self, provider: Provider) -> Self {
        self.provider = Some(provider);
        self
    }

    /// Only requests with this method.
    #[must_use]
    pub fn method(mut self, method: impl Into<String>) -> Self {
        self.method = Some(method.into());
        self
    }

    /// Only requests whose path after the provider's base address matches; `*` stands for any text, case does not
    /// matter: `/v1.0/users/*/assignLicense`, `/api/Tickets`, `*/oauth2/v2.0/token`.
    #[must_use]
    pub fn path(mut self, pattern: impl Into<String>) -> Self {
        self.path = Some(pattern.into());
        self
    }

    /// Only requests for this customer: short name, domain or id of the Entra tenant, or a HaloPSA instance.
    #[must_use]
    pub fn tenant(mut self, tenant: impl Into<String>) -> Self {
        self.tenant = Some(tenant.into());
        self
    }

    /// Lets the first `count` matching requests pass.
    #[must_use]
    pub fn after(mut self, count: u64) -> Self {
        self.skip = count;
        self
    }

    /// Strikes `count` times, then never again.
    #[must_use]
    pub fn times(mut self, count: u64) -> Self {
        self.times = Some(count);
        self
    }

    /// Strikes the `n`-th matching request alone, counting from 1.
    #[must_use]
    pub fn nth(self, n: u64) -> Self {
        self.after(n.saturating_sub(1)).times(1)
    }

    fn matches(&self, shot: &Shot<'_>) -> bool {
        let equal = |wanted: &Option<String>, actual: &str| {
            wanted.as_deref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(actual))
        };
        let tenant = self
            .tenant
            .as_deref()
            .is_none_or(|wanted| shot.tenant_names.iter().any(|name| name.eq_ignore_ascii_case(wanted)));
        self.provider.is_none_or(|provider| provider == shot.provider)
            && equal(&self.method, shot.method)
            && self.path.as_deref().is_none_or(|pattern| glob(pattern, shot.path))
            && tenant
            && (!shot.inside_batch || self.fault.is_plain_answer())
    }
}

/// What a rule sees of a request.
pub(super) struct Shot<'a> {
    pub(super) provider: Provider,
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    pub(super) tenant_names: &'a [String],
    pub(super) inside_batch: bool,
}

/// The rules in force.
#[derive(Debug, Default)]
pub(super) struct FaultScript {
    rules: Vec<FaultRule>,
}

impl FaultScript {
    pub(super) fn push(&mut self, rule: FaultRule) {
        self.rules.push(rule);
    }

    pub(super) fn clear(&mut self) {
        self.rules.clear();
    }

    pub(super) fn rules(&self) -> &[FaultRule] {
        &self.rules
    }

    /// The fault that strikes this request: the first rule that is due. Every rule that matches counts the request.
    pub(super) fn strike(&mut self, shot: &Shot<'_>) -> Option<Fault> {
        let mut struck = None;
        for rule in self.rules.iter_mut().filter(|rule| rule.matches(shot)) {
            if rule.skip > 0 {
                rule.skip -= 1;
            } else if struck.is_none() {
                struck = Some(rule.fault.clone());
                rule.times = rule.times.map(|times| times.saturating_sub(1));
            }
        }
        self.rules.retain(|rule| rule.times != Some(0));
        struck
    }
}

/// Matches `text` against a pattern in which `*` stands for any text, without regard to case.
fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.to_ascii_lowercase(), text.to_ascii_lowercase());
    let mut pieces = pattern.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let middle_and_last: Vec<&str> = pieces.collect();
    let Some((last, middle)) = middle_and_last.split_last() else {
        return rest.is_empty();
    };
    for piece in middle {
        match rest.find(piece) {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::faults::RetryAfter;

    #[test]
    fn stars_stand_for_any_text() {
        for (pattern, text, expected) in [
            ("/v1.0/users", "/v1.0/users", true),
            ("/v1.0/users", "/v1.0/users/1", false),
            ("/V1.0/users/*/assignlicense", "/v1.0/users/a@b/assignLicense", true),
            ("*/token", "/t/oauth2/v2.0/token", true),
            ("*", "", true),
            ("a*b*a", "aba", true),
            ("a*a", "a", false),
            ("", "x", false),
        ] {
            assert_eq!(glob(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn counting_rules() {
        let shot = Shot {
            provider: Provider::Graph,
            method: "GET",
            path: "/v1.0/users",
            tenant_names: &["contoso".to_owned()],
            inside_batch: false,
        };
        for (rule, expected) in [
            (FaultRule::new(Fault::Reset), [true, true, true, true]),
            (FaultRule::new(Fault::Reset).nth(2), [false, true, false, false]),
            (FaultRule::new(Fault::Reset).after(1).times(2), [false, true, true, false]),
            (FaultRule::new(Fault::Reset).times(1).tenant("CONTOSO"), [true, false, false, false]),
            (FaultRule::new(Fault::Reset).tenant("fabrikam"), [false; 4]),
            (FaultRule::new(Fault::Reset).on(Provider::Halopsa), [false; 4]),
            (FaultRule::new(Fault::Reset).method("POST"), [false; 4]),
        ] {
            let mut script = FaultScript::default();
            script.push(rule.clone());
            let struck = [(); 4].map(|()| script.strike(&shot).is_some());
            assert_eq!(struck, expected, "{rule:?}");
        }
    }

    #[test]
    fn a_rule_as_another_process_writes_it() {
        let text = r#"{"fault":{"kind":"status","status":429,"retry_after":{"decimal":249}},
            "provider":"graph","path":"/v1.0/*","times":2}"#;
        let rule: FaultRule = serde_json::from_str(text).unwrap();
        let expected =
            FaultRule::new(Fault::throttled(RetryAfter::Decimal(249))).on(Provider::Graph).path("/v1.0/*").times(2);
        assert_eq!(rule, expected);
        assert!(serde_json::from_str::<FaultRule>(r#"{"fault":{"kind":"reset"},"paths":"x"}"#).is_err());
    }
}
