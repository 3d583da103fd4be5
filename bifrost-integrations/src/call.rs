//! What the typed clients share: requests built without I/O, and answers read into types.

use std::borrow::Cow;
use std::fmt;

use bifrost_core::{Error, ErrorKind, Result, Retry};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::Serialize;
use serde::de::DeserializeOwned;
#[cfg(feature = "graph")]
use serde::{Deserialize, Deserializer};

/// What stays as it is in a path segment: the unreserved characters of RFC 3986 and `@`, so that user principal names
/// stay readable.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'@');
/// What stays as it is in a query value.
const VALUE: &AsciiSet = &SEGMENT.remove(b',').remove(b':').remove(b'/');
/// What stays as it is in a query name: OData's start with `$`.
const NAME: &AsciiSet = &SEGMENT.remove(b'$');

/// How often a path may have been encoded.
const MOST_DECODINGS: usize = 8;

/// Query parameters in the order they were added.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query(Vec<(Cow<'static, str>, Cow<'static, str>)>);

impl Query {
    /// No parameter.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a parameter; the value is encoded when the request is built.
    #[must_use]
    #[allow(clippy::needless_pass_by_value, reason = "callers pass numbers and flags as they are")]
    pub fn with(mut self, name: impl Into<String>, value: impl ToString) -> Self {
        self.0.push((Cow::Owned(name.into()), Cow::Owned(value.to_string())));
        self
    }

    /// Adds a parameter that is the same in every call, and written as it appears in a URL: it is not encoded.
    #[cfg(feature = "graph")]
    #[must_use]
    pub(crate) fn with_fixed(mut self, name: &'static str, value: &'static str) -> Self {
        self.0.push((Cow::Borrowed(name), Cow::Borrowed(value)));
        self
    }

    /// Adds a parameter if there is a value.
    #[must_use]
    pub fn maybe(self, name: impl Into<String>, value: Option<impl ToString>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// The value of the first parameter of this name.
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_ref())
    }

    /// Names and values, not encoded.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value.as_ref()))
    }

    /// Appends the parameters to `path`.
    fn append_to(&self, path: &mut String) {
        path.reserve(self.0.iter().map(|(name, value)| name.len() + value.len() + 2).sum());
        for (position, (name, value)) in self.0.iter().enumerate() {
            let first = position == 0 && !path.contains('?');
            path.push(if first { '?' } else { '&' });
            let fixed = matches!(value, Cow::Borrowed(_));
            push(path, name, fixed, NAME);
            path.push('=');
            push(path, value, fixed, VALUE);
        }
    }
}

/// Appends a part of a parameter, encoded unless it is fixed.
fn push(path: &mut String, part: &str, fixed: bool, kept: &'static AsciiSet) {
    if fixed {
        path.push_str(part);
    } else {
        path.extend(utf8_percent_encode(part, kept));
    }
}

/// `text` as one segment of a path.
///
/// # Errors
/// `InvalidInput` for text that would change which resource the path names: nothing at all, `.` or `..`.
#[cfg(feature = "graph")]
pub(crate) fn segment(what: &'static str, text: &str) -> Result<String> {
    if matches!(text, "" | "." | "..") {
        return Err(
            Error::invalid("build request", format!("the {what} is empty or a relative path")).with("name", text)
        );
    }
    Ok(utf8_percent_encode(text, SEGMENT).to_string())
}

/// A request without a body.
pub(crate) fn bare(method: Method, path: &str, query: &Query) -> Result<Request<Bytes>> {
    build(method, path, query, Bytes::new(), None)
}

/// A request with a JSON body.
pub(crate) fn with_json<B: Serialize + ?Sized>(method: Method, path: &str, body: &B) -> Result<Request<Bytes>> {
    let bytes = serde_json::to_vec(body)
        .map_err(|error| Error::invalid("build request", "the body does not serialize as JSON").source(error))?;
    let json = HeaderValue::from_static("application/json");
    build(method, path, &Query::new(), bytes.into(), Some(json))
}

/// A request that no typed call covers: `path` below the connection's base URL, with `headers` and `body` as they are.
///
/// # Errors
/// `InvalidInput` for a path that is not relative to the base URL or would climb out of it.
pub fn raw(
    method: Method,
    path: &str,
    query: &Query,
    headers: HeaderMap,
    body: impl Into<Bytes>,
) -> Result<Request<Bytes>> {
    check_path(path)?;
    let mut request = build(method, path, query, body.into(), None)?;
    *request.headers_mut() = headers;
    Ok(request)
}

/// A path the caller wrote: it stays below the base URL, whoever decodes it.
fn check_path(path: &str) -> Result<()> {
    let refuse = |message: &str| Err(Error::invalid("build request", message).with("path", path));
    if !path.starts_with('/') || path.starts_with("//") {
        return refuse("the path does not start with one `/`: it is relative to the connection's base URL");
    }
    if path.contains(['#', '\\']) || path.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return refuse("the path contains a character that does not belong there; encode it");
    }
    let (segments, options) = path.split_once('?').map_or((path, None), |(path, options)| (path, Some(options)));
    if options.is_some_and(|options| options.contains('?')) {
        return refuse("the path contains a second `?`; encode it");
    }
    if climbs(segments) {
        return refuse("the path climbs out of the base URL");
    }
    Ok(())
}

