//! One life: a process is started, listened to, and killed.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{ChildStdout, Command};
use tokio::time::{Instant, sleep, timeout_at};

use super::child::Life;
use super::claims::Claims;
use super::peer::Peer;
use super::said::Said;
use crate::dice::Dice;
use crate::findings::Findings;

/// A process that says nothing for so long hangs.
const SILENCE: Duration = Duration::from_secs(60);

/// When a process is killed.
#[derive(Debug, Clone, Copy)]
pub(super) enum Killing {
    /// After so many words.
    Words(u64),
    /// So long after it was started, whatever it is doing: it may still be opening the store.
    Started(Duration),
    /// So long after it said that the hub is open.
    Opened(Duration),
    /// When the peer has just applied so many of its writes, and has not yet answered the last one.
    Applied(u64),
}

impl Killing {
    /// Resolves when it is time, where that does not depend on what the process says.
    fn due(self, peer: &Peer) -> impl Future<Output = ()> + Send + use<> {
        let peer = peer.clone();
        async move {
            match self {
                Self::Started(after) => sleep(after).await,
                Self::Applied(count) => peer.has_applied(count).await,
                Self::Words(_) | Self::Opened(_) => std::future::pending().await,
            }
        }
    }

    pub(super) fn draw(dice: &Dice) -> Self {
        match dice.below(8) {
            0 => Self::Started(Duration::from_millis(dice.below(400))),
            1..=3 => Self::Words(1 + dice.below(600)),
            4..=5 => Self::Applied(1 + dice.below(120)),
            _ => Self::Opened(Duration::from_micros(dice.below(1_200_000))),
        }
    }
}

/// Starts a process, listens, kills it, and hears out what it had said before it died.
pub(super) async fn live_and_die(
    life: &Life,
    killing: Killing,
    peer: &Peer,
    claims: &mut Claims,
    findings: &mut Findings,
) {
    let words = serde_json::to_string(life).unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["child", "crash", &words]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let until = killing.due(peer);
    let mut child = command.kill_on_drop(true).spawn().unwrap();
    let mut words = Words { from: BufReader::new(child.stdout.take().unwrap()), line: Vec::new() };
    tokio::select! {
        // When it is time to kill, nothing else counts.
        biased;
        () = until => {}
        silent = words.until_death(killing, claims, findings) => {
            if silent {
                findings.violation(format!("life {} fell silent", life.number));
            }
        }
    }
    child.start_kill().unwrap();
    while let Some(said) = words.next().await {
        claims.hear(said, findings);
    }
    child.wait().await.unwrap();
}

/// What a process says.
struct Words {
    from: BufReader<ChildStdout>,
    /// What has come of the next line: whoever stops listening in the middle of it hears the rest later.
    line: Vec<u8>,
}

impl Words {
    /// The next line; `None` when it is dead. A line that it did not finish was not said.
    async fn next(&mut self) -> Option<Said> {
        self.from.read_until(b'\n', &mut self.line).await.unwrap();
        let line = std::mem::take(&mut self.line);
        line.ends_with(b"\n").then(|| serde_json::from_slice(&line).unwrap())
    }

    /// Listens until it has said enough, or for long enough, or is dead; true when it fell silent instead.
    async fn until_death(&mut self, killing: Killing, claims: &mut Claims, findings: &mut Findings) -> bool {
        let mut left = if let Killing::Words(words) = killing { words } else { u64::MAX };
        let mut end = None;
        while left > 0 {
            let silence = Instant::now() + SILENCE;
            let Ok(said) = timeout_at(end.unwrap_or(silence), self.next()).await else { return end.is_none() };
            let Some(said) = said else { return false };
            if let (Said::Open { .. }, Killing::Opened(after)) = (&said, killing) {
                end = Some(Instant::now() + after);
            }
            claims.hear(said, findings);
            left -= 1;
        }
        false
    }
}
