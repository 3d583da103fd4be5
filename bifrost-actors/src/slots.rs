//! Places: how many executions run at once in the hub and in each tenant, and whose turn it is. Those who want to be
//! accepted stand in another line of the same kind.
//!
//! Tenants with work waiting stand in a ring and get one place each per round, so a tenant with ten thousand queued
//! executions delays another's single one by at most one turn.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, PoisonError};

use bifrost_core::TenantId;
use tokio::sync::oneshot;

use crate::sync::{Mutex, MutexGuard};

/// The places of a hub. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Slots(Arc<Mutex<Ring>>);

#[derive(Debug)]
struct Ring {
    free: usize,
    turns: VecDeque<TenantId>,
    tenants: HashMap<TenantId, Share>,
}

#[derive(Debug)]
struct Share {
    running: u32,
    limit: u32,
    waiting: VecDeque<oneshot::Sender<Slot>>,
    in_ring: bool,
}

/// A place; dropping it passes it on.
#[derive(Debug)]
pub(crate) struct Slot {
    slots: Slots,
    tenant: TenantId,
}

impl Slots {
    /// `total` places.
    pub(crate) fn new(total: usize) -> Self {
        Self(Arc::new(Mutex::new(Ring { free: total, turns: VecDeque::new(), tenants: HashMap::new() })))
    }

    /// Takes a place of `tenant`, which may have `limit` of them, if there is one that nobody waits for.
    pub(crate) fn take(&self, tenant: &TenantId, limit: u32) -> Option<Slot> {
        let mut ring = self.lock();
        if ring.free == 0 || !ring.turns.is_empty() {
            return None;
        }
        // A share that is new has a place to give: none is left behind without one.
        let share = ring.share(tenant, limit);
        if share.running >= share.limit || !share.waiting.is_empty() {
            return None;
        }
        share.running += 1;
        ring.free -= 1;
        Some(Slot { slots: self.clone(), tenant: tenant.clone() })
    }

    /// Stands in line for a place of `tenant`, which may have `limit` of them. Dropping the receiver leaves the line.
    pub(crate) fn request(&self, tenant: &TenantId, limit: u32) -> oneshot::Receiver<Slot> {
        let (sender, receiver) = oneshot::channel();
        let next = {
            let mut ring = self.lock();
            ring.share(tenant, limit).waiting.push_back(sender);
            ring.join(tenant);
            ring.next()
        };
        self.hand_out(next);
        receiver
    }

    /// How many stand in line for a place of `tenant`.
    pub(crate) fn waiting(&self, tenant: &TenantId) -> usize {
        self.lock().tenants.get(tenant).map_or(0, |share| share.waiting.len())
    }

    /// Places in use.
    pub(crate) fn running(&self) -> u32 {
        self.lock().tenants.values().map(|share| share.running).sum()
    }

    /// Gives free places to whose turn it is, beginning with `next`.
    fn hand_out(&self, mut next: Option<Turn>) {
        while let Some((tenant, sender)) = next {
            let slot = Slot { slots: self.clone(), tenant };
            // A receiver that is gone gives the place back at once: `Slot::drop` hands out again, so stop here.
            if let Err(unwanted) = sender.send(slot) {
                drop(unwanted);
                return;
            }
            next = self.lock().next();
        }
    }

    fn give_back(&self, tenant: &TenantId) {
        let next = {
            let mut ring = self.lock();
            ring.free += 1;
            let idle = ring.tenants.get_mut(tenant).is_none_or(|share| {
                share.running = share.running.saturating_sub(1);
                share.running == 0 && share.waiting.is_empty()
            });
            if idle {
                ring.tenants.remove(tenant);
            } else {
                ring.join(tenant);
            }
            ring.next()
        };
        self.hand_out(next);
    }

