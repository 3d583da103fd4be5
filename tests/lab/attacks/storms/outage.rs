//! Ten minutes of nothing, under steady load: how often the peer is asked meanwhile, when work goes on again, and
//! whether all that waited comes at once.

use std::time::Duration;

use bifrost::http::{TransportError, TransportErrorKind};
use futures_util::future::join_all;
use tokio::time::sleep;

use super::peer::{Peer, Reply, answer, persist};
use crate::findings::Findings;
use crate::lab::Round;

const OUTAGE: Duration = Duration::from_secs(600);
const BEFORE: Duration = Duration::from_secs(60);
/// Calls per second and connection.
const STEADY: u64 = 2;
/// The longest the breaker stays open, the longest a probe is waited for, and room for answers.
const RECOVERY: Duration = Duration::from_secs(60 + 30 + 5);

/// How a peer is down.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fault {
    Unavailable,
    Refused,
    Hangs,
}

pub(super) const FAULTS: [Fault; 3] = [Fault::Unavailable, Fault::Refused, Fault::Hangs];

impl Fault {
    fn reply(self) -> Option<Reply> {
        match self {
            Self::Unavailable => Some(Ok(answer(503, &[]))),
            Self::Refused => Some(Err(TransportError::new(TransportErrorKind::NotSent, "refused"))),
            Self::Hangs => None,
        }
    }
}

pub(super) async fn ten_minutes(round: &Round, fault: Fault, findings: &mut Findings) {
    let peer = Peer::new(|_| {
        Box::new(move |at| match at {
            at if at >= BEFORE && at < BEFORE + OUTAGE => fault.reply(),
            _ => Some(Ok(answer(200, &[]))),
        })
    });
    let connections = peer.connections(round.scale(2, 12), round.seed);
    let seconds = (BEFORE + OUTAGE + Duration::from_secs(300)).as_secs();
    let dice = round.dice();
    let mut work = Vec::new();
    for connection in &connections {
        for number in 0..seconds * STEADY {
            let start = Duration::from_secs(number) / STEADY as u32 + Duration::from_millis(dice.below(400));
            work.push(async move {
                sleep(start).await;
                persist(connection, number, Duration::from_secs(2 * 3_600)).await
            });
        }
    }
    findings.attempts += work.len() as u64;
    let done = join_all(work).await;
    let lost: Vec<_> = done.iter().filter_map(|done| done.as_ref().err()).collect();
    findings.check(lost.is_empty(), || format!("{fault:?}: {} calls were lost, such as {}", lost.len(), lost[0]));
    for connection in &connections {
        judge_one(&peer, connection.id().as_str(), fault, findings);
    }
    judge_all(&peer, connections.len(), fault, findings);
}

fn judge_one(peer: &Peer, name: &str, fault: Fault, findings: &mut Findings) {
    let asked = peer.asked(Some(name));
    let end = BEFORE + OUTAGE;
    // Until the first answers are missed, nobody can know.
    let known = BEFORE + Duration::from_secs(40);
    let probes = asked.iter().filter(|at| **at > known && **at < end).count();
    // Windows of 5, 10, 20, 40 seconds, and of 60 from then on.
    findings.check(probes <= 4 + 10, || format!("{fault:?}: {name} asked {probes} times while it was down"));
    findings.count("asked while down, per connection and fault", probes as f64);
    let back = asked.iter().find(|at| **at >= end).map(|at| *at - end);
    findings.check(back.is_some_and(|back| back <= RECOVERY), || format!("{fault:?}: {name} was back after {back:?}"));
}

/// In the first minute the peer is asked no more than twice what is usual; in the next no more than twice that, and so
/// on.
fn judge_all(peer: &Peer, connections: usize, fault: Fault, findings: &mut Findings) {
    let (asked, end) = (peer.asked(None), BEFORE + OUTAGE);
    let second = Duration::from_secs(1);
    let peak = |from: Duration, to: Duration| {
        let within = |at: &Duration| {
            asked.partition_point(|other| *other < *at + second) - asked.partition_point(|other| other < at)
        };
        asked.iter().filter(|at| **at >= from && **at < to).map(within).max().unwrap_or(0)
    };
    // Starts are laid a little apart, so that a second can hold one call more of each.
    let usual = connections * (STEADY as usize + 1);
    let back = asked.iter().find(|at| **at >= end).copied().unwrap_or(end);
    let first = peak(end, back + 60 * second);
    findings
        .check(first <= 2 * usual, || format!("{fault:?}: {first} calls in one second of recovery, usual are {usual}"));
    findings.count("peak of recovery over the usual, percent, summed", 100.0 * first as f64 / usual as f64);
    let mut allowed = 4 * usual;
    for minute in 1..10_u32 {
        let from = back + 60 * second * minute;
        let later = peak(from, from + 60 * second);
        findings.check(later <= allowed, || format!("{fault:?}: {later} calls in one second, {minute} minutes later"));
        allowed *= 2;
    }
}
