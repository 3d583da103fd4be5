//! HaloPSA: customers, tickets, time, probes.

use bifrost_core::ErrorKind;
use bifrost_integrations::halopsa::{
    ClientQuery, NewAction, NewClient, NewSite, NewTicket, NewUser, Reference, Resolution, TicketQuery, TicketUpdate,
};
use bifrost_integrations::testing::{Fault, FaultRule, Provider};
use futures_util::TryStreamExt;

use super::World;

fn reference(text: &str) -> Reference {
    Reference::new(text).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_ticket_lives_from_opening_to_closing() {
    let world = World::new();
    let halo = world.halopsa();
    let client = halo.clients().require_by_name("contoso").await.unwrap();
    let kind = halo.lookups().ticket_types().await.unwrap().remove(0);
    let key = reference("0198-open-ticket-1");
    let new = NewTicket::new("Onboard Zoë").details("New hire").client(client.id).ticket_type(kind.id);
    let ticket = halo.tickets().create(&new.reference(key.clone())).await.unwrap();
    assert_eq!((ticket.client_id, ticket.is_closed()), (Some(client.id), false));
    let since = Some(world.clock.now());
    let found = halo.tickets().find_by_reference(client.id, &key, since).await.unwrap().unwrap();
    assert_eq!(found.id, ticket.id);
    let other = reference("0198-open-ticket-2");
    assert_eq!(halo.tickets().find_by_reference(client.id, &other, since).await.unwrap(), None);

    let time = NewAction::time(ticket.id, 0.25, "Account set up").reference(reference("0198-book-time-1"));
    let action = halo.actions().add(&time).await.unwrap();
    assert_eq!((action.ticket_id, action.timetaken), (Some(ticket.id), Some(0.25)));
    let found = halo.actions().find(ticket.id, &reference("0198-book-time-1")).await.unwrap();
    assert_eq!(found.map(|action| action.id), Some(action.id));
    assert_eq!(halo.actions().find(ticket.id, &other).await.unwrap(), None);

    halo.tickets().update(ticket.id, &TicketUpdate::new().summary("Onboard Zoë Müller")).await.unwrap();
    let resolved = halo.tickets().resolve(ticket.id, &Resolution::closed()).await.unwrap();
    assert!(resolved.is_closed());
    assert_eq!(resolved.summary.as_deref(), Some("Onboard Zoë Müller"));
    let open: Vec<_> = halo.tickets().list(&TicketQuery::new().client(client.id).open()).try_collect().await.unwrap();
    assert!(open.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_outcome_closes_a_ticket_too() {
    let world = World::new();
    let halo = world.halopsa();
    let client = halo.clients().require_by_name("Fabrikam").await.unwrap();
    let new = NewTicket::new("Printer").client(client.id).ticket_type(1);
    let ticket = halo.tickets().create(&new).await.unwrap();
    let close = halo.lookups().require_outcome("Close").await.unwrap();
    let resolved = halo.tickets().resolve(ticket.id, &Resolution::by_outcome(close.id, "Done")).await.unwrap();
    assert!(resolved.is_closed());
}

#[tokio::test(start_paused = true)]
async fn customers_sites_and_contacts_are_made_and_found() {
    let world = World::new();
    let halo = world.halopsa();
    assert!(halo.agents().me().await.unwrap().id > 0);
    let missing = halo.clients().require_by_name("Northwind").await.unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    let client = halo.clients().create(&NewClient::new("Northwind")).await.unwrap();
    assert_eq!(halo.clients().require_by_name(" northwind ").await.unwrap().id, client.id);
    let site = halo.sites().create(&NewSite::new(client.id, "Harbour")).await.unwrap();
    let user =
        halo.users().create(&NewUser::new(site.id, "Zoë", "Müller").email("zoe@northwind.example")).await.unwrap();
    let found = halo.users().find_by_email(client.id, "ZOE@northwind.example").await.unwrap();
    assert_eq!(found.map(|user| user.id), Some(user.id));
    let sites: Vec<_> = halo.sites().of_client(client.id).try_collect().await.unwrap();
    assert!(sites.iter().any(|known| known.id == site.id));
    let clients: Vec<_> = halo.clients().list(&ClientQuery::new()).try_collect().await.unwrap();
    assert!(clients.iter().any(|known| known.id == client.id));
}

#[tokio::test(start_paused = true)]
async fn long_lists_are_read_to_the_end() {
    let world = World::new();
    let halo = world.halopsa();
    let client = halo.clients().require_by_name("Adatum").await.unwrap();
    for number in 0..120 {
        let ticket = NewTicket::new(format!("Ticket {number}")).client(client.id).ticket_type(1);
        halo.tickets().create(&ticket).await.unwrap();
    }
    let all: Vec<_> = halo.tickets().list(&TicketQuery::new().client(client.id)).try_collect().await.unwrap();
    assert_eq!(all.len(), 120);
    assert!(all.windows(2).all(|pair| pair[0].id < pair[1].id));
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_to_a_ticket_is_unknown_and_the_probe_finds_it() {
    let world = World::new();
    let halo = world.halopsa();
    let client = halo.clients().require_by_name("Contoso").await.unwrap();
    let rule = FaultRule::new(Fault::DropAnswer).on(Provider::Halopsa).method("POST").path("/api/Tickets");
    world.sims.script(rule.times(1));
    let key = reference("0198-open-ticket-9");
    let new = NewTicket::new("Once").client(client.id).ticket_type(1).reference(key.clone());
    let error = halo.tickets().create(&new).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownOutcome, "{error}");
    let since = Some(world.clock.now());
    assert!(halo.tickets().find_by_reference(client.id, &key, since).await.unwrap().is_some());
    assert_eq!(world.sims.halopsa().tickets().len(), 1);
}
