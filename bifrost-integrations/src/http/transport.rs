//! The way to the network: the [`Transport`] trait, so that tests and simulators can stand in for it, and the transport
//! that goes there: reqwest, named in this file alone.
//!
//! Two clients stand behind it: one connects to public addresses, the other, used for hosts a connection lists, to
//! private ones too. Addresses are checked after every resolution, so a name that changes its mind between two
//! resolutions gains nothing.

mod contract;

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder};
use url::Url;

pub(crate) use self::contract::answered_in_time;
pub use self::contract::{Limits, Transport, TransportError, TransportErrorKind};
use super::guard::{self, Door};

/// The longest time to reach a peer: name, TCP and TLS together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(8);
/// How long an idle connection is kept.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// How many idle connections to a host are kept: a peer without HTTP/2 has one for each call under way, and to make them
/// again, TLS included, costs more than to keep them.
const IDLE_PER_HOST: usize = 64;
/// Header fields and bytes a peer may send at all, whatever the limits of a request; hyper stops reading there.
const MAX_HEADERS: usize = 256;
const MAX_HEADER_BYTES: u32 = 256 * 1024;

/// Turns a host name into addresses.
pub trait Lookup: Send + Sync + fmt::Debug + 'static {
    /// The addresses of `host`.
    fn lookup(&self, host: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>>;
}

/// The operating system's resolver.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemLookup;

impl Lookup for SystemLookup {
    fn lookup(&self, host: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        Box::pin(async move {
            let addresses = tokio::net::lookup_host((host, 0)).await?;
            Ok(addresses.map(|address| address.ip()).collect())
        })
    }
}

/// Sends requests over HTTP/1.1 and HTTP/2 with TLS by rustls. Clones share connections.
#[derive(Debug, Clone)]
pub struct ReqwestTransport {
    public: Client,
    private: Client,
}

impl ReqwestTransport {
    /// A transport that resolves names as the operating system does.
    ///
    /// # Errors
    /// `Internal` when TLS cannot be set up, for want of any trusted certificate, say.
    pub fn new() -> bifrost_core::Result<Self> {
        Self::with_lookup(&(Arc::new(SystemLookup) as Arc<dyn Lookup>))
    }

    /// A transport that resolves names as `lookup` does.
    ///
    /// # Errors
    /// As [`ReqwestTransport::new`].
    pub fn with_lookup(lookup: &Arc<dyn Lookup>) -> bifrost_core::Result<Self> {
        let client = |door| {
            let resolver = Guarded { door, lookup: Arc::clone(lookup) };
            builder().dns_resolver(Arc::new(resolver)).build().map_err(|error| {
                bifrost_core::Error::internal("build transport", "the HTTP client cannot be set up")
                    .source(error)
                    .next_action("check that the machine has trusted root certificates installed")
            })
        };
        Ok(Self { public: client(Door::Public)?, private: client(Door::Private)? })
    }
}

