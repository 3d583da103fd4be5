//! What an attack found.

/// What an attack found. It counts what was tried; each thing that should not have happened is a violation.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) attempts: u64,
    pub(crate) violations: Vec<String>,
    /// Figures worth telling, for the documentation: how many of what.
    pub(crate) measured: Vec<(&'static str, f64)>,
}

impl Findings {
    /// Counts something that was tried.
    pub(crate) fn attempt(&mut self) {
        self.attempts += 1;
    }

    /// Notes a violation unless the promise holds.
    pub(crate) fn check(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.violation(what());
        }
    }

    /// Notes a violation.
    pub(crate) fn violation(&mut self, what: impl Into<String>) {
        self.violations.push(what.into());
    }

    /// Notes a figure; those of later rounds are added to it.
    pub(crate) fn count(&mut self, name: &'static str, figure: f64) {
        match self.measured.iter_mut().find(|(known, _)| *known == name) {
            Some((_, sum)) => *sum += figure,
            None => self.measured.push((name, figure)),
        }
    }

    /// Takes in what another round found.
    pub(crate) fn add(&mut self, other: Self) {
        self.attempts += other.attempts;
        self.violations.extend(other.violations);
        for (name, figure) in other.measured {
            self.count(name, figure);
        }
    }
}
