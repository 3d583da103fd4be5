//! One budget for all calls of an integration, instead of a retry per request.
//!
//! ```text
//! app ── app + tenant ──┬── connection ── resource
//!            tenant ────┘
//! ```
//!
//! A request passes every node of its path at once or waits. Each node has meters made from the provider's published
//! limits ([`RateLimit`]), which its answers correct, and gates that close when it says "slow down"
//! (a 429 closes exactly its scope, for everyone, until the time it named). Tenants that wait for a limit they share
//! take turns. `meter` counts, `node` decides, `tree` holds the nodes, `queue` says who is next; this file waits.
//!
//! Waiting needs no task of its own: of the requests that wait for one application, one minds the clock for all.

mod meter;
mod node;
mod queue;
#[cfg(all(test, shuttle))]
mod races;
#[cfg(test)]
mod tests;
mod tree;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use bifrost_core::integration::Cost;
use bifrost_core::policy::rate::{LimitScope, RateLimit};
use bifrost_core::time::within;
use bifrost_core::{Clock, Entropy, Error, ErrorKind, Result, Retry};

use super::classify::{Closure, LearnedLimit};
use super::config::RetryConfig;
use super::retry::Intervals;
use super::signals::Signals;
use crate::sync::{Mutex, MutexGuard};
use queue::{Group, Slot};
pub use tree::BudgetPath;
use tree::Tree;

/// The most requests of one tenant that wait at the same time; more are refused as `Overloaded`.
pub const MAX_WAITING_PER_TENANT: usize = 10_000;
/// The part of a closure's time by which it is lengthened at random, so that hubs do not come back together.
const REOPEN_JITTER: f64 = 0.05;
/// The longest such lengthening.
const MAX_REOPEN_JITTER: Duration = Duration::from_secs(1);
/// The longest a closure is made when the provider keeps naming times that are too short.
const MAX_INSISTENCE: Duration = Duration::from_secs(16);
/// The least time between two looks at what waits.
const MIN_SLEEP: Duration = Duration::from_millis(1);

/// The budget of one integration. Clones share it.
#[derive(Clone)]
pub struct Budget(Arc<Shared>);

struct Shared {
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    pauses: Intervals,
    state: Mutex<State>,
}

struct State {
    tree: Tree,
    groups: HashMap<Arc<str>, Group>,
}

impl Budget {
    /// A budget with these limits, none of which is used yet. `retry` says how long a node closes when the provider
    /// does not.
    pub fn new(limits: Vec<RateLimit>, retry: &RetryConfig, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self(Arc::new(Shared {
            clock,
            entropy,
            pauses: Intervals::doubling(retry.initial_pause, retry.max_pause),
            state: Mutex::new(State { tree: Tree::new(limits), groups: HashMap::new() }),
        }))
    }

    /// Waits, at most for `limit`, until a request of this cost may go.
    ///
    /// # Errors
    /// `Throttled`, at once where it is known that the wait would be longer; `Overloaded` when too many of the tenant's
    /// requests wait already.
    pub async fn acquire(&self, path: &BudgetPath, cost: Cost, limit: Duration) -> Result<Permit> {
        let ticket = match self.enter(path, cost, limit)? {
            Entered::Gone(permit) => return Ok(permit),
            Entered::Waiting(ticket) => ticket,
        };
        let waits = ticket.slot.grant().is_none();
        if waits && within(self.0.clock.as_ref(), limit, ticket.wait()).await.is_none() {
            return Err(self.too_late(path, cost, limit));
        }
        let waited = self.0.clock.monotonic().saturating_sub(ticket.since);
        Ok(ticket.into_permit(waited))
    }

    /// How much of each kind of limit the fullest node has used, by name.
    pub fn used(&self) -> BTreeMap<String, f64> {
        let now = self.0.clock.monotonic();
        self.0.lock().tree.fullest(now)
    }

    /// How many nodes it has.
    pub(crate) fn nodes(&self) -> usize {
        self.0.lock().tree.len()
    }

    fn enter(&self, path: &BudgetPath, cost: Cost, limit: Duration) -> Result<Entered> {
        let now = self.0.clock.monotonic();
        let mut state = self.0.lock();
        if let Some(trials) = state.pass_alone(path, cost, now) {
            return Ok(Entered::Gone(self.permit(path, cost, trials)));
        }
        if let Some(opens_at) = state.tree.opens_at(path, cost, now).filter(|at| *at > now + limit) {
            return Err(throttled("the provider has asked to wait longer than the call's deadline", opens_at - now));
        }
        let State { tree, groups } = &mut *state;
        let group = groups.entry(Arc::clone(path.app())).or_default();
        if group.waiting(path.tenant()) >= MAX_WAITING_PER_TENANT {
            let message = "too many requests of the tenant wait for the provider's limits";
            return Err(Error::new(ErrorKind::Overloaded, "call provider", message)
                .with("limit", MAX_WAITING_PER_TENANT)
                .retry(Retry::Later)
                .next_action("run fewer workflows of this tenant at the same time"));
        }
        let slot = Slot::new(path.clone(), cost);
        group.push(Arc::clone(&slot));
        group.pass_and_rearm(tree, now);
        Ok(Entered::Waiting(Ticket { shared: Arc::clone(&self.0), slot, since: now, taken: false }))
    }

