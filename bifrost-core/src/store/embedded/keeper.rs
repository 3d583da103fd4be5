//! The keeper: the thread that brings what was committed into the state's engine, and takes checkpoints and snapshots, so
//! that the committer does not have to.

use std::sync::{Arc, PoisonError};

use super::queue::Control;
use super::shared::Shared;
use crate::sync::mpsc::{Receiver, SyncSender, sync_channel};
use crate::sync::thread::{self, JoinHandle};
use crate::sync::{Mutex, MutexGuard};

/// What the keeper is woken for. Each is a part of the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Errand {
    /// What was committed goes into the state's engine.
    Drain,
    /// A checkpoint, and a snapshot when there is enough journal for one.
    Checkpoint,
    /// A snapshot whatever there is, so that the journal before it gives its room back.
    Relief,
}

#[derive(Debug)]
pub(super) struct Keeper {
    errand: Arc<Mutex<Option<Errand>>>,
    wake: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    pub(super) fn start(shared: Arc<Shared>) -> std::io::Result<Self> {
        let (wake, woken) = sync_channel(1);
        let errand = Arc::new(Mutex::new(None));
        let told = errand.clone();
        let thread = thread::Builder::new()
            .name("bifrost-store-keeper".to_owned())
            .spawn(move || work(&shared, &told, &woken))?;
        Ok(Self { errand, wake: Some(wake), thread: Some(thread) })
    }

    /// Sends it on its way; of errands that wait, the greatest is gone on.
    pub(super) fn wake(&self, errand: Errand) {
        if let Some(wake) = &self.wake {
            let mut waiting = lock(&self.errand);
            *waiting = (*waiting).max(Some(errand));
            drop(waiting);
            // When it has been woken already, it finds this errand as well.
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

fn lock(errand: &Mutex<Option<Errand>>) -> MutexGuard<'_, Option<Errand>> {
    errand.lock().unwrap_or_else(PoisonError::into_inner)
}

fn work(shared: &Shared, errand: &Mutex<Option<Errand>>, woken: &Receiver<()>) {
    while woken.recv().is_ok() {
        let Some(errand) = lock(errand).take() else { continue };
        let done = match errand {
            Errand::Drain => shared.drain(),
            Errand::Checkpoint => shared.maintain(false),
            Errand::Relief => shared.maintain(true),
        };
        if let Err(error) = done {
            tracing::warn!(path = %shared.layout.root.display(), %error, "the store could not run its errand {errand:?}");
        }
        if shared.state.is_stuck() {
            shared.queue.control(Control::Mend);
        }
    }
}
