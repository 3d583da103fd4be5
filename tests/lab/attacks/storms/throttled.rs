//! 429 for a minute, with every form of `Retry-After`.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bifrost::{Clock, ErrorKind, Timestamp};
use futures_util::future::join_all;
use tokio::time::sleep;

use super::peer::{LATENCY, Peer, answer, call, persist};
use crate::findings::Findings;
use crate::lab::Round;

/// For how long the peer throttles.
const STORM: Duration = Duration::from_secs(60);
/// How long the hub believes a header at most.
const HOUR: Duration = Duration::from_secs(3_600);

/// A form of the header: what it says, and how long it asks to wait, if anybody can tell.
struct Form {
    name: &'static str,
    value: fn(Timestamp) -> Option<String>,
    named: Option<Duration>,
}

fn date(now: Timestamp, ahead: i64) -> Option<String> {
    let seconds = u64::try_from(now.as_millis() / 1_000 + ahead).unwrap();
    let text = now.saturating_add(Duration::from_secs(seconds) - Duration::from_millis(now.as_millis() as u64));
    // The clock of this world stands in the first days of January 2026, of which the first was a Thursday.
    let text = text.to_string();
    let (day, time) = text.split_once('T').unwrap();
    Some(format!("{}, {} Jan 2026 {} GMT", "Thu", &day[8..], &time[..8])).filter(|_| day.ends_with("01-01"))
}

const FORMS: [Form; 8] = [
    Form { name: "5", value: |_| Some("5".to_owned()), named: Some(Duration::from_secs(5)) },
    Form { name: "0.249", value: |_| Some("0.249".to_owned()), named: Some(Duration::from_millis(249)) },
    // A date has whole seconds: it names up to one second less than it says.
    Form { name: "date", value: |now| date(now, 7), named: Some(Duration::from_secs(6)) },
    Form { name: "absent", value: |_| None, named: None },
    Form { name: "garbage", value: |_| Some("in a little while".to_owned()), named: None },
    Form { name: "negative", value: |_| Some("-5".to_owned()), named: None },
    Form { name: "1 h", value: |_| Some("3600".to_owned()), named: Some(HOUR) },
    Form { name: "huge", value: |_| Some("99999999999999999999".to_owned()), named: Some(HOUR) },
];

pub(super) async fn every_header(round: &Round, findings: &mut Findings) {
    for form in &FORMS {
        one_header(round, form, findings).await;
    }
}

async fn one_header(round: &Round, form: &Form, findings: &mut Findings) {
    let Form { name, value, named } = form;
    let peer = Peer::new(|clock: Arc<dyn Clock>| {
        let (storm, value) = (clock.monotonic() + STORM, *value);
        Box::new(move |at| {
            let throttled = || match value(clock.now()) {
                Some(value) => answer(429, &[("retry-after", &value)]),
                None => answer(429, &[]),
            };
            Some(Ok(if at < storm { throttled() } else { answer(200, &[]) }))
        })
    });
    let connections = peer.connections(1, round.seed);
    let (connection, started) = (&connections[0], peer.clock().monotonic());
    let count = round.scale(300, 3_000);
    let patience = STORM + Duration::from_secs(600) + named.unwrap_or_default();
    // A call whose time is shorter than the wait is told so at once, and how long.
    let impatient = connection.send(call(1, Duration::from_secs(2))).await;
    let dice = round.dice();
    let delays: Vec<u64> = (0..count).map(|_| dice.below(STORM.as_millis() as u64)).collect();
    let work = delays.iter().zip(0..).map(|(delay, number)| async move {
        sleep(Duration::from_millis(*delay)).await;
        persist(connection, number, patience).await
    });
    let done = join_all(work).await;
    findings.attempts += count;
    let lost: Vec<_> = done.iter().filter_map(|done| done.as_ref().err()).collect();
    findings
        .check(lost.is_empty(), || format!("{name}: {} of {count} calls were lost, such as {}", lost.len(), lost[0]));
    let said = impatient.map(drop).map_err(|error| (error.kind(), error.retry_after().is_some()));
    findings.check(
        named.is_none_or(|named| named < Duration::from_secs(2)) || said == Err((ErrorKind::Throttled, true)),
        || format!("{name}: an impatient call ended as {said:?}"),
    );

    let asked = peer.asked(None);
    let refused: Vec<Duration> = asked.iter().copied().filter(|at| *at < started + STORM).collect();
    // Only what was under way when the first refusal came can have been sent meanwhile.
    let after: Vec<Duration> = refused.iter().copied().filter(|at| *at > refused[0] + LATENCY).collect();
    for pair in [&[refused[0] + LATENCY][..], &after].concat().windows(2) {
        let (gap, least) = (pair[1] - pair[0], named.unwrap_or(Duration::from_secs(1)));
        findings.check(gap + Duration::from_millis(1) >= least, || format!("{name}: asked again after {gap:?}"));
    }
    let allowed = STORM.as_secs_f64() / named.unwrap_or(Duration::from_secs(5)).as_secs_f64() + 1.0;
    let sent = after.len() as f64;
    findings
        .check(sent <= 1.1 * allowed + 1.0, || format!("{name}: {sent} refused, {allowed:.0} would have been allowed"));
    findings.count("refused while throttled", sent);
}

/// A limit that nobody told us of, lower than what many callers want: it is found, and little is sent beyond it.
pub(super) async fn tight_limit(round: &Round, findings: &mut Findings) {
    const PER_SECOND: f64 = 10.0;
    let peer = Peer::new(|_| {
        let bucket = Mutex::new((PER_SECOND, Duration::ZERO));
        Box::new(move |at| {
            let mut bucket = bucket.lock().unwrap();
            bucket.0 = (bucket.0 + (at - bucket.1.min(at)).as_secs_f64() * PER_SECOND).min(PER_SECOND);
            bucket.1 = at;
            let served = bucket.0 >= 1.0;
            bucket.0 -= f64::from(u8::from(served));
            Some(Ok(if served { answer(200, &[]) } else { answer(429, &[("retry-after", "1")]) }))
        })
    });
    let connections = peer.connections(1, round.seed);
    let count = round.scale(600, 6_000);
    let patience = Duration::from_secs(count / 5);
    let work = (0..count).map(|number| persist(&connections[0], number, patience));
    // They come as fast as a busy hub sends, and not all in the same instant.
    let work = work.zip(0..).map(|(work, number)| async move {
        sleep(Duration::from_millis(20 * number)).await;
        work.await
    });
    let done = join_all(work).await;
    findings.attempts += count;
    let lost: Vec<_> = done.iter().filter_map(|done| done.as_ref().err()).collect();
    findings
        .check(lost.is_empty(), || format!("tight limit: {} of {count} calls lost, such as {}", lost.len(), lost[0]));
    let sent = peer.asked(None).len() as f64;
    findings.check(sent <= 1.1 * count as f64, || format!("tight limit: {sent} sent for {count} calls"));
    findings.count("sent per 1,000 calls over an unknown limit", 1_000.0 * sent / count as f64);
}
