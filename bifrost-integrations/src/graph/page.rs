//! Paging: pages as a stream, and a token to go on where one stopped.
//!
//! `@odata.nextLink` is an absolute URL that is called unchanged (<https://learn.microsoft.com/graph/paging>); only
//! its absence ends a list, an empty page does not.

use std::fmt;
use std::str::FromStr;

use bifrost_core::integration::Outbound;
use bifrost_core::{Error, ErrorKind, Result};
use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt, TryStreamExt};
use http::{HeaderValue, Request};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use url::Url;

use super::Graph;
use super::cost::cost;
use super::query::ListQuery;
use crate::call::{self, Query};

/// One page of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// Its items; may be empty although more pages follow.
    pub items: Vec<T>,
    /// How to get the next page; `None` after the last one.
    pub next: Option<ResumeToken>,
    /// How many items there are in all: on the first page, if it was asked for.
    pub total: Option<u64>,
}

/// Where a list goes on. It can be stored, also as text; Graph decides how long it stays valid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResumeToken {
    link: String,
    /// Advanced queries repeat their header on each page.
    advanced: bool,
}

impl fmt::Display for ResumeToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        call::write_token(f, self)
    }
}

impl FromStr for ResumeToken {
    type Err = Error;

    /// Reads what [`Display`](fmt::Display) wrote. Where it leads is checked when it is used.
    fn from_str(text: &str) -> Result<Self> {
        call::read_token(text)
    }
}

#[derive(Deserialize)]
struct Envelope<T> {
    value: Vec<T>,
    #[serde(rename = "@odata.nextLink")]
    next_link: Option<String>,
    #[serde(rename = "@odata.count")]
    count: Option<u64>,
}

/// The first request of a list.
pub(crate) fn first(path: &str, endpoint: &'static str, query: &ListQuery, select: &[&str]) -> Result<Outbound> {
    let parameters = query.to_query(select);
    let mut request = call::bare(http::Method::GET, path, &parameters)?;
    mark(&mut request, query.is_advanced());
    let cost = cost(&http::Method::GET, endpoint, &parameters);
    Ok(Outbound::new(request, endpoint).with_cost(cost))
}

/// The request for the page after the one `token` came with.
///
/// # Errors
/// `Rejected` when the link leads to another host than `base`: the token of the connection must not go there.
pub(crate) fn following(token: &ResumeToken, endpoint: &'static str, base: &Url) -> Result<Outbound> {
    let link = Url::parse(&token.link).map_err(|_| foreign(endpoint))?;
    let below = link.path().strip_prefix(base.path().trim_end_matches('/'));
    if link.origin() != base.origin() || below.is_none_or(|rest| !rest.starts_with('/')) {
        return Err(foreign(endpoint));
    }
    let mut request = call::bare(http::Method::GET, &token.link, &Query::new())?;
    mark(&mut request, token.advanced);
    let parameters = link.query_pairs().fold(Query::new(), |query, (name, value)| query.with(name, value));
    let cost = cost(&http::Method::GET, endpoint, &parameters);
    Ok(Outbound::new(request, endpoint).with_cost(cost))
}

/// Adds the header of advanced queries.
pub(crate) fn mark(request: &mut Request<Bytes>, advanced: bool) {
    if advanced {
        let eventual = HeaderValue::from_static("eventual");
        request.headers_mut().insert("consistencylevel", eventual);
    }
}

fn foreign(endpoint: &'static str) -> Error {
    let message = "the link to the next page leads to another host";
    Error::new(ErrorKind::Rejected, "read next page", message).with("endpoint", endpoint)
}

/// Sends the request of a page and reads it.
pub(crate) async fn fetch<T: DeserializeOwned>(graph: &Graph, request: Outbound) -> Result<Page<T>> {
    let endpoint = request.endpoint;
    let advanced = request.request.headers().contains_key("consistencylevel");
    let sent = request.request.uri().to_string();
    let envelope: Envelope<T> = graph.json(request).await?;
    if envelope.next_link.as_deref() == Some(sent.as_str()) {
        let message = "the link to the next page leads back to this page";
        return Err(Error::new(ErrorKind::Rejected, "read next page", message).with("endpoint", endpoint));
    }
    Ok(Page {
        items: envelope.value,
        next: envelope.next_link.map(|link| ResumeToken { link, advanced }),
        total: envelope.count,
    })
}

/// All items from `first` on, fetched page by page as the stream is polled. It ends after the first error.
pub(crate) fn items<T>(graph: Graph, first: Result<Outbound>) -> impl Stream<Item = Result<T>> + Send
where
    T: DeserializeOwned + Send + 'static,
{
    pages(graph, first).map_ok(|page: Page<T>| stream::iter(page.items).map(Ok)).try_flatten()
}

/// All pages from `first` on.
pub(crate) fn pages<T>(graph: Graph, first: Result<Outbound>) -> impl Stream<Item = Result<Page<T>>> + Send
where
    T: DeserializeOwned + Send + 'static,
{
    stream::try_unfold(Some(first), move |pending| {
        let graph = graph.clone();
        async move {
            let Some(request) = pending else { return Ok(None) };
            let request = request?;
            let endpoint = request.endpoint;
            let page: Page<T> = fetch(&graph, request).await?;
            let next = page.next.as_ref().map(|token| following(token, endpoint, graph.base()));
            Ok(Some((page, next)))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(link: &str) -> ResumeToken {
        ResumeToken { link: link.to_owned(), advanced: true }
    }

    #[test]
    fn tokens_survive_as_text() {
        let token = token("https://graph.microsoft.com/v1.0/users?$skiptoken=a%27b");
        assert_eq!(token.to_string().parse::<ResumeToken>().unwrap(), token);
        for bad in ["", "x", "{}", "null", r#"{"link":"https://evil.example/","advanced":1}"#] {
            assert_eq!(bad.parse::<ResumeToken>().unwrap_err().kind(), ErrorKind::InvalidInput, "{bad}");
        }
    }

    #[test]
    fn links_are_followed_unchanged_and_only_at_home() {
        let base = Url::parse("https://graph.microsoft.com/v1.0").unwrap();
        let link = "https://graph.microsoft.com/v1.0/users?$select=id&$skiptoken=RFNwdAIAAQ%3d%3d-a_b";
        let request = following(&token(link), "/users", &base).unwrap();
        assert_eq!(request.request.uri().to_string(), link);
        assert_eq!(request.request.headers()["consistencylevel"], "eventual");
        assert_eq!(request.cost.units, 1);
        for bad in [
            "https://graph.microsoft.com.evil.example/v1.0/users",
            "http://graph.microsoft.com/v1.0/users",
            "https://graph.microsoft.com:444/v1.0/users",
            "https://graph.microsoft.com/beta/users",
            "https://graph.microsoft.com/v1.0-preview/users",
            "https://user@evil.example/v1.0/users",
            "/users?$skiptoken=x",
            "",
        ] {
            assert!(following(&token(bad), "/users", &base).is_err(), "{bad}");
        }
    }
}
