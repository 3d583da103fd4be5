//! What answers say about the provider's limits, beside `Retry-After`.

use bifrost_core::policy::rate::LimitScope;
use http::HeaderMap;

/// Which requests a limit concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Requests that change nothing.
    Reads,
    /// Requests that change something.
    Writes,
    /// All requests.
    All,
}

impl Direction {
    /// True when a request with so many writes is concerned.
    pub fn covers(self, writes: u32) -> bool {
        match self {
            Self::Reads => writes == 0,
            Self::Writes => writes > 0,
            Self::All => true,
        }
    }
}

/// What an answer says about how much was used.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Signals {
    /// What the request cost, in the provider's units.
    pub units: Option<u32>,
    /// How much of the limit of application and tenant is used: 1.0 is the limit, more is over it.
    pub used: Option<f64>,
}

impl Signals {
    /// Reads `x-ms-resource-unit` and `x-ms-throttle-limit-percentage`, as documented on Microsoft's page
    /// "Microsoft Graph service-specific throttling limits". Values outside the documented ranges are ignored.
    pub fn microsoft(headers: &HeaderMap) -> Self {
        Self {
            units: number(headers, "x-ms-resource-unit").filter(|units| (1..=10_000).contains(units)),
            used: number(headers, "x-ms-throttle-limit-percentage").filter(|used| (0.8..=2.0).contains(used)),
        }
    }
}

/// Reads the scope of a 429 from `x-ms-throttle-scope`, such as `Tenant_Application/ReadWrite/<app id>/<tenant id>`,
/// as documented on the same page; `None` when it is absent or has another form.
pub fn microsoft_scope(headers: &HeaderMap) -> Option<(LimitScope, Direction)> {
    let text = headers.get("x-ms-throttle-scope")?.to_str().ok()?;
    let mut parts = text.split('/');
    let scope = match parts.next()? {
        "Tenant_Application" => LimitScope::AppTenant,
        "Tenant" => LimitScope::Tenant,
        "Application" => LimitScope::App,
        _ => return None,
    };
    let direction = match parts.next()? {
        "Read" => Direction::Reads,
        "Write" => Direction::Writes,
        "ReadWrite" => Direction::All,
        _ => return None,
    };
    Some((scope, direction))
}

fn number<T: std::str::FromStr>(headers: &HeaderMap, name: &str) -> Option<T> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[test]
    fn documented_values_are_read_and_others_ignored() {
        for (unit, percentage, expected) in [
            ("3", "0.95", (Some(3), Some(0.95))),
            ("0", "0.5", (None, None)),
            ("-1", "NaN", (None, None)),
            ("x", "1.8", (None, Some(1.8))),
            ("99999", "inf", (None, None)),
        ] {
            let map = headers(&[("x-ms-resource-unit", unit), ("x-ms-throttle-limit-percentage", percentage)]);
            let signals = Signals::microsoft(&map);
            assert_eq!((signals.units, signals.used), expected);
        }
    }

    #[test]
    fn scopes_are_read() {
        for (text, expected) in [
            ("Tenant_Application/ReadWrite/a/t", Some((LimitScope::AppTenant, Direction::All))),
            ("Tenant/Write/a/t", Some((LimitScope::Tenant, Direction::Writes))),
            ("Application/Read/a", Some((LimitScope::App, Direction::Reads))),
            ("Tenant_Application", None),
            ("Planet/Read", None),
            ("", None),
        ] {
            assert_eq!(microsoft_scope(&headers(&[("x-ms-throttle-scope", text)])), expected, "{text}");
        }
    }
}
