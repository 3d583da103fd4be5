//! Answers that are slow, cut off, garbled or lie about their length.

use std::time::Duration;

use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt};

use super::doors::{DOORS, Expect, Way, attack};
use super::server::{Piece, head, whole};
use crate::dice::Dice;
use crate::findings::Findings;
use crate::lab::Round;

/// How many answers are read at the same time.
const AT_ONCE: usize = 24;

pub(super) async fn slow_and_broken(round: &Round, findings: &mut Findings) {
    let way = Way::new();
    let mut tasks = Vec::new();
    for (name, pieces, expect) in broken() {
        for door in DOORS {
            tasks.push((door, name.to_owned(), pieces.clone(), expect));
        }
    }
    let dice = round.dice();
    let (answer, step) = (valid(), round.scale(9, 1));
    for offset in 0..answer.len() as u64 {
        for door in DOORS {
            if (offset + dice.below(step)).is_multiple_of(step) {
                let cut = answer[..offset as usize].to_vec();
                let end = if dice.chance(1, 2) { Piece::Reset } else { Piece::Bytes(Vec::new()) };
                tasks.push((door, format!("cut at {offset}"), vec![Piece::Bytes(cut), end], Expect::Error));
            }
        }
    }
    for number in 0..round.scale(60, 3_000) {
        let door = *dice.pick(&DOORS);
        let garbled = garble(&dice, answer.clone());
        tasks.push((door, format!("garbled {number}"), vec![Piece::Bytes(garbled)], Expect::Either));
    }
    let ended = stream::iter(tasks.into_iter().map(|(door, name, pieces, expect)| {
        let way = &way;
        async move { attack(way, door, &name, pieces, expect).await }
    }));
    for found in ended.buffer_unordered(AT_ONCE).collect::<Vec<_>>().await {
        findings.add(found);
    }
    // The peer that is slowest of all, at every door at once.
    let slowest = join_all(DOORS.map(|door| attack(&way, door, "silence", vec![Piece::Silence], Expect::Error)));
    slowest.await.into_iter().for_each(|found| findings.add(found));
}

/// An answer that every door would take for one: nothing in it is missing.
fn valid() -> Vec<u8> {
    whole(br#"{"id":"1","displayName":"Zoe","value":[],"record_count":0,"clients":[],"access_token":"x"}"#)
}

fn broken() -> Vec<(&'static str, Vec<Piece>, Expect)> {
    let second = Duration::from_millis(1_000);
    let bytes = |bytes: &[u8]| vec![Piece::Bytes(bytes.to_vec())];
    let long = [head("content-length: 1000\r\n"), b"{}".to_vec()].concat();
    let short = [head("content-length: 1\r\n"), br#"{"value":[]}"#.to_vec()].concat();
    vec![
        ("headers at one byte a second", vec![Piece::Slowly(whole(b"{}"), second)], Expect::Error),
        (
            "a body at one byte a second",
            vec![Piece::Bytes(head("content-length: 100\r\n")), Piece::Slowly(vec![b' '; 100], second)],
            Expect::Error,
        ),
        ("silence after the head", vec![Piece::Bytes(head("content-length: 9\r\n")), Piece::Silence], Expect::Error),
        ("less than announced", bytes(&long), Expect::Error),
        ("more than announced", bytes(&short), Expect::Error),
        ("no HTTP", bytes(b"\0\xff\xfe\x16\x03\x01"), Expect::Error),
        ("another protocol", bytes(b"SSH-2.0-OpenSSH_9.9\r\n"), Expect::Error),
        ("another version", bytes(b"HTTP/9.9 200 OK\r\n\r\n{}"), Expect::Error),
        ("a status of four digits", bytes(b"HTTP/1.1 2000 OK\r\n\r\n{}"), Expect::Error),
        (
            "two lengths",
            bytes(&[head("content-length: 2\r\ncontent-length: 3\r\n"), b"{} ".to_vec()].concat()),
            Expect::Error,
        ),
        ("a negative length", bytes(&[head("content-length: -1\r\n"), b"{}".to_vec()].concat()), Expect::Error),
        (
            "a chunk that is none",
            bytes(&[head("transfer-encoding: chunked\r\n"), b"zz\r\n{}".to_vec()].concat()),
            Expect::Error,
        ),
        (
            "a chunk larger than can be",
            bytes(&[head("transfer-encoding: chunked\r\n"), b"ffffffffffffffffff\r\n{}".to_vec()].concat()),
            Expect::Error,
        ),
        (
            "gzip that is none",
            bytes(&[head("content-encoding: gzip\r\ncontent-length: 4\r\n"), b"nope".to_vec()].concat()),
            Expect::Error,
        ),
        (
            "an unknown encoding",
            bytes(&[head("content-encoding: rot13\r\ncontent-length: 2\r\n"), b"{}".to_vec()].concat()),
            Expect::Either,
        ),
        (
            "an upgrade nobody asked for",
            bytes(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n"),
            Expect::Error,
        ),
        ("a reset", vec![Piece::Reset], Expect::Error),
    ]
}

/// Some bytes changed, left out, doubled or swapped.
fn garble(dice: &Dice, mut answer: Vec<u8>) -> Vec<u8> {
    for _ in 0..=dice.below(8) {
        let at = dice.below(answer.len() as u64) as usize;
        match dice.below(4) {
            0 => answer[at] = dice.below(256) as u8,
            1 => drop(answer.remove(at)),
            2 => answer.insert(at, answer[at]),
            _ => {
                let other = dice.below(answer.len() as u64) as usize;
                answer.swap(at, other);
            }
        }
    }
    answer
}
