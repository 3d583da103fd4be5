//! A tenant whose actors fail too often, beside one that works.

use std::time::Duration;

use bifrost::execution::Resolution;
use bifrost::testing::ActorKind;
use bifrost::{ErrorKind, ExecutionHandle, ExecutionId, ExecutionState, Hub, NewTenant, Result, Tenant, TenantStatus};

use super::super::tree::{Outside, Shaken, WRITE, builder, ends, eventually, keys, with_works};
use crate::dice::Dice;
use crate::findings::Findings;

/// One tenant melts down, is suspended and enabled again; its neighbour notices nothing.
pub(super) async fn world(seed: u64, findings: &mut Findings) {
    findings.attempt();
    let (store, outside, dice) = (Shaken::new(seed), Outside::new(seed), Dice::new(seed));
    let hub = with_works(builder(&store, &keys()), &outside, outside.next_process()).start().await.unwrap();
    let broken = hub.tenants().create(NewTenant::customer("contoso")).await.unwrap();
    let quiet = hub.tenants().create(NewTenant::customer("fabrikam")).await.unwrap();
    let mut works = [begin(&broken, &dice).await, begin(&quiet, &dice).await];
    tokio::time::sleep(Duration::from_millis(dice.below(100))).await;
    let by_store = dice.chance(1, 2);
    if by_store {
        store.refuse(ErrorKind::Internal, Some("contoso"));
    }
    let suspended = eventually(async || {
        if !by_store {
            kill_one(&hub);
        }
        matches!(hub.tenants().get("contoso").unwrap().status, TenantStatus::Suspended { .. })
    })
    .await;
    findings.check(suspended, || format!("world {seed}: it is not suspended"));
    for handle in &works[0] {
        if let Err(error) = ends(handle.wait()).await {
            findings.check(error.kind() == ErrorKind::Closed, || format!("world {seed}: whoever waits hears {error}"));
        }
    }
    for call in [broken.run(WRITE, 1).await.map(drop), broken.cancel(works[0][9].id(), "x").await] {
        let kind = call.err().map(|error| error.kind());
        findings
            .check(matches!(kind, Some(ErrorKind::Suspended) | None), || format!("world {seed}: refused as {kind:?}"));
    }
    for handle in works[1].drain(..) {
        let outcome = ends(handle.wait()).await;
        let well = outcome.as_ref().is_ok_and(|outcome| outcome.state == ExecutionState::Succeeded);
        findings.check(well, || format!("world {seed}: the neighbour's work ended as {outcome:?}"));
        let record = handle.record().await.unwrap();
        findings.check(record.recoveries == 0, || format!("world {seed}: the neighbour's work was disturbed"));
    }
    store.recover();
    hub.tenants().enable("contoso").await.unwrap();
    for handle in &works[0] {
        let ended = ends(go_on(&broken, handle.id())).await;
        findings.check(matches!(ended, Ok(true)), || format!("world {seed}: after enabling: {ended:?}"));
    }
    let repeated = outside.repeated();
    findings.check(repeated.is_empty(), || format!("world {seed}: written twice: {repeated:?}"));
    findings.count("meltdowns", 1.0);
}

/// Goes on with one that was interrupted. What was taken up very often waits for a person, who lets it go on.
async fn go_on(tenant: &Tenant, id: ExecutionId) -> Result<bool> {
    let handle = tenant.execution(id).await?;
    if handle.settled().await?.is_none() {
        tenant.resolve(id, Resolution::Resume).await?;
    }
    handle.wait().await.map(|outcome| outcome.state.is_terminal())
}

async fn begin(tenant: &Tenant, dice: &Dice) -> Vec<ExecutionHandle> {
    let mut works = Vec::new();
    // More than the failures that a tenant may have: each of them fails once.
    for _ in 0..15 {
        works.push(tenant.run(WRITE, 100 + dice.below(3_000)).await.unwrap());
    }
    works
}

fn kill_one(hub: &Hub) {
    let of_contoso = |actor: &bifrost::testing::ActorProbe| actor.path().starts_with("contoso");
    if let Some(actor) = hub.actors().into_iter().find(|actor| actor.kind() == ActorKind::Tenant && of_contoso(actor)) {
        actor.kill();
    }
}
