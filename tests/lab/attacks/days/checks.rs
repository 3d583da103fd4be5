//! What must hold on every evening, whatever the weather was.

use std::collections::BTreeMap;
use std::time::Duration;

use bifrost::connection::ConnectionState;
use bifrost::execution::ExecutionRecord;
use bifrost::{ErrorKind, ExecutionState, TenantStatus};
use futures_util::StreamExt;

use super::orders::{Accepted, Job, Order, upn};
use super::world::{CUSTOMERS, TENANTS, World};

/// How long after it was due a scheduled execution may start: the hub notices within a few seconds that its wall was
/// set, and an actor that failed is started again within a few more.
const LATE: Duration = Duration::from_secs(15);
/// How long an execution may take at most: its hour in the queue, its half hour to run, a full disk between them.
const LONGEST: Duration = Duration::from_secs(6 * 3600);
/// How many requests in a hundred may be above the providers' limits.
const THROTTLED: u64 = 1;

/// The executions that have not ended, as they are stored.
pub(crate) async fn unfinished(world: &World, tenant: &str) -> Vec<ExecutionRecord> {
    let (tenant, mut found, mut before) = (world.tenant(tenant), Vec::new(), None);
    loop {
        let page = tenant.executions(before, 1_000).await.unwrap();
        before = page.last().map(|record| record.id);
        found.extend(page.iter().filter(|record| !record.state.is_terminal()).cloned());
        if page.len() < 1_000 {
            return found;
        }
    }
}

pub(crate) async fn evening(world: &mut World) {
    for name in TENANTS {
        audit(world, name).await;
    }
    for name in CUSTOMERS {
        everything_has_an_owner(world, name).await;
        no_token_is_lost(world, name).await;
    }
    for number in 0..world.orders.len() {
        if let Some(accepted) = world.orders[number].accepted
            && !world.orders[number].settled
        {
            order(world, number, accepted).await;
        }
    }
    effects_at_most_once(world);
    budgets(world);
}

async fn audit(world: &mut World, name: &str) {
    let verdict = world.tenant(name).verify_audit().await.unwrap();
    world.check(verdict.is_intact(), || format!("the audit trail of {name} is not intact: {verdict:?}"));
}

/// What is stored as unfinished lives in the hub, unless its tenant is suspended.
async fn everything_has_an_owner(world: &mut World, name: &str) {
    let mut counts = (0, 0);
    for _ in 0..100 {
        if let TenantStatus::Suspended { .. } = world.tenant(name).record().unwrap().status {
            return;
        }
        let stored = unfinished(world, name).await.len();
        counts = (stored, world.tenant(name).snapshot().await.unwrap().executions_in_flight);
        if counts.0 == counts.1 {
            return;
        }
        super::pause(Duration::from_millis(200)).await;
    }
    world.check(false, || format!("{name} has {} unfinished executions in the store and {} alive", counts.0, counts.1));
}

async fn no_token_is_lost(world: &mut World, name: &str) {
    for id in ["graph", "halopsa"] {
        let status = world.tenant(name).connections().status(id).await.unwrap();
        let fine = matches!(
            status.state,
            ConnectionState::Active
                | ConnectionState::NotConnected
                | ConnectionState::Refreshing
                | ConnectionState::Authorizing
        );
        world
            .check(fine || status.cause.is_some(), || format!("{id} of {name} does not say what is wrong: {status:?}"));
    }
}

async fn order(world: &mut World, number: usize, accepted: Accepted) {
    let order = world.orders[number].clone();
    let tenant = world.tenant(order.tenant);
    let record = match tenant.execution(accepted.id).await {
        Ok(handle) => handle.record().await.unwrap(),
        Err(error) => {
            world.orders[number].settled = true;
            return world.check(error.kind() != ErrorKind::NotFound, || format!("order {number} was lost: {error}"));
        }
    };
    schedule(world, &order, accepted, &record);
    if !record.state.is_terminal() {
        return moves(world, &order, accepted, &record);
    }
    world.orders[number].settled = true;
    world.findings.count(ended(record.state), 1.0);
    events(world, &order, &record).await;
    if matches!(record.state, ExecutionState::Succeeded | ExecutionState::CompletedWithErrors) {
        exactly_once(world, &order);
    }
}

/// What waits neither for its time nor for a person comes to its end.
fn moves(world: &mut World, order: &Order, accepted: Accepted, record: &ExecutionRecord) {
    let suspended = matches!(world.tenant(order.tenant).record().unwrap().status, TenantStatus::Suspended { .. });
    let waits = matches!(record.state, ExecutionState::Scheduled | ExecutionState::NeedsAttention);
    let since = match order.starts_at {
        Some(time) => world.history.first_reached(time, accepted.at, true),
        None => Some(accepted.at),
    };
    let stuck = !waits && !suspended && since.is_some_and(|since| since + LONGEST < world.now());
    world.check(!stuck, || format!("order {} has been {} since {since:?}: {record:?}", order.number, record.state));
}