    /// The permit of a request that need not wait.
    fn permit(&self, path: &BudgetPath, cost: Cost, trials: Vec<LimitScope>) -> Permit {
        Permit { shared: Arc::clone(&self.0), path: path.clone(), cost, trials, waited: Duration::ZERO }
    }

    fn too_late(&self, path: &BudgetPath, cost: Cost, limit: Duration) -> Error {
        let now = self.0.clock.monotonic();
        match self.0.lock().tree.opens_at(path, cost, now) {
            Some(opens_at) => {
                throttled("the provider has asked to wait longer than the call's deadline", opens_at - now)
            }
            None => throttled("the provider's limits left no room before the call's deadline", limit)
                .next_action("give the call a longer deadline, or run fewer workflows at the same time"),
        }
    }
}

fn throttled(message: &str, wait: Duration) -> Error {
    Error::new(ErrorKind::Throttled, "call provider", message).retry(Retry::After(wait))
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long a node stays closed: as long as the provider said, and longer with each time in a row when it said
    /// nothing or its word has proved too short.
    fn pause(&self, closure: &Closure, strikes: u32) -> Duration {
        let wait = match closure.wait {
            Some(named) if strikes > 1 => named.max(self.pauses.after(strikes - 1).min(MAX_INSISTENCE)),
            Some(named) => named,
            None => self.pauses.after(strikes),
        };
        let jitter = wait.mul_f64(REOPEN_JITTER).min(MAX_REOPEN_JITTER);
        wait + jitter.mul_f64(self.entropy.fraction())
    }
}

impl State {
    /// Lets a request go at once if it may and nobody waits for what its application shares, who would have to be asked
    /// first whose turn it is. Returns the nodes that it is the trial of.
    fn pass_alone(&mut self, path: &BudgetPath, cost: Cost, now: Duration) -> Option<Vec<LimitScope>> {
        if self.groups.contains_key(path.app()) {
            return None;
        }
        self.tree.check(path, cost, now).ok()?;
        Some(self.tree.take(path, cost, now))
    }

    /// Looks again at what waits with `path`, whose node has changed.
    fn changed(&mut self, path: &BudgetPath, now: Duration) {
        let State { tree, groups } = self;
        if let Some(group) = groups.get_mut(path.app()) {
            group.unpark(path.tenant());
            group.pass_and_rearm(tree, now);
        }
    }
}

impl Group {
    /// Lets go what can go, and wakes the one who minds the clock if it now has to be minded earlier.
    fn pass_and_rearm(&mut self, tree: &mut Tree, now: Duration) {
        let before = self.wakes_at;
        let after = self.pass(tree, now);
        let earlier = matches!((before, after), (Some(before), Some(after)) if after < before);
        if let Some(leader) = self.leader.as_ref().filter(|_| earlier) {
            leader.notify.notify_one();
        }
    }
}

/// What becomes of a request at first.
enum Entered {
    Gone(Permit),
    Waiting(Ticket),
}

/// A place in the queue; dropping it leaves the queue.
struct Ticket {
    shared: Arc<Shared>,
    slot: Arc<Slot>,
    since: Duration,
    taken: bool,
}

/// What a waiter does next.
enum Next {
    Go,
    /// Mind the clock for the group until then.
    Lead(Duration),
    Follow,
}

impl Ticket {
    async fn wait(&self) {
        loop {
            let notified = self.slot.notify.notified();
            match self.next() {
                Next::Go => return,
                Next::Follow => notified.await,
                Next::Lead(wait) => {
                    let sleep = self.shared.clock.sleep(wait.max(MIN_SLEEP));
                    futures_util::pin_mut!(notified);
                    futures_util::future::select(notified, sleep).await;
                }
            }
        }
    }

    fn next(&self) -> Next {
        let now = self.shared.clock.monotonic();
        let mut state = self.shared.lock();
        let State { tree, groups } = &mut *state;
        let Some(group) = groups.get_mut(self.slot.path.app()).filter(|_| self.slot.grant().is_none()) else {
            return Next::Go;
        };
        let leads = group.leader.as_ref().is_none_or(|leader| Arc::ptr_eq(leader, &self.slot));
        if !leads {
            return Next::Follow;
        }
        group.leader = Some(Arc::clone(&self.slot));
        let wakes_at = group.pass(tree, now);
        if self.slot.grant().is_some() {
            return Next::Go;
        }
        Next::Lead(wakes_at.map_or(Duration::ZERO, |at| at.saturating_sub(now)))
    }

