//! A tenant that is put to rest while it is called.
//!
//! Tenants rest after a few milliseconds without use, so they do all the time; callers come whenever the seed says.
//! No call may be lost, hang, or fail in a way that a second try does not mend; there is one actor of a name at a time;
//! nothing is done twice, and no token is lost that was on its way. A seed replays the whole course: some schedules are
//! run twice, and must ask the store for the same in the same order.

use std::time::Duration;

use bifrost::execution::Resolution;
use bifrost::{ErrorKind, ExecutionState, Hub, HubConfig, NewTenant, Result, Retry, Run, Tenant};
use futures_util::StreamExt;
use futures_util::future::join_all;

use super::tree::{
    Outside, PARENT, Shaken, WAITS, WRITE, builder, check_history, ends, eventually, is_stuck, keys, schedules, stored,
    with_works,
};
use crate::dice::Dice;
use crate::findings::Findings;
use crate::lab::{Attack, Round};

pub(crate) const ATTACK: Attack = Attack {
    name: "rest",
    promise: "a tenant that is put to rest loses no call, token or execution, and never has two actors",
    unit: "schedules",
    run,
};

fn run(round: &Round) -> Findings {
    schedules(round.scale(500, 10_000), |number| {
        let mut findings = Findings::default();
        let seed = round.seed.wrapping_mul(1_000_003).wrapping_add(number);
        let course = round.in_virtual_time(schedule(seed, &mut findings));
        if number % 50 == 0 {
            let mut again = Findings::default();
            let second = round.in_virtual_time(schedule(seed, &mut again));
            findings.check(course == second, || format!("schedule {seed} took another course the second time"));
            findings.count("schedules run twice", 1.0);
        }
        findings
    })
}

/// One schedule; gives a number for its course.
async fn schedule(seed: u64, findings: &mut Findings) -> u64 {
    findings.attempt();
    let dice = Dice::new(seed);
    let (store, outside) = (Shaken::new(seed), Outside::new(seed));
    // Often so short that it rests between two reads of one actor.
    let longest = *dice.pick(&[3, 60]);
    let idle_after = Duration::from_millis(1 + dice.below(longest));
    let config = HubConfig { idle_after, max_running: 2, ..HubConfig::default() };
    let keys = keys();
    let process = outside.next_process();
    let hub = builder(&store, &keys).with_config(config).with_integration(std::sync::Arc::new(outside.clone()));
    let hub = with_works(hub, &outside, process).start().await.unwrap();
    let tenant = hub.tenants().create(NewTenant::customer("contoso")).await.unwrap();
    outside.connect(&tenant).await;
    store.watch(&hub);
    let callers = (0..2 + dice.below(2)).map(|number| {
        let caller = Caller { dice: Dice::new(dice.next()), tenant: &tenant, store: &store, number };
        caller.work()
    });
    let found = join_all(callers).await;
    for (retries, problems) in found {
        findings.count("calls tried again", f64::from(retries));
        for problem in problems {
            findings.violation(format!("schedule {seed}: {problem}"));
        }
    }
    let course = store.course();
    finish(&hub, &tenant, &outside, &store, findings, seed).await;
    course
}

async fn finish(hub: &Hub, tenant: &Tenant, outside: &Outside, store: &Shaken, findings: &mut Findings, seed: u64) {
    let rested = eventually(async || hub.actors().len() == 1).await;
    findings.check(rested, || format!("schedule {seed}: never came to rest: {:?}", hub.actors()));
    match stored(tenant).await {
        Ok(all) => {
            check_history(&all, findings, &format!("schedule {seed}"));
            findings.count("executions", all.len() as f64);
        }
        Err(error) => findings.violation(format!("schedule {seed}: {error}")),
    }
    if let Err(error) = tenant.connections().test("idp").await {
        findings.violation(format!("schedule {seed}: the connection is lost: {error}"));
    }
    for (what, found) in [
        ("two actors of one name", store.doubles()),
        ("written twice", outside.repeated()),
        ("a refresh token was spent twice", outside.revoked()),
    ] {
        findings.check(found.is_empty(), || format!("schedule {seed}: {what}: {found:?}"));
    }
    findings.count("writes outside", outside.applied() as f64);
}