fn ended(state: ExecutionState) -> &'static str {
    match state {
        ExecutionState::Succeeded => "succeeded",
        ExecutionState::CompletedWithErrors => "completed with errors",
        ExecutionState::Failed => "failed",
        ExecutionState::TimedOut => "timed out",
        _ => "cancelled",
    }
}

/// Never before its time, and soon after.
fn schedule(world: &mut World, order: &Order, accepted: Accepted, record: &ExecutionRecord) {
    let Some(time) = order.starts_at else { return };
    let (number, now) = (order.number, world.now());
    let reached = world.history.first_reached(time, accepted.at, false);
    let due = world.history.first_reached(time, accepted.at, true);
    match world.diary.began(accepted.id) {
        Some(began) => {
            world.check(reached.is_some_and(|at| at <= began), || {
                format!("order {number} for {time} began at {began:?} and was due at {reached:?}")
            });
            world.check(due.is_none_or(|due| began <= due + LATE), || {
                format!("order {number} for {time} began at {began:?}, late: it was due at {due:?}")
            });
        }
        None => {
            let missed = due.is_some_and(|due| due + LATE < now) && !order.cancelled;
            world.check(!missed, || {
                format!("order {number} for {time} was due at {due:?} and has not begun at {now:?}: {record:?}")
            });
        }
    }
}

async fn events(world: &mut World, order: &Order, record: &ExecutionRecord) {
    let handle = world.tenant(order.tenant).execution(record.id).await.unwrap();
    let numbers: Vec<u64> = handle.events(1).map(|event| event.seq).collect().await;
    let whole = numbers.iter().copied().eq(1..=record.last_event);
    world.check(whole, || {
        format!("order {} told {} events, the last one is {}", order.number, numbers.len(), record.last_event)
    });
}

fn exactly_once(world: &mut World, order: &Order) {
    let number = order.number;
    if order.job == Job::Hire {
        let there = world.sims.graph().user(order.tenant, &upn(number, order.tenant)).is_some();
        world.check(there, || format!("order {number} succeeded and there is no user"));
    }
    if matches!(order.job, Job::Hire | Job::LogCall | Job::Offboard(_)) {
        let summary = order.summary();
        let tickets: Vec<_> =
            world.sims.halopsa().tickets().into_iter().filter(|ticket| ticket.summary == summary).collect();
        let hours: f64 = tickets.iter().map(|ticket| ticket.time_taken).sum();
        let once = tickets.len() == 1 && (hours - super::work::HOURS).abs() < 1e-6;
        world.check(once, || format!("order {number} succeeded with {} tickets and {hours} hours", tickets.len()));
    }
}

/// Counted by what people would call a duplicate.
fn effects_at_most_once(world: &mut World) {
    let halo = world.sims.halopsa();
    let mut tickets: BTreeMap<String, u32> = BTreeMap::new();
    let mut booked_twice = Vec::new();
    for ticket in halo.tickets() {
        *tickets.entry(ticket.summary).or_default() += 1;
        if ticket.time_taken > super::work::HOURS + 1e-6 {
            booked_twice.push(ticket.id);
        }
    }
    let twice: Vec<_> = tickets.into_iter().filter(|(_, count)| *count > 1).collect();
    world.check(twice.is_empty(), || format!("tickets were opened more than once: {twice:?}"));
    world.check(booked_twice.is_empty(), || format!("time was booked more than once on {booked_twice:?}"));
    for name in CUSTOMERS {
        let graph = world.sims.graph();
        let users = graph.users(name);
        let assigned = users.iter().filter(|user| !user.licenses.is_empty()).count();
        let consumed: u32 = graph.licenses(name).iter().map(|sku| sku.consumed).sum();
        world.check(assigned == consumed as usize, || format!("{name} pays {consumed} licences for {assigned} users"));
    }
}

/// What providers refused because of their limits; what was scripted does not count.
fn budgets(world: &mut World) {
    let requests = world.sims.requests();
    let above = requests.iter().filter(|request| request.status == Some(429) && request.fault.is_none()).count() as u64;
    let all = requests.len() as u64;
    world.check(above * 100 <= all * THROTTLED, || format!("{above} of the last {all} requests were above the limits"));
}

/// When the weather is over: nothing is left undone, and everything works.
pub(crate) async fn at_the_end(world: &mut World) {
    evening(world).await;
    for name in CUSTOMERS {
        let left = unfinished(world, name).await;
        let of_order = |record: &ExecutionRecord| (record.id, record.state, record.retry_at, record.attention.clone());
        let left: Vec<_> = left.iter().map(of_order).collect();
        world.check(left.is_empty(), || format!("{name} has work left: {left:?}"));
        for id in ["graph", "halopsa"] {
            let tested = world.tenant(name).connections().test(id).await;
            world.check(tested.is_ok(), || format!("{id} of {name} does not work at the end: {tested:?}"));
        }
    }
    let lost = world.orders.iter().filter(|order| order.accepted.is_none()).count();
    world.check(lost == 0, || format!("{lost} orders were never accepted"));
}
