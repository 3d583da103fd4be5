//! Promises of the budget, in virtual time.

use std::collections::VecDeque;

use bifrost_core::policy::rate::{LimitShape, LimitUnit};
use bifrost_core::testing::{SeededEntropy, TokioClock};
use bifrost_core::{ConnectionId, TenantId, Timestamp};
use futures_util::future::join_all;

use super::*;
use crate::http::signals::Direction;

const LONG: Duration = Duration::from_secs(24 * 60 * 60);

fn seconds(count: f64) -> Duration {
    Duration::from_secs_f64(count)
}

fn limit(scope: LimitScope, unit: LimitUnit, amount: u32, per: u64, shape: LimitShape) -> RateLimit {
    RateLimit { scope, unit, amount, per: Duration::from_secs(per), shape, source: "test", as_of: "2026-08" }
}

fn units(scope: LimitScope, amount: u32, per: u64) -> RateLimit {
    limit(scope, LimitUnit::Units, amount, per, LimitShape::Bucket)
}

struct World {
    budget: Budget,
    clock: Arc<dyn Clock>,
}

fn world(limits: Vec<RateLimit>) -> World {
    let clock: Arc<dyn Clock> = Arc::new(TokioClock::starting_at(Timestamp::from_millis(1_786_000_000_000)));
    let entropy = Arc::new(SeededEntropy::new(7));
    let budget = Budget::new(limits, &RetryConfig::default(), Arc::clone(&clock), entropy);
    World { budget, clock }
}

fn path(tenant: &str, connection: &str) -> BudgetPath {
    let (tenant, connection) = (TenantId::new(tenant).unwrap(), ConnectionId::new(connection).unwrap());
    BudgetPath::new(&Arc::from("app"), &tenant, &connection, None)
}

impl World {
    async fn send(&self, path: &BudgetPath, cost: Cost) -> Duration {
        let permit = self.budget.acquire(path, cost, LONG).await.unwrap();
        permit.answered();
        self.clock.monotonic()
    }

    async fn refused(
        &self,
        path: &BudgetPath,
        scope: LimitScope,
        direction: Direction,
        wait: Option<Duration>,
    ) -> Duration {
        let cost = if direction == Direction::Writes { Cost::WRITE } else { Cost::READ };
        let permit = self.budget.acquire(path, cost, LONG).await.unwrap();
        let closure = Closure { scope, direction, wait };
        permit.closed(&closure, None)
    }

    /// True when a request can go at once.
    async fn is_open(&self, path: &BudgetPath, cost: Cost) -> bool {
        match self.budget.acquire(path, cost, Duration::from_nanos(1)).await {
            Ok(permit) => {
                permit.answered();
                true
            }
            Err(_) => false,
        }
    }

    fn is_quiet(&self) -> bool {
        self.budget.0.lock().groups.is_empty()
    }
}

#[tokio::test(start_paused = true)]
async fn a_burst_takes_hardly_longer_than_the_limit_demands() {
    for shape in [LimitShape::Bucket, LimitShape::Window] {
        let world = world(vec![limit(LimitScope::AppTenant, LimitUnit::Units, 2_500, 10, shape)]);
        let (path, started) = (path("contoso", "graph"), world.clock.monotonic());
        let calls = (0..5_000).map(|_| world.send(&path, Cost::READ));
        let mut sent = join_all(calls).await;
        sent.sort();
        // 2,500 go at once, the other 2,500 need ten seconds.
        let took = world.clock.monotonic() - started;
        assert!(took <= seconds(10.5), "{shape:?} took {took:?}");
        assert!(took >= seconds(9.8), "{shape:?} took {took:?}");
        assert_never_above(&sent, shape);
        assert!(world.is_quiet());
    }
}

