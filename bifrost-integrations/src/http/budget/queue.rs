//! Who goes next: requests wait per tenant, and tenants take turns.
//!
//! The requests of one application wait together, because the application's limits are the only ones that tenants
//! share. Tenants with something ready stand in a ring and are served by deficit round robin, one unit a turn; a tenant
//! held up by limits of its own is parked aside until it can go on, so it never holds up others. Within a tenant,
//! reads and writes of each connection and resource wait in lanes that take turns as well.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bifrost_core::integration::Cost;
use bifrost_core::policy::rate::LimitScope;
use bifrost_core::{ConnectionId, TenantId};
use tokio::sync::Notify;

use super::tree::{BudgetPath, NodeKey, Tree};
use crate::http::signals::Direction;

/// What a tenant may send in one turn, in units.
const QUANTUM: i64 = 1;
/// The most units one request is charged for in turns, so that an absurd cost does not silence a tenant.
const MAX_CHARGE: u32 = 64;
/// How long to wait when nobody can say until when.
const FALLBACK_WAIT: Duration = Duration::from_secs(1);

/// The place of one waiting request, shared by the queue and whoever waits.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) path: BudgetPath,
    pub(super) cost: Cost,
    pub(super) notify: Notify,
    granted: OnceLock<Vec<LimitScope>>,
    left: AtomicBool,
}

impl Slot {
    pub(super) fn new(path: BudgetPath, cost: Cost) -> Arc<Self> {
        Arc::new(Self { path, cost, notify: Notify::new(), granted: OnceLock::new(), left: AtomicBool::new(false) })
    }

    /// The nodes it is the trial of, once it may go.
    pub(super) fn grant(&self) -> Option<&[LimitScope]> {
        self.granted.get().map(Vec::as_slice)
    }

    fn waits(&self) -> bool {
        !self.left.load(Ordering::Relaxed)
    }
}

/// The waiting requests of one application.
#[derive(Debug, Default)]
pub(super) struct Group {
    /// By their places, which only grow: thousands may stand here, and any of them may leave at any time.
    ring: BTreeMap<u64, TenantId>,
    parked: BTreeMap<(Duration, u64), TenantId>,
    tenants: BTreeMap<TenantId, Turn>,
    /// How many places were given so far.
    places: u64,
    /// The one waiter that minds the clock for all.
    pub(super) leader: Option<Arc<Slot>>,
    /// When it wakes.
    pub(super) wakes_at: Option<Duration>,
}

#[derive(Debug, Default)]
struct Turn {
    lanes: VecDeque<Lane>,
    waiting: usize,
    deficit: i64,
    in_turn: bool,
    /// Where it stands: in the ring, or parked until then.
    place: u64,
    parked: Option<Duration>,
}

#[derive(Debug)]
struct Lane {
    connection: ConnectionId,
    resource: Option<NodeKey>,
    writes: bool,
    slots: VecDeque<Arc<Slot>>,
    left: usize,
}

/// What is known to be closed during one pass.
#[derive(Debug, Default)]
struct Pass {
    reads_shut: bool,
    writes_shut: bool,
    wakes_at: Option<Duration>,
}

impl Pass {
    fn shut(&mut self, direction: Direction) {
        self.reads_shut |= direction != Direction::Writes;
        self.writes_shut |= direction != Direction::Reads;
    }

    fn is_shut(&self, writes: bool) -> bool {
        if writes { self.writes_shut } else { self.reads_shut }
    }

    fn wake_by(&mut self, at: Duration) {
        self.wakes_at = Some(self.wakes_at.map_or(at, |known| known.min(at)));
    }
}

/// What came of serving a tenant once.
enum Served {
    /// A request went, at this charge.
    One(i64),
    /// Its requests wait for a node that tenants share: it keeps its place.
    Held,
    /// Its requests wait for limits of its own until then.
    Parked(Duration),
    /// It has no request left.
    Empty,
}

impl Group {
    pub(super) fn is_empty(&self) -> bool {
        self.tenants.is_empty()
    }

    /// How many requests of `tenant` wait.
    pub(super) fn waiting(&self, tenant: &TenantId) -> usize {
        self.tenants.get(tenant).map_or(0, |turn| turn.waiting)
    }

