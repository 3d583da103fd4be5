//! Lists: what HaloPSA wraps them in, and how their pages end.
//!
//! Parameters: `pageinate` (sic), without which the others are ignored, `page_no` from 1, `page_size`
//! (<https://usehalo.com/swagger/>). Rows move between pages unless a list is sorted, so every paged list is, by id.

use std::fmt;
use std::str::FromStr;

use bifrost_core::integration::Outbound;
use bifrost_core::{Error, ErrorKind, Result};
use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt, TryStreamExt};
use http::{Method, Response};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::HaloPsa;
use super::model::Record;
use super::value::whole;
use crate::call::{self, Query, read_json};

/// Rows asked for per page: the largest number the interface description names.
pub const PAGE_SIZE: u64 = 100;

/// One page of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// Its rows.
    pub items: Vec<T>,
    /// How to get the next page; `None` after the last one.
    pub next: Option<ResumeToken>,
    /// How many rows there are in all, where the list says so.
    pub total: Option<u64>,
}

/// Where a list goes on; goes with the query it came from. It can be stored, also as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResumeToken {
    page_no: u64,
    seen: u64,
    /// The id of the first row of the page before: a list that ignores paging gives the same page again.
    first_id: i64,
}

impl fmt::Display for ResumeToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        call::write_token(f, self)
    }
}

impl FromStr for ResumeToken {
    type Err = Error;

    /// Reads what [`Display`](fmt::Display) wrote.
    fn from_str(text: &str) -> Result<Self> {
        call::read_token(text)
    }
}

/// The envelope of a list, opened.
#[derive(Debug, PartialEq)]
pub(crate) struct Rows {
    rows: Vec<Value>,
    total: Option<u64>,
}

impl Rows {
    /// Takes the member called `key`, else the first list of records among the members, else the document itself. An
    /// empty list of another name is one only where the count says so: whoever looks whether a record is there must not
    /// be told by chance that it is not.
    ///
    /// # Errors
    /// `Rejected` when there is no list.
    pub(crate) fn open(document: Value, key: &str) -> Option<Self> {
        match document {
            Value::Array(rows) => Some(Self { rows, total: None }),
            Value::Object(mut members) => {
                let total = members.get("record_count").and_then(whole);
                let named = members.get(key).is_some_and(Value::is_array).then(|| key.to_owned());
                let name = named.or_else(|| first_list(&members, total.is_some()))?;
                match members.remove(&name) {
                    Some(Value::Array(rows)) => {
                        Some(Self { rows, total: total.and_then(|total| u64::try_from(total).ok()) })
                    }
                    _ => None,
                }
            }
            _ => None,
        }
    }
}

/// `columns` describes a list and is none.
fn first_list(members: &Map<String, Value>, counted: bool) -> Option<String> {
    let is_list = |value: &Value| {
        value.as_array().is_some_and(|rows| rows.iter().all(Value::is_object) && (counted || !rows.is_empty()))
    };
    let mut lists = members.iter().filter(|(name, value)| is_list(value) && *name != "columns");
    lists.next().map(|(name, _)| name.clone())
}

/// Reads one record, taking fields that have an old name only where the current one is missing.
pub(crate) fn read_record<T: Record + DeserializeOwned>(mut row: Value) -> serde_json::Result<T> {
    if let Value::Object(fields) = &mut row {
        for (old, current) in T::ALIASES {
            let Some(value) = fields.remove(*old) else { continue };
            if fields.get(*current).is_none_or(Value::is_null) {
                fields.insert((*current).to_owned(), value);
            }
        }
    }
    serde_json::from_value(row)
}

/// Reads a whole list.
pub(crate) fn read_list<T: Record + DeserializeOwned>(
    response: &Response<Bytes>,
    endpoint: &'static str,
    key: &str,
) -> Result<(Vec<T>, Option<u64>)> {
    let rows = Rows::open(read_json(response, endpoint)?, key).ok_or_else(|| call::unexpected(response, endpoint))?;
    let items: serde_json::Result<Vec<T>> = rows.rows.into_iter().map(read_record).collect();
    let items = items.map_err(|error| call::unreadable(response, endpoint, &error))?;
    Ok((items, rows.total))
}

