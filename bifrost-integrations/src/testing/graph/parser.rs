//! From the text of a `$filter` to the filter: words, then a descent through `or`, `and`, `not` and terms.

use serde_json::Value;

use super::filter::{Filter, Operator, Path};

/// Filters nest; garbage must not exhaust the stack.
const MAX_DEPTH: usize = 32;

impl Filter {
    /// Reads the text of a filter.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let tokens = lex(text)?;
        let mut parser = Parser { tokens: &tokens, depth: 0 };
        let filter = parser.or()?;
        if parser.tokens.is_empty() { Ok(filter) } else { Err("there is text after the end of the filter".to_owned()) }
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
        if self.token(wanted) { Ok(()) } else { Err(format!("{wanted:?} is missing")) }
    }
}

fn split(path: &str) -> Path {
    path.split('/').map(str::to_owned).collect()
}
