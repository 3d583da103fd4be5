//! What the lab remembers of clocks and of the hub's lives, to say when something was due.

use std::time::Duration;

use bifrost::Timestamp;

/// From `at` on (true time), the wall was so far ahead, and the hub could work or not.
#[derive(Debug, Clone, Copy)]
struct Piece {
    at: Duration,
    ahead_millis: i64,
    works: bool,
}

#[derive(Debug)]
pub(crate) struct History {
    /// The true wall time at the monotonic count zero.
    start: Timestamp,
    pieces: Vec<Piece>,
}

impl History {
    pub(crate) fn starting_at(start: Timestamp) -> Self {
        Self { start, pieces: Vec::new() }
    }

    pub(crate) fn note(&mut self, at: Duration, ahead_millis: i64, works: bool) {
        self.pieces.push(Piece { at, ahead_millis, works });
    }

    /// The first moment (true time) from `since` on at which the hub's wall showed `time` or later; if `able`, and the
    /// hub could work.
    pub(crate) fn first_reached(&self, time: Timestamp, since: Duration, able: bool) -> Option<Duration> {
        let ends = self.pieces.iter().skip(1).map(|piece| piece.at).chain([Duration::MAX]);
        self.pieces.iter().zip(ends).find_map(|(piece, end)| {
            let reached = time.as_millis() - self.start.as_millis() - piece.ahead_millis;
            let reached = Duration::from_millis(u64::try_from(reached).unwrap_or(0));
            let at = reached.max(piece.at).max(since);
            ((piece.works || !able) && at < end).then_some(at)
        })
    }
}
