//! Answers that lead elsewhere: redirects and links to the next page. Credentials stay where they belong.

use std::sync::Arc;

use bifrost::graph::{Graph, ListQuery};
use bifrost::http::FollowRedirects;
use bifrost::integration::Outbound;
use bifrost::{Connection, ErrorKind};
use bytes::Bytes;
use futures_util::TryStreamExt;

use super::doors::{DOORS, Expect, Way, attack};
use super::server::{Piece, Server, token, whole};
use crate::findings::Findings;

pub(super) async fn led_elsewhere(findings: &mut Findings) {
    let way = Way::new();
    let stranger = Server::start(Arc::new(|_| vec![Piece::Bytes(whole(br#"{"value":[]}"#))])).await;
    let targets = [
        // A stranger at an address that the connection may call, and the same by a name that it may not.
        format!("http://{}/take", stranger.address),
        format!("http://localhost:{}/take", stranger.address.port()),
        format!("http://user:password@{}/take", stranger.address),
        "http://169.254.169.254/latest/meta-data".to_owned(),
        "https://10.0.0.1/".to_owned(),
        "https://[::ffff:169.254.169.254]/".to_owned(),
        "http://0x7f000001/".to_owned(),
        "file:///etc/passwd".to_owned(),
        "//".to_owned(),
        "\u{7f}".to_owned(),
    ];
    for target in &targets {
        findings.attempt();
        redirected(&way, target, findings).await;
        next_page(&way, target, findings).await;
        for status in [301, 302, 307, 308] {
            for door in DOORS {
                let head = format!("HTTP/1.1 {status} X\r\nlocation: {target}\r\ncontent-length: 0\r\n\r\n");
                findings.add(attack(&way, door, target, vec![Piece::Bytes(head.into_bytes())], Expect::Error).await);
            }
        }
    }
    for head in stranger.heard() {
        let told = head.to_ascii_lowercase();
        findings.check(!told.contains("authorization") && !told.contains("canary"), || {
            format!("a stranger was told {head}")
        });
    }
    in_a_circle(&way, findings).await;
}

/// A read that follows redirects: it may come through, and never with credentials.
async fn redirected(way: &Way, target: &str, findings: &mut Findings) {
    let answer = format!("HTTP/1.1 302 X\r\nlocation: {target}\r\ncontent-length: 0\r\n\r\n").into_bytes();
    let server = Server::start(Arc::new(move |head| match head.contains("/token") {
        true => token(),
        false => vec![Piece::Bytes(answer.clone())],
    }))
    .await;
    if let Err(error) = follow(&way.graph(&server)).await {
        findings.check(error.kind() != ErrorKind::Internal, || format!("redirected to {target}: {error:?}"));
    }
}

async fn follow(connection: &Connection) -> bifrost::Result<()> {
    let mut request = http::Request::get("/report").body(Bytes::new()).unwrap();
    request.extensions_mut().insert(FollowRedirects);
    connection.send(Outbound::new(request, "/report")).await.map(drop)
}

/// A list whose next page is elsewhere: it is not fetched.
async fn next_page(way: &Way, target: &str, findings: &mut Findings) {
    let page = serde_json::json!({ "value": [], "@odata.nextLink": target }).to_string();
    let server = Server::start(Arc::new(move |head| match head.contains("/token") {
        true => token(),
        false => vec![Piece::Bytes(whole(page.as_bytes()))],
    }))
    .await;
    let graph = Graph::new(way.graph(&server)).unwrap();
    let listed = graph.users().list(&ListQuery::new()).try_collect::<Vec<_>>().await;
    let refused = listed.as_ref().is_err_and(|error| error.kind() == ErrorKind::Rejected);
    findings.check(refused, || format!("a list went on at {target}: {listed:?}"));
}

/// Redirects and pages that lead back to where they came from.
async fn in_a_circle(way: &Way, findings: &mut Findings) {
    findings.attempt();
    let server = Server::start(Arc::new(|head| match head.contains("/token") {
        true => token(),
        false => vec![Piece::Bytes(b"HTTP/1.1 302 X\r\nlocation: /v1.0/report\r\ncontent-length: 0\r\n\r\n".to_vec())],
    }))
    .await;
    let ended = follow(&way.graph(&server)).await;
    let asked = server.heard().iter().filter(|head| head.contains("/report")).count();
    findings.check(ended.is_err() && asked <= 4, || format!("a circle of redirects: {asked} requests, {ended:?}"));
}
