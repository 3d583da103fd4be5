//! Answers that are too large, one after the other, while the memory of the process is watched.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::doors::{DOORS, Expect, MAX_BODY, Way, attack};
use super::server::{Piece, head, whole};
use crate::findings::Findings;

/// Twice the limit of a body, and what the peer, which is in this process too, and the allocator take beside it.
const ALLOWED: u64 = 2 * MAX_BODY as u64 + (4 << 20);

pub(super) async fn heavy_answers(findings: &mut Findings) {
    let way = Way::new();
    // What is set up once is no cost of an answer.
    for door in DOORS {
        findings.add(attack(&way, door, "warm up", vec![Piece::Bytes(whole(b"[]"))], Expect::Either).await);
    }
    let mut worst = 0;
    for (name, pieces) in answers() {
        for door in DOORS {
            let watch = Watch::start();
            findings.add(attack(&way, door, name, pieces.clone(), Expect::Error).await);
            let peak = watch.stop();
            worst = worst.max(peak);
            findings.check(peak <= ALLOWED, || {
                format!("{name} at {door:?} took {} KiB of memory, allowed are {}", peak >> 10, ALLOWED >> 10)
            });
        }
    }
    findings.count("most memory of one answer, KiB", (worst >> 10) as f64);
}

fn answers() -> Vec<(&'static str, Vec<Piece>)> {
    let bytes = |bytes: Vec<u8>| vec![Piece::Bytes(bytes)];
    let chunk = [b"10000\r\n".to_vec(), vec![b' '; 0x10000], b"\r\n".to_vec()].concat();
    let packed = |encoding: &str, body: Vec<u8>| {
        let lines = format!("content-encoding: {encoding}\r\ncontent-length: {}\r\n", body.len());
        bytes([head(&lines), body].concat())
    };
    let bomb = gzip(64 << 20);
    let nested = gzip_of(&bomb);
    vec![
        (
            "10 GiB announced",
            vec![
                Piece::Bytes(head(&format!("content-length: {}\r\n", 10_u64 << 30))),
                Piece::Forever(vec![b' '; 1 << 16]),
            ],
        ),
        ("a body without end", vec![Piece::Bytes(head("")), Piece::Forever(vec![b' '; 1 << 16])]),
        ("chunks without end", vec![Piece::Bytes(head("transfer-encoding: chunked\r\n")), Piece::Forever(chunk)]),
        ("a gzip bomb", packed("gzip", bomb)),
        ("a bomb in a bomb", packed("gzip, gzip", nested.clone())),
        ("a bomb in a bomb, once announced", packed("gzip", nested)),
        ("100,000 headers", bytes([head(&"x: y\r\n".repeat(100_000)), b"{}".to_vec()].concat())),
        ("a header of 1 MiB", bytes(head(&format!("x: {}\r\ncontent-length: 0\r\n", "y".repeat(1 << 20))))),
        (
            "a header without end",
            vec![Piece::Bytes(b"HTTP/1.1 200 OK\r\nx: ".to_vec()), Piece::Forever(vec![b'y'; 1 << 16])],
        ),
        (
            "a status line without end",
            vec![Piece::Bytes(b"HTTP/1.1 200 ".to_vec()), Piece::Forever(vec![b'y'; 1 << 16])],
        ),
        (
            "chunk extensions without end",
            vec![
                Piece::Bytes([head("transfer-encoding: chunked\r\n"), b"1;".to_vec()].concat()),
                Piece::Forever(vec![b'y'; 1 << 16]),
            ],
        ),
        ("interim answers without end", vec![Piece::Forever(b"HTTP/1.1 100 Continue\r\n\r\n".repeat(1_000))]),
    ]
}

/// `size` blanks, packed.
fn gzip(size: usize) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let piece = vec![b' '; 1 << 20];
    for _ in 0..size >> 20 {
        encoder.write_all(&piece).unwrap();
    }
    encoder.finish().unwrap()
}

fn gzip_of(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Looks at the memory of this process all the while.
struct Watch {
    over: Arc<AtomicBool>,
    peak: Arc<AtomicU64>,
    before: u64,
    thread: std::thread::JoinHandle<()>,
}

impl Watch {
    fn start() -> Self {
        let (over, peak) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (told, seen) = (Arc::clone(&over), Arc::clone(&peak));
        let thread = std::thread::spawn(move || {
            while !told.load(Ordering::Relaxed) {
                seen.fetch_max(resident(), Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        Self { over, peak, before: resident(), thread }
    }

    /// How much more it was at most than when this began.
    fn stop(self) -> u64 {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
        self.peak.load(Ordering::Relaxed).saturating_sub(self.before)
    }
}

/// Bytes of this process in memory; zero where the system does not tell.
fn resident() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    pages.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4_096
}