/// Reads what a POST or the GET of one record answers: an object, or a list with it.
pub(crate) fn read_one<T: Record + DeserializeOwned>(response: &Response<Bytes>, endpoint: &'static str) -> Result<T> {
    let document: Value = read_json(response, endpoint)?;
    let row = match document {
        Value::Array(rows) => rows.into_iter().next(),
        Value::Object(ref fields) if !fields.contains_key("id") => {
            Rows::open(document, "").and_then(|list| list.rows.into_iter().next())
        }
        object @ Value::Object(_) => Some(object),
        _ => None,
    };
    let row = row.ok_or_else(|| call::unexpected(response, endpoint))?;
    let record: T = read_record(row).map_err(|error| call::unreadable(response, endpoint, &error))?;
    // Every field is optional, so that anything would do for a record; what has no id is none.
    if record.id() == 0 {
        return Err(call::unexpected(response, endpoint));
    }
    Ok(record)
}

/// Reads the answer to a write. A record without an id and with a warning was refused although the status says
/// otherwise.
pub(crate) fn read_written<T: Record + DeserializeOwned>(
    response: &Response<Bytes>,
    endpoint: &'static str,
) -> Result<T> {
    let raw: Value = read_json(response, endpoint)?;
    let record = if raw.is_array() { &raw[0] } else { &raw };
    let warning = record["_warning"].as_str().filter(|warning| !warning.is_empty());
    let has_id = whole(&record["id"]).is_some_and(|id| id != 0);
    match warning {
        Some(warning) if !has_id => {
            let scrubber = crate::http::Carries::scrubber(response.extensions());
            let message = scrubber.scrub(&crate::http::classify::excerpt(warning));
            Err(Error::new(ErrorKind::Rejected, "call provider", message).with("endpoint", endpoint))
        }
        _ => read_one(response, endpoint),
    }
}

/// A list of an area: where it is and what its rows are called.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ListCall {
    pub(crate) path: &'static str,
    pub(crate) key: &'static str,
}

impl ListCall {
    /// The request for one page.
    pub(crate) fn page(self, filters: &Query, token: Option<&ResumeToken>) -> Result<Outbound> {
        let mut query = filters.clone();
        if filters.get("order").is_none() {
            query = query.with("order", "id");
        }
        let query = query
            .with("pageinate", true)
            .with("page_size", PAGE_SIZE)
            .with("page_no", token.map_or(1, |token| token.page_no));
        self.request(&query)
    }

    /// The request for a list that has no pages.
    pub(crate) fn request(self, query: &Query) -> Result<Outbound> {
        Ok(Outbound::new(call::bare(Method::GET, self.path, query)?, self.path))
    }

    /// Fetches one page.
    pub(crate) async fn fetch<T: Record + DeserializeOwned>(
        self,
        halo: &HaloPsa,
        filters: &Query,
        token: Option<&ResumeToken>,
    ) -> Result<Page<T>> {
        let response = halo.connection().send(self.page(filters, token)?).await?;
        let (items, total) = read_list(&response, self.path, self.key)?;
        Ok(turn(items, total, token))
    }

    /// All rows, fetched page by page as the stream is polled. It ends after the first error.
    pub(crate) fn items<T>(self, halo: HaloPsa, filters: Query) -> impl Stream<Item = Result<T>> + Send
    where
        T: Record + DeserializeOwned + Send + 'static,
    {
        let pages = stream::try_unfold(Some(None), move |position: Option<Option<ResumeToken>>| {
            let (halo, filters) = (halo.clone(), filters.clone());
            async move {
                let Some(token) = position else { return Ok(None) };
                let page: Page<T> = self.fetch(&halo, &filters, token.as_ref()).await?;
                Ok::<_, Error>(Some((page.items, page.next.map(Some))))
            }
        });
        pages.map_ok(|items| stream::iter(items).map(Ok)).try_flatten()
    }
}

