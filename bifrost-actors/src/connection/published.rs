//! What a connection shows without being asked: live tokens and its status. Reading them is no message.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::{ArcSwap, ArcSwapOption};
use bifrost_core::Timestamp;
use bifrost_core::connection::ConnectionStatus;
use bifrost_core::credential::{Freshness, Token, TokenKey};

/// The published state of one connection. It outlives the actor.
#[derive(Debug, Default)]
pub(crate) struct Published {
    tokens: ArcSwap<HashMap<TokenKey, Token>>,
    status: ArcSwapOption<ConnectionStatus>,
    owned: AtomicBool,
}

impl Published {
    /// A token that may still be used.
    pub(crate) fn live_token(&self, key: &TokenKey, now: Timestamp) -> Option<Token> {
        let tokens = self.tokens.load();
        let token = tokens.get(key)?;
        // The actor renews ahead of expiry by itself: whoever reads needs to know only whether it is over.
        (token.freshness(now, 0.0) != Freshness::Expired).then(|| token.clone())
    }

    /// Whether an actor has worked on this connection before.
    pub(crate) fn had_an_owner(&self) -> bool {
        self.owned.load(Ordering::Acquire)
    }

    /// An actor works on it from now on.
    pub(crate) fn own(&self) {
        self.owned.store(true, Ordering::Release);
    }

    /// Shows these tokens, and no others.
    pub(crate) fn show_tokens(&self, tokens: HashMap<TokenKey, Token>) {
        self.tokens.store(Arc::new(tokens));
    }

    /// Shows no token any more: nobody keeps them live.
    pub(crate) fn withdraw(&self) {
        self.tokens.store(Arc::default());
    }

    /// How the connection is doing, once its actor has started.
    pub(crate) fn status(&self) -> Option<Arc<ConnectionStatus>> {
        self.status.load_full()
    }

    /// Shows how the connection is doing.
    pub(crate) fn show_status(&self, status: ConnectionStatus) {
        self.status.store(Some(Arc::new(status)));
    }
}
