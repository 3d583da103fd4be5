//! What a connection is told.

use bifrost_core::credential::{ExchangeFailure, Token, TokenKey};
use bifrost_core::{Error, Result};
use ractor::RpcReplyPort;

use super::errand::Brought;

/// Messages of a [`ConnectionActor`](super::ConnectionActor).
#[derive(Debug)]
pub(crate) enum ConnectionMessage {
    /// A live token is wanted.
    Acquire {
        /// For what.
        key: TokenKey,
        /// The provider refused the token of this generation: one that is newer is wanted.
        rejected: Option<u64>,
        /// Answered with the token, or with why there is none.
        reply: RpcReplyPort<Result<Token>>,
    },
    /// An exchange has ended. The outer error is a panic or a missed deadline.
    Exchanged {
        /// For what.
        key: TokenKey,
        /// The fingerprint of the refresh token that was spent, if one was.
        spent: Option<String>,
        /// With what.
        end: Result<Result<Box<Brought>, ExchangeFailure>, Error>,
    },
    /// A token is due for renewal ahead of its expiry.
    RenewalDue(TokenKey),
    /// Settings or credential were changed in the store: read them again.
    Reload(RpcReplyPort<Result<()>>),
    /// The same, found out by the connection itself.
    Reread,
    /// Read the stored state and show it.
    Refresh(RpcReplyPort<Result<()>>),
}