/// Makes a page of rows and decides whether another follows: while the count says so, else while pages are full; an
/// empty page and one that was there before end every list.
fn turn<T: Record>(mut items: Vec<T>, total: Option<u64>, token: Option<&ResumeToken>) -> Page<T> {
    let first_id = items.first().map_or(0, Record::id);
    if token.is_some_and(|token| token.first_id == first_id && first_id != 0) {
        items.clear();
    }
    let rows = items.len() as u64;
    let seen = token.map_or(0, |token| token.seen) + rows;
    let more = rows > 0
        && match total {
            Some(total) => seen < total,
            None => rows >= PAGE_SIZE,
        };
    let next = more.then(|| ResumeToken { page_no: token.map_or(1, |token| token.page_no) + 1, seen, first_id });
    Page { items, next, total }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::halopsa::error::HaloClassifier;
    use crate::halopsa::model::Client;
    use crate::halopsa::{ClientQuery, PROVIDER};
    use crate::scripted::{Scripted, reply};

    #[test]
    fn envelopes_of_every_shape_open() {
        let row = json!({"id": 1});
        for document in [
            json!([row]),
            json!({"record_count": 1, "clients": [row]}),
            json!({"columns": [{"id": 9}], "results": [row]}),
            json!({"include_children": false, "clients": [row], "other": [row, row]}),
        ] {
            assert_eq!(Rows::open(document.clone(), "clients").unwrap().rows, vec![row.clone()], "{document}");
        }
        for document in [json!({"record_count": 0}), json!("text"), json!(null), json!({"columns": []})] {
            assert_eq!(Rows::open(document.clone(), "clients"), None, "{document}");
        }
    }

    #[test]
    fn writes_answer_an_object_or_a_list() {
        for body in [json!({"id": 5}), json!([{"id": 5}])] {
            assert_eq!(read_written::<Client>(&reply(201, &body), "/Client").unwrap().id, 5);
        }
        let refused = reply(200, &json!([{"_warning": "A user with this email exists"}]));
        assert_eq!(read_written::<Client>(&refused, "/Client").unwrap_err().kind(), ErrorKind::Rejected);
        for body in [json!([]), json!("ok"), json!(null), json!({"id": 0}), json!([{"name": "x"}])] {
            assert!(read_written::<Client>(&reply(200, &body), "/Client").is_err(), "{body}");
        }
    }

    fn rows(from: u64, count: u64) -> Vec<Client> {
        let client = |id: u64| Client { id: i64::try_from(id).unwrap(), ..Client::default() };
        (from..from + count).map(client).collect()
    }

    #[test]
    fn lists_end_by_count_or_by_a_short_page() {
        let full = turn(rows(1, 100), Some(150), None);
        let next = full.next.unwrap();
        assert_eq!((next.page_no, next.seen), (2, 100));
        assert!(turn(rows(101, 50), Some(150), Some(&next)).next.is_none());
        // A server that gives fewer rows than asked for is believed as long as it counts.
        assert!(turn(rows(1, 50), Some(150), None).next.is_some());
        assert!(turn(rows(1, 50), None, None).next.is_none());
        assert!(turn(rows(1, 100), None, None).next.is_some());
        assert!(turn(rows(1, 0), Some(150), None).next.is_none());
    }

    #[test]
    fn tokens_survive_as_text() {
        let token = turn(rows(1, 100), Some(1000), None).next.unwrap();
        assert_eq!(token.to_string().parse::<ResumeToken>().unwrap(), token);
        assert_eq!("2".parse::<ResumeToken>().unwrap_err().kind(), ErrorKind::InvalidInput);
    }

    #[test]
    fn a_list_that_ignores_paging_ends() {
        let first = turn(rows(1, 100), Some(1000), None);
        let again = turn(rows(1, 100), Some(1000), first.next.as_ref());
        assert!(again.items.is_empty() && again.next.is_none());
    }

    #[tokio::test]
    async fn a_stream_asks_for_each_page_once() {
        let page = |from: i64, count: i64| {
            let rows: Vec<Value> = (from..from + count).map(|id| json!({"id": id})).collect();
            reply(200, &json!({"record_count": 120, "clients": rows}))
        };
        let script = vec![page(1, 100), page(101, 20)];
        let (scripted, connection) = Scripted::connect(PROVIDER, Arc::new(HaloClassifier), script);
        let clients = HaloPsa::new(connection).unwrap().clients();
        let all: Vec<Client> = clients.list(&ClientQuery::new().search("a&b")).try_collect().await.unwrap();
        assert_eq!((all.len(), all[119].id), (120, 120));
        let sent: Vec<String> = scripted.sent().iter().map(|sent| sent.request.uri().to_string()).collect();
        assert_eq!(
            sent,
            [
                "/Client?search=a%26b&order=id&pageinate=true&page_size=100&page_no=1",
                "/Client?search=a%26b&order=id&pageinate=true&page_size=100&page_no=2",
            ]
        );
    }
}
