//! What a tenant may use of the hub.

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result, Retry};

/// Limits of one tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Quota {
    /// Executions that run at the same time.
    pub max_running: u32,
    /// Executions that were accepted and have not ended, running ones included.
    pub max_in_flight: u32,
    /// Bytes of the parameters of one execution, as JSON.
    pub max_params_bytes: usize,
    /// Bytes of one step's result or of an execution's output, as JSON.
    pub max_result_bytes: usize,
    /// Steps and effects of one execution.
    pub max_steps: u32,
    /// Progress and log events of one execution; later ones are counted and dropped.
    pub max_events: u32,
}

impl Default for Quota {
    fn default() -> Self {
        Self {
            max_running: 64,
            max_in_flight: 10_000,
            max_params_bytes: 256 * 1024,
            max_result_bytes: 1024 * 1024,
            max_steps: 10_000,
            max_events: 10_000,
        }
    }
}

impl Quota {
    /// Decides whether one more execution is admitted beside `in_flight`.
    ///
    /// # Errors
    /// `QuotaExceeded` naming limit and use.
    pub fn admit(&self, in_flight: u32) -> Result<()> {
        if in_flight < self.max_in_flight {
            return Ok(());
        }
        Err(Error::new(ErrorKind::QuotaExceeded, "admit execution", "too many executions are in flight")
            .with("limit", self.max_in_flight)
            .with("used", in_flight)
            .retry(Retry::Later)
            .next_action("wait until some have ended, or raise `max_in_flight` of the tenant"))
    }

    /// Decides whether parameters of this size are admitted.
    ///
    /// # Errors
    /// `TooLarge` naming limit and use.
    pub fn check_params(&self, bytes: usize) -> Result<()> {
        too_large("read parameters", "the parameters are too large", bytes, self.max_params_bytes)
    }

    /// Decides whether a result of this size is stored.
    ///
    /// # Errors
    /// `TooLarge` naming limit and use.
    pub fn check_result(&self, bytes: usize) -> Result<()> {
        too_large("store result", "the result is too large", bytes, self.max_result_bytes)
    }
}

fn too_large(operation: &'static str, message: &str, used: usize, limit: usize) -> Result<()> {
    if used <= limit {
        return Ok(());
    }
    Err(Error::new(ErrorKind::TooLarge, operation, message).with("limit", limit).with("used", used))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_hold_at_plus_and_minus_one() {
        let quota = Quota { max_in_flight: 2, max_params_bytes: 10, ..Quota::default() };
        assert!(quota.admit(1).is_ok());
        let refused = quota.admit(2).unwrap_err();
        assert_eq!((refused.kind(), refused.context("limit")), (ErrorKind::QuotaExceeded, Some("2")));
        assert!(quota.check_params(10).is_ok());
        assert_eq!(quota.check_params(11).unwrap_err().kind(), ErrorKind::TooLarge);
    }
}
