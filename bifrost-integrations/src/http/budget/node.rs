//! One node of the tree: its meters, and a gate for reads and one for writes.
//!
//! A gate closes when the provider says "slow down" and opens at the time it named. The first request through is a
//! trial: the others follow when it was answered, at the pace of the limit and not all at once. Where no limit is known,
//! the pace finds it: half as fast after each refusal, an eighth faster after each while without one.

use std::time::Duration;

use bifrost_core::integration::Cost;
use bifrost_core::policy::rate::{LimitUnit, RateLimit};

use super::meter::Meter;
use crate::http::signals::Direction;

/// How long the others wait for the answer to a trial before the next one is sent.
const TRIAL_LEASE: Duration = Duration::from_secs(5);
/// The pace after reopening where no limit names one.
const DEFAULT_PACE: Duration = Duration::from_millis(50);
/// The slowest pace that is taken up by itself.
const SLOWEST_PACE: Duration = Duration::from_secs(4);
/// A pace this fast is none.
const FASTEST_PACE: Duration = Duration::from_millis(1);
/// The least time a paced reopening lasts; after each such time without a refusal it is an eighth faster.
const PACED_FOR: Duration = Duration::from_secs(10);
/// A refusal this long after a gate opened is the first of a new row.
const CALM: Duration = Duration::from_secs(10);
/// How long a node without use is kept for what it learned.
const KEPT_FOR: Duration = Duration::from_secs(60);
/// The same, when the provider named a limit other than the published one.
const KEPT_WHEN_LEARNED: Duration = Duration::from_secs(24 * 60 * 60);

/// Why a request cannot go now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Block {
    /// When to ask again.
    pub(super) until: Duration,
    /// Which other requests wait for the same.
    pub(super) direction: Direction,
}

#[derive(Debug)]
pub(super) struct Node {
    meters: Vec<Meter>,
    reads: Gate,
    writes: Gate,
    touched: Duration,
    learned: bool,
}