    fn lock(&self) -> MutexGuard<'_, Ring> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whose turn it is, and who of that tenant has waited longest.
type Turn = (TenantId, oneshot::Sender<Slot>);

impl Ring {
    /// The share of `tenant`, which may have `limit` places.
    fn share(&mut self, tenant: &TenantId, limit: u32) -> &mut Share {
        let share = self.tenants.entry(tenant.clone()).or_insert_with(|| Share {
            running: 0,
            limit,
            waiting: VecDeque::new(),
            in_ring: false,
        });
        share.limit = limit.max(1);
        share
    }

    /// Puts `tenant` into the ring if it has work it may start and is not in it.
    fn join(&mut self, tenant: &TenantId) {
        if let Some(share) = self.tenants.get_mut(tenant)
            && !share.in_ring
            && !share.waiting.is_empty()
            && share.running < share.limit
        {
            share.in_ring = true;
            self.turns.push_back(tenant.clone());
        }
    }

    /// Takes a free place for the tenant whose turn it is.
    fn next(&mut self) -> Option<Turn> {
        while self.free > 0 {
            let tenant = self.turns.pop_front()?;
            let Some(share) = self.tenants.get_mut(&tenant) else {
                continue;
            };
            share.in_ring = false;
            while share.waiting.front().is_some_and(oneshot::Sender::is_closed) {
                share.waiting.pop_front();
            }
            if share.running >= share.limit {
                continue;
            }
            let Some(sender) = share.waiting.pop_front() else {
                if share.running == 0 {
                    self.tenants.remove(&tenant);
                }
                continue;
            };
            share.running += 1;
            self.free -= 1;
            self.join(&tenant);
            return Some((tenant, sender));
        }
        None
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.slots.give_back(&self.tenant);
    }
}

#[cfg(all(test, shuttle))]
mod races;

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(name: &str) -> TenantId {
        TenantId::new(name).unwrap()
    }

    #[test]
    fn a_flood_delays_a_neighbour_by_one_turn() {
        let slots = Slots::new(1);
        let first = slots.request(&tenant("flood"), 100).try_recv().unwrap();
        let mut flood: Vec<_> = (0..100).map(|_| slots.request(&tenant("flood"), 100)).collect();
        let mut quiet = slots.request(&tenant("quiet"), 100);
        drop(first);
        let second = flood[0].try_recv().unwrap();
        assert!(quiet.try_recv().is_err());
        drop(second);
        assert!(quiet.try_recv().is_ok());
    }

    #[test]
    fn a_tenant_keeps_to_its_limit() {
        let slots = Slots::new(10);
        let mut waiting: Vec<_> = (0..3).map(|_| slots.request(&tenant("a"), 2)).collect();
        let running: Vec<_> = waiting.iter_mut().filter_map(|w| w.try_recv().ok()).collect();
        assert_eq!((running.len(), slots.running()), (2, 2));
        drop(running);
        assert!(waiting[2].try_recv().is_ok());
    }

    #[test]
    fn nobody_takes_a_place_before_those_who_wait() {
        let slots = Slots::new(2);
        let first = slots.take(&tenant("a"), 1).unwrap();
        assert!(slots.take(&tenant("a"), 1).is_none(), "a tenant keeps to its limit");
        let mut waiting = slots.request(&tenant("a"), 1);
        assert!(slots.take(&tenant("a"), 2).is_none(), "somebody of it waits");
        let second = slots.take(&tenant("b"), 1).unwrap();
        assert!(slots.take(&tenant("c"), 1).is_none(), "there is none left");
        drop(first);
        drop((waiting.try_recv().unwrap(), second));
        assert!(slots.lock().tenants.is_empty() && slots.lock().free == 2);
    }

    #[test]
    fn those_who_leave_the_line_lose_no_place() {
        let slots = Slots::new(1);
        let held = slots.request(&tenant("a"), 1).try_recv().unwrap();
        for _ in 0..10 {
            drop(slots.request(&tenant("b"), 1));
        }
        let mut last = slots.request(&tenant("c"), 1);
        drop(held);
        drop(last.try_recv().unwrap());
        assert_eq!(slots.running(), 0);
        assert!(slots.lock().tenants.is_empty() && slots.lock().free == 1);
    }
}
