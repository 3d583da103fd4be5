//! Real time, for what no virtual clock moves: a caller who blocks, an interpreter that hangs.

use std::time::Instant;

/// Now, whatever the hub's clock says.
#[allow(clippy::disallowed_methods, reason = "a thread that hangs does so in real time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