impl Node {
    pub(super) fn new<'a>(limits: impl Iterator<Item = &'a RateLimit>, now: Duration) -> Self {
        Self {
            meters: limits.map(|limit| Meter::new(limit, now)).collect(),
            reads: Gate::default(),
            writes: Gate::default(),
            touched: now,
            learned: false,
        }
    }

    /// Decides without taking anything.
    pub(super) fn check(&mut self, cost: Cost, now: Duration) -> Result<(), Block> {
        let (gate, direction) = match cost.writes {
            0 => (&self.reads, Direction::Reads),
            _ => (&self.writes, Direction::Writes),
        };
        let other = if cost.writes == 0 { &self.writes } else { &self.reads };
        if let Some(until) = gate.closed_until(now).or_else(|| gate.waits_for_trial_of(other, now)) {
            return Err(Block { until, direction });
        }
        for meter in &mut self.meters {
            let wait = meter.wait_for(cells(meter.unit(), cost), now);
            if !wait.is_zero() {
                let direction = match meter.unit() {
                    LimitUnit::Writes => Direction::Writes,
                    LimitUnit::Units | LimitUnit::Requests => Direction::All,
                };
                let until = now + wait;
                return Err(Block { until, direction });
            }
        }
        Ok(())
    }

    /// Takes what a request costs; true when the request is the trial of a gate that has just opened.
    pub(super) fn take(&mut self, cost: Cost, now: Duration) -> bool {
        self.touched = now;
        for meter in &mut self.meters {
            meter.take(cells(meter.unit(), cost), now);
        }
        self.gate(cost).pass(now)
    }

    /// When the gate opens for such a request, if it is closed by the provider's word.
    pub(super) fn opens_at(&self, cost: Cost, now: Duration) -> Option<Duration> {
        let gate = if cost.writes == 0 { &self.reads } else { &self.writes };
        Some(gate.opens_at).filter(|at| *at > now)
    }

    /// A trial has ended: the provider served it, or nobody knows.
    pub(super) fn end_trial(&mut self, cost: Cost, served: bool) {
        self.gate(cost).end_trial(served);
    }

    /// The provider asked `direction` to wait for `wait`. Counts as one more time in a row unless it is closed already.
    pub(super) fn close(&mut self, direction: Direction, wait: Duration, now: Duration) {
        self.touched = now;
        let opens_at = now + wait;
        let pace = (!self.drain(direction, opens_at, now)).then(|| self.pace(direction));
        for gate in self.gates(direction) {
            gate.close(opens_at, pace, now);
            gate.shared = direction == Direction::All;
        }
    }

    /// How often in a row such requests were asked to wait, this time included.
    pub(super) fn strikes(&self, direction: Direction, now: Duration) -> u32 {
        let gate = if direction == Direction::Writes { &self.writes } else { &self.reads };
        gate.strikes_at(now)
    }

    /// The request cost other than estimated.
    pub(super) fn correct_units(&mut self, more: i64, now: Duration) {
        for meter in self.meters.iter_mut().filter(|meter| meter.unit() == LimitUnit::Units) {
            meter.correct(more, now);
        }
    }

    /// The provider says that this part of its limit is used. For a write it does not say of which limit: the fuller
    /// one it is.
    pub(super) fn raise_to(&mut self, part: f64, cost: Cost, now: Duration) {
        let concerned = self.meters.iter_mut().filter(|meter| cells(meter.unit(), cost) > 0);
        let fullest = concerned.max_by(|one, other| one.used(now).total_cmp(&other.used(now)));
        if let Some(meter) = fullest {
            meter.raise_to(part, now);
        }
    }

    /// Puts `limit` in place of the one that counts the same.
    pub(super) fn learn(&mut self, limit: &RateLimit, now: Duration) {
        self.learned = true;
        let known = |meter: &Meter| meter.matches(limit.unit, limit.amount, limit.per);
        if self.meters.iter().any(known) {
            return;
        }
        let used = self.meters.iter().find(|meter| meter.unit() == limit.unit).map(|meter| meter.used(now));
        self.meters.retain(|meter| meter.unit() != limit.unit);
        let mut meter = Meter::new(limit, now);
        meter.raise_to(used.unwrap_or_default(), now);
        self.meters.push(meter);
    }

    /// The part used of each limit.
    pub(super) fn used(&self, now: Duration) -> impl Iterator<Item = (LimitUnit, f64)> {
        self.meters.iter().map(move |meter| (meter.unit(), meter.used(now)))
    }

    pub(super) fn last_used(&self) -> Duration {
        self.touched
    }

    /// True when a new node would decide the same.
    pub(super) fn is_idle(&self, now: Duration) -> bool {
        let kept = if self.learned { KEPT_WHEN_LEARNED } else { KEPT_FOR };
        let gates = [&self.reads, &self.writes];
        now.saturating_sub(self.touched) >= kept
            && gates.iter().all(|gate| gate.opens_at <= now)
            && self.meters.iter().all(|meter| meter.used(now) <= 0.0)
    }

    fn gate(&mut self, cost: Cost) -> &mut Gate {
        if cost.writes == 0 { &mut self.reads } else { &mut self.writes }
    }

    fn gates(&mut self, direction: Direction) -> impl Iterator<Item = &mut Gate> {
        let reads = (direction != Direction::Writes).then_some(&mut self.reads);
        let writes = (direction != Direction::Reads).then_some(&mut self.writes);
        reads.into_iter().chain(writes)
    }

    /// Empties the buckets that such requests draw on; false when none could be.
    fn drain(&mut self, direction: Direction, until: Duration, now: Duration) -> bool {
        let mut drained = false;
        for meter in self.meters.iter_mut().filter(|meter| concerns(meter.unit(), direction)) {
            drained |= meter.drain_until(until, now);
        }
        drained
    }

    /// The slowest pace of the limits that such requests draw on.
    fn pace(&self, direction: Direction) -> Duration {
        let meters = self.meters.iter().filter(|meter| concerns(meter.unit(), direction));
        meters.map(Meter::pace).max().unwrap_or(DEFAULT_PACE)
    }
}

