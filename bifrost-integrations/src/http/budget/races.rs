//! Requests that wait, go, are given up and are refused at the same time.

use std::task::Poll;

use bifrost_core::policy::rate::{LimitShape, LimitUnit};
use bifrost_core::testing::{ManualClock, SeededEntropy};
use bifrost_core::{ConnectionId, TenantId, Timestamp};
use futures_util::future::poll_fn;
use shuttle::future::{block_on, spawn, yield_now};
use shuttle::rand::{Rng, thread_rng};

use super::*;
use crate::http::signals::Direction;
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::explore;

const LONG: Duration = Duration::from_secs(24 * 60 * 60);
const REQUESTS: usize = 5;
/// More moments than any of these requests may have to wait.
const MOMENTS: usize = 2_000;

struct World {
    budget: Budget,
    clock: ManualClock,
    /// Requests on their way since the last refusal, and how many were on their way when it came.
    under_way: AtomicUsize,
    done: AtomicUsize,
}

fn world(per_second: u32) -> Arc<World> {
    let clock = ManualClock::starting_at(Timestamp::from_millis(1_786_000_000_000));
    let limit = RateLimit {
        scope: LimitScope::App,
        unit: LimitUnit::Requests,
        amount: per_second,
        per: Duration::from_secs(1),
        shape: LimitShape::Bucket,
        source: "test",
        as_of: "2026-08",
    };
    let entropy = Arc::new(SeededEntropy::new(7));
    let budget = Budget::new(vec![limit], &RetryConfig::default(), Arc::new(clock.clone()), entropy);
    Arc::new(World { budget, clock, under_way: AtomicUsize::new(0), done: AtomicUsize::new(0) })
}

fn path(tenant: &str) -> BudgetPath {
    BudgetPath::new(&Arc::from("app"), &TenantId::new(tenant).unwrap(), &ConnectionId::new("graph").unwrap(), None)
}

impl World {
    /// Lets time pass, by no more than `step` at once, until everybody is done.
    async fn pass_time(self: Arc<Self>, step: Duration) {
        for _ in 0..MOMENTS {
            if self.done.load(Ordering::SeqCst) == REQUESTS {
                return;
            }
            if let Some(due) = self.clock.next_due() {
                self.clock.advance(due.min(step));
            }
            yield_now().await;
        }
        panic!("a request still waits after {MOMENTS} moments: {:?}", self.budget);
    }

    /// Waits for a permit; `None` when the caller has given up, after so many looks.
    async fn permit(&self, path: &BudgetPath, patience: Option<usize>) -> Option<Permit> {
        let mut acquire = std::pin::pin!(self.budget.acquire(path, Cost::READ, LONG));
        let mut looks = 0;
        let acquired = poll_fn(|context| {
            looks += 1;
            match acquire.as_mut().poll(context) {
                Poll::Ready(permit) => Poll::Ready(Some(permit)),
                Poll::Pending if patience.is_some_and(|patience| looks > patience) => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            }
        });
        acquired.await.map(|permit| permit.unwrap())
    }

    async fn request(self: Arc<Self>, tenant: &'static str, refused: bool) {
        let patience = thread_rng().gen_bool(0.3).then(|| thread_rng().gen_range(0..3));
        let path = path(tenant);
        if let Some(permit) = self.permit(&path, patience).await {
            yield_now().await;
            match thread_rng().gen_range(0..3) {
                _ if refused => {
                    let wait = Some(Duration::from_secs(2));
                    let closure = Closure { scope: LimitScope::App, direction: Direction::All, wait };
                    permit.closed(&closure, None);
                }
                0 => drop(permit),
                _ => permit.answered(),
            }
        }
        self.done.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn nobody_waits_for_ever_and_nothing_is_left_of_those_who_gave_up() {
    explore(|| {
        block_on(async {
            let world = world(2);
            let mut tasks = vec![spawn(Arc::clone(&world).pass_time(Duration::from_millis(250)))];
            for number in 0..REQUESTS {
                let tenant = ["a", "b"][number % 2];
                let refused = thread_rng().gen_bool(0.25);
                tasks.push(spawn(Arc::clone(&world).request(tenant, refused)));
            }
            for task in tasks {
                task.await.unwrap();
            }
            assert!(world.budget.0.lock().groups.is_empty(), "a request is left in the queue");
        });
    });
}

/// After "slow down" one request goes first; the others wait until it was answered.
#[test]
fn one_request_tries_whether_a_closed_gate_is_open_again() {
    explore(|| {
        block_on(async {
            let world = world(1_000);
            let first = world.budget.acquire(&path("a"), Cost::READ, LONG).await.unwrap();
            let closure = Closure { scope: LimitScope::App, direction: Direction::All, wait: Some(MIN_SLEEP) };
            let pause = first.closed(&closure, None);
            world.clock.advance(pause);
            let answered = Arc::new(AtomicUsize::new(0));
            let requests: Vec<_> = (0..REQUESTS)
                .map(|number| {
                    let (world, answered) = (Arc::clone(&world), Arc::clone(&answered));
                    spawn(async move {
                        let permit = world.permit(&path(["a", "b"][number % 2]), None).await.unwrap();
                        let others = world.under_way.fetch_add(1, Ordering::SeqCst);
                        // The first answer ends the trial.
                        assert!(others == 0 || answered.load(Ordering::SeqCst) > 0, "two requests try the gate");
                        yield_now().await;
                        answered.fetch_add(1, Ordering::SeqCst);
                        world.under_way.fetch_sub(1, Ordering::SeqCst);
                        permit.answered();
                        world.done.fetch_add(1, Ordering::SeqCst);
                    })
                })
                .collect();
            // Much less than the others would wait for a trial that is never answered.
            Arc::clone(&world).pass_time(MIN_SLEEP).await;
            for request in requests {
                request.await.unwrap();
            }
            assert!(world.budget.0.lock().groups.is_empty(), "a request is left in the queue");
        });
    });
}