    /// Adds a request at the end of its lane.
    pub(super) fn push(&mut self, slot: Arc<Slot>) {
        let tenant = slot.path.tenant().clone();
        let is_new = !self.tenants.contains_key(&tenant);
        let turn = self.tenants.entry(tenant.clone()).or_default();
        let opened_lane = turn.push(slot);
        if is_new {
            self.stand(tenant);
        } else if opened_lane {
            // The new lane may go where the others of the tenant cannot.
            self.unpark(&tenant);
        }
    }

    /// Takes out a request that nobody waits for any more.
    pub(super) fn leave(&mut self, slot: &Arc<Slot>) {
        if slot.grant().is_some() || slot.left.swap(true, Ordering::Relaxed) {
            return;
        }
        let tenant = slot.path.tenant();
        let Some(turn) = self.tenants.get_mut(tenant) else {
            return;
        };
        turn.waiting = turn.waiting.saturating_sub(1);
        turn.lane(slot).forget_one();
        if turn.waiting == 0 {
            let tenant = tenant.clone();
            self.remove(&tenant);
        }
    }

    /// Puts a parked tenant back into the ring.
    pub(super) fn unpark(&mut self, tenant: &TenantId) {
        let parked = self.tenants.get_mut(tenant).and_then(|turn| Some((turn.parked.take()?, turn.place)));
        if let Some(tenant) = parked.and_then(|place| self.parked.remove(&place)) {
            self.stand(tenant);
        }
    }

    /// Some request that waits, to mind the clock.
    pub(super) fn any_waiter(&self) -> Option<Arc<Slot>> {
        let lanes = self.tenants.values().flat_map(|turn| &turn.lanes);
        lanes.flat_map(|lane| &lane.slots).find(|slot| slot.waits()).cloned()
    }

    /// Lets go whatever can go now. Returns when to look again, if anything still waits.
    pub(super) fn pass(&mut self, tree: &mut Tree, now: Duration) -> Option<Duration> {
        self.unpark_due(now);
        let mut pass = Pass::default();
        let mut last = 0;
        while let Some((place, tenant)) = self.ring.range(last + 1..).next() {
            if pass.reads_shut && pass.writes_shut {
                break;
            }
            last = *place;
            let tenant = tenant.clone();
            self.visit(tenant, tree, &mut pass, now);
        }
        if let Some(((at, _), _)) = self.parked.first_key_value() {
            pass.wake_by(*at);
        }
        self.wakes_at = match pass.wakes_at {
            None if !self.is_empty() => Some(now + FALLBACK_WAIT),
            at => at,
        };
        self.wakes_at
    }

    /// Gives a tenant of the ring its turn; it keeps its place when nothing of it can go and nothing else is known.
    fn visit(&mut self, tenant: TenantId, tree: &mut Tree, pass: &mut Pass, now: Duration) {
        let Some(turn) = self.tenants.get_mut(&tenant) else { return };
        match turn.serve(tree, pass, now) {
            Served::Held => {}
            Served::One(_) if turn.waiting > 0 => {
                self.ring.remove(&turn.place);
                self.stand(tenant);
            }
            Served::Parked(until) => {
                turn.parked = Some(until);
                self.ring.remove(&turn.place);
                self.parked.insert((until, turn.place), tenant);
            }
            Served::One(_) | Served::Empty => self.remove(&tenant),
        }
    }

    /// Puts a tenant at the end of the ring.
    fn stand(&mut self, tenant: TenantId) {
        if let Some(turn) = self.tenants.get_mut(&tenant) {
            self.places += 1;
            turn.place = self.places;
            self.ring.insert(self.places, tenant);
        }
    }

    fn unpark_due(&mut self, now: Duration) {
        while let Some(entry) = self.parked.first_entry() {
            if entry.key().0 > now {
                break;
            }
            let tenant = entry.remove();
            if let Some(turn) = self.tenants.get_mut(&tenant) {
                turn.parked = None;
                self.stand(tenant);
            }
        }
    }

    fn remove(&mut self, tenant: &TenantId) {
        let Some(turn) = self.tenants.remove(tenant) else { return };
        match turn.parked {
            Some(until) => drop(self.parked.remove(&(until, turn.place))),
            None => drop(self.ring.remove(&turn.place)),
        }
    }
}

impl Turn {
    /// True when the request opened a lane of its own.
    fn push(&mut self, slot: Arc<Slot>) -> bool {
        self.waiting += 1;
        let lane = self.lane(&slot);
        lane.slots.push_back(slot);
        lane.slots.len() - lane.left == 1
    }

