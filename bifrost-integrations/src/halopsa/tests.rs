//! Every request the client can build, against our description of the interface: HaloPSA ignores unknown parameters
//! silently, so a misspelt filter would return everything.

use bifrost_core::Timestamp;
use bifrost_core::integration::Outbound;

use super::{
    ClientQuery, NewAction, NewClient, NewSite, NewTicket, NewUser, Reference, Resolution, TicketQuery, TicketUpdate,
    UserQuery, actions, agents, clients, lookups, sites, tickets, users,
};
use crate::description::Description;

const INTERFACE: &str = include_str!("../../tests/data/halopsa-interface.json");

fn every_request() -> Vec<Outbound> {
    let now = Timestamp::from_millis(1_786_000_000_123);
    let reference = Reference::new("0198-step-2").unwrap();
    let client_query = ClientQuery::new().search("x").names_only().top_level(1).include_inactive().updated_since(now);
    let user_query = UserQuery::new().client(1).site(1).search("x").include_inactive().updated_since(now);
    let ticket_query = TicketQuery::new()
        .client(1)
        .site(1)
        .user(1)
        .agent(1)
        .statuses([1, 2])
        .types([1])
        .open()
        .closed()
        .search("x")
        .updated_since(now)
        .occurred_between(now, now)
        .newest_first();
    let ticket = NewTicket::new("x")
        .reference(reference.clone())
        .client(1)
        .user(1, 2)
        .site(2)
        .ticket_type(1)
        .priority(1)
        .agent(1)
        .team("x");
    let update = TicketUpdate::new().status(1).priority(1).assign(1, "x").summary("x");
    let action = NewAction::time(1, 0.5, "x").reference(reference).visible().new_status(2);
    [
        clients::requests::list(&client_query),
        clients::requests::get(1),
        clients::requests::create(&NewClient::new("x").top_level(1).site_name("x")),
        sites::requests::of_client(1),
        sites::requests::get(1),
        sites::requests::create(&NewSite::new(1, "x")),
        users::requests::list(&user_query),
        users::requests::get(1),
        users::requests::create(&NewUser::new(1, "x", "y").email("x").entra_id("x")),
        tickets::requests::list(&ticket_query),
        tickets::requests::get(1),
        tickets::requests::create(&ticket),
        tickets::requests::create(&ticket.details_html("x")),
        tickets::requests::update(1, &update),
        tickets::requests::resolve(1, &Resolution::closed()),
        tickets::requests::resolve(1, &Resolution::by_outcome(1, "x")),
        actions::requests::of_ticket(1),
        actions::requests::get(1, 1),
        actions::requests::add(&action),
        actions::requests::add(&NewAction::note_html(1, "x")),
        agents::requests::list(),
        agents::requests::me(),
        agents::requests::get(1),
        lookups::requests::statuses(),
        lookups::requests::ticket_types(),
        lookups::requests::outcomes(),
    ]
    .into_iter()
    .map(Result::unwrap)
    .collect()
}

#[test]
fn every_request_is_in_the_interface() {
    let interface = Description::read(INTERFACE);
    let requests = every_request();
    for request in &requests {
        interface.expect(request);
    }
    interface.expect_all_used(&requests);
}
