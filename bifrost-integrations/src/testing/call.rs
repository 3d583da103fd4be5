//! A request as the simulators read it: which provider, which path, which parameters.

use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST};
use http::{HeaderMap, Method, Request, Uri};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One of the simulated providers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Provider {
    /// The Microsoft identity platform.
    Identity,
    /// Microsoft Graph.
    Graph,
    /// HaloPSA, its token endpoint included.
    Halopsa,
}

/// Who answers a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    Provider(Provider),
    /// The simulators' own endpoints under `/_sim`.
    Control,
}

/// A request, taken apart.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) target: Target,
    pub(super) method: Method,
    /// Scheme, authority and prefix: what comes before `path` in the caller's address.
    pub(super) base: String,
    /// The path after the prefix, as sent.
    pub(super) path: String,
    /// The parts of `path`, percent-decoded, empty ones left out.
    pub(super) segments: Vec<String>,
    pub(super) query: Vec<(String, String)>,
    pub(super) raw_query: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Call {
    /// Finds out who is meant, by host name first, by path prefix otherwise.
    pub(super) fn read(request: Request<Bytes>) -> Option<Self> {
        let (parts, body) = request.into_parts();
        let authority = authority_of(&parts.uri, &parts.headers);
        let scheme = parts.uri.scheme_str().unwrap_or("http");
        let host = authority.split(':').next().unwrap_or_default();
        let full_path = parts.uri.path();
        let (target, prefix) = target_of_host(host).map(|target| (target, "")).or_else(|| target_of_path(full_path))?;
        let path = full_path[prefix.len()..].to_owned();
        let raw_query = parts.uri.query().unwrap_or_default().to_owned();
        Some(Self {
            target,
            method: parts.method,
            base: format!("{scheme}://{authority}{prefix}"),
            segments: decode_segments(&path),
            path,
            query: decode_pairs(raw_query.as_bytes()),
            raw_query,
            headers: parts.headers,
            body,
        })
    }

    /// The member of a batch: same caller, other request.
    pub(super) fn member(&self, method: Method, path: &str, headers: HeaderMap, body: Bytes) -> Self {
        let (path, raw_query) = path.split_once('?').unwrap_or((path, ""));
        Self {
            target: self.target,
            method,
            base: self.base.clone(),
            path: path.to_owned(),
            segments: decode_segments(path),
            query: decode_pairs(raw_query.as_bytes()),
            raw_query: raw_query.to_owned(),
            headers,
            body,
        }
    }

    /// The first value of a query parameter; names differ in case as clients do.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        find(&self.query, name)
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The bearer token, if one was sent.
    pub(super) fn bearer(&self) -> Option<&str> {
        let value = self.headers.get(AUTHORIZATION)?.to_str().ok()?;
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    }

    /// The body as a form.
    pub(super) fn form(&self) -> Vec<(String, String)> {
        decode_pairs(&self.body)
    }

    /// The body as JSON.
    pub(super) fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }

    pub(super) fn is_write(&self) -> bool {
        self.method != Method::GET && self.method != Method::HEAD
    }

    /// The decoded segments as string slices, for matching.
    pub(super) fn parts(&self) -> Vec<&str> {
        self.segments.iter().map(String::as_str).collect()
    }
}

/// The first value of `name` among decoded pairs.
pub(super) fn find<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    pairs.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

fn authority_of(uri: &Uri, headers: &HeaderMap) -> String {
    uri.authority().map_or_else(
        || {
            let host = headers.get(HOST).and_then(|value| value.to_str().ok());
            host.unwrap_or("localhost").to_owned()
        },
        |authority| authority.as_str().to_owned(),
    )
}

fn target_of_host(host: &str) -> Option<Target> {
    let host = host.to_ascii_lowercase();
    let provider = match host.as_str() {
        "login.microsoftonline.com" | "login.microsoftonline.us" | "login.partner.microsoftonline.cn" => {
            Provider::Identity
        }
        "graph.microsoft.com" | "graph.microsoft.us" | "dod-graph.microsoft.us" | "microsoftgraph.chinacloudapi.cn" => {
            Provider::Graph
        }
        other if [".halopsa.com", ".haloitsm.com", ".haloservicedesk.com"].iter().any(|end| other.ends_with(end)) => {
            Provider::Halopsa
        }
        _ => return None,
    };
    Some(Target::Provider(provider))
}

fn target_of_path(path: &str) -> Option<(Target, &'static str)> {
    const PREFIXES: [(&str, Target); 4] = [
        ("/identity", Target::Provider(Provider::Identity)),
        ("/graph", Target::Provider(Provider::Graph)),
        ("/halopsa", Target::Provider(Provider::Halopsa)),
        ("/_sim", Target::Control),
    ];
    let (prefix, target) = PREFIXES.into_iter().find(|(prefix, _)| {
        let rest = path.strip_prefix(prefix);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })?;
    Some((target, prefix))
}

fn decode_segments(path: &str) -> Vec<String> {
    path.split('/')
        .filter(|segment| !segment.is_empty())
        .map(|segment| percent_encoding::percent_decode_str(segment).decode_utf8_lossy().into_owned())
        .collect()
}

fn decode_pairs(text: &[u8]) -> Vec<(String, String)> {
    url::form_urlencoded::parse(text).into_owned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(uri: &str) -> Option<(Target, String, String)> {
        let call = Call::read(Request::get(uri).body(Bytes::new()).unwrap())?;
        Some((call.target, call.base, call.path))
    }

    #[test]
    fn host_or_prefix_decides() {
        let graph = Target::Provider(Provider::Graph);
        let identity = Target::Provider(Provider::Identity);
        let halopsa = Target::Provider(Provider::Halopsa);
        for (uri, target, base, path) in [
            ("https://graph.microsoft.com/v1.0/users", graph, "https://graph.microsoft.com", "/v1.0/users"),
            ("http://127.0.0.1:80/graph/v1.0/users", graph, "http://127.0.0.1:80/graph", "/v1.0/users"),
            ("http://h/identity/t/oauth2", identity, "http://h/identity", "/t/oauth2"),
            ("https://demo.halopsa.com/api/Tickets", halopsa, "https://demo.halopsa.com", "/api/Tickets"),
            ("http://h/_sim/state", Target::Control, "http://h/_sim", "/state"),
        ] {
            assert_eq!(read(uri), Some((target, base.to_owned(), path.to_owned())), "{uri}");
        }
        assert_eq!(read("http://h/graphite/x"), None);
    }
}
