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
    let user = NewUser::new("suite@contoso.com", "Suite", Secret::new("Initial-Pass-1"));
    let subject = Subject {
        build: Box::new(move |transport, clock| Ok(graph_over(transport, &clock, &entropy))),
        peer: world.transport(),
        clock: Arc::clone(&world.clock),
        settings: graph_settings(),
        credential: graph_credential(),
        secrets: vec![DEMO_CLIENT_SECRET.to_owned()],
        read: graph::users::requests::get("admin@contoso.com").unwrap(),
        create: graph::users::requests::create(&user).unwrap(),
        missing: graph::users::requests::get("nobody@contoso.com").unwrap(),
        names_requests: true,
    };
    // Sign-in names are unique: each create of the suite finds the one before gone.
    let graph = world.graph();
    for step in [0, 1, 2] {
        graph.users().delete("suite@contoso.com").await.unwrap();
        match step {
            0 => integration_suite::replaces_a_rejected_token_once(&subject)
                .await
                .unwrap(),
            1 => integration_suite::repeats_a_write_that_was_turned_away(&subject)
                .await
                .unwrap(),
            _ => integration_suite::waits_as_long_as_it_is_told(&subject).await.unwrap(),
        }
    }
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
        create: halopsa::tickets::requests::create(&NewTicket::new("Suite").client(1).ticket_type(1)).unwrap(),
        missing: halopsa::tickets::requests::get(999_999).unwrap(),
        names_requests: false,
    };
    integration_suite::run(&subject).await.unwrap();
}
