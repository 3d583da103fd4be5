//! The world outside, which outlives every process: it applies writes and counts them, and it signs people in.
//!
//! One request and one answer per connection, each a line of JSON. Now and then it hangs up on a write, once per key,
//! before or after it was applied: what the network does, beside the kills.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bifrost::{Error, ErrorKind, Result, Retry};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::platforms::Platforms;
use crate::dice::Dice;

#[derive(Debug, Serialize, Deserialize)]
enum Request {
    Apply { key: String, label: String, dedupes: bool },
    Find { key: String },
    SignIn { tenant: String, connection: String },
}

/// A sign-in: which one it is, and the refresh token that it left.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SignedIn {
    pub(crate) number: usize,
    pub(crate) refresh_token: String,
}

/// What was applied.
#[derive(Debug, Default)]
struct Book {
    by_key: HashMap<String, u64>,
    /// How often each effect was applied, under whatever key.
    by_label: BTreeMap<String, u64>,
    applied: u64,
    repeated: u64,
    /// Keys on which it has hung up: whoever is refused three times in a row may give up, and this is no such test.
    hung_up: HashSet<String>,
}

#[derive(Debug, Clone)]
pub(crate) struct Peer {
    book: Arc<Mutex<Book>>,
    dice: Arc<Dice>,
    platforms: Arc<Platforms>,
    /// How many writes were applied: whoever watches it learns of one before its sender does.
    count: Arc<watch::Sender<u64>>,
}

impl Peer {
    /// Listens on loopback until the runtime ends.
    pub(crate) async fn start(dice: Dice, platforms: Arc<Platforms>) -> (Self, SocketAddr) {
        let peer = Self { book: Arc::default(), dice: Arc::new(dice), platforms, count: Arc::default() };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let listening = peer.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let peer = listening.clone();
                // Whoever asked may have been killed meanwhile.
                tokio::spawn(async move { peer.answer(stream).await.ok() });
            }
        });
        (peer, address)
    }

    /// Resolves when `more` writes were applied.
    pub(crate) async fn has_applied(&self, more: u64) {
        let mut count = self.count.subscribe();
        let until = *count.borrow() + more;
        // The sender lives as long as this peer.
        let _ = count.wait_for(|count| *count >= until).await;
    }

    /// How often each effect was applied.
    pub(crate) fn applied(&self) -> BTreeMap<String, u64> {
        self.book.lock().unwrap().by_label.clone()
    }

    /// How often a known key came again, and how often it hung up.
    pub(crate) fn troubles(&self) -> (u64, u64) {
        let book = self.book.lock().unwrap();
        (book.repeated, book.hung_up.len() as u64)
    }

    async fn answer(&self, stream: TcpStream) -> std::io::Result<()> {
        let mut stream = BufReader::new(stream);
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        let Ok(request) = serde_json::from_str(&line) else { return Ok(()) };
        let Some(answer) = self.serve(request) else { return Ok(()) };
        stream.write_all(format!("{answer}\n").as_bytes()).await?;
        stream.flush().await
    }

    /// `None` hangs up.
    fn serve(&self, request: Request) -> Option<String> {
        match request {
            Request::Apply { key, label, dedupes } => self.apply(key, label, dedupes).map(|number| number.to_string()),
            Request::Find { key } => serde_json::to_string(&self.book.lock().unwrap().by_key.get(&key)).ok(),
            Request::SignIn { tenant, connection } => {
                serde_json::to_string(&self.platforms.sign_in(&tenant, &connection)).ok()
            }
        }
    }

    fn apply(&self, key: String, label: String, dedupes: bool) -> Option<u64> {
        let mut book = self.book.lock().unwrap();
        let known = book.by_key.get(&key).copied();
        book.repeated += u64::from(known.is_some());
        if dedupes && known.is_some() {
            return known;
        }
        let hangs_up = !book.hung_up.contains(&key) && self.dice.chance(1, 20);
        if hangs_up {
            book.hung_up.insert(key.clone());
        }
        if hangs_up && self.dice.chance(1, 2) {
            return None;
        }
        book.applied += 1;
        let number = book.applied;
        self.count.send_replace(number);
        book.by_key.entry(key).or_insert(number);
        *book.by_label.entry(label).or_default() += 1;
        (!hangs_up).then_some(number)
    }
}

/// Sends a write; with `dedupes`, one that the peer applies once per key.
pub(crate) async fn apply(peer: SocketAddr, key: String, label: String, dedupes: bool) -> Result<u64> {
    ask(peer, &Request::Apply { key, label, dedupes }, ErrorKind::UnknownOutcome).await
}

/// What a key was applied as.
pub(crate) async fn find(peer: SocketAddr, key: String) -> Result<Option<u64>> {
    ask(peer, &Request::Find { key }, ErrorKind::Unavailable).await
}

/// Somebody signs in.
pub(crate) async fn sign_in(peer: SocketAddr, tenant: &str, connection: &str) -> Result<SignedIn> {
    let request = Request::SignIn { tenant: tenant.to_owned(), connection: connection.to_owned() };
    ask(peer, &request, ErrorKind::Unavailable).await
}

/// Asks; `lost` is what it means when the peer hangs up.
async fn ask<T: for<'de> Deserialize<'de>>(peer: SocketAddr, request: &Request, lost: ErrorKind) -> Result<T> {
    let failed = |kind| move |error| Error::new(kind, "ask peer", "no answer").source(error).retry(Retry::Later);
    let stream = TcpStream::connect(peer).await.map_err(failed(ErrorKind::Unavailable))?;
    let mut stream = BufReader::new(stream);
    let mut line = serde_json::to_string(request).unwrap();
    line.push('\n');
    stream.write_all(line.as_bytes()).await.map_err(failed(lost))?;
    line.clear();
    stream.read_line(&mut line).await.map_err(failed(lost))?;
    serde_json::from_str(&line)
        .map_err(|error| Error::new(lost, "ask peer", "it hung up").source(error).retry(Retry::Later))
}
