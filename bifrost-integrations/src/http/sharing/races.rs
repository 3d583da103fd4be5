//! Identical reads that start, end, are given up and are overtaken by writes at the same time.

// What the model counts with is no part of it: nobody is interrupted while counting.
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::task::Poll;

use bifrost_core::testing::ManualClock;
use bifrost_core::{ProviderId, Timestamp};
use futures_util::future::poll_fn;
use shuttle::future::{block_on, spawn, yield_now};
use shuttle::rand::{Rng, thread_rng};

use super::*;
use crate::sync::explore;

/// A peer with one record.
#[derive(Default)]
struct Peer {
    flights: Flights,
    /// How often the record was written.
    written: AtomicU64,
    /// How often a write was known to be over.
    known: AtomicU64,
    under_way: AtomicUsize,
    started: AtomicUsize,
}

/// One call; it ends when it is dropped.
struct UnderWay(Arc<Peer>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::SeqCst);
    }
}

fn peer_name() -> super::Peer {
    (TenantId::new("contoso").unwrap(), ConnectionId::new("graph").unwrap())
}

fn key() -> Key {
    let url: Arc<Url> = Arc::new("https://graph.example/users".parse().unwrap());
    Key {
        peer: peer_name(),
        hash: hash_of(&url),
        url,
        headers: HeaderMap::new(),
        token: None,
        application: None,
        settings: Arc::new(ConnectionSettings::new(ProviderId::new("graph").unwrap())),
        follows: false,
        endpoint: "/users",
        resource: None,
    }
}

impl Peer {
    /// What the record is at some moment of a call.
    async fn call(self: Arc<Self>, alone: bool) -> Result<Response<Bytes>> {
        let others = self.under_way.fetch_add(1, Ordering::SeqCst);
        assert!(!alone || others == 0, "two identical calls are under way");
        let _under_way = UnderWay(Arc::clone(&self));
        self.started.fetch_add(1, Ordering::SeqCst);
        let answered_at = thread_rng().gen_range(0..3);
        let mut seen = 0;
        for moment in 0..3 {
            if moment == answered_at {
                seen = self.written.load(Ordering::SeqCst);
            }
            yield_now().await;
        }
        Ok(Response::new(Bytes::from(seen.to_string())))
    }

    /// Reads the record; `patience` is how often the caller looks before it gives up.
    async fn read(self: Arc<Self>, alone: bool, patience: Option<usize>) {
        let clock = ManualClock::starting_at(Timestamp::from_millis(0));
        let known = self.known.load(Ordering::SeqCst);
        let until = Duration::from_secs(60);
        let joined = self.flights.join(key(), &clock, until, |_| Arc::clone(&self).call(alone));
        let mut answer = std::pin::pin!(joined.answer(&clock));
        let mut looks = 0;
        let answer = poll_fn(|context| {
            looks += 1;
            match answer.as_mut().poll(context) {
                Poll::Ready(answer) => Poll::Ready(Some(answer)),
                Poll::Pending if patience.is_some_and(|patience| looks > patience) => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            }
        });
        let Some(answer) = answer.await else { return };
        let seen: u64 = String::from_utf8_lossy(answer.unwrap().body()).parse().unwrap();
        assert!(seen >= known, "a read shows {seen} writes, and {known} were over when it began");
    }

    async fn write(self: Arc<Self>) {
        let writing = Writing { flights: self.flights.clone(), peer: peer_name() };
        writing.close();
        yield_now().await;
        let written = self.written.fetch_add(1, Ordering::SeqCst) + 1;
        yield_now().await;
        drop(writing);
        self.known.fetch_max(written, Ordering::SeqCst);
    }
}

fn patience() -> Option<usize> {
    thread_rng().gen_bool(0.3).then(|| thread_rng().gen_range(0..3))
}

#[test]
fn identical_reads_are_one_call_whoever_gives_up() {
    explore(|| {
        block_on(async {
            let peer = Arc::new(Peer::default());
            let reads: Vec<_> = (0..4).map(|_| spawn(Arc::clone(&peer).read(true, patience()))).collect();
            for read in reads {
                read.await.unwrap();
            }
            assert!(peer.flights.lock().is_empty(), "a call is left in the list");
            assert_eq!(peer.under_way.load(Ordering::SeqCst), 0);
        });
    });
}

#[test]
fn whoever_reads_after_a_write_sees_it() {
    explore(|| {
        block_on(async {
            let peer = Arc::new(Peer::default());
            let mut tasks: Vec<_> = (0..3).map(|_| spawn(Arc::clone(&peer).read(false, patience()))).collect();
            for _ in 0..2 {
                let peer = Arc::clone(&peer);
                tasks.push(spawn(async move {
                    Arc::clone(&peer).write().await;
                    peer.read(false, None).await;
                }));
            }
            for task in tasks {
                task.await.unwrap();
            }
            assert!(peer.flights.lock().is_empty(), "a call is left in the list");
        });
    });
}
