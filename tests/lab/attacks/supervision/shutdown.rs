//! Shutting down with much that runs.

use std::sync::Arc;
use std::time::Duration;

use bifrost::policy::quota::Quota;
use bifrost::store::seal::KeyProvider;
use bifrost::{ErrorKind, ExecutionHandle, ExecutionState, Hub, HubConfig, NewTenant};

use super::super::tree::{Outside, Shaken, WRITE, builder, ends, keys, with_works};
use crate::findings::Findings;
use crate::lab::Round;

/// What is special about a shutdown.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Case {
    /// All ends before the deadline.
    Drains,
    /// Nothing does.
    Requeues,
    /// The store takes nothing any more.
    StoreRefuses,
    /// Somebody shuts down a second time meanwhile.
    Twice,
    /// Whoever shut it down gave up, and somebody else does.
    GivenUp,
}

pub(super) const CASES: &[Case] = &[Case::Drains, Case::Requeues, Case::StoreRefuses, Case::Twice, Case::GivenUp];

const DEADLINE: Duration = Duration::from_secs(10);

async fn start(store: &Shaken, keys: &Arc<dyn KeyProvider>, outside: &Outside) -> Hub {
    let config = HubConfig { max_running: 2_000, ..HubConfig::default() };
    with_works(builder(store, keys).with_config(config), outside, outside.next_process()).start().await.unwrap()
}

async fn begin(hub: &Hub, running: u64, nap: Duration) -> Vec<ExecutionHandle> {
    let quota = Quota { max_in_flight: 2_000, max_running: 2_000, ..Quota::default() };
    let tenant = hub.tenants().create(NewTenant::customer("contoso").with_quota(quota)).await.unwrap();
    let runs = (0..running).map(|_| tenant.run(WRITE, nap.as_millis() as u64));
    let handles: Vec<_> = futures_util::future::join_all(runs).await.into_iter().map(Result::unwrap).collect();
    tokio::time::sleep(Duration::from_secs(1)).await;
    handles
}

pub(super) async fn world(seed: u64, case: Case, running: u64, findings: &mut Findings) {
    findings.attempt();
    let (store, outside, keys) = (Shaken::new(seed), Outside::new(seed), keys());
    let hub = start(&store, &keys, &outside).await;
    let nap = if case == Case::Drains { DEADLINE / 2 } else { 1_000 * DEADLINE };
    let handles = begin(&hub, running, nap).await;
    if case == Case::StoreRefuses {
        store.refuse(ErrorKind::StoreFull, None);
    }
    let begun = tokio::time::Instant::now();
    let (first, second) = shut_down(&hub, case).await;
    let took = begun.elapsed();
    let limit = DEADLINE + Duration::from_secs(30);
    findings.check(took <= limit, || format!("{case:?}: it took {took:?}"));
    findings.check(first.is_ok() != (case == Case::StoreRefuses), || format!("{case:?}: {first:?}"));
    findings.check(second.is_ok(), || format!("{case:?}: the second time: {second:?}"));
    let mut ended = 0;
    for handle in &handles {
        match ends(handle.wait()).await {
            Ok(_) => ended += 1,
            Err(error) => {
                findings.check(error.kind() == ErrorKind::Closed, || format!("{case:?}: whoever waits hears {error}"));
            }
        }
    }
    findings.check((ended == running) == (case == Case::Drains), || format!("{case:?}: {ended} of {running} ended"));
    findings.check(hub.actors().is_empty(), || format!("{case:?}: {} actors are left", hub.actors().len()));
    let left = store.fork(seed + 1);
    let hub = start(&left, &keys, &outside).await;
    let tenant = hub.tenant("contoso").unwrap();
    for handle in &handles {
        let handle = tenant.execution(handle.id()).await.unwrap();
        let outcome = ends(handle.wait()).await;
        let well = outcome.is_ok_and(|outcome| outcome.state == ExecutionState::Succeeded);
        let suspected = handle.record().await.unwrap().recoveries > 0;
        let fine = well && suspected == (case == Case::StoreRefuses);
        findings.check(fine, || format!("{case:?}: {} ended {well}, suspected {suspected}", handle.id()));
    }
    findings.check(outside.repeated().is_empty(), || format!("{case:?}: written twice"));
    findings.count("executions at a shutdown", running as f64);
}

type Ended = bifrost::Result<()>;

async fn shut_down(hub: &Hub, case: Case) -> (Ended, Ended) {
    let shutdown = async || ends(hub.shutdown(DEADLINE)).await.map(drop);
    match case {
        Case::Twice => futures_util::future::join(shutdown(), shutdown()).await,
        Case::GivenUp => {
            let _ = tokio::time::timeout(DEADLINE / 2, hub.shutdown(DEADLINE)).await;
            (shutdown().await, shutdown().await)
        }
        _ => (shutdown().await, shutdown().await),
    }
}

/// The runtime goes, and nobody has shut the hub down.
pub(super) fn dropped(round: &Round, seed: u64, findings: &mut Findings) {
    findings.attempt();
    let (store, outside, keys) = (Shaken::new(seed), Outside::new(seed), keys());
    let (hub, handles) = round.in_virtual_time(async {
        let hub = start(&store, &keys, &outside).await;
        let handles = begin(&hub, 10, 1_000 * DEADLINE).await;
        (hub, handles)
    });
    round.in_virtual_time(async {
        for handle in &handles {
            let kind = ends(handle.wait()).await.err().map(|error| error.kind());
            findings.check(kind == Some(ErrorKind::Closed), || format!("without a runtime: {kind:?}"));
        }
        findings.check(hub.is_closed(), || "without a runtime the hub is open".to_owned());
        let left = store.fork(seed + 1);
        let hub = start(&left, &keys, &outside).await;
        let tenant = hub.tenant("contoso").unwrap();
        for handle in &handles {
            let ended = ends(tenant.execution(handle.id()).await.unwrap().wait()).await;
            findings.check(ended.is_ok(), || format!("after the runtime went: {ended:?}"));
        }
    });
}
