//! A hub that starts on what a killed one left behind, while it is called.
//!
//! The process dies at a moment that the seed chooses, with executions in every state; the next hub takes them up while
//! callers ask for the same again, cancel, decide, wait, switch the tenant off and on, register what was missing, and
//! actors die once more.
//! In half of the schedules a read of the store fails during that, each number in turn. Each execution must end once,
//! with a history without gaps; nothing is written twice; what had ended stays as it was.

mod poisoned;

use std::sync::Arc;
use std::time::Duration;

use bifrost::execution::{Attention, ExecutionRecord, Resolution};
use bifrost::supervision::RestartPolicy;
use bifrost::testing::ActorKind;
use bifrost::{Error, ErrorKind, ExecutionId, Hub, HubBuilder, HubConfig, NewTenant, Result, Retry, Run, Tenant};
use futures_util::future::join_all;

use super::tree::{
    Outside, PARENT, Shaken, WAITS, WRITE, builder, check_history, check_trail, ends, eventually, is_stuck, keys,
    schedules, stored, with_works, write,
};
use crate::dice::Dice;
use crate::findings::Findings;
use crate::lab::{Attack, Round};

pub(crate) const ATTACK: Attack = Attack {
    name: "recovery",
    promise: "whenever the process dies, each execution goes on with one owner and ends once",
    unit: "schedules",
    run,
};

/// What is registered late in some schedules.
const LATE: &str = "late";

fn run(round: &Round) -> Findings {
    let mut findings = schedules(round.scale(500, 10_000), |number| {
        let mut findings = Findings::default();
        let seed = round.seed.wrapping_mul(1_000_033).wrapping_add(number);
        let failing_read = (number % 2 == 1).then_some(number / 2 % 64);
        round.in_virtual_time(Schedule::new(seed, failing_read).run(&mut findings));
        findings
    });
    round.in_virtual_time(poisoned::crashes(round.seed, &mut findings));
    round.in_virtual_time(poisoned::damaged(round.seed, &mut findings));
    findings
}

struct Schedule {
    seed: u64,
    dice: Dice,
    outside: Outside,
    failing_read: Option<u64>,
}

/// An execution that was acknowledged before the crash.
struct Accepted {
    run: Run,
    id: ExecutionId,
}

impl Schedule {
    fn new(seed: u64, failing_read: Option<u64>) -> Self {
        Self { seed, dice: Dice::new(seed), outside: Outside::new(seed), failing_read }
    }

    async fn run(self, findings: &mut Findings) {
        findings.attempt();
        let (store, keys) = (Shaken::new(self.seed), keys());
        let process = self.outside.next_process();
        let first = self.hub(builder(&store, &keys), process).start().await.unwrap();
        let tenant = first.tenants().create(NewTenant::customer("contoso")).await.unwrap();
        let accepted = self.accept(&first, &tenant, process).await;
        let before = tenant.executions(None, 100).await.unwrap();
        let store = self.crash(&first, &store);
        let process = self.outside.next_process();
        if let Some(k) = self.failing_read {
            store.fail_read(k);
        }
        let hub = match self.start_again(&store, &keys, process, findings).await {
            Ok(hub) => hub,
            Err(error) => return findings.violation(format!("schedule {}: no start: {error}", self.seed)),
        };
        store.watch(&hub);
        let tenant = hub.tenant("contoso").unwrap();
        let callers = accepted.iter().map(|accepted| self.call(&hub, &store, accepted, process));
        let called = join_all(callers).await;
        store.fail_read(u64::MAX / 2);
        for problem in called.into_iter().flatten() {
            findings.violation(format!("schedule {}: {problem}", self.seed));
        }
        self.finish(&hub, &tenant, &accepted, process, findings).await;
        self.verify(&store, &tenant, &accepted, &before, findings).await;
    }

    fn hub(&self, builder: HubBuilder, process: u32) -> HubBuilder {
        // At once, so that what a dead actor had queued may still be on its way.
        let delay = Duration::from_millis(1);
        let child_restarts =
            RestartPolicy { intensity: u32::MAX, initial_delay: delay, max_delay: delay, ..RestartPolicy::default() };
        let config = HubConfig { max_running: 2, child_restarts, ..HubConfig::default() };
        with_works(builder.with_config(config), &self.outside, process)
    }

    /// Starts executions of all kinds, and leaves them wherever they are by then.
    async fn accept(&self, hub: &Hub, tenant: &Tenant, process: u32) -> Vec<Accepted> {
        hub.register(Arc::new(write(LATE, &self.outside, process)));
        let mut accepted = Vec::new();
        for number in 0..2 + self.dice.below(3) {
            let name = *self.dice.pick(&[WRITE, WRITE, PARENT, WAITS, LATE]);
            let mut run = Run::new(name, self.dice.below(120)).with_idempotency_key(format!("key-{number}"));
            if self.dice.chance(1, 6) {
                let later = "2026-01-01T00:00:00Z".parse::<bifrost::Timestamp>().unwrap();
                run = run.starting_at(later.saturating_add(Duration::from_millis(self.dice.below(2_000))));
            }
            let handle = tenant.start(run.clone()).await.unwrap();
            if self.dice.chance(1, 8) {
                let _ = handle.cancel("not needed").await;
            }
            accepted.push(Accepted { run, id: handle.id() });
        }
        tokio::time::sleep(Duration::from_millis(self.dice.below(200))).await;
        accepted
    }

    /// The process dies: what it had queued is lost, and nothing it does from now on counts.
    fn crash(&self, hub: &Hub, store: &Shaken) -> Shaken {
        let left = store.fork(self.seed + 1);
        self.outside.next_process();
        hub.actors().first().unwrap().kill();
        left
    }

