//! A Python event loop's mailbox: runs to start, runs to cancel and answers that have come, fetched in one go.
//!
//! Whoever posts takes no GIL and wakes the loop at most once for all that is queued: a byte in a socket pair whose
//! other end the loop watches. A pool of threads fetches one run at a time and needs no socket.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bifrost::{Error, ErrorKind, Result};
use pyo3::prelude::*;

use crate::error::to_py;
use crate::moment;
use crate::run::{Ending, Run};

/// See the module.
#[pyclass(frozen, module = "bifrost._native")]
pub(crate) struct Mailbox(Arc<Inner>);

/// What others put into a mailbox. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Post(Arc<Inner>);

struct Inner {
    queue: Mutex<Queue>,
    arrived: Condvar,
    bell: Option<Bell>,
    patience: Duration,
    /// Threads that fetch, where it is threads.
    threads: Option<usize>,
}

#[derive(Default)]
struct Queue {
    starts: VecDeque<(Instant, Run)>,
    cancels: Vec<(u64, String)>,
    answers: Vec<u64>,
    /// Runs that threads have fetched and not ended.
    fetched: Vec<Arc<Ending>>,
    /// The oldest thing that was not fetched yet came at this time.
    waiting_since: Option<Instant>,
    /// When an event loop fetched last.
    fetched_at: Option<Instant>,
    /// The loop has been woken, or comes back by itself.
    rung: bool,
    closed: bool,
}

impl Queue {
    /// Takes back a run that nobody has fetched; false when there is none.
    fn withdraw(&mut self, run: u64) -> bool {
        let before = self.starts.len();
        self.starts.retain(|(_, waiting)| waiting.number() != run);
        if !self.rung && self.starts.is_empty() {
            self.waiting_since = None;
        }
        self.starts.len() != before
    }
}

/// How a mailbox is doing.
#[derive(Clone, Copy)]
struct Health {
    queued: usize,
    oldest: Duration,
    stuck: bool,
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the queue, then wakes whoever fetches, once for all that is queued.
    fn put(&self, change: impl FnOnce(&mut Queue)) {
        let ring = {
            let mut queue = self.lock();
            if queue.closed {
                return;
            }
            change(&mut queue);
            queue.waiting_since.get_or_insert_with(moment::now);
            !std::mem::replace(&mut queue.rung, self.bell.is_some())
        };
        self.arrived.notify_one();
        if let (true, Some(bell)) = (ring, &self.bell) {
            bell.ring();
        }
    }

    /// Rings at a loop that was quiet for a while and has nothing to fetch: whether it hangs shows only when it should
    /// do something.
    fn ask(&self, queue: &mut Queue) {
        let Some(bell) = &self.bell else { return };
        let quiet = queue.fetched_at.is_none_or(|at| at.elapsed() > self.patience / 4);
        if quiet && !queue.closed && queue.waiting_since.is_none() {
            queue.waiting_since = Some(moment::now());
            if !std::mem::replace(&mut queue.rung, true) {
                bell.ring();
            }
        }
    }

    fn health(&self) -> Health {
        let mut queue = self.lock();
        self.ask(&mut queue);
        let queued = queue.starts.len() + queue.cancels.len() + queue.answers.len();
        let oldest = queue.waiting_since.map_or(Duration::ZERO, |since| since.elapsed());
        queue.fetched.retain(|run| run.is_open());
        let hanging = queue.fetched.iter().filter(|run| run.is_abandoned()).count();
        let stuck = oldest > self.patience || self.threads.is_some_and(|threads| hanging >= threads);
        Health { queued, oldest, stuck }
    }
}

impl Post {
    /// A run to start. A closed mailbox drops it, and whoever waits for it hears that.
    pub(crate) fn start(&self, run: Run) {
        self.0.put(|queue| queue.starts.push_back((moment::now(), run)));
    }

    /// A run to stop, and why.
    pub(crate) fn cancel(&self, run: u64, why: &str) {
        if self.0.threads.is_some() {
            // A thread cannot be interrupted: a run that is cancelled hears of it at its next step.
            self.0.lock().withdraw(run);
            return;
        }
        self.0.put(|queue| {
            if !queue.withdraw(run) {
                queue.cancels.push((run, why.to_owned()));
            }
        });
    }

    /// The answer to the call `token` is there.
    pub(crate) fn answered(&self, token: u64) {
        self.0.put(|queue| queue.answers.push(token));
    }

    /// Refuses when nobody fetches: the event loop, or each of the threads, hangs in somebody's code.
    pub(crate) fn check(&self) -> Result<()> {
        let health = self.0.health();
        if !health.stuck {
            return Ok(());
        }
        let message = "the Python threads that run such workflows hang in code that does not return";
        let waited = format!("{:.0}s", health.oldest.as_secs_f64());
        Err(Error::new(ErrorKind::Overloaded, "admit execution", message)
            .with("waited", waited)
            .with("queued", health.queued)
            .retry(bifrost::Retry::Later)
            .next_action("find the workflow that blocks: a blocking call belongs in a plain `def` workflow"))
    }
}