    fn into_permit(mut self, waited: Duration) -> Permit {
        self.taken = true;
        Permit {
            shared: Arc::clone(&self.shared),
            path: self.slot.path.clone(),
            cost: self.slot.cost,
            trials: self.slot.grant().unwrap_or_default().to_vec(),
            waited,
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let now = self.shared.clock.monotonic();
        let mut state = self.shared.lock();
        if !self.taken
            && let Some(trials) = self.slot.grant()
        {
            // Nobody will send what was let go: others must not wait for its answer.
            end_trials(&mut state.tree, &self.slot.path, self.slot.cost, trials, false);
            state.changed(&self.slot.path, now);
        }
        let Some(group) = state.groups.get_mut(self.slot.path.app()) else {
            return;
        };
        group.leave(&self.slot);
        if group.leader.as_ref().is_some_and(|leader| Arc::ptr_eq(leader, &self.slot)) {
            // Whoever is woken finds no leader and becomes it.
            group.leader = None;
        }
        if group.leader.is_none()
            && let Some(next) = group.any_waiter()
        {
            next.notify.notify_one();
        }
        if group.is_empty() {
            state.groups.remove(self.slot.path.app());
        }
    }
}

/// The right to send one request. Tell it how the request ended; dropped without a word, the end counts as unknown.
pub struct Permit {
    shared: Arc<Shared>,
    path: BudgetPath,
    cost: Cost,
    trials: Vec<LimitScope>,
    waited: Duration,
}

impl Permit {
    /// How long it was waited for.
    pub fn waited(&self) -> Duration {
        self.waited
    }

    /// Corrects the meters by what the answer says.
    pub fn learn(&self, signals: &Signals) {
        if *signals == Signals::default() {
            return;
        }
        let now = self.shared.clock.monotonic();
        let mut state = self.shared.lock();
        if let Some(units) = signals.units {
            let more = i64::from(units) - i64::from(self.cost.units);
            for scope in [LimitScope::App, LimitScope::AppTenant, LimitScope::Tenant, LimitScope::Connection] {
                if let Some(node) = state.tree.existing(&self.path, scope) {
                    node.correct_units(more, now);
                }
            }
        }
        if let (Some(used), Some(node)) = (signals.used, state.tree.existing(&self.path, LimitScope::AppTenant)) {
            node.raise_to(used, self.cost, now);
        }
    }

    /// The provider answered and did not ask to slow down.
    pub fn answered(mut self) {
        self.end(true);
    }

    /// The provider answered, and may have asked to slow down within its answer: closes these nodes for everyone.
    pub fn accepted(self, closures: &[Closure]) {
        for closure in closures {
            self.close(closure, None);
        }
        if closures.is_empty() {
            self.answered();
        }
    }

    /// The provider asked to slow down: closes the node for everyone. Returns for how long.
    pub fn closed(self, closure: &Closure, learned: Option<&LearnedLimit>) -> Duration {
        self.close(closure, learned)
    }

    fn close(&self, closure: &Closure, learned: Option<&LearnedLimit>) -> Duration {
        let now = self.shared.clock.monotonic();
        let mut state = self.shared.lock();
        if let Some(learned) = learned {
            state.tree.learn(&self.path, learned, now);
        }
        let strikes = state.tree.strikes(&self.path, closure.scope, closure.direction, now);
        let pause = self.shared.pause(closure, strikes);
        if let Some(node) = state.tree.at(&self.path, closure.scope, now) {
            node.close(closure.direction, pause, now);
        }
        pause
    }

    fn end(&mut self, served: bool) {
        let trials = std::mem::take(&mut self.trials);
        if trials.is_empty() {
            return;
        }
        let now = self.shared.clock.monotonic();
        let mut state = self.shared.lock();
        end_trials(&mut state.tree, &self.path, self.cost, &trials, served);
        state.changed(&self.path, now);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.end(false);
    }
}

fn end_trials(tree: &mut Tree, path: &BudgetPath, cost: Cost, trials: &[LimitScope], served: bool) {
    for scope in trials {
        if let Some(node) = tree.existing(path, *scope) {
            node.end_trial(cost, served);
        }
    }
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Budget").field("used", &self.used()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit")
            .field("path", &self.path)
            .field("cost", &self.cost)
            .field("waited", &self.waited)
            .finish_non_exhaustive()
    }
}
