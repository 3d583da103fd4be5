//! The clients of Graph and HaloPSA over answers made of noise.

#![allow(clippy::unwrap_used, reason = "a body speaks by panicking")]

use bifrost_core::testing::fuzz::Noise;
use bifrost_core::{Error, Result};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use http::Response;
use serde_json::Value;
use std::collections::VecDeque;
use std::sync::Arc;

use super::peer::{PERSONAL, Peer, answers, checked, discreet};
use crate::call::Query;
use crate::graph::{self, Graph, GraphConfig, GraphIntegration, ListQuery, NewUser};
use crate::halopsa::{
    self, ClientQuery, HaloPsa, HaloPsaConfig, HaloPsaIntegration, NewTicket, Reference, TicketQuery,
};

const GRAPH: (&str, &str) = ("graph.microsoft.com", "login.microsoftonline.com");
const HALOPSA: (&str, &str) = ("contoso.halopsa.com", "contoso.halopsa.com");
/// More than any answer within the size of a sample holds.
const MOST_ITEMS: usize = 20_000;

/// Takes `data` for an operation of the Graph client and the answers to it.
pub fn graph(data: &[u8]) {
    let (operation, rest) = data.split_first().unwrap_or((&0, &[]));
    let answers = answers(rest);
    let plain = reads_alone(&answers);
    let (peer, graph) = graph_over(answers);
    match operation % 10 {
        0 => listed(&peer, graph.users().list(&ListQuery::new()), plain),
        1 => listed(&peer, graph.groups().list(&ListQuery::new()), plain),
        2 => listed(&peer, graph.groups().members("g"), plain),
        3 => batch(&peer, &graph),
        4 => quiet(peer.run(graph.users().get("zoe@contoso.com")), plain),
        5 => quiet(peer.run(graph.users().count(None)), plain),
        6 => quiet(peer.run(graph.users().delete("zoe")), plain),
        7 => quiet(peer.run(graph.users().create(&NewUser::new("a@contoso.com", "A", "p".into()))), plain),
        8 => quiet(peer.run(graph.get::<Value>("/organization", &Query::new())), plain),
        _ => pages(&peer, &graph),
    }
    peer.went_to(GRAPH.0, GRAPH.1);
}

fn graph_over(answers: VecDeque<Response<Bytes>>) -> (Peer, Graph) {
    let peer = Peer::answering(answers);
    let (transport, clock, entropy) = peer.parts();
    let integration = GraphIntegration::over(transport, Arc::clone(&clock), entropy).unwrap();
    let connection = peer.connect(integration, GraphConfig::new("contoso.com").build().unwrap());
    (peer, Graph::new(connection).unwrap().with_clock(clock))
}

/// Calls in a batch are answered one by one, in order, whatever the batch's answer is.
fn batch(peer: &Peer, graph: &Graph) {
    let calls = vec![
        graph::users::requests::get("a").unwrap(),
        graph::users::requests::delete("b").unwrap(),
        graph::users::requests::create(&NewUser::new("c@contoso.com", "C", "p".into())).unwrap(),
    ];
    let creations = |peer: &Peer| {
        let bodies = peer.transport.requests().into_iter().filter(|request| request.uri().path().ends_with("$batch"));
        bodies.filter(|request| String::from_utf8_lossy(request.body()).contains("c@contoso.com")).count()
    };
    let done = peer.run(graph.batch(calls));
    assert_eq!(done.len(), 3);
    for outcome in done {
        if let Some(answer) = checked(outcome) {
            assert!(answer.status().is_success() || answer.status() == 304 || answer.status() == 424);
        }
    }
    assert!(creations(peer) <= 40);
}

/// A page's token leads on from where it stopped, also when it was text meanwhile.
fn pages(peer: &Peer, graph: &Graph) {
    let Some(first) = checked(peer.run(graph.users().page(&ListQuery::new()))) else { return };
    let Some(token) = first.next else { return };
    assert_eq!(token.to_string().parse::<graph::ResumeToken>().ok().as_ref(), Some(&token));
    checked(peer.run(graph.users().next_page(&token)));
}