fn builder() -> ClientBuilder {
    Client::builder()
        .user_agent(concat!("bifrost-hub/", env!("CARGO_PKG_VERSION")))
        .no_proxy()
        .redirect(Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .pool_max_idle_per_host(IDLE_PER_HOST)
        .http1_max_headers(MAX_HEADERS)
        .http2_max_header_list_size(MAX_HEADER_BYTES)
        .http2_keep_alive_interval(Duration::from_secs(30))
        .http2_keep_alive_timeout(Duration::from_secs(10))
        .tcp_keepalive(Duration::from_secs(30))
}

#[async_trait]
impl Transport for ReqwestTransport {
    async fn send(
        &self,
        request: http::Request<Bytes>,
        limits: Limits<'_>,
    ) -> Result<http::Response<Bytes>, TransportError> {
        let url = Url::parse(&request.uri().to_string())
            .map_err(|_| TransportError::new(TransportErrorKind::Blocked, "the request's URI is no URL"))?;
        self.send_to(&url, request, limits).await
    }

    async fn send_to(
        &self,
        url: &Url,
        request: http::Request<Bytes>,
        limits: Limits<'_>,
    ) -> Result<http::Response<Bytes>, TransportError> {
        let door = guard::door(url, limits.private_hosts)
            .map_err(|reason| TransportError::new(TransportErrorKind::Blocked, reason))?;
        let client = match door {
            Door::Public => &self.public,
            Door::Private => &self.private,
        };
        let response = client.execute(outgoing(url, request)).await.map_err(failed)?;
        read(response, limits).await
    }
}

fn outgoing(url: &Url, request: http::Request<Bytes>) -> reqwest::Request {
    let (parts, body) = request.into_parts();
    let mut outgoing = reqwest::Request::new(parts.method, url.clone());
    *outgoing.headers_mut() = parts.headers;
    *outgoing.body_mut() = Some(body.into());
    outgoing
}

/// Reads an answer within its limits; the body's bytes are counted as they come out of decompression.
async fn read(mut response: reqwest::Response, limits: Limits<'_>) -> Result<http::Response<Bytes>, TransportError> {
    let too_large = |what: &str| TransportError::new(TransportErrorKind::TooLarge, format!("the answer has {what}"));
    let headers = response.headers();
    let header_bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if headers.len() > limits.max_headers || header_bytes > limits.max_header_bytes {
        return Err(too_large("more headers than allowed"));
    }
    let announced = response.content_length().unwrap_or(0);
    if announced > limits.max_body as u64 {
        return Err(too_large("a body larger than allowed"));
    }
    let mut answer = http::Response::new(Bytes::new());
    *answer.status_mut() = response.status();
    *answer.version_mut() = response.version();
    *answer.headers_mut() = std::mem::take(response.headers_mut());
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        if body.len() + chunk.len() > limits.max_body {
            return Err(too_large("a body larger than allowed"));
        }
        append(&mut body, &chunk, limits.max_body);
    }
    *answer.body_mut() = body.into();
    Ok(answer)
}

/// Appends to a body that never gets more room than it may have.
fn append(body: &mut Vec<u8>, chunk: &[u8], max_body: usize) {
    let needed = body.len() + chunk.len();
    if needed > body.capacity() {
        let room = (body.capacity() * 2).min(max_body).max(needed);
        body.reserve_exact(room - body.len());
    }
    body.extend_from_slice(chunk);
}

/// Names reqwest's error. Its own text holds the URL, which is taken out.
fn failed(error: reqwest::Error) -> TransportError {
    let error = error.without_url();
    let (kind, message) = if blocked(&error) {
        (TransportErrorKind::Blocked, "the host resolves to an address that must not be called")
    } else if error.is_builder() {
        (TransportErrorKind::Blocked, "the request cannot be written as HTTP")
    } else if error.is_connect() || error.is_dns() {
        (TransportErrorKind::NotSent, "the host cannot be reached")
    } else if error.is_timeout() {
        (TransportErrorKind::TimedOut, "the host did not answer in time")
    } else if error.is_decode() || error.is_body() {
        (TransportErrorKind::Lost, "the answer broke off or cannot be read")
    } else {
        (TransportErrorKind::Lost, "the connection was lost")
    };
    TransportError::new(kind, message).caused_by(error)
}

fn blocked(error: &reqwest::Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if cause.is::<ForbiddenAddress>() {
            return true;
        }
        source = cause.source();
    }
    false
}

/// A resolver that keeps back what must not be connected to.
struct Guarded {
    door: Door,
    lookup: Arc<dyn Lookup>,
}

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let (door, looking) = (self.door, self.lookup.lookup(name.as_str().to_owned()));
        Box::pin(async move {
            let addresses = looking.await?;
            let found = !addresses.is_empty();
            let admitted: Vec<SocketAddr> = addresses
                .into_iter()
                .filter(|address| door.admits(*address))
                .map(|ip| SocketAddr::new(ip, 0))
                .collect();
            if found && admitted.is_empty() {
                return Err(ForbiddenAddress.into());
            }
            Ok(Box::new(admitted.into_iter()) as Addrs)
        })
    }
}

/// All addresses of a name are forbidden.
#[derive(Debug)]
struct ForbiddenAddress;

impl fmt::Display for ForbiddenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("every address of the host is private")
    }
}

impl std::error::Error for ForbiddenAddress {}

#[cfg(test)]
mod tests;
