//! Progress while it runs: a bar per customer on a terminal, plain lines elsewhere.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::{self, IsTerminal as _, Write as _};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::hires::Person;

/// Shows progress on standard error.
pub(crate) enum Progress {
    Bars(BTreeMap<String, ProgressBar>),
    Lines { done: Cell<usize>, total: usize },
}

impl Progress {
    /// For these people.
    pub(crate) fn new(people: &[Person]) -> Self {
        if !io::stderr().is_terminal() {
            return Self::Lines { done: Cell::new(0), total: people.len() };
        }
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        for person in people {
            *counts.entry(person.customer.clone()).or_default() += 1;
        }
        let all = MultiProgress::new();
        let bar = |(customer, count): (String, u64)| {
            let bar = all.add(ProgressBar::new(count).with_style(style()));
            bar.set_prefix(customer.clone());
            (customer, bar)
        };
        Self::Bars(counts.into_iter().map(bar).collect())
    }

    /// Somebody is at this step.
    pub(crate) fn step(&self, person: &Person, step: &str) {
        if let Self::Bars(bars) = self
            && let Some(bar) = bars.get(&person.customer)
        {
            bar.set_message(format!("{}: {step}", person.hire.name));
        }
    }

    /// Somebody is through.
    pub(crate) fn ended(&self, person: &Person, outcome: &str) {
        match self {
            Self::Bars(bars) => {
                if let Some(bar) = bars.get(&person.customer) {
                    bar.inc(1);
                }
            }
            Self::Lines { done, total } => {
                done.set(done.get() + 1);
                // A reader that went away is no reason to stop.
                let _ = writeln!(io::stderr(), "[{}/{total}] {}: {outcome}", done.get(), person.hire.upn);
            }
        }
    }

    /// Leaves the bars as they are.
    pub(crate) fn finish(&self) {
        if let Self::Bars(bars) = self {
            for bar in bars.values() {
                bar.finish_with_message("done");
            }
        }
    }
}

fn style() -> ProgressStyle {
    // The template is ours and right; the default one would do as well.
    ProgressStyle::with_template("{prefix:10} {bar:28} {pos:>3}/{len:<3} {wide_msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}