/// What a request costs in `unit`.
fn cells(unit: LimitUnit, cost: Cost) -> u32 {
    match unit {
        LimitUnit::Requests => 1,
        LimitUnit::Units => cost.units,
        LimitUnit::Writes => cost.writes,
    }
}

/// Whether closing `direction` says something about limits in `unit`: of writes alone, if only writes are closed.
fn concerns(unit: LimitUnit, direction: Direction) -> bool {
    (unit == LimitUnit::Writes) == (direction == Direction::Writes)
}

#[derive(Debug, Default)]
struct Gate {
    opens_at: Duration,
    strikes: u32,
    trial: Trial,
    pace: Option<Pace>,
    /// The provider served something since it opened.
    served: bool,
    /// One word of the provider closed both gates: one trial is enough for both.
    shared: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Trial {
    /// The gate is open for all.
    #[default]
    None,
    /// The next request is the trial.
    Due,
    /// A trial is under way; until then the others wait for it.
    Running(Duration),
}

#[derive(Debug, Clone, Copy)]
struct Pace {
    interval: Duration,
    next: Duration,
    /// When it becomes faster.
    relaxes_at: Duration,
}

impl Gate {
    fn closed_until(&self, now: Duration) -> Option<Duration> {
        let mut until = self.opens_at;
        if let Trial::Running(lease) = self.trial {
            until = until.max(lease);
        }
        if let Some(pace) = self.pace {
            until = until.max(pace.next);
        }
        Some(until).filter(|until| *until > now)
    }

    /// Until when to wait for the answer to the other gate's trial.
    fn waits_for_trial_of(&self, other: &Self, now: Duration) -> Option<Duration> {
        match other.trial {
            Trial::Running(lease) if self.shared && other.shared && self.trial != Trial::None => {
                Some(lease).filter(|lease| *lease > now)
            }
            _ => None,
        }
    }

    fn pass(&mut self, now: Duration) -> bool {
        self.pace = self.pace.and_then(|pace| pace.pass(now));
        let trial = self.trial != Trial::None;
        if trial {
            self.trial = Trial::Running(now + TRIAL_LEASE);
        }
        trial
    }

    fn end_trial(&mut self, served: bool) {
        if served {
            self.trial = Trial::None;
            self.served = true;
        } else if self.trial != Trial::None {
            self.trial = Trial::Due;
        }
    }

    /// How often in a row it was closed without having served anything if it closes now. Answers that were under way
    /// when it closed count as one.
    fn strikes_at(&self, now: Duration) -> u32 {
        if now < self.opens_at {
            self.strikes
        } else if now < self.opens_at + CALM && !self.served {
            self.strikes + 1
        } else {
            1
        }
    }

    fn close(&mut self, opens_at: Duration, pace: Option<Duration>, now: Duration) {
        let under_way = now < self.opens_at;
        self.strikes = self.strikes_at(now);
        self.opens_at = self.opens_at.max(opens_at);
        self.trial = Trial::Due;
        self.pace = pace.map(|own| {
            let interval = match self.pace {
                Some(before) if self.served && !under_way => (before.interval * 2).clamp(own, SLOWEST_PACE.max(own)),
                Some(before) => before.interval,
                None => own,
            };
            Pace { interval, next: self.opens_at, relaxes_at: self.opens_at + PACED_FOR.max(interval * 10) }
        });
        self.served = false;
    }
}

impl Pace {
    /// Lets one through; `None` when it is so fast that it holds nobody up.
    fn pass(mut self, now: Duration) -> Option<Self> {
        while now >= self.relaxes_at {
            self.interval = self.interval * 7 / 8;
            if self.interval < FASTEST_PACE {
                return None;
            }
            self.relaxes_at += PACED_FOR;
        }
        self.next = now.max(self.next) + self.interval;
        Some(self)
    }
}
