//! The outbound stack: every request to a provider goes through here, and nothing else calls an HTTP client.
//!
//! ```text
//! deadline { retry { budget permit { auth { redact + trace { transport }}}}}
//! ```
//!
//! [`stack`] joins the parts, [`classify`] names each failure once, [`transport`] is the way to the network.

pub mod classify;
pub mod config;
pub mod retry_after;
#[cfg(feature = "testing")]
pub mod scripted;
pub mod signals;
pub mod stack;
mod target;
pub mod transport;

pub use classify::{Answer, Applied, Classified, Classifier, Closure, LearnedLimit, StatusClassifier};
pub use config::{RetryConfig, StackConfig};
pub use signals::{Direction, Signals};
pub use stack::{Anonymous, FollowRedirects, HttpStack, HttpStackBuilder};
pub use transport::{Limits, Transport, TransportError, TransportErrorKind};
