//! The simulators behind a real socket: HTTP/1.1, and faults as the network has them.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use super::outcome::{SimOutcome, SimResponse};
use super::simulators::Simulators;

/// The largest request body taken, in bytes.
const LARGEST_REQUEST: usize = 8 * 1024 * 1024;

/// Where a served world is reached. No address ends with a slash.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SimulatorAddresses {
    /// Stands for `https://login.microsoftonline.com`: append `/{tenant}/oauth2/v2.0/token`.
    pub identity: String,
    /// Stands for `https://graph.microsoft.com/v1.0`: append `/users`.
    pub graph: String,
    /// Stands for `https://<tenant>.halopsa.com`: append `/auth/token?tenant=…` or `/api/Tickets`.
    pub halopsa: String,
    /// Counts and request log, as JSON.
    pub state: String,
    /// Takes scripted faults, as JSON.
    pub faults: String,
}

/// A running server. Dropping it, or [`shutdown`](Self::shutdown), closes the listener and every connection.
#[derive(Debug)]
pub struct SimulatorServer {
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl SimulatorServer {
    pub(super) async fn start(sims: Simulators, listen: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let accepting = tokio::spawn(accept(sims, listener));
        Ok(Self { address, accepting })
    }

    /// The address listened at.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// The base addresses of the providers.
    pub fn addresses(&self) -> SimulatorAddresses {
        let root = format!("http://{}", self.address);
        SimulatorAddresses {
            identity: format!("{root}/identity"),
            graph: format!("{root}/graph/v1.0"),
            halopsa: format!("{root}/halopsa"),
            state: format!("{root}/_sim/state"),
            faults: format!("{root}/_sim/faults"),
        }
    }

    /// Stops, and returns when every connection is closed.
    pub async fn shutdown(mut self) {
        self.accepting.abort();
        // The task was told to stop: that it was cancelled is no news.
        let _ = (&mut self.accepting).await;
    }
}

impl Drop for SimulatorServer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Takes connections until it is dropped, and all of them with it.
async fn accept(sims: Simulators, listener: TcpListener) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                // A connection that died while it waited concerns nobody else.
                if let Ok((stream, _)) = accepted {
                    connections.spawn(converse(sims.clone(), stream));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn converse(sims: Simulators, stream: TcpStream) {
    // Answers are small: waiting for more to send would only distort what is measured.
    let _ = stream.set_nodelay(true);
    let reset = Arc::new(AtomicBool::new(false));
    let socket = Socket { stream, reset: reset.clone() };
    let service = service_fn(move |request| respond(sims.clone(), request, reset.clone()));
    // An error here is a scripted fault, or a client that went away.
    let _ = http1::Builder::new().auto_date_header(false).serve_connection(TokioIo::new(socket), service).await;
}

type Body = StreamBody<BoxStream<'static, io::Result<Frame<Bytes>>>>;

/// Answers one request. An error closes the connection without a byte more.
async fn respond(sims: Simulators, request: Request<Incoming>, reset: Arc<AtomicBool>) -> io::Result<Response<Body>> {
    let (parts, body) = request.into_parts();
    let outcome = match Limited::new(body, LARGEST_REQUEST).collect().await {
        Ok(body) => sims.handle(Request::from_parts(parts, body.to_bytes())).await,
        Err(_) => SimOutcome::Response(SimResponse::empty(StatusCode::PAYLOAD_TOO_LARGE)),
    };
    match outcome {
        SimOutcome::Response(response) => {
            let response = response.into_http(sims.clock().clone());
            Ok(response.map(|body| StreamBody::new(body.map(|bytes| bytes.map(Frame::data)).boxed())))
        }
        SimOutcome::ConnectionReset => {
            reset.store(true, Ordering::Relaxed);
            Err(io::ErrorKind::ConnectionReset.into())
        }
        SimOutcome::AnswerDropped => Err(io::ErrorKind::ConnectionAborted.into()),
    }
}

/// A socket that can be closed with a reset instead of a farewell.
struct Socket {
    stream: TcpStream,
    reset: Arc<AtomicBool>,
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.reset.load(Ordering::Relaxed) {
            // Not lingering at all makes the system send a reset. Where that fails, an ordinary close has to do.
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.reset.load(Ordering::Relaxed) {
            // A farewell now would spoil the reset.
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
