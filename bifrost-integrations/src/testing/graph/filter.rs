//! `$filter`: the part of OData that directory objects know.
//!
//! Comparisons (`eq`, `ne`, `ge`, `gt`, `le`, `lt`, `in`), `startswith`, `endswith`, `and`, `or`, `not`, parentheses and
//! `any` over collections. Text compares without regard to case, as the directory does.

use serde_json::{Map, Value};

/// A parsed filter.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Filter {
    Compare(Path, Operator, Value),
    In(Path, Vec<Value>),
    StartsWith(Path, String),
    EndsWith(Path, String),
    Any(Path, String, Box<Filter>),
    And(Box<Filter>, Box<Filter>),
    Or(Box<Filter>, Box<Filter>),
    Not(Box<Filter>),
}

/// Property names from the outside in.
pub(crate) type Path = Vec<String>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Eq,
    Ne,
    Ge,
    Gt,
    Le,
    Lt,
}

impl Filter {
    /// True when the directory asks for `ConsistencyLevel: eventual` and `$count=true`.
    pub(crate) fn is_advanced(&self) -> bool {
        match self {
            Self::Compare(_, operator, _) => *operator == Operator::Ne,
            Self::EndsWith(..) | Self::Not(_) => true,
            Self::In(..) | Self::StartsWith(..) => false,
            Self::Any(_, _, inner) => inner.is_advanced(),
            Self::And(left, right) | Self::Or(left, right) => left.is_advanced() || right.is_advanced(),
        }
    }

    /// The first properties of all paths, for checking that they exist.
    pub(crate) fn properties(&self) -> Vec<&str> {
        match self {
            Self::Compare(path, ..)
            | Self::In(path, _)
            | Self::StartsWith(path, _)
            | Self::EndsWith(path, _)
            | Self::Any(path, ..) => path.first().map(String::as_str).into_iter().collect(),
            Self::And(left, right) | Self::Or(left, right) => {
                let mut names = left.properties();
                names.extend(right.properties());
                names
            }
            Self::Not(inner) => inner.properties(),
        }
    }

    /// True when `object` passes.
    pub(crate) fn accepts(&self, object: &Map<String, Value>) -> bool {
        self.test(&|path| lookup(object, path))
    }

    fn test<'a>(&self, find: &dyn Fn(&[String]) -> Option<&'a Value>) -> bool {
        match self {
            Self::Compare(path, operator, wanted) => compare(find(path), *operator, wanted),
            Self::In(path, wanted) => wanted.iter().any(|one| compare(find(path), Operator::Eq, one)),
            Self::StartsWith(path, start) => lower(find(path)).is_some_and(|text| text.starts_with(start.as_str())),
            Self::EndsWith(path, end) => lower(find(path)).is_some_and(|text| text.ends_with(end.as_str())),
            Self::Any(path, variable, inner) => find(path).and_then(Value::as_array).is_some_and(|items| {
                items.iter().any(|item| {
                    inner.test(&|path| match path.split_first() {
                        Some((first, rest)) if first == variable => rest.iter().try_fold(item, |at, name| at.get(name)),
                        _ => find(path),
                    })
                })
            }),
            Self::And(left, right) => left.test(find) && right.test(find),
            Self::Or(left, right) => left.test(find) || right.test(find),
            Self::Not(inner) => !inner.test(find),
        }
    }
}

fn lookup<'a>(object: &'a Map<String, Value>, path: &[String]) -> Option<&'a Value> {
    let (first, rest) = path.split_first()?;
    let exact = object.get(first);
    let found = exact.or_else(|| {
        let mut pairs = object.iter();
        pairs.find(|(name, _)| name.eq_ignore_ascii_case(first)).map(|(_, value)| value)
    })?;
    rest.iter().try_fold(found, |at, name| at.get(name))
}

fn lower(value: Option<&Value>) -> Option<String> {
    value.and_then(Value::as_str).map(str::to_lowercase)
}

fn compare(found: Option<&Value>, operator: Operator, wanted: &Value) -> bool {
    let found = found.unwrap_or(&Value::Null);
    let order = match (found, wanted) {
        (Value::String(left), Value::String(right)) => Some(left.to_lowercase().cmp(&right.to_lowercase())),
        (Value::Number(left), Value::Number(right)) => match (left.as_f64(), right.as_f64()) {
            (Some(left), Some(right)) => left.partial_cmp(&right),
            _ => None,
        },
        (left, right) => (left == right).then_some(std::cmp::Ordering::Equal),
    };
    match operator {
        Operator::Eq => order.is_some_and(std::cmp::Ordering::is_eq),
        Operator::Ne => order.is_none_or(std::cmp::Ordering::is_ne),
        Operator::Ge => order.is_some_and(std::cmp::Ordering::is_ge),
        Operator::Gt => order.is_some_and(std::cmp::Ordering::is_gt),
        Operator::Le => order.is_some_and(std::cmp::Ordering::is_le),
        Operator::Lt => order.is_some_and(std::cmp::Ordering::is_lt),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn filters_accept_what_they_say() {
        let value = json!({
            "userPrincipalName": "Ann@contoso.com", "displayName": "Ann O'Hara", "accountEnabled": true,
            "createdDateTime": "2026-03-01T00:00:00Z", "department": null, "groupTypes": ["Unified"],
            "assignedLicenses": [{"skuId": "05e9a617-0261-4cee-bb44-138d3ef5d965"}],
        });
        let object = value.as_object().unwrap();
        for (text, expected) in [
            ("userPrincipalName eq 'ann@CONTOSO.com'", true),
            ("userPrincipalName ne 'ann@contoso.com'", false),
            ("displayName eq 'Ann O''Hara'", true),
            ("startswith(displayName,'ann')", true),
            ("startsWith(displayName, 'bob')", false),
            ("endswith(userPrincipalName,'@contoso.com')", true),
            ("accountEnabled eq true and department eq null", true),
            ("accountEnabled eq false or (not (displayName eq 'x'))", true),
            ("createdDateTime ge 2026-01-01T00:00:00Z", true),
            ("createdDateTime lt 2026-01-01T00:00:00Z", false),
            ("groupTypes/any(c:c eq 'Unified')", true),
            ("assignedLicenses/any(x:x/skuId eq 05e9a617-0261-4cee-bb44-138d3ef5d965)", true),
            ("displayName in ('Bob', 'ann o''hara')", true),
        ] {
            let filter = Filter::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(filter.accepts(object), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_filter_is_refused() {
        let deep = "(".repeat(1000);
        for text in ["", "displayName", "displayName eq", "displayName like 'x'", "a eq 'b", "a eq 'b' c", &deep] {
            assert!(Filter::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn advanced_filters_are_known() {
        for (text, expected) in [
            ("displayName eq 'x'", false),
            ("displayName ne 'x'", true),
            ("endswith(mail,'x')", true),
            ("not startswith(displayName,'x')", true),
        ] {
            assert_eq!(Filter::parse(text).unwrap().is_advanced(), expected, "{text}");
        }
    }
}
