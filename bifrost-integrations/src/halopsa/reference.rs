//! References: how a create that may or may not have been applied is found again.
//!
//! HaloPSA honours no idempotency key. So a create carries a text that is unique per execution and step, in fields its
//! own lists give back: a ticket in `third_party_id_string` and as the last line of its description, an action as the
//! last line of its note. The description is the second place because integrations may overwrite the first one.

use std::fmt;

use bifrost_core::{Error, Result};

/// A text that is unique per execution and step, such as the idempotency key of an effect.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reference(String);

impl Reference {
    /// Takes 8 to 128 characters out of letters, digits and `-_.:/#`: short ones would not be unique.
    ///
    /// # Errors
    /// `InvalidInput`.
    pub fn new(text: impl Into<String>) -> Result<Self> {
        let text = text.into();
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.:/#".contains(c);
        if (8..=128).contains(&text.len()) && text.chars().all(allowed) {
            return Ok(Self(text));
        }
        let message = "a reference has 8 to 128 characters out of letters, digits and `-_.:/#`";
        Err(Error::invalid("make reference", message).with("name", text))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The line that marks a text. The brackets keep one reference from being found within another.
    pub(crate) fn line(&self) -> String {
        format!("[ref {}]", self.0)
    }

    /// Whether a text carries this reference.
    pub(crate) fn marks(&self, text: Option<&str>) -> bool {
        text.is_some_and(|text| text.contains(&self.line()))
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text in one of the two forms HaloPSA takes; where both are sent and differ, its pages show the HTML.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Text {
    Plain(String),
    Html(String),
}

impl Text {
    /// The field's name and value, with the reference as last line if there is one.
    pub(crate) fn field(
        &self,
        plain_name: &'static str,
        html_name: &'static str,
        reference: Option<&Reference>,
    ) -> (&'static str, String) {
        match (self, reference) {
            (Self::Plain(text), Some(reference)) => (plain_name, format!("{text}\n\n{}", reference.line())),
            (Self::Plain(text), None) => (plain_name, text.clone()),
            (Self::Html(text), Some(reference)) => (html_name, format!("{text}<p>{}</p>", reference.line())),
            (Self::Html(text), None) => (html_name, text.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_reference_is_not_found_within_another() {
        let short = Reference::new("0198-abcd-1").unwrap();
        let long = Reference::new("0198-abcd-10").unwrap();
        let (_, text) = Text::Html("<b>hi</b>".into()).field("note", "note_html", Some(&long));
        assert!(long.marks(Some(&text)) && !short.marks(Some(&text)) && !long.marks(None));
        for bad in ["", "short", "with space", "<script>", "ümlaut-0198"] {
            assert!(Reference::new(bad).is_err(), "{bad}");
        }
    }
}
