//! The outbound stack: every request to a provider goes through here, and nothing else calls an HTTP client.
//!
//! ```text
//! deadline { retry { budget permit { auth { redact + trace { transport }}}}}
//! ```
//!
//! [`stack`] joins the parts, `sharing` makes identical reads one call, `call` runs one call through them, [`retry`]
//! decides whether to try again, [`budget`] when, [`classify`] names each failure once, [`redact`] says what may be seen,
//! [`transport`] is the way to the network.

pub mod budget;
mod call;
pub mod classify;
pub mod config;
mod counters;
pub mod guard;
mod health;
pub mod redact;
mod request_ids;
pub mod retry;
pub mod retry_after;
#[cfg(feature = "testing")]
pub mod scripted;
mod sharing;
pub mod signals;
pub mod stack;
mod target;
pub mod transport;

pub use budget::{Budget, BudgetPath, Permit};
pub use classify::{Answer, Applied, Classified, Classifier, Closure, LearnedLimit, StatusClassifier};
pub use config::{RetryConfig, StackConfig};
pub use signals::{Direction, Signals};
pub use stack::{Anonymous, Carries, FollowRedirects, HttpStack, HttpStackBuilder, Remembered};
pub(crate) use target::check_address;
pub use transport::{Limits, ReqwestTransport, Transport, TransportError, TransportErrorKind};