    fn lane(&mut self, slot: &Slot) -> &mut Lane {
        let position = self.lanes.iter().position(|lane| lane.is_for(slot));
        let position = position.unwrap_or_else(|| {
            self.lanes.push_back(Lane::new(slot));
            self.lanes.len() - 1
        });
        &mut self.lanes[position]
    }

    /// Serves requests for as long as the turn lasts.
    fn serve(&mut self, tree: &mut Tree, pass: &mut Pass, now: Duration) -> Served {
        if !self.in_turn {
            self.in_turn = true;
            self.deficit += QUANTUM;
        }
        while self.deficit > 0 {
            match self.serve_one(tree, pass, now) {
                Served::One(charge) => self.deficit -= charge,
                Served::Held => return Served::Held,
                other => {
                    self.in_turn = false;
                    self.deficit = self.deficit.min(0);
                    return other;
                }
            }
        }
        self.in_turn = false;
        Served::One(0)
    }

    fn serve_one(&mut self, tree: &mut Tree, pass: &mut Pass, now: Duration) -> Served {
        self.lanes.retain_mut(Lane::has_waiter);
        let mut own = Pass::default();
        let mut connections: Vec<(ConnectionId, Direction)> = Vec::new();
        let mut held = false;
        for position in 0..self.lanes.len() {
            let lane = &self.lanes[position];
            let Some(slot) = lane.slots.front() else { continue };
            if pass.is_shut(lane.writes) {
                held = true;
                continue;
            }
            let shut = |(connection, direction): &(ConnectionId, Direction)| {
                *connection == lane.connection && direction.covers(slot.cost.writes)
            };
            if own.is_shut(lane.writes) || connections.iter().any(shut) {
                continue;
            }
            let Err(blocked) = tree.check(&slot.path, slot.cost, now) else {
                return self.grant(position, tree, now);
            };
            let block = blocked.block;
            match blocked.scope {
                LimitScope::App => {
                    pass.shut(block.direction);
                    pass.wake_by(block.until);
                    held = true;
                    continue;
                }
                LimitScope::AppTenant | LimitScope::Tenant => own.shut(block.direction),
                LimitScope::Connection => connections.push((lane.connection.clone(), block.direction)),
                LimitScope::Resource => {}
            }
            own.wake_by(block.until);
        }
        match (held, own.wakes_at) {
            (true, at) => {
                at.into_iter().for_each(|at| pass.wake_by(at));
                Served::Held
            }
            (false, Some(at)) => Served::Parked(at),
            (false, None) => Served::Empty,
        }
    }

    /// Lets the first request of a lane go; the lane goes to the end.
    fn grant(&mut self, position: usize, tree: &mut Tree, now: Duration) -> Served {
        let Some(mut lane) = self.lanes.remove(position) else {
            return Served::Empty;
        };
        let Some(slot) = lane.slots.pop_front() else {
            return Served::Empty;
        };
        if !lane.slots.is_empty() {
            self.lanes.push_back(lane);
        }
        self.waiting = self.waiting.saturating_sub(1);
        let trials = tree.take(&slot.path, slot.cost, now);
        // Set once: a slot is granted when it leaves the queue, and it is in the queue once.
        let _ = slot.granted.set(trials);
        slot.notify.notify_one();
        Served::One(i64::from(slot.cost.units.clamp(1, MAX_CHARGE)))
    }
}

impl Lane {
    fn new(slot: &Slot) -> Self {
        Self {
            connection: slot.path.connection().clone(),
            resource: slot.path.resource().cloned(),
            writes: slot.cost.writes > 0,
            slots: VecDeque::new(),
            left: 0,
        }
    }

    fn is_for(&self, slot: &Slot) -> bool {
        self.writes == (slot.cost.writes > 0)
            && self.connection == *slot.path.connection()
            && self.resource.as_ref() == slot.path.resource()
    }

    /// Counts one that left; they are taken out when they come to the front or are many.
    fn forget_one(&mut self) {
        self.left += 1;
        if self.left > 32 && self.left * 2 > self.slots.len() {
            self.slots.retain(|slot| slot.waits());
            self.left = 0;
        }
    }

    fn has_waiter(&mut self) -> bool {
        while self.slots.front().is_some_and(|slot| !slot.waits()) {
            self.slots.pop_front();
            self.left = self.left.saturating_sub(1);
        }
        !self.slots.is_empty()
    }
}