    /// Starts until it succeeds: a start that could not read the store is tried again, as a person would.
    async fn start_again(
        &self,
        store: &Shaken,
        keys: &Arc<dyn bifrost::store::seal::KeyProvider>,
        process: u32,
        findings: &mut Findings,
    ) -> Result<Hub> {
        let mut last = Error::new(ErrorKind::Internal, "attack", "never tried");
        for _ in 0..3 {
            match ends(self.hub(builder(store, keys), process).start()).await {
                Ok(hub) => return Ok(hub),
                Err(error) => {
                    findings.count("starts that could not read the store", 1.0);
                    last = error;
                }
            }
        }
        Err(last)
    }

    /// What somebody does about an execution that was accepted before the crash.
    async fn call(&self, hub: &Hub, store: &Shaken, accepted: &Accepted, process: u32) -> Option<String> {
        let tenant = hub.tenant("contoso").ok()?;
        let choice = self.dice.below(10);
        tokio::time::sleep(Duration::from_millis(self.dice.below(30))).await;
        let called = ends(async {
            match choice {
                0..=2 => {
                    let found = tenant.start(accepted.run.clone()).await?.id();
                    if found != accepted.id {
                        return Err(Error::new(
                            ErrorKind::Internal,
                            "attack",
                            "the same key started another execution",
                        ));
                    }
                    Ok(())
                }
                3 => tenant.cancel(accepted.id, "not needed").await,
                4 => tenant.resolve(accepted.id, Resolution::Done { result: 1.into() }).await,
                5 => {
                    hub.tenants().disable("contoso").await?;
                    hub.tenants().enable("contoso").await
                }
                6 => {
                    hub.register(Arc::new(write(LATE, &self.outside, process)));
                    Ok(())
                }
                7 | 8 => {
                    self.strike(hub, store).await;
                    Ok(())
                }
                _ => tenant.execution(accepted.id).await?.settled().await.map(drop),
            }
        })
        .await;
        let error = called.err()?;
        let expected = error.retryability() != Retry::Never
            || matches!(error.kind(), ErrorKind::Conflict | ErrorKind::Suspended | ErrorKind::NotFound)
            || matches!(error.kind(), ErrorKind::InvalidInput)
            || error.message() == "a fault of the attack";
        let fine = !is_stuck(&error) && expected;
        (!fine).then(|| format!("call {choice} about {}: {error}", accepted.id))
    }

    /// Ends the actors of all executions while a commit is on its way: what takes them up again must not undo it.
    async fn strike(&self, hub: &Hub, store: &Shaken) {
        tokio::time::sleep(Duration::from_millis(self.dice.below(100))).await;
        for _ in 0..100 {
            if store.is_busy() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        for actor in hub.actors().iter().filter(|actor| actor.kind() == ActorKind::Execution) {
            actor.kill();
        }
    }

    /// Does what a person has to, until all have ended.
    async fn finish(&self, hub: &Hub, tenant: &Tenant, accepted: &[Accepted], process: u32, findings: &mut Findings) {
        hub.register(Arc::new(write(LATE, &self.outside, process)));
        let _ = hub.tenants().enable("contoso").await;
        let mut waiting = Vec::new();
        for accepted in accepted {
            match tenant.execution(accepted.id).await {
                Ok(handle) => waiting.push(handle),
                Err(error) => findings.violation(format!("schedule {}: {} is lost: {error}", self.seed, accepted.id)),
            }
        }
        let ended = eventually(async || {
            for handle in &waiting {
                let Ok(record) = handle.record().await else { return false };
                if !record.state.is_terminal() {
                    tokio::time::sleep(Duration::from_millis(300)).await;
                    if let Some(attention) = record.attention {
                        let _ = tenant.resolve(record.id, decision(&attention)).await;
                    }
                    return false;
                }
            }
            true
        })
        .await;
        findings.check(ended, || format!("schedule {}: not all have ended", self.seed));
        for handle in waiting {
            if let Err(error) = ends(handle.wait()).await {
                findings.violation(format!("schedule {}: {} ended for nobody: {error}", self.seed, handle.id()));
            }
        }
        // Children end with their parents, a moment later.
        eventually(async || hub.snapshot().executions_in_flight == 0).await;
    }

    async fn verify(
        &self,
        store: &Shaken,
        tenant: &Tenant,
        accepted: &[Accepted],
        before: &[ExecutionRecord],
        findings: &mut Findings,
    ) {
        let all = match stored(tenant).await {
            Ok(all) => all,
            Err(error) => return findings.violation(format!("schedule {}: {error}", self.seed)),
        };
        check_history(&all, findings, &format!("schedule {}", self.seed));
        check_trail(tenant, &all, findings, &format!("schedule {}", self.seed)).await;
        for Accepted { id, .. } in accepted {
            findings.check(all.iter().any(|stored| stored.record.id == *id), || format!("{id} is lost"));
        }
        for old in before.iter().filter(|record| record.state.is_terminal()) {
            let same = all.iter().any(|stored| text(&stored.record) == text(old));
            findings.check(same, || format!("schedule {}: {} had ended and was touched", self.seed, old.id));
            findings.count("had ended before", 1.0);
        }
        for (what, found) in [("two owners", store.doubles()), ("written twice", self.outside.repeated())] {
            findings.check(found.is_empty(), || format!("schedule {}: {what}: {found:?}", self.seed));
        }
        findings.count("executions", all.len() as f64);
    }
}

fn text(record: &ExecutionRecord) -> String {
    serde_json::to_string(record).unwrap()
}

fn decision(attention: &Attention) -> Resolution {
    match attention {
        Attention::UnknownEffect { .. } => Resolution::Done { result: 1.into() },
        _ => Resolution::Resume,
    }
}