/// Somebody who uses a tenant now and then.
struct Caller<'a> {
    dice: Dice,
    tenant: &'a Tenant,
    store: &'a Shaken,
    number: u64,
}

impl Caller<'_> {
    async fn work(self) -> (u32, Vec<String>) {
        let (mut retries, mut problems) = (0, Vec::new());
        for turn in 0..1 + self.dice.below(3) {
            self.store.shake().await;
            if self.dice.chance(1, 3) {
                tokio::time::sleep(Duration::from_millis(self.dice.below(150))).await;
            }
            let choice = self.dice.next();
            if self.dice.chance(1, 4) {
                self.hang_up().await;
            }
            for attempt in 0..=5 {
                match ends(self.call(choice, turn)).await {
                    Ok(()) => break,
                    Err(error) if error.retryability() != Retry::Never && attempt < 5 => retries += 1,
                    Err(error) => {
                        let word = if is_stuck(&error) { "stuck" } else { "failed" };
                        problems.push(format!("call {} of caller {} {word}: {error}", choice % 10, self.number));
                        break;
                    }
                }
            }
        }
        (retries, problems)
    }

    /// Somebody wants a token and does not wait for it: nobody is there any more, while the connection is still being
    /// read. The tenant rests meanwhile, and is called again before its actors have ended.
    async fn hang_up(&self) {
        let connections = self.tenant.connections();
        let patience = Duration::from_millis(self.dice.below(20));
        drop(tokio::time::timeout(patience, connections.test("idp")).await);
        tokio::time::sleep(Duration::from_millis(self.dice.below(15))).await;
    }

    async fn call(&self, choice: u64, turn: u64) -> Result<()> {
        let tenant = self.tenant;
        let nap = choice / 16 % 80;
        match choice % 10 {
            0 | 1 => self.run(Run::new(WRITE, nap).with_idempotency_key(format!("{}-{turn}", self.number))).await,
            2 => self.run(Run::new(PARENT, nap).with_idempotency_key(format!("{}-{turn}", self.number))).await,
            3 => {
                let handle = tenant.run(WRITE, nap * 100).await?;
                handle.cancel("not needed").await?;
                let state = handle.wait().await?.state;
                expect(matches!(state, ExecutionState::Cancelled | ExecutionState::Succeeded), "cancelled")
            }
            4 => {
                let handle = tenant.run(WAITS, nap).await?;
                expect(handle.settled().await?.is_none(), "set aside")?;
                tokio::time::sleep(Duration::from_millis(nap)).await;
                tenant.resolve(handle.id(), Resolution::Done { result: 1.into() }).await?;
                expect(handle.wait().await?.state == ExecutionState::Succeeded, "decided")
            }
            5 => {
                tenant.secrets().set("key", "text").await?;
                expect(tenant.secrets().names().await? == ["key"], "the secret")
            }
            6 => {
                tenant.config().set("key", choice).await?;
                let read = tenant.config().get("key").await?;
                expect(read.is_some(), "the configuration")
            }
            7 | 8 => tenant.connections().test("idp").await,
            _ => {
                let handle = tenant.run(WRITE, nap).await?;
                let events: Vec<_> = handle.events(1).collect().await;
                expect(events.len() > 3, "its events")?;
                tenant.snapshot().await.map(drop)
            }
        }
    }

    /// Two who ask with the same key get the same execution.
    async fn run(&self, run: Run) -> Result<()> {
        let (first, second) = futures_util::future::join(self.tenant.start(run.clone()), async {
            self.store.shake().await;
            self.tenant.start(run).await
        })
        .await;
        let (first, second) = (first?, second?);
        expect(first.id() == second.id(), "one execution for one key")?;
        expect(first.wait().await?.state == ExecutionState::Succeeded, "an execution that ends well")?;
        second.wait().await.map(drop)
    }
}

fn expect(holds: bool, what: &str) -> Result<()> {
    if holds { Ok(()) } else { Err(bifrost::Error::new(ErrorKind::Internal, "attack", format!("not there: {what}"))) }
}