/// True when a part of the path is `.` or `..` to somebody who decodes it, however often, and takes `\` for `/`.
fn climbs(path: &str) -> bool {
    let mut path = path.to_owned();
    for _ in 0..MOST_DECODINGS {
        if path.split(['/', '\\']).any(|segment| matches!(segment, "." | "..")) {
            return true;
        }
        let decoded = percent_decode_str(&path).decode_utf8_lossy().into_owned();
        if decoded == path {
            return false;
        }
        path = decoded;
    }
    // Nobody encodes a path that often and means well.
    true
}

fn build(method: Method, path: &str, query: &Query, body: Bytes, kind: Option<HeaderValue>) -> Result<Request<Bytes>> {
    let mut target = path.to_owned();
    query.append_to(&mut target);
    let mut request = Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = target.parse().map_err(|error: http::uri::InvalidUri| {
        Error::invalid("build request", "the path is no valid URI").source(error)
    })?;
    if let Some(kind) = kind {
        request.headers_mut().insert(header::CONTENT_TYPE, kind);
    }
    Ok(request)
}

/// The body of an answer as `T`.
///
/// # Errors
/// `Unavailable` when the provider answered a read with something else, `UnknownOutcome` for a write.
pub(crate) fn read_json<T: DeserializeOwned>(response: &Response<Bytes>, endpoint: &'static str) -> Result<T> {
    serde_json::from_slice(response.body()).map_err(|error| unreadable(response, endpoint, &error))
}

/// The error for an answer that does not parse: where, and not what the parser read there. It quotes values, and a
/// provider may send anything, a secret of ours too.
pub(crate) fn unreadable(response: &Response<Bytes>, endpoint: &'static str, error: &serde_json::Error) -> Error {
    let problem = match error.classify() {
        serde_json::error::Category::Data => "another shape",
        serde_json::error::Category::Eof => "it breaks off",
        _ => "no JSON",
    };
    let named = unexpected(response, endpoint).with("problem", problem);
    match error.line() {
        // It was read from a part that had been parsed already.
        0 => named,
        line => named.with("line", line).with("column", error.column()),
    }
}

/// Writes a resume token as text.
pub(crate) fn write_token<T: Serialize>(f: &mut fmt::Formatter<'_>, token: &T) -> fmt::Result {
    f.write_str(&serde_json::to_string(token).map_err(|_| fmt::Error)?)
}

/// Reads a resume token that was written as text.
///
/// # Errors
/// `InvalidInput`.
pub(crate) fn read_token<T: DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text)
        .map_err(|error| Error::invalid("resume list", "this is no resume token of such a list").source(error))
}

/// Reads `null` as the default: providers write it for lists and numbers too.
#[cfg(feature = "graph")]
pub(crate) fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

/// The error for an answer that says success and does not read as agreed: a read can be tried again, and whether a
/// write was applied is unknown. The body is not shown: it may hold personal data.
pub(crate) fn unexpected(response: &Response<Bytes>, endpoint: &'static str) -> Error {
    let size = response.body().len();
    let message = format!("the provider's answer of {size} bytes does not read as its documentation says");
    let read = response.extensions().get::<Method>().is_some_and(Method::is_safe);
    let kind = if read { ErrorKind::Unavailable } else { ErrorKind::UnknownOutcome };
    Error::new(kind, "read answer", message)
        .retry(Retry::Later)
        .with("endpoint", endpoint)
        .with("status", response.status().as_u16())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_one_segment() {
        for (text, encoded) in [
            ("o'brien@contoso.com", "o%27brien@contoso.com"),
            ("a/../b", "a%2F..%2Fb"),
            ("$x#EXT#?y", "%24x%23EXT%23%3Fy"),
            ("zoë", "zo%C3%AB"),
        ] {
            assert_eq!(segment("id", text).unwrap(), encoded);
        }
        for text in ["", ".", ".."] {
            assert_eq!(segment("id", text).unwrap_err().kind(), ErrorKind::InvalidInput);
        }
    }

    #[test]
    fn written_paths_stay_below_the_base() {
        let of = |path: &str| {
            let query = Query::new().with("$top", 5);
            raw(Method::GET, path, &query, HeaderMap::new(), Bytes::new()).map(|request| request.uri().to_string())
        };
        assert_eq!(of("/users/a@b.c/manager").unwrap(), "/users/a@b.c/manager?$top=5");
        assert_eq!(of("/users?$select=id").unwrap(), "/users?$select=id&$top=5");
        assert!(of("/a/b..c/.d").is_ok());
        for path in [
            "",
            "users",
            "//evil.example/x",
            "https://evil.example/x",
            "/a/../b",
            "/./a",
            "/a/%2e%2e/b",
            "/a%2f..%2fb",
            "/a%5c..%5cb",
            "/a/%252e%252e/b",
            "/a/%25252525252525252525252e",
            "/a b",
            "/a#b",
            "/a\\b",
            "/a\nb",
            "/a?b?c",
        ] {
            assert_eq!(of(path).unwrap_err().kind(), ErrorKind::InvalidInput, "{path}");
        }
    }

    #[test]
    fn values_cannot_leave_their_parameter() {
        let query = Query::new().with("$filter", "a eq 'x&y=1#z+%'").with("$top", 5);
        let request = bare(Method::GET, "/users", &query).unwrap();
        assert_eq!(request.uri(), "/users?$filter=a%20eq%20%27x%26y%3D1%23z%2B%25%27&$top=5");
    }

    #[cfg(feature = "graph")]
    #[test]
    fn what_is_fixed_needs_no_encoding() {
        let select = crate::graph::User::select();
        let fixed = bare(Method::GET, "/users", &Query::new().with_fixed("$select", select)).unwrap();
        assert_eq!(fixed.uri(), bare(Method::GET, "/users", &Query::new().with("$select", select)).unwrap().uri());
    }
}
