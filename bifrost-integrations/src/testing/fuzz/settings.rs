//! Settings of connections, the addresses made of them, and paths below those.

#![allow(clippy::unwrap_used, reason = "a body speaks by panicking")]

use std::collections::VecDeque;
use std::sync::Arc;

use bifrost_core::testing::fuzz::Noise;
use bifrost_core::{ConnectionSettings, Credential, ErrorKind, Integration, Result};
use http::{HeaderMap, Method};
use percent_encoding::percent_decode_str;
use url::Url;

use super::peer::{CLIENT_SECRET, Peer, checked, discreet};
use crate::call::{self, Query};
use crate::graph::{Cloud, Graph, GraphConfig, GraphIntegration};
use crate::halopsa::{HaloPsaConfig, HaloPsaIntegration};
use crate::oauth::TokenEndpoint;

/// Takes `data` for what somebody types into the settings of a connection, and for a path they call.
pub fn settings(data: &[u8]) {
    let mut noise = Noise::new(data);
    let cloud = noise.pick(&[Cloud::Global, Cloud::UsGovernment, Cloud::UsDod, Cloud::China]);
    let (entity, base, authority) = (noise.text(), noise.text(), noise.text());
    let path = String::from_utf8_lossy(noise.rest()).into_owned();
    graph_settings(&entity, cloud);
    halopsa_settings(&entity);
    if let (Ok(base), Ok(authority)) = (base.parse::<Url>(), authority.parse::<Url>()) {
        own_addresses(base, authority);
    }
    called(&path);
}

/// A tenant of a cloud signs in at that cloud's login, as itself.
fn graph_settings(entity: &str, cloud: Cloud) {
    let settings = match GraphConfig::new(entity).with_cloud(cloud).build() {
        Ok(settings) => settings,
        Err(error) => return assert_eq!(error.kind(), ErrorKind::InvalidInput),
    };
    let endpoint = match TokenEndpoint::entra(&settings) {
        Ok(endpoint) => endpoint,
        Err(error) => unreachable!("settings that are accepted cannot be used: {entity:?}: {error}"),
    };
    assert_eq!(endpoint.url.host_str(), Some(cloud.login_host()));
    assert_eq!(endpoint.url.path(), format!("/{entity}/oauth2/v2.0/token"));
    assert!(graph().validate(&settings, &credential()).is_ok());
    stored(&settings);
}

/// An instance's name becomes the first label of its host and nothing more.
fn halopsa_settings(tenant: &str) {
    let settings = match HaloPsaConfig::cloud(tenant).build() {
        Ok(settings) => settings,
        Err(error) => return assert_eq!(error.kind(), ErrorKind::InvalidInput),
    };
    let endpoint = TokenEndpoint::halopsa(&settings).unwrap();
    let host = format!("{}.halopsa.com", tenant.to_ascii_lowercase());
    for url in [settings.base_url.as_ref().unwrap(), &endpoint.url] {
        assert_eq!((url.scheme(), url.host_str()), ("https", Some(host.as_str())));
    }
    assert_eq!(endpoint.url.query(), Some(format!("tenant={tenant}").as_str()));
    stored(&settings);
}

fn stored(settings: &ConnectionSettings) {
    let text = serde_json::to_string(settings).unwrap();
    assert_eq!(&serde_json::from_str::<ConnectionSettings>(&text).unwrap(), settings);
}

/// Whatever the addresses are: they are refused when they are set, or calls go there and nowhere else.
fn own_addresses(base: Url, authority: Url) {
    let peer = Peer::answering(VecDeque::new());
    let (transport, clock, entropy) = peer.parts();
    let integration = GraphIntegration::over(transport, clock, entropy).unwrap();
    let settings = GraphConfig::new("contoso.com").with_endpoints(base.clone(), authority.clone()).build().unwrap();
    stored(&settings);
    let halo = HaloPsaConfig::at(base.clone(), authority.clone()).build().unwrap();
    let (transport, clock, entropy) = peer.parts();
    let halopsa = HaloPsaIntegration::over(transport, clock, entropy).unwrap();
    let _: Result<()> = halopsa.validate(&halo, &credential()).inspect_err(discreet);
    if let Err(error) = integration.validate(&settings, &credential()) {
        return assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
    let graph = Graph::new(peer.connect(integration, settings)).unwrap();
    checked(peer.run(graph.users().get("zoe")));
    for request in peer.transport.requests() {
        let sent: Url = request.uri().to_string().parse().unwrap();
        assert!(sent.origin() == base.origin() || sent.origin() == authority.origin(), "{base} {authority}: {sent}");
    }
}

/// A path that somebody wrote stays below the base URL, whoever decodes it, and however often.
fn called(path: &str) {
    let request = match call::raw(Method::GET, path, &Query::new(), HeaderMap::new(), "") {
        Ok(request) => request,
        Err(error) => return assert_eq!(error.kind(), ErrorKind::InvalidInput),
    };
    let mut decoded = request.uri().path().to_owned();
    for _ in 0..4 {
        let climbs = decoded.split(['/', '\\']).any(|segment| segment == "..");
        assert!(!climbs, "{path:?} climbs: {decoded:?}");
        decoded = percent_decode_str(&decoded).decode_utf8_lossy().into_owned();
    }
}

fn graph() -> GraphIntegration {
    let (transport, clock, entropy) = Peer::answering(VecDeque::new()).parts();
    GraphIntegration::over(transport, Arc::clone(&clock), entropy).unwrap()
}

fn credential() -> Credential {
    Credential::client_secret("app", CLIENT_SECRET)
}
