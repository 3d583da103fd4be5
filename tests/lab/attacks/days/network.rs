//! The network between the hub and the simulated providers: it goes away for hours, it delivers twice, code of ours
//! panics on it, and it ends for a process that is killed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bifrost::Clock;
use bifrost::http::{Limits, Transport, TransportError, TransportErrorKind};
use bifrost::testing::{SimulatorTransport, Simulators};
use bytes::Bytes;
use http::{Method, Request, Response};

use crate::panics::MADE;

/// What the network does to requests; every life of the hub is under the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Network(Arc<Mutex<Troubles>>);

#[derive(Debug, Default)]
struct Troubles {
    /// Hosts whose name ends like this cannot be reached until then.
    outages: Vec<(&'static str, Duration)>,
    /// So many of the next requests panic.
    panics: u32,
    /// So many of the next requests that may come twice do.
    doubles: u32,
}

impl Network {
    pub(crate) fn take_down(&self, host: &'static str, until: Duration) {
        self.0.lock().unwrap().outages.push((host, until));
    }

    pub(crate) fn panic_next(&self, count: u32) {
        self.0.lock().unwrap().panics += count;
    }

    pub(crate) fn double_next(&self, count: u32) {
        self.0.lock().unwrap().doubles += count;
    }

    /// Everything works from now on.
    pub(crate) fn heal(&self) {
        *self.0.lock().unwrap() = Troubles::default();
    }

    /// The way to `sims` for one life of the hub.
    pub(crate) fn line(&self, sims: &Simulators, clock: Arc<dyn Clock>) -> Line {
        Line {
            network: self.clone(),
            alive: Arc::new(AtomicBool::new(true)),
            clock,
            inner: SimulatorTransport::new(sims.clone()),
        }
    }
}

/// One process's connections.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    network: Network,
    alive: Arc<AtomicBool>,
    clock: Arc<dyn Clock>,
    inner: SimulatorTransport,
}

/// What happens to a request before it is sent.
enum Fate {
    Arrives { twice: bool },
    NotSent,
    Panics,
}

impl Line {
    /// The process is gone: nothing of it reaches a provider from here on.
    pub(crate) fn cut(&self) {
        self.alive.store(false, Ordering::SeqCst);
    }

    fn fate(&self, request: &Request<Bytes>) -> Fate {
        let now = self.clock.monotonic();
        let mut troubles = self.network.0.lock().unwrap();
        troubles.outages.retain(|(_, until)| *until > now);
        let host = request.uri().host().unwrap_or_default();
        if troubles.outages.iter().any(|(down, _)| host.ends_with(down)) {
            return Fate::NotSent;
        }
        if troubles.panics > 0 {
            troubles.panics -= 1;
            return Fate::Panics;
        }
        // Proxies send again what they take for safe to repeat.
        let repeatable = matches!(*request.method(), Method::GET | Method::PUT | Method::PATCH | Method::DELETE);
        let twice = repeatable && troubles.doubles > 0;
        troubles.doubles -= u32::from(twice);
        Fate::Arrives { twice }
    }
}

#[async_trait]
impl Transport for Line {
    async fn send(&self, request: Request<Bytes>, limits: Limits<'_>) -> Result<Response<Bytes>, TransportError> {
        if !self.alive.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        match self.fate(&request) {
            Fate::NotSent => Err(TransportError::new(TransportErrorKind::NotSent, "the network is down")),
            Fate::Panics => panic!("{MADE} the transport panics"),
            Fate::Arrives { twice } => {
                if twice {
                    let _ = self.inner.send(request.clone(), limits).await;
                }
                self.inner.send(request, limits).await
            }
        }
    }
}
