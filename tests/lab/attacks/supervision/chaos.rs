//! A hub at work whose actors die all the time.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bifrost::supervision::RestartPolicy;
use bifrost::testing::ActorKind;
use bifrost::{ExecutionHandle, Hub, HubConfig, NewTenant, Retry, Run, Tenant};
use futures_util::future::join_all;

use super::super::tree::{
    Fault, Outside, PARENT, Place, Shaken, Trouble, WRITE, builder, check_history, ends, eventually, is_stuck, keys,
    stored, with_works,
};
use crate::dice::Dice;
use crate::findings::Findings;

const TENANTS: [&str; 2] = ["contoso", "fabrikam"];

/// Failures are lived with, however many they are: this is about what becomes of the work.
fn config() -> HubConfig {
    let lenient = RestartPolicy {
        intensity: u32::MAX,
        period: Duration::from_secs(1),
        initial_delay: Duration::from_millis(5),
        max_delay: Duration::from_millis(50),
    };
    HubConfig {
        child_restarts: lenient,
        tenant_restarts: lenient,
        max_recoveries: u32::MAX,
        max_running: 3,
        idle_after: Duration::from_millis(200),
        call_deadline: Duration::from_secs(5),
        exchange_deadline: Duration::from_secs(5),
        ..HubConfig::default()
    }
}

/// One world: work, strikes, and a look at what became of the work.
pub(super) async fn world(seed: u64, strikes: u64, findings: &mut Findings) {
    let (store, outside, dice) = (Shaken::new(seed), Outside::new(seed), Dice::new(seed));
    let hub = builder(&store, &keys()).with_config(config()).with_integration(Arc::new(outside.clone()));
    let hub = with_works(hub, &outside, outside.next_process()).start().await.unwrap();
    let mut tenants = Vec::new();
    for name in TENANTS {
        let tenant = hub.tenants().create(NewTenant::customer(name)).await.unwrap();
        outside.connect(&tenant).await;
        tenants.push(tenant);
    }
    store.watch(&hub);
    let (over, accepted) = (AtomicBool::new(false), Mutex::new(Vec::new()));
    let callers = join_all((0..3).map(|number| {
        let caller = Caller { dice: Dice::new(dice.next()), tenant: &tenants[number % 2], accepted: &accepted, number };
        caller.work(&over)
    }));
    let striking = async {
        for _ in 0..strikes {
            tokio::time::sleep(Duration::from_millis(dice.below(40))).await;
            findings.attempt();
            strike(&dice, &hub, &store, &outside);
        }
        over.store(true, Ordering::SeqCst);
    };
    let (problems, ()) = futures_util::future::join(callers, striking).await;
    store.disarm();
    for problem in problems.into_iter().flatten() {
        findings.violation(format!("world {seed}: {problem}"));
    }
    let accepted = accepted.into_inner().unwrap();
    findings.count("acknowledged while actors died", accepted.len() as f64);
    for handle in &accepted {
        match ends(handle.wait()).await {
            Ok(outcome) => findings.count("ended well", f64::from(u8::from(outcome.error.is_none()))),
            Err(error) => findings.violation(format!("world {seed}: nobody heard how {} ended: {error}", handle.id())),
        }
    }
    settle(&hub, &tenants, &store, &outside, findings, seed).await;
}

/// One more actor dies, or something is about to go wrong beneath one.
fn strike(dice: &Dice, hub: &Hub, store: &Shaken, outside: &Outside) {
    let mut actors = hub.actors();
    actors.retain(|actor| actor.kind() != ActorKind::Hub);
    // In the order in which they were started by name: the tree knows no order.
    actors.sort_by(|a, b| (a.kind(), a.path()).cmp(&(b.kind(), b.path())));
    match dice.below(12) {
        choice @ 0..=7 if !actors.is_empty() => {
            let actor = dice.pick(&actors);
            if choice < 6 { actor.kill() } else { actor.stop() }
        }
        8..=10 => {
            let place = *dice.pick(&[Place::Commit, Place::Get, Place::Scan]);
            store.arm(Fault { place, tenant: dice.pick::<&str>(&TENANTS), panics: dice.chance(1, 2) });
        }
        _ => outside.trouble(if dice.chance(1, 2) { Trouble::Panic } else { Trouble::Hang }),
    }
}

/// Nothing is left over: no work without an owner, no actor without a supervisor, no place that is not given back.
async fn settle(hub: &Hub, tenants: &[Tenant], store: &Shaken, outside: &Outside, findings: &mut Findings, seed: u64) {
    let idle = eventually(async || hub.snapshot().executions_in_flight == 0).await;
    findings.check(idle, || format!("world {seed}: work is left: {:?}", hub.actors()));
    for tenant in tenants {
        match ends(stored(tenant)).await {
            Ok(all) => check_history(&all, findings, &format!("world {seed}")),
            Err(error) => findings.violation(format!("world {seed}: {error}")),
        }
    }
    let rested = eventually(async || hub.actors().len() == 1).await;
    findings.check(rested, || format!("world {seed}: actors are left: {:?}", hub.actors()));
    findings.check(hub.snapshot().executions_running == 0, || format!("world {seed}: a place is lost"));
    let orphans = store.orphans(hub);
    findings.check(orphans.is_empty(), || format!("world {seed}: orphans: {orphans:?}"));
    for (what, found) in [("two actors of one name", store.doubles()), ("written twice", outside.repeated())] {
        findings.check(found.is_empty(), || format!("world {seed}: {what}: {found:?}"));
    }
    findings.check(ends(hub.shutdown(Duration::from_secs(5))).await.is_ok(), || format!("world {seed}: no shutdown"));
    findings.check(hub.actors().is_empty(), || format!("world {seed}: actors outlive the hub"));
}

/// Somebody who works while actors die.
struct Caller<'a> {
    dice: Dice,
    tenant: &'a Tenant,
    accepted: &'a Mutex<Vec<ExecutionHandle>>,
    number: usize,
}

impl Caller<'_> {
    async fn work(self, over: &AtomicBool) -> Vec<String> {
        let mut problems = Vec::new();
        for turn in 0.. {
            if over.load(Ordering::SeqCst) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(self.dice.below(80))).await;
            let called = ends(self.call(turn)).await;
            if let Err(error) = called {
                let injected = error.message() == "a fault of the attack" || error.retryability() != Retry::Never;
                // A grant whose answer was lost with its actor is reported, and a person's business.
                let reported = error.kind() == bifrost::ErrorKind::ReauthRequired;
                if is_stuck(&error) || !(injected || reported) {
                    problems.push(format!("caller {}: {error:?}", self.number));
                }
            }
        }
        problems
    }

    async fn call(&self, turn: u32) -> bifrost::Result<()> {
        match self.dice.below(6) {
            0 => self.tenant.connections().test("idp").await,
            1 => self.tenant.secrets().set("key", "text").await,
            choice => {
                let name = if choice == 2 { PARENT } else { WRITE };
                let run = Run::new(name, self.dice.below(60)).with_idempotency_key(format!("{}-{turn}", self.number));
                let handle = self.tenant.start(run).await?;
                self.accepted.lock().unwrap().push(handle);
                Ok(())
            }
        }
    }
}
