//! What a check answers: a short report when it passed, the whole story when it did not.

use std::fmt;

/// The answer of a check.
pub(crate) type Outcome = Result<Report, Failure>;

/// A passed check: one figure for its line, a line for each of its parts if it tells them apart, and remarks that do not
/// make it fail.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) figure: Option<String>,
    pub(crate) parts: Vec<String>,
    pub(crate) remarks: Vec<String>,
}

impl Report {
    /// Passed, with something to count.
    pub(crate) fn figure(figure: impl Into<String>) -> Self {
        Self { figure: Some(figure.into()), ..Self::default() }
    }

    /// Adds its parts, shown below the line.
    pub(crate) fn with_parts(mut self, parts: Vec<String>) -> Self {
        self.parts.extend(parts);
        self
    }

    /// Adds remarks, shown below the line.
    pub(crate) fn with_remarks(mut self, remarks: Vec<String>) -> Self {
        self.remarks.extend(remarks);
        self
    }
}

/// A failed check, as text for the person who has to mend it.
#[derive(Debug)]
pub(crate) struct Failure(String);

impl Failure {
    /// A failure told in full by `text`.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Fails when there is anything in `problems`.
    pub(crate) fn if_any(problems: &[String]) -> Result<(), Self> {
        if problems.is_empty() {
            return Ok(());
        }
        Err(Self(problems.join("\n")))
    }

    /// Says first what was attempted.
    pub(crate) fn during(self, attempt: &str) -> Self {
        Self(format!("{attempt}:\n{}", self.0))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<String> for Failure {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_problems_are_no_failure() {
        assert!(Failure::if_any(&[]).is_ok());
    }

    #[test]
    fn every_problem_is_told_after_what_was_attempted() {
        let problems = ["one".to_owned(), "two".to_owned()];
        let failure = Failure::if_any(&problems).unwrap_err().during("first run");
        assert_eq!(failure.to_string(), "first run:\none\ntwo");
    }
}
