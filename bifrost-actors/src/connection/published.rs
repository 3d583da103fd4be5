//! What a connection shows without being asked: live tokens and its status. Reading them is no message.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::{ArcSwap, ArcSwapOption};
use bifrost_core::Clock;
use bifrost_core::connection::ConnectionStatus;
use bifrost_core::credential::{Token, TokenKey};

/// The published state of one connection. It outlives the actor.
#[derive(Debug, Default)]
pub(crate) struct Published {
    /// A connection has one or two: to compare their names is quicker than to hash one.
    tokens: ArcSwap<Vec<(TokenKey, Token)>>,
    status: ArcSwapOption<ConnectionStatus>,
    owned: AtomicBool,
}

impl Published {
    /// A token that may still be used.
    pub(crate) fn live_token(&self, key: &TokenKey, clock: &dyn Clock) -> Option<Token> {
        let tokens = self.tokens.load();
        let (_, token) = tokens.iter().find(|(known, _)| known == key)?;
        // The actor renews ahead of expiry by itself: whoever reads needs to know only whether it is over.
        token.is_live(clock.now()).then(|| token.clone())
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
    pub(crate) fn show_tokens(&self, tokens: Vec<(TokenKey, Token)>) {
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
