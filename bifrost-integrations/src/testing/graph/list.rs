//! Lists: `$select`, `$top`, `$filter`, `$orderby`, `$count`, `$search` and pages.
//!
//! Pages: <https://learn.microsoft.com/graph/paging>; what needs `ConsistencyLevel: eventual`:
//! <https://learn.microsoft.com/graph/aad-advanced-queries>.

use serde_json::{Map, Value, json};

use super::directory::text;
use super::error::GraphError;
use super::filter::Filter;
use super::schema::Schema;
use crate::testing::call::Call;

const DEFAULT_PAGE: usize = 100;
const LARGEST_PAGE: usize = 999;

/// The options of a list request.
#[derive(Debug)]
pub(crate) struct ListQuery {
    pub(crate) select: Option<Vec<String>>,
    pub(crate) filter: Option<Filter>,
    search: Option<(String, String)>,
    order: Option<(String, bool)>,
    top: usize,
    count: bool,
    after: u64,
}

impl ListQuery {
    pub(crate) fn read(call: &Call, schema: &Schema) -> Result<Self, GraphError> {
        for (name, _) in call.query.iter().filter(|(name, _)| name.starts_with('$')) {
            check_option(name, schema)?;
        }
        let eventual = is_eventual(call);
        let count = call.parameter("$count").is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let filter = call.parameter("$filter").map(|text| read_filter(text, schema)).transpose()?;
        let order = call.parameter("$orderby").map(|text| read_order(text, schema)).transpose()?;
        let advanced = filter.as_ref().is_some_and(|filter| filter.is_advanced() || order.is_some());
        if advanced && !(eventual && count) {
            return Err(GraphError::unsupported_query(
                "the filter needs the header ConsistencyLevel: eventual and $count=true",
            ));
        }
        let search = call.parameter("$search").map(read_search).transpose()?;
        if search.is_some() && !eventual {
            return Err(GraphError::unsupported_query("$search needs the header ConsistencyLevel: eventual"));
        }
        Ok(Self {
            select: read_select(call, schema)?,
            filter,
            search,
            order,
            top: call.parameter("$top").map_or(Ok(DEFAULT_PAGE), read_top)?,
            count: count && eventual,
            after: call.parameter("$skiptoken").map_or(Ok(0), read_token)?,
        })
    }

    /// The page this request asks for. `items` come in order, each with its place; `show` makes one ready to be sent.
    pub(crate) fn page<'a>(
        &self,
        call: &Call,
        context: &str,
        items: impl Iterator<Item = (u64, &'a Map<String, Value>)>,
        show: impl Fn(&Map<String, Value>) -> Map<String, Value>,
    ) -> Value {
        let accepted = items.filter(|(_, object)| self.accepts(object));
        let mut items: Vec<(u64, &Map<String, Value>)> = if self.count || self.order.is_some() {
            accepted.collect()
        } else {
            // One more than the page, to know whether there is another.
            accepted.filter(|(place, _)| *place > self.after).take(self.top + 1).collect()
        };
        let total = items.len();
        if let Some((property, descending)) = &self.order {
            items.sort_by_cached_key(|(_, object)| text(object, property).unwrap_or_default().to_lowercase());
            if *descending {
                items.reverse();
            }
            // In another order the place of an object says nothing: count instead.
            items = (1..).zip(items.into_iter().map(|(_, object)| object)).collect();
        }
        items.retain(|(place, _)| *place > self.after);
        let more = items.len() > self.top;
        items.truncate(self.top);
        let mut body = json!({"@odata.context": format!("{}/v1.0/$metadata#{context}", call.base)});
        if self.count && self.after == 0 {
            body["@odata.count"] = total.into();
        }
        if let (true, Some((last, _))) = (more, items.last()) {
            body["@odata.nextLink"] = next_link(call, *last).into();
        }
        body["value"] = items.iter().map(|(_, object)| Value::Object(show(object))).collect();
        body
    }

