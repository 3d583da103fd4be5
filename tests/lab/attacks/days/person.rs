//! What the people of the service desk do twice a day: they look at what waits for them, and sign in again.

use std::time::Duration;

use bifrost::connection::{Cause, ConnectionState};
use bifrost::execution::{Attention, ExecutionRecord, Resolution};
use bifrost::graph::GraphConfig;
use bifrost::testing::DEMO_CLIENT_ID;
use bifrost::{ExecutionState, TenantStatus};

use super::checks;
use super::work::example;
use super::world::{CUSTOMERS, World};

/// How long a refusal that may have been mended at the provider is believed, and a little more.
const PATIENCE: Duration = Duration::from_secs(5 * 60 + 10);

pub(crate) async fn look_after_everything(world: &mut World) {
    world.place_again(false).await;
    for name in CUSTOMERS {
        if let TenantStatus::Suspended { .. } = world.tenant(name).record().unwrap().status {
            world.findings.count("suspended", 1.0);
            let _ = world.hub.tenants().enable(name).await;
        }
        for record in checks::unfinished(world, name).await {
            if record.state == ExecutionState::NeedsAttention {
                decide(world, name, &record).await;
            }
        }
        sign_in_again(world, name).await;
    }
}

/// Looks at the provider, and says what is true.
async fn decide(world: &mut World, tenant: &str, record: &ExecutionRecord) {
    world.findings.count("decisions of a person", 1.0);
    let resolution = match &record.attention {
        Some(Attention::UnknownEffect { name, .. }) if applied(world, tenant, record, name) => Resolution::Abort,
        Some(Attention::UnknownEffect { .. }) => Resolution::NotDone,
        Some(Attention::Poisoned { .. }) => Resolution::Resume,
        other => {
            world.check(false, || format!("{} of {tenant} waits for a person: {other:?}", record.id));
            Resolution::Abort
        }
    };
    // On a full disk nothing can be decided.
    let _ = world.tenant(tenant).resolve(record.id, resolution).await;
}

fn applied(world: &World, tenant: &str, record: &ExecutionRecord, effect: &str) -> bool {
    let text = |name: &str| record.params.get(name).and_then(|value| value.as_str()).unwrap_or_default().to_owned();
    if effect == example::CREATE_USER {
        return world.sims.graph().user(tenant, &text("upn")).is_some();
    }
    let summary = if text("summary").is_empty() { format!("Onboard {}", text("name")) } else { text("summary") };
    let tickets = world.sims.halopsa().tickets();
    let ticket = tickets.iter().find(|ticket| ticket.summary == summary);
    ticket.is_some_and(|ticket| effect == example::OPEN_TICKET || ticket.time_taken > 0.0)
}

/// A connection that says it needs a person gets one, and works afterwards. One may have more than one cause.
async fn sign_in_again(world: &mut World, name: &str) {
    let mut causes = Vec::new();
    while let Some(cause) = refused(world, name).await {
        world.findings.count("sign-ins again", 1.0);
        world.check(!causes.contains(&cause), || format!("a person mended graph of {name}, and it is {cause:?} still"));
        if causes.contains(&cause) || !mend(world, name, cause).await {
            return;
        }
        causes.push(cause);
        // What came of it shows in the status; weather may be in the way of it.
        let _ = world.tenant(name).connections().test("graph").await;
    }
}

/// Why the connection needs a person, if it does.
async fn refused(world: &mut World, name: &str) -> Option<Cause> {
    let status = world.tenant(name).connections().status("graph").await.ok()?;
    if status.state != ConnectionState::ReauthRequired {
        return None;
    }
    let told = status.next_action.is_some() && status.cause.is_some();
    world.check(told, || format!("graph of {name} needs a person and does not say why: {status:?}"));
    status.cause
}

/// Does what the cause asks for; false when the hub could not be told.
async fn mend(world: &mut World, name: &str, cause: Cause) -> bool {
    if cause == Cause::ConsentMissing {
        world.sims.identity().consent(name, DEMO_CLIENT_ID);
        super::pause(PATIENCE).await;
        return true;
    }
    let settings = GraphConfig::new(format!("{name}.com")).build().unwrap();
    let credential = world.graph_credential(name);
    world.tenant(name).connections().update("graph", settings, credential).await.is_ok()
}
