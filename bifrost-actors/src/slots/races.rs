//! Places to run that are asked for, taken, given back and left in line at the same time.

use shuttle::future::{block_on, spawn, yield_now};
use shuttle::rand::{Rng, thread_rng};

use super::*;
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::explore;

const PLACES: usize = 2;
const LIMIT: u32 = 1;

/// Who is running, by tenant.
#[derive(Debug, Default)]
struct Running([AtomicUsize; 2]);

impl Running {
    fn begin(&self, tenant: usize) {
        let before = self.0[tenant].fetch_add(1, Ordering::SeqCst);
        assert!(before < LIMIT as usize, "a tenant has more places than it may");
        let all: usize = self.0.iter().map(|count| count.load(Ordering::SeqCst)).sum();
        assert!(all <= PLACES, "{all} run in {PLACES} places");
    }

    fn end(&self, tenant: usize) {
        self.0[tenant].fetch_sub(1, Ordering::SeqCst);
    }
}

/// Takes a place if there is one; else stands in line, perhaps leaves it, else runs for a moment.
async fn work(slots: Slots, running: Arc<Running>, tenant: usize, impatient: bool) {
    let id = TenantId::new(["a", "b"][tenant]).unwrap();
    if let Some(slot) = slots.take(&id, LIMIT) {
        return run(slot, &running, tenant).await;
    }
    let receiver = slots.request(&id, LIMIT);
    if impatient {
        yield_now().await;
        // Gone before the place comes, after it, or while it is being handed over.
        drop(receiver);
        return;
    }
    run(receiver.await.unwrap(), &running, tenant).await;
}

async fn run(slot: Slot, running: &Running, tenant: usize) {
    running.begin(tenant);
    yield_now().await;
    running.end(tenant);
    drop(slot);
}

#[test]
fn everybody_who_waits_gets_a_place_and_all_places_come_back() {
    explore(|| {
        block_on(async {
            let (slots, running) = (Slots::new(PLACES), Arc::new(Running::default()));
            let tasks: Vec<_> = (0..6)
                .map(|number| {
                    let impatient = thread_rng().gen_bool(0.4);
                    spawn(work(slots.clone(), Arc::clone(&running), number % 2, impatient))
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
            let ring = slots.lock();
            assert!(ring.free == PLACES && ring.tenants.is_empty(), "{ring:?}");
        });
    });
}
