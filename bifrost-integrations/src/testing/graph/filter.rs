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
type Path = Vec<String>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Eq,
    Ne,
    Ge,
    Gt,
    Le,
    Lt,
}

/// Filters nest; garbage must not exhaust the stack.
const MAX_DEPTH: usize = 32;

impl Filter {
    /// Reads the text of a filter.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let tokens = lex(text)?;
        let mut parser = Parser {
            tokens: &tokens,
            depth: 0,
        };
        let filter = parser.or()?;
        if parser.tokens.is_empty() {
            Ok(filter)
        } else {
            Err("there is text after the end of the filter".to_owned())
        }
    }

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
        pairs
            .find(|(name, _)| name.eq_ignore_ascii_case(first))
            .map(|(_, value)| value)
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

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Open,
    Close,
    Comma,
    Colon,
    Text(String),
    Word(String),
}

fn lex(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(&first) = chars.peek() {
        let single = match first {
            '(' => Some(Token::Open),
            ')' => Some(Token::Close),
            ',' => Some(Token::Comma),
            ':' => Some(Token::Colon),
            _ => None,
        };
        if let Some(token) = single {
            chars.next();
            tokens.push(token);
        } else if first.is_whitespace() {
            chars.next();
        } else if first == '\'' {
            chars.next();
            tokens.push(Token::Text(quoted(&mut chars)?));
        } else {
            let mut word = String::new();
            // A time of day has colons; a lambda's colon follows a short name.
            while let Some(&next) = chars.peek() {
                let colon_in_time = next == ':' && word.starts_with(|c: char| c.is_ascii_digit());
                if next.is_whitespace() || "(),'".contains(next) || (next == ':' && !colon_in_time) {
                    break;
                }
                word.push(next);
                chars.next();
            }
            tokens.push(Token::Word(word));
        }
    }
    Ok(tokens)
}

/// A text in quotes; a quote inside is doubled.
fn quoted(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<String, String> {
    let mut text = String::new();
    while let Some(next) = chars.next() {
        if next != '\'' {
            text.push(next);
        } else if chars.peek() == Some(&'\'') {
            text.push('\'');
            chars.next();
        } else {
            return Ok(text);
        }
    }
    Err("a quote is not closed".to_owned())
}

struct Parser<'a> {
    tokens: &'a [Token],
    depth: usize,
}

impl Parser<'_> {
    fn or(&mut self) -> Result<Filter, String> {
        let mut left = self.and()?;
        while self.word("or") {
            left = Filter::Or(Box::new(left), Box::new(self.and()?));
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<Filter, String> {
        let mut left = self.unary()?;
        while self.word("and") {
            left = Filter::And(Box::new(left), Box::new(self.unary()?));
        }
        Ok(left)
    }

    fn unary(&mut self) -> Result<Filter, String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err("the filter nests too deeply".to_owned());
        }
        let filter = if self.word("not") {
            Filter::Not(Box::new(self.unary()?))
        } else if self.token(&Token::Open) {
            let inner = self.or()?;
            self.expect(&Token::Close)?;
            inner
        } else {
            self.term()?
        };
        self.depth -= 1;
        Ok(filter)
    }

    fn term(&mut self) -> Result<Filter, String> {
        let name = self.name()?;
        if self.token(&Token::Open) {
            return self.function(&name);
        }
        let path = split(&name);
        let operator = self.name()?;
        let operator = match operator.to_ascii_lowercase().as_str() {
            "eq" => Operator::Eq,
            "ne" => Operator::Ne,
            "ge" => Operator::Ge,
            "gt" => Operator::Gt,
            "le" => Operator::Le,
            "lt" => Operator::Lt,
            "in" => return Ok(Filter::In(path, self.list()?)),
            other => return Err(format!("'{other}' is not an operator")),
        };
        Ok(Filter::Compare(path, operator, self.literal()?))
    }

    fn function(&mut self, name: &str) -> Result<Filter, String> {
        if let Some(path) = name.strip_suffix("/any") {
            let variable = self.name()?;
            self.expect(&Token::Colon)?;
            let inner = self.or()?;
            self.expect(&Token::Close)?;
            return Ok(Filter::Any(split(path), variable, Box::new(inner)));
        }
        let path = split(&self.name()?);
        self.expect(&Token::Comma)?;
        let Value::String(text) = self.literal()? else {
            return Err(format!("{name} needs a text"));
        };
        self.expect(&Token::Close)?;
        match name.to_ascii_lowercase().as_str() {
            "startswith" => Ok(Filter::StartsWith(path, text.to_lowercase())),
            "endswith" => Ok(Filter::EndsWith(path, text.to_lowercase())),
            other => Err(format!("'{other}' is not a supported function")),
        }
    }

    fn list(&mut self) -> Result<Vec<Value>, String> {
        self.expect(&Token::Open)?;
        let mut values = vec![self.literal()?];
        while self.token(&Token::Comma) {
            values.push(self.literal()?);
        }
        self.expect(&Token::Close)?;
        Ok(values)
    }

    fn literal(&mut self) -> Result<Value, String> {
        let (first, rest) = self.tokens.split_first().ok_or("a value is missing")?;
        let value = match first {
            Token::Text(text) => Value::from(text.as_str()),
            Token::Word(word) => match word.as_str() {
                "true" => Value::Bool(true),
                "false" => Value::Bool(false),
                "null" => Value::Null,
                // Numbers, and GUIDs and instants, which stand without quotes.
                other => serde_json::from_str::<serde_json::Number>(other).map_or(Value::from(other), Value::Number),
            },
            _ => return Err("a value is missing".to_owned()),
        };
        self.tokens = rest;
        Ok(value)
    }

    fn name(&mut self) -> Result<String, String> {
        match self.tokens.split_first() {
            Some((Token::Word(word), rest)) => {
                self.tokens = rest;
                Ok(word.clone())
            }
            _ => Err("a name is missing".to_owned()),
        }
    }

    fn word(&mut self, wanted: &str) -> bool {
        match self.tokens.split_first() {
            Some((Token::Word(word), rest)) if word.eq_ignore_ascii_case(wanted) => {
                self.tokens = rest;
                true
            }
            _ => false,
        }
    }

    fn token(&mut self, wanted: &Token) -> bool {
        match self.tokens.split_first() {
            Some((token, rest)) if token == wanted => {
                self.tokens = rest;
                true
            }
            _ => false,
        }
    }

    fn expect(&mut self, wanted: &Token) -> Result<(), String> {
        if self.token(wanted) {
            Ok(())
        } else {
            Err(format!("{wanted:?} is missing"))
        }
    }
}

fn split(path: &str) -> Path {
    path.split('/').map(str::to_owned).collect()
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
            (
                "assignedLicenses/any(x:x/skuId eq 05e9a617-0261-4cee-bb44-138d3ef5d965)",
                true,
            ),
            ("displayName in ('Bob', 'ann o''hara')", true),
        ] {
            let filter = Filter::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(filter.accepts(object), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_filter_is_refused() {
        let deep = "(".repeat(1000);
        for text in [
            "",
            "displayName",
            "displayName eq",
            "displayName like 'x'",
            "a eq 'b",
            "a eq 'b' c",
            &deep,
        ] {
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
