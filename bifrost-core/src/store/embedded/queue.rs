//! What waits for the committer, in the order it was asked for.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::PoisonError;

use tokio::sync::oneshot;

use super::super::{Batch, CommitSeq, Op};
use super::frame::Point;
use crate::error::{Error, ErrorKind, Result, Retry};
use crate::sync::{Condvar, Mutex, MutexGuard};

/// How much may wait before callers are told to come back later.
const MAX_QUEUED: usize = 16_384;
const MAX_QUEUED_BYTES: usize = 64 * 1024 * 1024;

/// How much becomes durable with one sync.
const MAX_GROUP: usize = 1_024;
const MAX_GROUP_BYTES: usize = 16 * 1024 * 1024;

type Reply<T> = oneshot::Sender<Result<T>>;

/// A batch and who waits for it.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) batch: Batch,
    pub(super) reply: Reply<CommitSeq>,
    bytes: usize,
}

/// Something else that has its place in the order.
#[derive(Debug)]
pub(super) enum Control {
    /// Open the state's engine again, which met a full disk.
    Mend,
    /// Begin a new segment.
    Roll(Reply<()>),
    /// Take over the archive in this draft, which leads to this point.
    Install(PathBuf, Point, Reply<CommitSeq>),
    /// Finish in order and give the files back.
    Close(Reply<()>),
    /// Give the files back.
    Abandon,
}

#[derive(Debug)]
enum Item {
    Batch(Request),
    Control(Control),
}

/// What the committer does next.
#[derive(Debug)]
pub(super) enum Work {
    Group(Vec<Request>),
    Control(Control),
}

#[derive(Debug, Default)]
struct Inner {
    items: VecDeque<Item>,
    bytes: usize,
    ended: bool,
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    inner: Mutex<Inner>,
    arrived: Condvar,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives `batch` its place.
    pub(super) fn push(&self, batch: Batch) -> Result<oneshot::Receiver<Result<CommitSeq>>> {
        let bytes = size(&batch);
        let (reply, receiver) = oneshot::channel();
        let mut inner = self.lock();
        if inner.ended {
            return Err(Error::new(ErrorKind::Closed, "commit batch", "the store is closed"));
        }
        if inner.items.len() >= MAX_QUEUED || inner.bytes + bytes > MAX_QUEUED_BYTES {
            return Err(Error::new(ErrorKind::Overloaded, "commit batch", "too much waits to be written")
                .with("used", inner.items.len())
                .retry(Retry::Later));
        }
        inner.bytes += bytes;
        inner.items.push_back(Item::Batch(Request { batch, reply, bytes }));
        drop(inner);
        self.arrived.notify_one();
        Ok(receiver)
    }

    /// Gives `control` its place; false when the store has ended.
    pub(super) fn control(&self, control: Control) -> bool {
        let mut inner = self.lock();
        if inner.ended {
            return false;
        }
        inner.items.push_back(Item::Control(control));
        drop(inner);
        self.arrived.notify_one();
        true
    }

    /// The same for the last control there is. `announce` runs before the committer can see it.
    pub(super) fn end(&self, control: Control, announce: impl FnOnce()) -> bool {
        let mut inner = self.lock();
        if inner.ended {
            return false;
        }
        inner.ended = true;
        announce();
        inner.items.push_back(Item::Control(control));
        drop(inner);
        self.arrived.notify_one();
        true
    }

    pub(super) fn len(&self) -> usize {
        self.lock().items.len()
    }

    /// Waits for work, and takes as much of it as may share one sync.
    pub(super) fn take(&self) -> Work {
        let mut inner = self.lock();
        loop {
            match inner.items.pop_front() {
                Some(Item::Control(control)) => return Work::Control(control),
                Some(Item::Batch(first)) => return Work::Group(inner.group(first)),
                None => inner = self.arrived.wait(inner).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }
}

impl Inner {
    fn group(&mut self, first: Request) -> Vec<Request> {
        let mut bytes = first.bytes;
        let mut group = vec![first];
        while let Some(Item::Batch(next)) = self.items.front() {
            if group.len() >= MAX_GROUP || bytes + next.bytes > MAX_GROUP_BYTES {
                break;
            }
            if let Some(Item::Batch(next)) = self.items.pop_front() {
                bytes += next.bytes;
                group.push(next);
            }
        }
        self.bytes = self.bytes.saturating_sub(bytes);
        group
    }
}

fn size(batch: &Batch) -> usize {
    let ops = batch.ops().iter().map(|op| match op {
        Op::Put(key, value) => key.as_bytes().len() + value.len(),
        Op::Delete(key) => key.as_bytes().len(),
        Op::Append(log, payload) => log.as_bytes().len() + payload.len(),
    });
    ops.sum::<usize>() + 64
}
