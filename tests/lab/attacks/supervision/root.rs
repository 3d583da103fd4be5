//! A root that dies, and two hubs in one process.

use std::sync::Arc;
use std::time::Duration;

use bifrost::store::seal::KeyProvider;
use bifrost::{ErrorKind, ExecutionState, Hub, NewTenant};
use futures_util::StreamExt;

use super::super::tree::{Outside, Shaken, WAITS, WRITE, builder, ends, eventually, keys, with_works};
use crate::dice::Dice;
use crate::findings::Findings;

async fn start(store: &Shaken, keys: &Arc<dyn KeyProvider>, outside: &Outside) -> Hub {
    with_works(builder(store, keys), outside, outside.next_process()).start().await.unwrap()
}

/// The root is the one actor without a supervisor: when it dies, the hub is closed for everybody who uses it.
pub(super) async fn killed(seed: u64, findings: &mut Findings) {
    findings.attempt();
    let (store, outside, keys, dice) = (Shaken::new(seed), Outside::new(seed), keys(), Dice::new(seed));
    let hub = start(&store, &keys, &outside).await;
    let tenant = hub.tenants().create(NewTenant::customer("contoso")).await.unwrap();
    let mut handles = vec![tenant.run(WAITS, 0).await.unwrap()];
    for _ in 0..5 {
        handles.push(tenant.run(WRITE, dice.below(2_000)).await.unwrap());
    }
    tokio::time::sleep(Duration::from_millis(dice.below(1_000))).await;
    let actors = hub.actors();
    let calls = async {
        let mut found = Vec::new();
        for handle in &handles {
            found.push(ends(handle.wait()).await.map(drop));
            let events = async { Ok(handle.events(1).collect::<Vec<_>>().await) };
            found.push(ends(events).await.map(drop));
        }
        found
    };
    let kill = async {
        tokio::task::yield_now().await;
        actors[0].kill();
        tokio::time::sleep(Duration::from_millis(dice.below(20))).await;
        [
            ends(tenant.run(WRITE, 0)).await.map(drop),
            ends(tenant.cancel(handles[0].id(), "x")).await,
            ends(tenant.secrets().set("key", "text")).await,
            ends(tenant.execution(handles[0].id())).await.map(drop),
        ]
    };
    let (waited, refused) = futures_util::future::join(calls, kill).await;
    for call in waited.into_iter().chain(refused.clone_errors()) {
        if let Err(error) = call {
            let typed = matches!(error.kind(), ErrorKind::Closed | ErrorKind::Unavailable);
            findings.check(typed, || format!("hub {seed}: without a root: {error}"));
        }
    }
    findings.check(refused.iter().all(Result::is_err), || format!("hub {seed}: a hub without a root answers"));
    let gone = eventually(async || actors.iter().all(|actor| !actor.is_alive())).await;
    findings.check(gone, || format!("hub {seed}: actors outlive their root"));
    let left = store.fork(seed + 1);
    findings.check(ends(hub.shutdown(Duration::from_secs(1))).await.is_ok(), || format!("hub {seed}: no shutdown"));
    let hub = start(&left, &keys, &outside).await;
    let tenant = hub.tenant("contoso").unwrap();
    for handle in &handles[1..] {
        let ended = ends(tenant.execution(handle.id()).await.unwrap().wait()).await;
        let well = ended.is_ok_and(|outcome| outcome.state == ExecutionState::Succeeded);
        findings.check(well, || format!("hub {seed}: {} did not go on", handle.id()));
    }
    findings.check(outside.repeated().is_empty(), || format!("hub {seed}: written twice"));
}

trait CloneErrors {
    fn clone_errors(&self) -> Vec<bifrost::Result<()>>;
}

impl CloneErrors for [bifrost::Result<()>; 4] {
    fn clone_errors(&self) -> Vec<bifrost::Result<()>> {
        self.iter().map(|call| call.as_ref().map(drop).map_err(bifrost::Error::duplicate)).collect()
    }
}

/// Two hubs with tenants and workflows of the same names: what happens to one is nothing to the other.
pub(super) async fn two_hubs(seed: u64, findings: &mut Findings) {
    findings.attempt();
    let (one, other, keys, dice) = (Shaken::new(seed), Shaken::new(seed + 1), keys(), Dice::new(seed));
    let (outside, elsewhere) = (Outside::new(seed), Outside::new(seed + 1));
    let (hub, neighbour) = (start(&one, &keys, &outside).await, start(&other, &keys, &elsewhere).await);
    let mut handles = Vec::new();
    for hub in [&hub, &neighbour] {
        let tenant = hub.tenants().create(NewTenant::customer("contoso")).await.unwrap();
        for _ in 0..5 {
            handles.push(tenant.run(WRITE, dice.below(2_000)).await.unwrap());
        }
    }
    let shuts_down = dice.chance(1, 2);
    let end = async {
        for _ in 0..20 {
            tokio::time::sleep(Duration::from_millis(dice.below(50))).await;
            let actors = hub.actors();
            if !actors.is_empty() {
                dice.pick(&actors).kill();
            }
        }
        if shuts_down {
            let _ = ends(hub.shutdown(Duration::from_millis(dice.below(100)))).await;
        }
    };
    let work = async {
        for handle in &handles[5..] {
            let ended = ends(handle.wait()).await;
            let well = ended.as_ref().is_ok_and(|outcome| outcome.state == ExecutionState::Succeeded);
            let record = handle.record().await.unwrap();
            findings.check(well && record.recoveries == 0, || format!("hub {seed}: beside another: {ended:?}"));
        }
    };
    futures_util::future::join(end, work).await;
    for handle in &handles[..5] {
        let ended = ends(handle.wait()).await;
        let told = ended.as_ref().map_or_else(|error| error.kind() == ErrorKind::Closed, |_| true);
        findings.check(told, || format!("hub {seed}: in a hub that ended: {ended:?}"));
    }
    findings.check(!neighbour.is_closed(), || format!("hub {seed}: the other hub was closed"));
}