impl Mailbox {
    /// The side that others post to.
    pub(crate) fn post(&self) -> Post {
        Post(Arc::clone(&self.0))
    }
}

/// Runs to start, runs to cancel and why, tokens of answers.
type Drained = (Vec<Run>, Vec<(u64, String)>, Vec<u64>);

#[pymethods]
impl Mailbox {
    /// A mailbox for an event loop, or, without `bell`, for threads. What waits longer than `patience` seconds to be
    /// fetched shows that the fetching side hangs.
    #[new]
    #[pyo3(signature = (bell, patience, threads=None))]
    fn new(py: Python<'_>, bell: bool, patience: f64, threads: Option<usize>) -> PyResult<Self> {
        let bell = if bell { Some(Bell::new().map_err(|error| to_py(py, &error))?) } else { None };
        let patience = Duration::try_from_secs_f64(patience).unwrap_or(Duration::MAX);
        let inner = Inner { queue: Mutex::default(), arrived: Condvar::new(), bell, patience, threads };
        Ok(Self(Arc::new(inner)))
    }

    /// What the event loop watches for reading.
    fn fileno(&self) -> Option<i64> {
        self.0.bell.as_ref().map(Bell::number)
    }

    /// Everything that came: runs to start, numbers of runs to cancel with the reason, tokens of answers. `None` says
    /// that nothing did, and that the bell rings for what comes next; until then it is silent, because whoever fetches
    /// comes back by itself.
    fn drain(&self) -> Option<Drained> {
        let mut queue = self.0.lock();
        queue.fetched_at = Some(moment::now());
        if queue.waiting_since.take().is_none() {
            if let Some(bell) = self.0.bell.as_ref().filter(|_| queue.rung) {
                bell.silence();
                queue.rung = false;
            }
            return None;
        }
        let starts = queue.starts.drain(..).map(|(_, run)| run).collect();
        Some((starts, std::mem::take(&mut queue.cancels), std::mem::take(&mut queue.answers)))
    }

    /// For a thread: waits for the next run to start; `None` when the mailbox is closed.
    fn next(&self, py: Python<'_>) -> Option<Run> {
        py.detach(|| {
            let idle = |queue: &mut Queue| queue.starts.is_empty() && !queue.closed;
            let waited = self.0.arrived.wait_while(self.0.lock(), idle);
            let mut queue = waited.unwrap_or_else(PoisonError::into_inner);
            let (_, run) = queue.starts.pop_front()?;
            queue.waiting_since = queue.starts.front().map(|(since, _)| *since);
            queue.fetched.retain(|run| run.is_open());
            queue.fetched.push(Arc::clone(run.ending()));
            Some(run)
        })
    }

    /// Takes nothing more, and wakes whoever waits.
    fn close(&self) {
        let dropped = {
            let mut queue = self.0.lock();
            queue.closed = true;
            std::mem::take(&mut queue.starts)
        };
        drop(dropped);
        self.0.arrived.notify_all();
    }

    /// Things that wait to be fetched, how long the oldest has waited in seconds, and whether the fetching side hangs.
    fn health(&self) -> (usize, f64, bool) {
        let health = self.0.health();
        (health.queued, health.oldest.as_secs_f64(), health.stuck)
    }
}

#[cfg(unix)]
type Socket = std::os::unix::net::UnixStream;
#[cfg(windows)]
type Socket = std::net::TcpStream;

/// Wakes an event loop from any thread.
struct Bell {
    sender: Socket,
    receiver: Socket,
}

impl Bell {
    fn new() -> Result<Self> {
        let made = Self::pair().and_then(|(sender, receiver)| {
            sender.set_nonblocking(true)?;
            receiver.set_nonblocking(true)?;
            Ok(Self { sender, receiver })
        });
        made.map_err(|error| Error::internal("open mailbox", error.to_string()))
    }

    #[cfg(unix)]
    fn pair() -> std::io::Result<(Socket, Socket)> {
        Socket::pair()
    }

    #[cfg(windows)]
    fn pair() -> std::io::Result<(Socket, Socket)> {
        let listener = std::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0))?;
        let sender = Socket::connect(listener.local_addr()?)?;
        let (receiver, _) = listener.accept()?;
        Ok((sender, receiver))
    }

    fn ring(&self) {
        // A full buffer has woken the loop already.
        let _ = (&self.sender).write(&[1]);
    }

    fn silence(&self) {
        let mut buffer = [0; 64];
        while matches!((&self.receiver).read(&mut buffer), Ok(read) if read == buffer.len()) {}
    }

    #[cfg(unix)]
    fn number(&self) -> i64 {
        use std::os::fd::AsRawFd;
        self.receiver.as_raw_fd().into()
    }

    #[cfg(windows)]
    fn number(&self) -> i64 {
        use std::os::windows::io::AsRawSocket;
        i64::try_from(self.receiver.as_raw_socket()).unwrap_or(-1)
    }
}
