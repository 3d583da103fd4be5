//! The keeper: the thread that takes checkpoints and snapshots, so that the committer does not have to.

use std::sync::Arc;

use super::shared::Shared;
use crate::sync::mpsc::{Receiver, SyncSender, sync_channel};
use crate::sync::thread::{self, JoinHandle};

#[derive(Debug)]
pub(super) struct Keeper {
    wake: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    pub(super) fn start(shared: Arc<Shared>) -> std::io::Result<Self> {
        let (wake, woken) = sync_channel(1);
        let thread =
            thread::Builder::new().name("bifrost-store-keeper".to_owned()).spawn(move || work(&shared, &woken))?;
        Ok(Self { wake: Some(wake), thread: Some(thread) })
    }

    /// Asks for a checkpoint; one that is asked for already counts for both.
    pub(super) fn wake(&self) {
        if let Some(wake) = &self.wake {
            let _ = wake.try_send(());
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

fn work(shared: &Shared, woken: &Receiver<()>) {
    while woken.recv().is_ok() {
        if let Err(error) = shared.maintain(false) {
            tracing::warn!(path = %shared.layout.root.display(), %error, "the store could not take a checkpoint");
        }
    }
}
