//! What figures must reach.

use super::row::Row;
use super::table::number;

/// What a figure must reach, where there is something to reach.
#[derive(Debug, Clone, Copy)]
pub(super) enum Target {
    AtLeast(f64),
    AtMost(f64),
    /// So much of what it is beside, at least.
    Share(f64),
    /// So many times what it is beside, at most.
    Times(f64),
}

/// By the beginnings of names: how many customers, reads or executions there are is told behind them.
const TARGETS: &[(&str, Target)] = &[
    ("durable commits, ", Target::Share(0.7)),
    ("trivial workflow, 100 in flight", Target::AtLeast(10_000.0)),
    ("trivial, one at a time, p50", Target::AtMost(0.8)),
    ("five steps, 100 in flight", Target::AtLeast(3_000.0)),
    ("live token read", Target::AtMost(100.0)),
    ("start with 10000 customers", Target::AtMost(5.0)),
    ("10000 customers with a connection at rest", Target::AtMost(64.0)),
    ("5000 reads at 2500 per 10 s", Target::Times(1.05)),
    ("share of them answered 429", Target::AtMost(1.0)),
    ("beside a flood, trivial, p99", Target::Times(2.0)),
    ("page of 50 of the history at any depth, p99", Target::AtMost(5.0)),
];

/// The target of a figure. What one execution takes has none.
pub(super) fn of(row: &Row) -> Option<Target> {
    let is_per_execution = row.name.ends_with(" per execution");
    let found = TARGETS.iter().find(|(name, _)| row.name.starts_with(name) && !is_per_execution);
    found.map(|(_, target)| *target)
}

impl Target {
    pub(super) fn shown(self) -> String {
        match self {
            Self::AtLeast(value) => format!("≥ {}", number(value)),
            Self::AtMost(value) => format!("≤ {}", number(value)),
            Self::Share(value) => format!("ratio ≥ {}", number(value)),
            Self::Times(value) => format!("ratio ≤ {}", number(value)),
        }
    }

    pub(super) fn is_met(self, row: &Row) -> bool {
        match self {
            Self::AtLeast(value) => row.value >= value,
            Self::AtMost(value) => row.value <= value,
            Self::Share(value) => row.ratio.is_some_and(|ratio| ratio >= value),
            Self::Times(value) => row.ratio.is_some_and(|ratio| ratio <= value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, value: f64) -> Row {
        Row::new(name, &[value], "")
    }

    #[test]
    fn what_one_execution_takes_has_no_target() {
        assert!(of(&row("five steps, 100 in flight, syncs per execution", 0.3)).is_none());
        assert!(of(&row("five steps, 100 in flight", 4_000.0)).is_some());
    }

    #[test]
    fn a_ratio_is_judged_by_what_it_is_beside() {
        let row = row("durable commits, 16 writers, beside a bare log", 60.0);
        assert!(!of(&row).unwrap().is_met(&row));
        assert!(of(&row).unwrap().is_met(&row.clone().beside(80.0)));
        assert!(!of(&row).unwrap().is_met(&row.clone().beside(100.0)));
    }

    #[test]
    fn what_is_measured_small_has_no_target() {
        assert!(of(&row("start with 1000 customers with a connection", 9.0)).is_none());
        let start = row("start with 10000 customers with a connection", 5.1);
        assert!(!of(&start).unwrap().is_met(&start));
    }
}
