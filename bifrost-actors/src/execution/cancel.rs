//! The wish that an execution stops, as its code sees it.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Cancel {
    asked: AtomicBool,
    told: Notify,
}

impl Cancel {
    /// Tells the code that it shall stop.
    pub(crate) fn ask(&self) {
        self.asked.store(true, Ordering::Release);
        self.told.notify_waiters();
    }

    /// Resolves once it was asked.
    pub(crate) async fn asked(&self) {
        let mut told = pin!(self.told.notified());
        told.as_mut().enable();
        if !self.asked.load(Ordering::Acquire) {
            told.await;
        }
    }
}
