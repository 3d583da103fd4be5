//! What a list call asks for: OData query options, and filters whose values cannot break out of their quotes.

use std::borrow::Cow;
use std::fmt;

use bifrost_core::Timestamp;
use uuid::Uuid;

use crate::call::Query;

/// A value in a [`Filter`].
#[derive(Debug, Clone, PartialEq)]
pub enum Literal {
    /// Text; quotes in it are doubled.
    Text(String),
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A GUID where the property is typed as one, such as `assignedLicenses/skuId`; `id` is text.
    Guid(Uuid),
    /// An instant.
    Time(Timestamp),
    /// No value.
    Null,
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "'{}'", text.replace('\'', "''")),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Int(value) => write!(f, "{value}"),
            Self::Guid(value) => write!(f, "{value}"),
            Self::Time(value) => write!(f, "{value}"),
            Self::Null => f.write_str("null"),
        }
    }
}

impl From<&str> for Literal {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Literal {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<bool> for Literal {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Literal {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<Uuid> for Literal {
    fn from(value: Uuid) -> Self {
        Self::Guid(value)
    }
}

impl From<Timestamp> for Literal {
    fn from(value: Timestamp) -> Self {
        Self::Time(value)
    }
}

/// A `$filter` expression. Property names are part of the program, values are data.
///
/// ```
/// use bifrost_integrations::graph::Filter;
///
/// let filter = Filter::eq("surname", "O'Brien").and(Filter::starts_with("displayName", "Zoë"));
/// assert_eq!(filter.to_string(), "surname eq 'O''Brien' and startsWith(displayName,'Zoë')");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    text: String,
    /// Needs the directory's advanced query mode
    /// (<https://learn.microsoft.com/graph/aad-advanced-queries>).
    advanced: bool,
    /// More than one term: wants parentheses when joined by another operator.
    joined: Option<&'static str>,
}

impl Filter {
    /// `property eq value`.
    pub fn eq(property: &'static str, value: impl Into<Literal>) -> Self {
        Self::compare(property, "eq", &value.into(), false)
    }

    /// `property ne value`; an advanced query.
    pub fn ne(property: &'static str, value: impl Into<Literal>) -> Self {
        Self::compare(property, "ne", &value.into(), true)
    }

    /// `property ge value`.
    pub fn ge(property: &'static str, value: impl Into<Literal>) -> Self {
        Self::compare(property, "ge", &value.into(), false)
    }

    /// `property le value`.
    pub fn le(property: &'static str, value: impl Into<Literal>) -> Self {
        Self::compare(property, "le", &value.into(), false)
    }

    /// `startsWith(property, text)`.
    pub fn starts_with(property: &'static str, text: &str) -> Self {
        Self::term(format!("startsWith({property},{})", Literal::from(text)), false)
    }

    /// `endsWith(property, text)`; an advanced query, and only for some properties such as `mail` and
    /// `userPrincipalName`.
    pub fn ends_with(property: &'static str, text: &str) -> Self {
        Self::term(format!("endsWith({property},{})", Literal::from(text)), true)
    }

    /// `property in (values)`.
    pub fn is_in<L: Into<Literal>>(property: &'static str, values: impl IntoIterator<Item = L>) -> Self {
        let values: Vec<String> = values.into_iter().map(|value| value.into().to_string()).collect();
        Self::term(format!("{property} in ({})", values.join(",")), false)
    }

    /// An expression this type has no word for, taken as it is; say whether it needs the advanced query mode.
    pub fn raw(expression: impl Into<String>, advanced: bool) -> Self {
        Self { joined: Some("raw"), ..Self::term(expression.into(), advanced) }
    }

    /// Both hold.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        self.join("and", other)
    }

    /// One of both holds.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        self.join("or", other)
    }

    /// It does not hold; an advanced query.
    #[must_use]
    #[allow(clippy::should_implement_trait, reason = "reads as the OData operator it writes")]
    pub fn not(self) -> Self {
        Self::term(format!("not({})", self.text), true)
    }

    fn compare(property: &'static str, operator: &str, value: &Literal, advanced: bool) -> Self {
        Self::term(format!("{property} {operator} {value}"), advanced)
    }

    fn term(text: String, advanced: bool) -> Self {
        Self { text, advanced, joined: None }
    }

    fn join(self, operator: &'static str, other: Self) -> Self {
        let advanced = self.advanced || other.advanced;
        let text = format!("{} {operator} {}", self.within(operator), other.within(operator));
        Self { text, advanced, joined: Some(operator) }
    }