/// Checks the times of single requests against 2,500 in 10 s, as the provider would count.
fn assert_never_above(sent: &[Duration], shape: LimitShape) {
    let mut level = 2_500.0_f64;
    let mut last = Duration::ZERO;
    for (position, at) in sent.iter().enumerate() {
        level = (level + (*at - last).as_secs_f64() * 250.0).min(2_500.0) - 1.0;
        last = *at;
        assert!(level >= -1e-6, "the bucket ran dry at {at:?}");
        let held = sent[position..].iter().take_while(|other| **other < *at + seconds(10.0)).count();
        assert!(shape == LimitShape::Bucket || held <= 2_500, "{held} in the ten seconds from {at:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn every_limit_on_the_path_holds() {
    let world = world(vec![
        units(LimitScope::App, 400, 10),
        units(LimitScope::AppTenant, 200, 10),
        limit(LimitScope::AppTenant, LimitUnit::Writes, 50, 10, LimitShape::Bucket),
    ]);
    let paths: Vec<BudgetPath> = (0..4).map(|number| path(&format!("tenant{number}"), "graph")).collect();
    let calls = paths.iter().flat_map(|path| (0..200).map(move |call| (path, call % 4 == 0)));
    let calls = calls.map(|(path, writes)| world.send(path, if writes { Cost::WRITE } else { Cost::READ }));
    join_all(calls).await;
    // 800 units at 400 in 10 s: the second half takes ten seconds. 50 writes of each tenant go at once, or nearly.
    let took = world.clock.monotonic();
    assert!((seconds(9.8)..seconds(10.6)).contains(&took), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_write_that_waits_for_writes_does_not_hold_up_reads() {
    let world = world(vec![
        limit(LimitScope::App, LimitUnit::Writes, 10, 100, LimitShape::Window),
        units(LimitScope::App, 1_000, 10),
    ]);
    let path = path("contoso", "graph");
    let writes = join_all((0..20).map(|_| world.send(&path, Cost::WRITE)));
    let reads = join_all((0..100).map(|_| world.send(&path, Cost::READ)));
    let (writes, reads) = futures_util::future::join(writes, reads).await;
    assert!(reads.iter().all(|at| *at < seconds(0.1)));
    assert!(writes.iter().filter(|at| **at < seconds(0.1)).count() == 10);
}

#[tokio::test(start_paused = true)]
async fn closing_a_node_stops_exactly_its_scope() {
    use Direction::{All, Writes};
    let other = path("fabrikam", "graph");
    for (scope, direction, same_connection, same_tenant, other_tenant, reads) in [
        (LimitScope::Connection, All, false, true, true, false),
        (LimitScope::AppTenant, All, false, false, true, false),
        (LimitScope::Tenant, All, false, false, true, false),
        (LimitScope::App, All, false, false, false, false),
        (LimitScope::AppTenant, Writes, false, false, true, true),
    ] {
        let world = world(vec![units(LimitScope::AppTenant, 1_000, 10)]);
        let own = path("contoso", "graph");
        world.refused(&own, scope, direction, Some(seconds(30.0))).await;
        let cost = Cost::WRITE;
        assert_eq!(world.is_open(&own, cost).await, same_connection, "{scope:?}");
        assert_eq!(world.is_open(&path("contoso", "graph2"), cost).await, same_tenant, "{scope:?}");
        assert_eq!(world.is_open(&other, cost).await, other_tenant, "{scope:?}");
        assert_eq!(world.is_open(&own, Cost::READ).await, reads, "{scope:?}");
        let reopened = world.send(&own, cost).await;
        assert!((seconds(30.0)..seconds(31.1)).contains(&reopened), "{scope:?} reopened after {reopened:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_request_after_a_closure_goes_alone() {
    let world = world(vec![units(LimitScope::AppTenant, 100, 10)]);
    let path = path("contoso", "graph");
    world.refused(&path, LimitScope::AppTenant, Direction::All, Some(seconds(5.0))).await;
    let trial = world.budget.acquire(&path, Cost::READ, LONG).await.unwrap();
    assert!(!world.is_open(&path, Cost::READ).await, "the others wait for the answer");
    let others = join_all((0..20).map(|_| world.send(&path, Cost::READ)));
    let answer = async {
        world.clock.sleep(seconds(0.5)).await;
        trial.answered();
        world.clock.monotonic()
    };
    let (answered, sent) = futures_util::future::join(answer, others).await;
    assert!(sent.iter().all(|at| *at >= answered));
    let last = *sent.iter().max().unwrap() - answered;
    assert!((seconds(1.3)..seconds(2.2)).contains(&last), "20 at 10 per second, not at once: {last:?}");
}

#[tokio::test(start_paused = true)]
async fn a_trial_nobody_answers_does_not_block_for_ever() {
    let world = world(vec![]);
    let path = path("contoso", "halopsa");
    world.refused(&path, LimitScope::Connection, Direction::All, Some(seconds(5.0))).await;
    let stuck = world.budget.acquire(&path, Cost::READ, LONG).await.unwrap();
    let at = world.clock.monotonic();
    let next = world.send(&path, Cost::READ).await;
    assert!((seconds(5.0)..seconds(5.2)).contains(&(next - at)), "{:?}", next - at);
    drop(stuck);
    // A dropped one is followed by the next at once.
    world.refused(&path, LimitScope::Connection, Direction::All, Some(seconds(5.0))).await;
    drop(world.budget.acquire(&path, Cost::READ, LONG).await.unwrap());
    let at = world.clock.monotonic();
    assert!(world.send(&path, Cost::READ).await - at < seconds(0.2));
}

#[tokio::test(start_paused = true)]
async fn without_a_named_time_closures_grow_until_calm_returns() {
    let world = world(vec![]);
    let path = path("contoso", "halopsa");
    let mut pauses = Vec::new();
    for _ in 0..7 {
        pauses.push(world.refused(&path, LimitScope::Connection, Direction::All, None).await.as_secs());
    }
    assert_eq!(pauses, [2, 4, 8, 16, 32, 60, 60]);
    world.send(&path, Cost::READ).await;
    world.clock.sleep(seconds(11.0)).await;
    let pause = world.refused(&path, LimitScope::Connection, Direction::All, None).await;
    assert_eq!(pause.as_secs(), 2);
}

#[tokio::test(start_paused = true)]
async fn answers_that_were_under_way_do_not_count_as_more_refusals() {
    let world = world(vec![]);
    let path = path("contoso", "halopsa");
    let permits = join_all((0..50).map(|_| world.budget.acquire(&path, Cost::READ, LONG))).await;
    let closure = Closure { scope: LimitScope::Connection, direction: Direction::All, wait: None };
    let pauses: Vec<u64> = permits.into_iter().map(|permit| permit.unwrap().closed(&closure, None).as_secs()).collect();
    assert!(pauses.iter().all(|pause| *pause == 2), "{pauses:?}");
}

#[tokio::test(start_paused = true)]
async fn a_tenant_with_much_to_do_does_not_hold_up_another() {
    let world = world(vec![units(LimitScope::App, 100, 10)]);
    let (busy, calm) = (path("busy", "graph"), path("calm", "graph"));
    let flood = join_all((0..1_000).map(|_| world.send(&busy, Cost::READ)));
    let single = async {
        world.clock.sleep(seconds(20.0)).await;
        let asked = world.clock.monotonic();
        world.send(&calm, Cost::READ).await - asked
    };
    let (_, waited) = futures_util::future::join(flood, single).await;
    // At 10 per second a turn of the busy tenant takes 0.1 s.
    assert!(waited <= seconds(0.21), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn tenants_share_by_units_and_not_by_requests() {
    let world = world(vec![units(LimitScope::App, 100, 10)]);
    let (cheap, dear) = (path("cheap", "graph"), path("dear", "graph"));
    let batch = Cost { units: 5, writes: 0 };
    let warm_up = path("warm-up", "graph");
    join_all((0..98).map(|_| world.send(&warm_up, Cost::READ))).await;
    let cheap = join_all((0..1_000).map(|_| world.send(&cheap, Cost::READ)));
    let dear = join_all((0..200).map(|_| world.send(&dear, batch)));
    let (cheap, dear) = futures_util::future::join(cheap, dear).await;
    let (at, count) = (seconds(40.0), |sent: &[Duration], at| sent.iter().filter(|time| **time < at).count());
    let (cheap, dear) = (count(&cheap, at), count(&dear, at) * 5);
    assert!(cheap.abs_diff(dear) <= 10, "{cheap} and {dear} units in 40 s");
}

#[tokio::test(start_paused = true)]
async fn a_large_request_is_not_passed_for_ever_by_small_ones() {
    let world = world(vec![units(LimitScope::AppTenant, 100, 10)]);
    let path = path("contoso", "graph");
    let small = join_all((0..500).map(|_| world.send(&path, Cost::READ)));
    let large = world.send(&path, Cost { units: 60, writes: 20 });
    let (_, large) = futures_util::future::join(small, large).await;
    assert!(large < seconds(8.0), "{large:?}");
}

#[tokio::test(start_paused = true)]
async fn a_tenant_at_its_own_limit_does_not_hold_up_others() {
    let world = world(vec![units(LimitScope::App, 1_000, 10), units(LimitScope::AppTenant, 10, 100)]);
    let (stuck, free) = (path("stuck", "graph"), path("free", "graph"));
    let flood = join_all((0..30).map(|_| world.send(&stuck, Cost::READ)));
    let others = join_all((0..9).map(|_| world.send(&free, Cost::READ)));
    let (_, others) = futures_util::future::join(flood, others).await;
    assert!(others.iter().all(|at| at.is_zero()));
}

#[tokio::test(start_paused = true)]
async fn waits_that_cannot_end_in_time_are_refused_at_once() {
    let world = world(vec![units(LimitScope::AppTenant, 10, 10)]);
    let path = path("contoso", "graph");
    world.refused(&path, LimitScope::AppTenant, Direction::All, Some(seconds(60.0))).await;
    let refused = world.budget.acquire(&path, Cost::READ, seconds(30.0)).await.unwrap_err();
    assert_eq!(world.clock.monotonic(), Duration::ZERO);
    assert_eq!(refused.kind(), ErrorKind::Throttled);
    assert!(refused.retry_after().unwrap() >= seconds(60.0));
    assert!(world.is_quiet());
}

#[tokio::test(start_paused = true)]
async fn too_many_waiters_of_one_tenant_are_refused_and_others_are_not() {
    let world = world(vec![units(LimitScope::AppTenant, 1, 1_000)]);
    let path_of_many = path("many", "graph");
    world.send(&path_of_many, Cost::READ).await;
    let waiting: Vec<_> =
        (0..MAX_WAITING_PER_TENANT).map(|_| world.budget.enter(&path_of_many, Cost::READ, LONG).unwrap()).collect();
    let refused = world.budget.enter(&path_of_many, Cost::READ, LONG).err().unwrap();
    assert_eq!(refused.kind(), ErrorKind::Overloaded);
    assert!(world.is_open(&path("few", "graph"), Cost::READ).await);
    drop(waiting);
    assert!(world.is_quiet());
}

#[tokio::test(start_paused = true)]
async fn whoever_gives_up_leaves_the_others_going() {
    let world = world(vec![units(LimitScope::AppTenant, 10, 10)]);
    let path = path("contoso", "graph");
    // Every second waiter gives up: whoever minded the clock among them has to be replaced.
    let calls = (0..100_u32).map(|number| {
        let patience = if number % 2 == 0 { seconds(f64::from(number) / 10.0) } else { LONG };
        let (world, path) = (&world, &path);
        async move { world.budget.acquire(path, Cost::READ, patience).await.map(Permit::answered).is_ok() }
    });
    let served = join_all(calls).await;
    assert!(served.iter().skip(1).step_by(2).all(|served| *served));
    assert!(world.is_quiet());
    assert!(world.clock.monotonic() < seconds(60.0));
}

#[tokio::test]
async fn real_time_works_as_well() {
    let clock: Arc<dyn Clock> = Arc::new(bifrost_core::SystemClock::new());
    let entropy = Arc::new(SeededEntropy::new(7));
    let limits = vec![limit(LimitScope::AppTenant, LimitUnit::Requests, 100, 1, LimitShape::Bucket)];
    let budget = Budget::new(limits, &RetryConfig::default(), Arc::clone(&clock), entropy);
    let path = path("contoso", "graph");
    let calls = (0..130).map(|_| budget.acquire(&path, Cost::READ, LONG));
    assert!(join_all(calls).await.iter().all(Result::is_ok));
    let took = clock.monotonic();
    assert!((seconds(0.25)..seconds(2.0)).contains(&took), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn answers_correct_what_was_estimated() {
    let world = world(vec![units(LimitScope::AppTenant, 100, 10)]);
    let path = path("contoso", "graph");
    let permit = world.budget.acquire(&path, Cost { units: 50, writes: 0 }, LONG).await.unwrap();
    let used = || world.budget.used()["app_tenant contoso units"];
    assert!((used() - 0.5).abs() < 1e-6);
    permit.learn(&Signals { units: Some(10), used: None });
    assert!((used() - 0.1).abs() < 1e-6);
    permit.learn(&Signals { units: None, used: Some(1.2) });
    let asked = world.clock.monotonic();
    let waited = world.send(&path, Cost::READ).await - asked;
    assert!((seconds(2.0)..seconds(2.6)).contains(&waited), "a fifth over the limit is two seconds of it: {waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_limit_the_provider_names_replaces_the_published_one() {
    let world = world(vec![limit(LimitScope::Connection, LimitUnit::Requests, 700, 300, LimitShape::Window)]);
    let path = path("contoso", "halopsa");
    let closure = Closure { scope: LimitScope::Connection, direction: Direction::All, wait: Some(seconds(30.0)) };
    let learned = LearnedLimit {
        scope: LimitScope::Connection,
        unit: LimitUnit::Requests,
        amount: 30,
        per: Duration::from_secs(300),
    };
    let permit = world.budget.acquire(&path, Cost::READ, LONG).await.unwrap();
    permit.closed(&closure, Some(&learned));
    let mut sent = join_all((0..60).map(|_| world.send(&path, Cost::READ))).await;
    sent.sort();
    for (position, at) in sent.iter().enumerate() {
        let held = sent[position..].iter().take_while(|other| **other < *at + seconds(300.0)).count();
        assert!(held <= 30, "{held} in five minutes");
    }
}

#[tokio::test(start_paused = true)]
async fn nodes_of_tenants_long_gone_are_forgotten() {
    let world = world(vec![units(LimitScope::AppTenant, 10, 10)]);
    for number in 0..20_000 {
        world.send(&path(&format!("tenant{number}"), "graph"), Cost::READ).await;
        world.clock.sleep(seconds(0.1)).await;
    }
    let nodes = world.budget.0.lock().tree.len();
    assert!(nodes <= 4_096, "{nodes} nodes");
}

#[tokio::test(start_paused = true)]
async fn what_a_rush_leaves_behind_is_forgotten_without_another_rush() {
    let world = world(vec![units(LimitScope::AppTenant, 10, 10)]);
    for number in 0..5_000 {
        world.send(&path(&format!("tenant{number}"), "graph"), Cost::READ).await;
    }
    assert!(world.budget.0.lock().tree.len() >= 5_000);
    for _ in 0..3 {
        world.clock.sleep(seconds(200.0)).await;
        world.send(&path("contoso", "graph"), Cost::READ).await;
    }
    let nodes = world.budget.0.lock().tree.len();
    assert!(nodes <= 5, "{nodes} nodes");
}

/// A provider with a limit of its own that answers as it likes.
struct Peer {
    allowed: VecDeque<Duration>,
    sent: Vec<Duration>,
}

impl Peer {
    /// 100 requests in any 10 s.
    fn serves(&mut self, now: Duration) -> bool {
        self.sent.push(now);
        self.allowed.retain(|at| now < *at + seconds(10.0));
        let serves = self.allowed.len() < 100;
        if serves {
            self.allowed.push_back(now);
        }
        serves
    }
}

#[tokio::test(start_paused = true)]
async fn a_storm_of_refusals_sends_hardly_more_than_is_allowed() {
    for wait in [Some(5.0), Some(0.249), Some(0.0), Some(30.0), None] {
        // We believe in ten times as much as there is.
        let world = world(vec![units(LimitScope::AppTenant, 1_000, 10)]);
        let path = path("contoso", "graph");
        let peer = Mutex::new(Peer { allowed: VecDeque::new(), sent: Vec::new() });
        let closure = Closure { scope: LimitScope::AppTenant, direction: Direction::All, wait: wait.map(seconds) };
        let early = Mutex::new((0_usize, Duration::ZERO..Duration::ZERO));
        let call = || async {
            loop {
                let permit = world.budget.acquire(&path, Cost::READ, LONG).await.unwrap();
                let now = world.clock.monotonic();
                // What was let go in the instant of the closure was let go before it.
                let is_early = early.lock().unwrap().1.contains(&(now.saturating_sub(Duration::from_nanos(1))));
                early.lock().unwrap().0 += usize::from(is_early);
                let serves = peer.lock().unwrap().serves(now);
                world.clock.sleep(seconds(0.05)).await;
                if serves {
                    break permit.answered();
                }
                permit.closed(&closure, None);
                let answered = world.clock.monotonic();
                early.lock().unwrap().1 = answered..answered + closure.wait.unwrap_or_default();
            }
        };
        // Eight at a time, as a hub would run them.
        let work = |_| async {
            for _ in 0..100 {
                call().await;
            }
        };
        join_all((0..8).map(work)).await;
        assert_eq!(early.into_inner().unwrap().0, 0, "nothing goes before the named time");
        let peer = peer.into_inner().unwrap();
        let allowed = 100.0 * (world.clock.monotonic().as_secs_f64() / 10.0 + 1.0);
        let sent = peer.sent.len();
        assert!(f64::from(u32::try_from(sent).unwrap()) <= 1.1 * allowed, "{wait:?}: {sent} of {allowed}");
    }
}