/// Takes `data` for an operation of the HaloPSA client and the answers to it.
pub fn halopsa(data: &[u8]) {
    let (operation, rest) = data.split_first().unwrap_or((&0, &[]));
    let answers = answers(rest);
    let plain = reads_alone(&answers);
    let (peer, halo) = halopsa_over(answers);
    match operation % 10 {
        0 => listed(&peer, halo.clients().list(&ClientQuery::new()), plain),
        1 => listed(&peer, halo.tickets().list(&TicketQuery::new()), plain),
        2 => quiet(peer.run(halo.tickets().get(7)), plain),
        3 => created(&peer, &halo, plain),
        4 => quiet(peer.run(halo.clients().find_by_name("Contoso")), plain),
        5 => quiet(peer.run(halo.agents().me()), plain),
        6 => quiet(peer.run(halo.lookups().statuses()), plain),
        7 => quiet(peer.run(halo.get::<Value>("/Client", &Query::new())), plain),
        8 => quiet(peer.run(halo.tickets().find_by_reference(7, &Reference::new("ticket-0001").unwrap(), None)), plain),
        _ => halo_pages(&peer, &halo),
    }
    peer.went_to(HALOPSA.0, HALOPSA.1);
}

fn halopsa_over(answers: VecDeque<Response<Bytes>>) -> (Peer, HaloPsa) {
    let peer = Peer::answering(answers);
    let (transport, clock, entropy) = peer.parts();
    let integration = HaloPsaIntegration::over(transport, clock, entropy).unwrap();
    let connection = peer.connect(integration, HaloPsaConfig::cloud("contoso").build().unwrap());
    (peer, HaloPsa::new(connection).unwrap())
}

/// A ticket that was made has an id, and what is not known to be refused is not sent twice.
fn created(peer: &Peer, halo: &HaloPsa, plain: bool) {
    let outcome = peer.run(halo.tickets().create(&NewTicket::new("Printer")));
    if let Ok(ticket) = &outcome {
        assert_ne!(ticket.id, 0, "a ticket without an id is taken for made");
    }
    quiet(outcome, plain);
}

fn halo_pages(peer: &Peer, halo: &HaloPsa) {
    let Some(first) = checked(peer.run(halo.clients().page(&ClientQuery::new(), None))) else { return };
    let Some(token) = first.next else { return };
    assert_eq!(token.to_string().parse::<halopsa::ResumeToken>().ok(), Some(token));
    checked(peer.run(halo.clients().page(&ClientQuery::new(), Some(&token))));
}

/// Takes `data` for the link to a next page: it is followed below the API's own address, unchanged, or not at all.
pub fn links(data: &[u8]) {
    let mut noise = Noise::new(data);
    let advanced = !noise.byte().is_multiple_of(2);
    let link = String::from_utf8_lossy(noise.rest()).into_owned();
    let token = serde_json::json!({ "link": link, "advanced": advanced }).to_string();
    let token: graph::ResumeToken = token.parse().unwrap();
    assert_eq!(token.to_string().parse::<graph::ResumeToken>().unwrap(), token);
    let (peer, graph) = graph_over(VecDeque::new());
    let outcome = peer.run(graph.users().next_page(&token));
    discreet(&outcome.unwrap_err());
    peer.went_to(GRAPH.0, GRAPH.1);
    let sent = peer.transport.requests();
    for request in sent.iter().filter(|request| request.uri().host() == Some(GRAPH.0)) {
        let path = request.uri().path();
        assert!(path == "/v1.0" || path.starts_with("/v1.0/"), "{link:?} was followed to {}", request.uri());
        assert_eq!(request.headers().contains_key("consistencylevel"), advanced);
    }
    // Graph decides what its links look like, and a client must not know better.
    let home = link.strip_prefix("https://graph.microsoft.com/v1.0/users?$skiptoken=");
    if home.is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_alphanumeric())) {
        assert!(sent.iter().any(|request| request.uri().to_string() == link), "{link}");
    }
}

/// True when every answer says success: then nothing in the bodies is meant for an error.
fn reads_alone(answers: &VecDeque<Response<Bytes>>) -> bool {
    let warns = |body: &[u8]| String::from_utf8_lossy(body).contains("_warning");
    answers.iter().all(|answer| answer.status() == 200 && !warns(answer.body()))
}

/// An outcome whose error, if it is one, says nothing it must not; `plain` says that no answer was meant for an error.
fn quiet<T>(outcome: Result<T>, plain: bool) {
    if let Err(error) = outcome {
        impersonal(&error, plain);
    }
}

fn impersonal(error: &Error, plain: bool) {
    discreet(error);
    assert!(!plain || !format!("{error:?}").contains(PERSONAL), "an error shows what was in a record: {error:?}");
}

/// A list ends, with its first error if there is one.
fn listed<T>(peer: &Peer, list: impl Stream<Item = Result<T>>, plain: bool) {
    let items = peer.run(list.take(MOST_ITEMS).collect::<Vec<_>>());
    assert!(items.len() < MOST_ITEMS, "a list does not end");
    let failed = items.iter().position(Result::is_err);
    assert!(failed.is_none_or(|at| at + 1 == items.len()), "a list went on after an error");
    if let Some(Err(error)) = items.last() {
        impersonal(error, plain);
    }
}
