//! Executions that cannot go on: tried so often and no more, and the others go on.

use std::time::Duration;

use bifrost::execution::{Attention, Resolution};
use bifrost::store::key::{Kind, Scope};
use bifrost::store::{Batch, Store};
use bifrost::{ExecutionState, HubConfig, NewTenant, TenantId};

use super::super::tree::{Outside, Shaken, WRITE, builder, ends, eventually, keys, with_works};
use crate::findings::Findings;

/// An execution that takes its process down each time it runs.
pub(super) async fn crashes(seed: u64, findings: &mut Findings) {
    const TRIES: u32 = 3;
    findings.attempt();
    let (mut store, outside, keys) = (Shaken::new(seed), Outside::new(seed), keys());
    let mut poison = None;
    for start in 0..=TRIES + 1 {
        let process = outside.next_process();
        let config = HubConfig { max_recoveries: TRIES, ..HubConfig::default() };
        let hub = with_works(builder(&store, &keys).with_config(config), &outside, process).start().await.unwrap();
        let tenant = hub.tenants().get_or_create(NewTenant::customer("contoso")).await.unwrap();
        let id = match poison {
            Some(id) => id,
            None => *poison.insert(tenant.run(WRITE, 60_000).await.unwrap().id()),
        };
        let handle = tenant.execution(id).await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        let settled =
            eventually(async || handle.record().await.is_ok_and(|record| record.state != ExecutionState::Pending))
                .await;
        findings.check(settled, || format!("start {start}: it neither runs nor asks for a person"));
        let record = handle.record().await.unwrap();
        if start <= TRIES {
            let runs = record.state == ExecutionState::Running;
            findings.check(runs, || format!("start {start}: {:?} {:?}", record.state, record.attention));
        } else {
            let poisoned = matches!(record.attention, Some(Attention::Poisoned { .. }));
            findings.check(poisoned, || format!("after {start} crashes it is {:?}", record.state));
            tenant.resolve(id, Resolution::Abort).await.unwrap();
            findings.check(ends(handle.wait()).await.is_ok(), || "a person could not end it".to_owned());
        }
        let left = store.fork(seed + u64::from(start) + 1);
        hub.actors().first().unwrap().kill();
        store = left;
    }
}

/// An execution whose record does not read back.
pub(super) async fn damaged(seed: u64, findings: &mut Findings) {
    findings.attempt();
    let (store, outside, keys) = (Shaken::new(seed), Outside::new(seed), keys());
    let process = outside.next_process();
    let hub = with_works(builder(&store, &keys), &outside, process).start().await.unwrap();
    let tenant = hub.tenants().create(NewTenant::customer("contoso")).await.unwrap();
    let (bad, good) = (tenant.run(WRITE, 60_000).await.unwrap(), tenant.run(WRITE, 60_000).await.unwrap());
    let store = store.fork(seed + 1);
    hub.actors().first().unwrap().kill();
    let key = Scope::tenant(TenantId::new("contoso").unwrap()).key(Kind::Execution, &[bad.id().as_bytes()]).unwrap();
    let mut batch = Batch::new();
    batch.put(key, "not a record");
    store.durable().commit(batch).await.unwrap();
    let process = outside.next_process();
    let hub = with_works(builder(&store, &keys), &outside, process).start().await.unwrap();
    let tenant = hub.tenant("contoso").unwrap();
    let good = tenant.execution(good.id()).await.unwrap();
    findings.check(ends(good.wait()).await.is_ok(), || "a damaged neighbour kept an execution from ending".to_owned());
    let reads = store.reads();
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    let more = store.reads() - reads;
    findings.check(more < 20, || format!("a record that cannot be read was read {more} times in an hour"));
    findings.check(tenant.execution(bad.id()).await.is_err(), || "a damaged record was read".to_owned());
    findings.check(hub.snapshot().executions_in_flight == 0, || "it is kept in flight for ever".to_owned());
}