    /// True when filter and search let the object pass.
    pub(crate) fn accepts(&self, object: &Map<String, Value>) -> bool {
        let found = self.search.as_ref().is_none_or(|(property, wanted)| {
            text(object, property).is_some_and(|text| text.to_lowercase().contains(wanted))
        });
        found && self.filter.as_ref().is_none_or(|filter| filter.accepts(object))
    }
}

/// True when the caller accepts answers from the index.
pub(crate) fn is_eventual(call: &Call) -> bool {
    call.header("consistencylevel").is_some_and(|value| value.eq_ignore_ascii_case("eventual"))
}

/// The properties named by `$select`.
pub(crate) fn read_select(call: &Call, schema: &Schema) -> Result<Option<Vec<String>>, GraphError> {
    let Some(text) = call.parameter("$select") else {
        return Ok(None);
    };
    let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
    let names: Result<Vec<String>, GraphError> =
        names.map(|name| schema.canonical(name).map(str::to_owned).ok_or_else(|| no_property(name, schema))).collect();
    names.map(Some)
}

fn check_option(name: &str, schema: &Schema) -> Result<(), GraphError> {
    const KNOWN: [&str; 8] = ["$select", "$filter", "$search", "$orderby", "$top", "$count", "$skiptoken", "$format"];
    if KNOWN.iter().any(|known| known.eq_ignore_ascii_case(name)) {
        return Ok(());
    }
    let message = format!("'{name}' is not a supported query option for '{}'", schema.set);
    Err(GraphError::bad(message))
}

fn read_filter(text: &str, schema: &Schema) -> Result<Filter, GraphError> {
    let filter = Filter::parse(text).map_err(|reason| GraphError::bad(format!("Invalid filter clause: {reason}")))?;
    match filter.properties().iter().find(|name| schema.canonical(name).is_none()) {
        Some(unknown) => Err(no_property(unknown, schema)),
        None => Ok(filter),
    }
}

fn read_order(text: &str, schema: &Schema) -> Result<(String, bool), GraphError> {
    let mut words = text.split_whitespace();
    let name = words.next().unwrap_or_default();
    let property = schema.canonical(name).ok_or_else(|| no_property(name, schema))?;
    let descending = match words.next() {
        None | Some("asc") => false,
        Some("desc") => true,
        Some(_) => return Err(GraphError::bad("Invalid $orderby clause.")),
    };
    Ok((property.to_owned(), descending))
}

/// `"displayName:text"`, quotes included.
fn read_search(text: &str) -> Result<(String, String), GraphError> {
    let inner = text.trim().strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let pair = inner.and_then(|inner| inner.split_once(':'));
    let (property, wanted) = pair.ok_or_else(|| GraphError::bad("Invalid $search clause."))?;
    Ok((property.to_owned(), wanted.to_lowercase()))
}

fn read_top(text: &str) -> Result<usize, GraphError> {
    match text.parse() {
        Ok(top) if (1..=LARGEST_PAGE).contains(&top) => Ok(top),
        _ => Err(GraphError::bad(format!("Invalid page size specified: '{text}'."))),
    }
}

fn no_property(name: &str, schema: &Schema) -> GraphError {
    let kind = schema.odata_type.trim_start_matches('#');
    GraphError::bad(format!("Could not find a property named '{name}' on type '{kind}'."))
}

/// The address of the next page: the same request, with the place to go on from.
fn next_link(call: &Call, last: u64) -> String {
    let kept = call.raw_query.split('&').filter(|pair| {
        let pair = pair.to_ascii_lowercase();
        !pair.is_empty() && !pair.starts_with("$skiptoken=") && !pair.starts_with("%24skiptoken=")
    });
    let mut query: Vec<String> = kept.map(str::to_owned).collect();
    query.push(format!("$skiptoken=sim{last:08x}"));
    format!("{}{}?{}", call.base, call.path, query.join("&"))
}

fn read_token(text: &str) -> Result<u64, GraphError> {
    let place = text.strip_prefix("sim").and_then(|hex| u64::from_str_radix(hex, 16).ok());
    place.ok_or_else(|| {
        GraphError::new(
            http::StatusCode::BAD_REQUEST,
            "Directory_ExpiredPageToken",
            "The specified page token value has expired and can no longer be included in your request.",
        )
    })
}
