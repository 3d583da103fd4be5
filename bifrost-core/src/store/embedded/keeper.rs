//! The keeper: the thread that takes checkpoints and snapshots, so that the committer does not have to.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use super::shared::Shared;

/// What the keeper is woken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Errand {
    /// A checkpoint, and a snapshot when there is enough journal for one.
    Checkpoint,
    /// A snapshot whatever there is, so that the journal before it gives its room back.
    Relief,
}

#[derive(Debug)]
pub(super) struct Keeper {
    wake: Option<SyncSender<Errand>>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    pub(super) fn start(shared: Arc<Shared>) -> std::io::Result<Self> {
        let (wake, woken) = sync_channel(1);
        let thread =
            std::thread::Builder::new().name("bifrost-store-keeper".to_owned()).spawn(move || work(&shared, &woken))?;
        Ok(Self { wake: Some(wake), thread: Some(thread) })
    }

    /// Sends it on its way; while one errand waits, others need not.
    pub(super) fn wake(&self, errand: Errand) {
        if let Some(wake) = &self.wake {
            let _ = wake.try_send(errand);
        }
    }

    /// Lets it finish what it is doing.
    pub(super) fn stop(&mut self) {
        drop(self.wake.take());
        if let Some(thread) = self.thread.take() {
            // It catches what it does; there is nothing to be had from a panic of its own.
            let _ = thread.join();
        }
    }
}

fn work(shared: &Shared, woken: &Receiver<Errand>) {
    while let Ok(errand) = woken.recv() {
        if let Err(error) = shared.maintain(errand == Errand::Relief) {
            tracing::warn!(path = %shared.layout.root.display(), %error, "the store could not take a checkpoint");
        }
    }
}
