//! Our integrations pass the suite every integration passes.

use std::sync::Arc;

use bifrost_core::Secret;
use bifrost_integrations::graph::{self, NewUser};
use bifrost_integrations::halopsa::{self, NewTicket};
use bifrost_integrations::testing::integration_suite::{self, Subject};
use bifrost_integrations::testing::{DEMO_CLIENT_SECRET, DEMO_HALOPSA_CLIENT_SECRET};

use super::{World, graph_credential, graph_over, graph_settings, halopsa_credential, halopsa_over, halopsa_settings};

#[tokio::test(start_paused = true)]
async fn graph_behaves() {
    let world = World::new();
    let entropy = Arc::clone(&world.entropy);
    let subject = Subject {
        build: Box::new(move |transport, clock| Ok(graph_over(transport, &clock, &entropy))),
        peer: world.transport(),
        clock: Arc::clone(&world.clock),
        settings: graph_settings(),
        credential: graph_credential(),
        secrets: vec![DEMO_CLIENT_SECRET.to_owned()],
        read: graph::users::requests::get("admin@contoso.com").unwrap(),
        create: Box::new(|number| {
            let upn = format!("suite{number}@contoso.com");
            graph::users::requests::create(&NewUser::new(upn, "Suite", Secret::new("Initial-Pass-1")))
        }),
        missing: graph::users::requests::get("nobody@contoso.com").unwrap(),
        names_requests: true,
    };
    integration_suite::run(&subject).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn halopsa_behaves() {
    let world = World::new();
    let entropy = Arc::clone(&world.entropy);
    let subject = Subject {
        build: Box::new(move |transport, clock| Ok(halopsa_over(transport, &clock, &entropy))),
        peer: world.transport(),
        clock: Arc::clone(&world.clock),
        settings: halopsa_settings(),
        credential: halopsa_credential(),
        secrets: vec![DEMO_HALOPSA_CLIENT_SECRET.to_owned()],
        read: halopsa::clients::requests::get(1).unwrap(),
        create: Box::new(|number| {
            let ticket = NewTicket::new(format!("Suite {number}")).client(1).ticket_type(1);
            halopsa::tickets::requests::create(&ticket)
        }),
        missing: halopsa::tickets::requests::get(999_999).unwrap(),
        names_requests: false,
    };
    integration_suite::run(&subject).await.unwrap();
}