    fn within(self, operator: &str) -> String {
        match self.joined {
            Some(joined) if joined != operator => format!("({})", self.text),
            _ => self.text,
        }
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The options of a list call. What it leaves out, the area fills in: every list selects the properties its type
/// models, which also halves its cost.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListQuery {
    select: Option<Vec<Cow<'static, str>>>,
    filter: Option<Filter>,
    search: Option<String>,
    order_by: Option<Cow<'static, str>>,
    expand: Option<Cow<'static, str>>,
    page_size: Option<u16>,
    count: bool,
}

impl ListQuery {
    /// Everything, in the area's default shape.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only these properties.
    #[must_use]
    pub fn select<P: Into<Cow<'static, str>>>(mut self, properties: impl IntoIterator<Item = P>) -> Self {
        self.select = Some(properties.into_iter().map(Into::into).collect());
        self
    }

    /// Only what `filter` holds for.
    #[must_use]
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filter = Some(filter);
        self
    }

    /// Only where `property` contains the words of `text`; an advanced query, over an index that lags writes.
    #[must_use]
    pub fn search(mut self, property: &str, text: &str) -> Self {
        let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
        self.search = Some(format!("\"{property}:{escaped}\""));
        self
    }

    /// Sorted by this property, such as `displayName` or `createdDateTime desc`.
    #[must_use]
    pub fn order_by(mut self, order: impl Into<Cow<'static, str>>) -> Self {
        self.order_by = Some(order.into());
        self
    }

    /// With a related entity in each item; costs one unit more.
    #[must_use]
    pub fn expand(mut self, relation: impl Into<Cow<'static, str>>) -> Self {
        self.expand = Some(relation.into());
        self
    }

    /// Items per page, 1 to 999. Pages below 20 cost one unit less.
    #[must_use]
    pub fn page_size(mut self, items: u16) -> Self {
        self.page_size = Some(items.clamp(1, 999));
        self
    }

    /// Also counts all items: the number is in the first page.
    #[must_use]
    pub fn count(mut self) -> Self {
        self.count = true;
        self
    }

    /// The parameters to send, with `default_select` where nothing else was selected.
    pub(crate) fn to_query(&self, default_select: &[&str]) -> Query {
        let select = match &self.select {
            Some(properties) => properties.join(","),
            None => default_select.join(","),
        };
        let count = self.count || self.needs_count();
        Query::new()
            .with("$select", select)
            .maybe("$filter", self.filter.as_ref())
            .maybe("$search", self.search.as_deref())
            .maybe("$orderby", self.order_by.as_deref())
            .maybe("$expand", self.expand.as_deref())
            .maybe("$top", self.page_size)
            .maybe("$count", count.then_some("true"))
    }

    /// Whether the header `ConsistencyLevel: eventual` must go with it, on every page.
    pub(crate) fn is_advanced(&self) -> bool {
        self.count || self.search.is_some() || self.needs_count()
    }

    /// Advanced filters are refused without `$count=true`; sorting what is filtered counts as one.
    fn needs_count(&self) -> bool {
        match &self.filter {
            Some(filter) => filter.advanced || self.order_by.is_some(),
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mixed_operators_get_parentheses() {
        let either = Filter::eq("a", 1_i64).or(Filter::eq("b", true));
        assert_eq!(either.clone().and(Filter::eq("c", "x")).to_string(), "(a eq 1 or b eq true) and c eq 'x'");
        assert_eq!(either.not().to_string(), "not(a eq 1 or b eq true)");
        assert_eq!(Filter::is_in("id", ["1", "it's"]).to_string(), "id in ('1','it''s')");
    }

    #[test]
    fn advanced_queries_are_recognised() {
        let plain = ListQuery::new().filter(Filter::eq("a", "x"));
        assert!(!plain.is_advanced());
        assert_eq!(plain.to_query(&["id"]).get("$count"), None);
        let sorted = plain.order_by("displayName");
        assert!(sorted.is_advanced());
        assert_eq!(sorted.to_query(&["id"]).get("$count"), Some("true"));
        let search = ListQuery::new().search("displayName", "say \"hi\"");
        assert!(search.is_advanced());
        let query = search.to_query(&["id"]);
        assert_eq!(query.get("$search"), Some(r#""displayName:say \"hi\"""#));
        assert_eq!(query.get("$count"), None);
    }
}
